using System.Buffers.Binary;

namespace ClusterNet.Core.Metrics;

/// <summary>Reads little-endian values from bytes that may come from anywhere: past the end is a <see cref="FormatException"/>, and nothing is allocated before its bytes are there.</summary>
internal ref struct MetricReader(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> _rest = bytes;

    public readonly bool IsAtEnd => _rest.IsEmpty;

    public ReadOnlySpan<byte> Bytes(long count)
    {
        if (count < 0 || count > _rest.Length)
            throw new FormatException($"metrics end early: {count} bytes asked for where {_rest.Length} are left");
        var taken = _rest[..(int)count];
        _rest = _rest[(int)count..];
        return taken;
    }

    public byte Byte() => Bytes(1)[0];

    public ushort UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Bytes(2));

    public int Int32() => BinaryPrimitives.ReadInt32LittleEndian(Bytes(4));

    /// <summary>A count that is not negative.</summary>
    public long Count()
    {
        var count = BinaryPrimitives.ReadInt64LittleEndian(Bytes(8));
        return count >= 0 ? count : throw new FormatException($"a count of {count}");
    }
}
