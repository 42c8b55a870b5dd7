using System.Text;
using System.Text.Json;
using ClusterNet.Cluster.Serving;

namespace ClusterNet.Gateway.Inference;

/// <summary>Values of a tensor in JSON: flat, or nested as the shape says; straight from the body's bytes into what the model takes.</summary>
internal static class JsonTensor
{
    private interface ISink
    {
        void Set(ref Utf8JsonReader reader, in TensorHead head, int index);
    }

    /// <summary>Values as float32; null is NaN.</summary>
    /// <param name="reader">at the first token of the values; afterwards at the last one</param>
    /// <param name="head">of the tensor</param>
    /// <param name="bytes">length of the whole text, which bounds what may be allocated</param>
    /// <param name="mayBeMissing">whether null is taken</param>
    /// <exception cref="PredictionException">they are not of that type and shape</exception>
    public static float[] Floats(ref Utf8JsonReader reader, in TensorHead head, int bytes, bool mayBeMissing)
    {
        CheckSize(head, bytes);
        var sink = new FloatSink(GC.AllocateUninitializedArray<float>(head.Elements), mayBeMissing);
        Read(ref reader, head, ref sink);
        return sink.Values;
    }

    /// <summary>Values as cells of a column; null for a missing one.</summary>
    /// <param name="reader">at the first token of the values; afterwards at the last one</param>
    /// <param name="head">of the tensor</param>
    /// <param name="bytes">length of the whole text</param>
    /// <param name="isCategory">whether the column has categories</param>
    /// <exception cref="PredictionException">they are not of that type and shape</exception>
    public static string?[] Cells(ref Utf8JsonReader reader, in TensorHead head, int bytes, bool isCategory)
    {
        CheckSize(head, bytes);
        var sink = new CellSink(new string?[head.Elements], isCategory);
        Read(ref reader, head, ref sink);
        return sink.Values;
    }

    // a value takes a byte and a comma at the least
    private static void CheckSize(in TensorHead head, int bytes)
    {
        if (head.Elements > bytes)
            throw Refusal.Invalid(head.DataPlace, $"fewer values than the {head.Elements} that shape {head.ShownShape} has");
    }

    private static void Read<TSink>(ref Utf8JsonReader reader, in TensorHead head, ref TSink sink)
        where TSink : struct, ISink
    {
        if (reader.TokenType != JsonTokenType.StartArray)
            throw Refusal.Invalid(head.DataPlace, "an array of values belongs here");
        var rank = Math.Max(1, head.Shape.Length);
        Span<int> counts = stackalloc int[TensorHead.MaxAxes + 2];
        var (depth, leaf, values, isNested) = (1, -1, 0, false);
        counts[1] = 0;
        while (depth > 0)
        {
            reader.Read();
            switch (reader.TokenType)
            {
                case JsonTokenType.StartArray:
                    if (depth == leaf || depth == rank)
                        throw Refusal.Invalid(head.DataPlace, $"nested otherwise than shape {head.ShownShape}; give the values flat, or nested as the shape says");
                    isNested = true;
                    counts[depth++]++;
                    counts[depth] = 0;
                    break;
                case JsonTokenType.EndArray:
                    if (isNested && counts[depth] != head.Shape[depth - 1])
                        throw Refusal.Invalid(head.DataPlace, $"an array of {counts[depth]} at depth {depth}, where shape {head.ShownShape} has {head.Shape[depth - 1]}");
                    depth--;
                    break;
                case JsonTokenType.StartObject:
                    throw Refusal.Invalid(head.DataPlace, "an object where a value belongs");
                default:
                    if (leaf < 0)
                        leaf = depth;
                    if (depth != leaf || (isNested && depth != rank))
                        throw Refusal.Invalid(head.DataPlace, $"nested otherwise than shape {head.ShownShape}; give the values flat, or nested as the shape says");
                    if (values == head.Elements)
                        throw Refusal.Invalid(head.DataPlace, $"more values than the {head.Elements} that shape {head.ShownShape} has");
                    counts[depth]++;
                    sink.Set(ref reader, head, values++);
                    break;
            }
        }
        if (values != head.Elements)
            throw Refusal.Invalid(head.DataPlace, $"{values} values, where shape {head.ShownShape} has {head.Elements}");
    }

    private static PredictionException Mismatch(ref Utf8JsonReader reader, in TensorHead head, int index)
    {
        var found = reader.TokenType switch
        {
            JsonTokenType.String => "a text",
            JsonTokenType.True or JsonTokenType.False => "a truth value",
            JsonTokenType.Null => "null",
            _ => Refusal.Shown(Encoding.UTF8.GetString(reader.ValueSpan)),
        };
        return Refusal.Invalid(Numbers.PlaceOf(head, index), $"{found} where {DataTypes.NameOf(head.Type)} belongs");
    }

    private static long SignedOf(ref Utf8JsonReader reader, in TensorHead head, int index)
    {
        var (least, most) = Numbers.RangeOf(head.Type);
        return reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var value) && value >= least && (value < 0 || (ulong)value <= most) ? value : throw Mismatch(ref reader, head, index);
    }

    private static ulong UnsignedOf(ref Utf8JsonReader reader, in TensorHead head, int index) =>
        reader.TokenType == JsonTokenType.Number && reader.TryGetUInt64(out var value) && value <= Numbers.RangeOf(head.Type).Most ? value : throw Mismatch(ref reader, head, index);

    private static float SingleOf(ref Utf8JsonReader reader, in TensorHead head, int index) =>
        reader.TokenType == JsonTokenType.Number && reader.TryGetSingle(out var value) && float.IsFinite(value) ? value : throw Mismatch(ref reader, head, index);

    private static double DoubleOf(ref Utf8JsonReader reader, in TensorHead head, int index) =>
        reader.TokenType == JsonTokenType.Number && reader.TryGetDouble(out var value) && double.IsFinite(value) ? value : throw Mismatch(ref reader, head, index);

    private static bool TruthOf(ref Utf8JsonReader reader, in TensorHead head, int index) =>
        reader.TokenType is JsonTokenType.True or JsonTokenType.False ? reader.TokenType == JsonTokenType.True : throw Mismatch(ref reader, head, index);

    private static float HalfOf(ref Utf8JsonReader reader, in TensorHead head, int index)
    {
        var value = head.Type == DataType.FP16
            ? (float)(Half)DoubleOf(ref reader, head, index)
            : Numbers.BFloat((ushort)(BitConverter.SingleToInt32Bits(SingleOf(ref reader, head, index)) >> 16));
        return float.IsFinite(value) ? value : throw Mismatch(ref reader, head, index);
    }

    private readonly struct FloatSink(float[] values, bool mayBeMissing) : ISink
    {
        public float[] Values => values;

        public void Set(ref Utf8JsonReader reader, in TensorHead head, int index)
        {
            if (reader.TokenType == JsonTokenType.Null && mayBeMissing)
            {
                values[index] = float.NaN;
                return;
            }
            values[index] = head.Type switch
            {
                DataType.FP32 => SingleOf(ref reader, head, index),
                DataType.FP64 => Numbers.Exact(DoubleOf(ref reader, head, index), head, index),
                DataType.FP16 or DataType.BF16 => HalfOf(ref reader, head, index),
                DataType.Bool => TruthOf(ref reader, head, index) ? 1 : 0,
                DataType.Int8 or DataType.Int16 or DataType.Int32 or DataType.Int64 => Numbers.Exact(SignedOf(ref reader, head, index), head, index),
                _ => Numbers.Exact(UnsignedOf(ref reader, head, index), head, index),
            };
        }
    }

    private readonly struct CellSink(string?[] values, bool isCategory) : ISink
    {
        public string?[] Values => values;

        public void Set(ref Utf8JsonReader reader, in TensorHead head, int index)
        {
            if (reader.TokenType == JsonTokenType.Null)
                return;
            switch (head.Type)
            {
                case DataType.Bytes:
                    values[index] = reader.TokenType == JsonTokenType.String ? reader.GetString() : throw Mismatch(ref reader, head, index);
                    return;
                case DataType.Bool:
                    values[index] = Numbers.Cell(TruthOf(ref reader, head, index), isCategory);
                    return;
                case DataType.FP16 or DataType.BF16:
                    values[index] = Numbers.Cell(HalfOf(ref reader, head, index), head, index);
                    return;
                case DataType.FP32:
                    _ = SingleOf(ref reader, head, index);
                    break;
                case DataType.FP64:
                    _ = DoubleOf(ref reader, head, index);
                    break;
                case DataType.Int8 or DataType.Int16 or DataType.Int32 or DataType.Int64:
                    _ = SignedOf(ref reader, head, index);
                    break;
                default:
                    _ = UnsignedOf(ref reader, head, index);
                    break;
            }
            // the digits as they are: read once, as those of a file are
            values[index] = Encoding.ASCII.GetString(reader.ValueSpan);
        }
    }
}
