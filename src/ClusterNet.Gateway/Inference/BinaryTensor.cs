using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using ClusterNet.Cluster.Serving;

namespace ClusterNet.Gateway.Inference;

/// <summary>Values of a tensor as bytes, as the binary extension of REST and gRPC's raw contents have them: little-endian, row-major, texts with 4 bytes of length before each.</summary>
internal static class BinaryTensor
{
    private static readonly UTF8Encoding _strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Values as float32.</summary>
    /// <exception cref="PredictionException">they are not of that type and shape</exception>
    public static float[] Floats(ReadOnlySpan<byte> bytes, in TensorHead head, bool mayBeMissing)
    {
        CheckSize(bytes, head);
        var values = GC.AllocateUninitializedArray<float>(head.Elements);
        switch (head.Type)
        {
            case DataType.FP32:
                MemoryMarshal.Cast<byte, float>(bytes).CopyTo(values);
                break;
            case DataType.FP64:
                var doubles = MemoryMarshal.Cast<byte, double>(bytes);
                for (var i = 0; i < values.Length; i++)
                    values[i] = Numbers.Exact(doubles[i], head, i);
                break;
            case DataType.Bool:
                for (var i = 0; i < values.Length; i++)
                    values[i] = Truth(bytes[i], head, i) ? 1 : 0;
                break;
            case DataType.FP16 or DataType.BF16:
                for (var i = 0; i < values.Length; i++)
                    values[i] = HalfAt(bytes, head.Type, i);
                break;
            case DataType.UInt64:
                for (var i = 0; i < values.Length; i++)
                    values[i] = Numbers.Exact(BinaryPrimitives.ReadUInt64LittleEndian(bytes[(i * 8)..]), head, i);
                break;
            default:
                for (var i = 0; i < values.Length; i++)
                    values[i] = Numbers.Exact(IntegerAt(bytes, head.Type, i), head, i);
                break;
        }
        Numbers.CheckFinite(values, head, mayBeMissing);
        return values;
    }

    /// <summary>Values as cells of a column; null for a missing one, which NaN is.</summary>
    /// <exception cref="PredictionException">they are not of that type and shape</exception>
    public static string?[] Cells(ReadOnlySpan<byte> bytes, in TensorHead head, bool isCategory)
    {
        if (head.Type == DataType.Bytes)
            return Texts(bytes, head);
        CheckSize(bytes, head);
        var cells = new string?[head.Elements];
        for (var i = 0; i < cells.Length; i++)
        {
            cells[i] = head.Type switch
            {
                DataType.FP32 => Numbers.Cell(BinaryPrimitives.ReadSingleLittleEndian(bytes[(i * 4)..]), head, i),
                DataType.FP64 => Numbers.Cell(BinaryPrimitives.ReadDoubleLittleEndian(bytes[(i * 8)..]), head, i),
                DataType.FP16 or DataType.BF16 => Numbers.Cell(HalfAt(bytes, head.Type, i), head, i),
                DataType.Bool => Numbers.Cell(Truth(bytes[i], head, i), isCategory),
                DataType.UInt64 => BinaryPrimitives.ReadUInt64LittleEndian(bytes[(i * 8)..]).ToString(CultureInfo.InvariantCulture),
                _ => IntegerAt(bytes, head.Type, i).ToString(CultureInfo.InvariantCulture),
            };
        }
        return cells;
    }

    /// <summary>A text from bytes.</summary>
    /// <exception cref="PredictionException">it is not UTF-8</exception>
    public static string Text(ReadOnlySpan<byte> bytes, in TensorHead head, int index)
    {
        try
        {
            return _strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            throw Refusal.Invalid(Numbers.PlaceOf(head, index), "bytes that are no UTF-8; texts are UTF-8 here");
        }
    }

    private static string?[] Texts(ReadOnlySpan<byte> bytes, in TensorHead head)
    {
        if ((long)head.Elements * sizeof(int) > bytes.Length)
            throw Refusal.Invalid(head.DataPlace, $"{bytes.Length} bytes, which is too few for the {head.Elements} texts that shape {head.ShownShape} has");
        var texts = new string?[head.Elements];
        for (var i = 0; i < texts.Length; i++)
        {
            var length = bytes.Length < sizeof(int) ? uint.MaxValue : BinaryPrimitives.ReadUInt32LittleEndian(bytes);
            if (length > bytes.Length - sizeof(int))
                throw Refusal.Invalid(Numbers.PlaceOf(head, i), $"a text that ends behind the data");
            texts[i] = Text(bytes.Slice(sizeof(int), (int)length), head, i);
            bytes = bytes[(sizeof(int) + (int)length)..];
        }
        return bytes.IsEmpty ? texts : throw Refusal.Invalid(head.DataPlace, $"{bytes.Length} bytes more than the {texts.Length} texts take");
    }

    private static void CheckSize(ReadOnlySpan<byte> bytes, in TensorHead head)
    {
        var expected = (long)head.Elements * DataTypes.SizeOf(head.Type);
        if (bytes.Length != expected)
            throw Refusal.Invalid(head.DataPlace, $"{bytes.Length} bytes, where shape {head.ShownShape} of {DataTypes.NameOf(head.Type)} has {expected}");
    }

    private static bool Truth(byte value, in TensorHead head, int index) =>
        value <= 1 ? value == 1 : throw Refusal.Invalid(Numbers.PlaceOf(head, index), $"byte {value} where BOOL has 0 or 1");

    private static float HalfAt(ReadOnlySpan<byte> bytes, DataType type, int index)
    {
        var bits = BinaryPrimitives.ReadUInt16LittleEndian(bytes[(index * 2)..]);
        return type == DataType.FP16 ? (float)BitConverter.UInt16BitsToHalf(bits) : Numbers.BFloat(bits);
    }

    private static long IntegerAt(ReadOnlySpan<byte> bytes, DataType type, int index) => type switch
    {
        DataType.Int8 => (sbyte)bytes[index],
        DataType.UInt8 => bytes[index],
        DataType.Int16 => BinaryPrimitives.ReadInt16LittleEndian(bytes[(index * 2)..]),
        DataType.UInt16 => BinaryPrimitives.ReadUInt16LittleEndian(bytes[(index * 2)..]),
        DataType.Int32 => BinaryPrimitives.ReadInt32LittleEndian(bytes[(index * 4)..]),
        DataType.UInt32 => BinaryPrimitives.ReadUInt32LittleEndian(bytes[(index * 4)..]),
        _ => BinaryPrimitives.ReadInt64LittleEndian(bytes[(index * 8)..]),
    };
}
