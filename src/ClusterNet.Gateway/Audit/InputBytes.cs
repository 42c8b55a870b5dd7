using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using ClusterNet.Cluster.Serving;
using ClusterNet.Data;

namespace ClusterNet.Gateway.Audit;

/// <summary>
/// The input of a prediction as bytes: one input, one sequence of bytes. A letter says what it is (T: rows of named cells, A: an array, P: prepared values); then lengths as int32, texts as length and UTF-8 (length -1 for a missing
/// cell), values as float32, all little-endian.
/// </summary>
public static class InputBytes
{
    private const byte Table = (byte)'T';
    private const byte Array = (byte)'A';
    private const byte Prepared = (byte)'P';

    /// <summary>Writes an input.</summary>
    public static void Write(ModelInput input, IBufferWriter<byte> to)
    {
        ArgumentNullException.ThrowIfNull(input);
        ArgumentNullException.ThrowIfNull(to);
        switch (input)
        {
            case ModelInput.Raw { Samples: RawSamples.Table table }:
                to.Write([Table]);
                Texts(to, table.Columns);
                Number(to, table.Rows.Count);
                foreach (var row in table.Rows)
                    Texts(to, row);
                break;
            case ModelInput.Raw { Samples: RawSamples.Array array }:
                to.Write([Array]);
                Values(to, array.Shape, array.Values.Span);
                Texts(to, array.Targets);
                break;
            case ModelInput.Prepared prepared:
                to.Write([Prepared]);
                Values(to, prepared.Shape, prepared.Values.Span);
                break;
            default:
                throw new ArgumentException($"an input of type {input.GetType().Name}", nameof(input));
        }
    }

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    /// <exception cref="FormatException">it did not write this</exception>
    public static ModelInput Read(ReadOnlySpan<byte> bytes)
    {
        var reader = new Reader(bytes);
        ModelInput input;
        switch (reader.Byte())
        {
            case Table:
                var columns = reader.Texts().Select(name => name ?? throw Bad()).ToArray();
                var rows = new List<IReadOnlyList<string?>>();
                for (var left = reader.Count(); left > 0; left--)
                    rows.Add(reader.Texts());
                input = new ModelInput.Raw(new RawSamples.Table(columns, rows));
                break;
            case Array:
                var (shape, values) = reader.Values();
                input = new ModelInput.Raw(new RawSamples.Array(shape, values, [.. reader.Texts().Select(target => target ?? throw Bad())]));
                break;
            case Prepared:
                var (axes, elements) = reader.Values();
                input = new ModelInput.Prepared(axes, elements);
                break;
            default:
                throw Bad();
        }
        return reader.IsAtEnd ? input : throw Bad();
    }

    private static FormatException Bad() => new("these are not the bytes of an input");

    private static void Number(IBufferWriter<byte> to, int number)
    {
        BinaryPrimitives.WriteInt32LittleEndian(to.GetSpan(sizeof(int)), number);
        to.Advance(sizeof(int));
    }

    private static void Texts(IBufferWriter<byte> to, IReadOnlyList<string?> texts)
    {
        Number(to, texts.Count);
        foreach (var text in texts)
        {
            Number(to, text is null ? -1 : Encoding.UTF8.GetByteCount(text));
            if (text is not null)
                Encoding.UTF8.GetBytes(text, to);
        }
    }

    private static void Values(IBufferWriter<byte> to, IReadOnlyList<int> shape, ReadOnlySpan<float> values)
    {
        Number(to, shape.Count);
        foreach (var axis in shape)
            Number(to, axis);
        Number(to, values.Length);
        Floats(to, values);
    }

    /// <summary>Values as they are hashed and kept: little-endian float32.</summary>
    internal static void Floats(IBufferWriter<byte> to, ReadOnlySpan<float> values)
    {
        if (BitConverter.IsLittleEndian)
        {
            to.Write(MemoryMarshal.AsBytes(values));
            return;
        }
        foreach (var value in values)
        {
            BinaryPrimitives.WriteSingleLittleEndian(to.GetSpan(sizeof(float)), value);
            to.Advance(sizeof(float));
        }
    }

    private ref struct Reader(ReadOnlySpan<byte> bytes)
    {
        private ReadOnlySpan<byte> _left = bytes;

        public readonly bool IsAtEnd => _left.IsEmpty;

        public byte Byte() => Take(1)[0];

        public int Number() => BinaryPrimitives.ReadInt32LittleEndian(Take(sizeof(int)));

        /// <summary>A number of things that take at least four bytes each: more than can follow is refused before anything is allocated.</summary>
        public int Count() => Number() is var count && count >= 0 && count <= _left.Length / sizeof(int) ? count : throw Bad();

        public string?[] Texts()
        {
            var texts = new string?[Count()];
            for (var i = 0; i < texts.Length; i++)
            {
                var length = Number();
                texts[i] = length == -1 ? null : Encoding.UTF8.GetString(Take(length));
            }
            return texts;
        }

        public (int[] Shape, float[] Values) Values()
        {
            var shape = new int[Count()];
            foreach (ref var axis in shape.AsSpan())
                axis = Number();
            var values = new float[Count()];
            foreach (ref var value in values.AsSpan())
                value = BinaryPrimitives.ReadSingleLittleEndian(Take(sizeof(float)));
            return (shape, values);
        }

        private ReadOnlySpan<byte> Take(int length)
        {
            if (length < 0 || length > _left.Length)
                throw Bad();
            var taken = _left[..length];
            _left = _left[length..];
            return taken;
        }
    }
}
