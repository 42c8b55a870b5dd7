using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Runtime.Serialization;
using Google.Protobuf;

namespace ClusterNet.Cluster.Serialization;

/// <summary>float32 values as bytes, bit by bit: NaNs keep their payload, zeros their sign.</summary>
internal static class LittleEndian
{
    /// <summary>Copies values into the start of <paramref name="target"/>.</summary>
    public static void Write(ReadOnlySpan<float> values, Span<byte> target)
    {
        var bytes = target[..(values.Length * sizeof(float))];
        MemoryMarshal.AsBytes(values).CopyTo(bytes);
        Swap(bytes);
    }

    /// <summary>Copies the values that <paramref name="bytes"/> are into <paramref name="target"/>, which is as long.</summary>
    public static void Read(ReadOnlySpan<byte> bytes, Span<float> target)
    {
        var into = MemoryMarshal.AsBytes(target);
        bytes.CopyTo(into);
        Swap(into);
    }

    /// <summary>The values that <paramref name="bytes"/> are.</summary>
    /// <exception cref="SerializationException">they are not a whole number of values</exception>
    public static float[] Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length % sizeof(float) != 0)
            throw new SerializationException($"{bytes.Length} bytes are not a whole number of float32 values");
        if (bytes.IsEmpty)
            return [];
        var values = GC.AllocateUninitializedArray<float>(bytes.Length / sizeof(float));
        Read(bytes, values);
        return values;
    }

    /// <summary>Values as a field of a protobuf message.</summary>
    public static ByteString Field(ReadOnlySpan<float> values)
    {
        var bytes = GC.AllocateUninitializedArray<byte>(checked(values.Length * sizeof(float)));
        Write(values, bytes);
        // the array is this field's alone
        return UnsafeByteOperations.UnsafeWrap(bytes);
    }

    private static void Swap(Span<byte> bytes)
    {
        if (BitConverter.IsLittleEndian)
            return;
        var words = MemoryMarshal.Cast<byte, int>(bytes);
        BinaryPrimitives.ReverseEndianness(words, words);
    }
}
