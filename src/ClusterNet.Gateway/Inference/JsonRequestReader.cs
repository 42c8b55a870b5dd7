using System.Text.Json;
using ClusterNet.Cluster.Serving;
using ClusterNet.Gateway.Inference.Examples;
using ClusterNet.Gateway.Inference.SharedMemory;

namespace ClusterNet.Gateway.Inference;

/// <summary>Reads the body of a REST request: JSON, and behind it the bytes of the tensors that are given as such.</summary>
internal static class JsonRequestReader
{
    [Flags]
    private enum Seen
    {
        None = 0,
        Name = 1,
        Type = 2,
        Shape = 4,
        Data = 8,
        Parameters = 16,
        Inputs = 32,
        Outputs = 64,
        Id = 128,
    }

    /// <summary>A whole request.</summary>
    /// <param name="body">all bytes</param>
    /// <param name="jsonLength">how many of them are JSON; all where null</param>
    /// <param name="plan">of the version that is asked</param>
    /// <param name="settings">bounds</param>
    /// <param name="memory">what the caller may use; null for none</param>
    /// <exception cref="PredictionException">it is none, or none that the version takes</exception>
    public static InferRequest Read(ReadOnlySpan<byte> body, long? jsonLength, InputPlan plan, InferenceSettings settings, SharedRegions? memory = null)
    {
        if (jsonLength is { } length && (length < 0 || length > body.Length))
            throw Refusal.Invalid("Inference-Header-Content-Length", $"{length}, and the body has {body.Length} bytes");
        var json = jsonLength is null ? body : body[..(int)jsonLength];
        if (json.IsEmpty)
            throw Refusal.Invalid("", "the body has no JSON; an object with 'inputs' belongs there");
        try
        {
            return ReadObject(json, jsonLength is null ? [] : body[(int)jsonLength..], plan, settings, memory);
        }
        catch (JsonException exception)
        {
            throw Refusal.Invalid($"line {exception.LineNumber + 1}, byte {exception.BytePositionInLine}", $"not JSON: {exception.Message}");
        }
        catch (InvalidOperationException)
        {
            // the reader's word for a text that is no Unicode
            throw Refusal.Invalid("", "not JSON: a text has bytes, or escapes, that are no Unicode");
        }
    }

    private static InferRequest ReadObject(ReadOnlySpan<byte> json, ReadOnlySpan<byte> binary, InputPlan plan, InferenceSettings settings, SharedRegions? memory)
    {
        if (json.StartsWith("\uFEFF"u8))
            json = json[3..];
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = settings.MaxDepth });
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
            throw Refusal.Invalid("", "an object with 'inputs' belongs here");
        var parameters = new RequestParameters();
        var assembly = new InputAssembly(plan, settings, memory);
        List<RequestedOutput>? outputs = null;
        string? id = null;
        var seen = Seen.None;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("inputs"u8))
            {
                Once(ref seen, Seen.Inputs, "inputs");
                ReadInputs(ref reader, ref binary, json.Length, plan, assembly, settings);
            }
            else if (reader.ValueTextEquals("outputs"u8))
            {
                Once(ref seen, Seen.Outputs, "outputs");
                outputs = ReadOutputs(ref reader, plan.Version, settings, memory);
            }
            else if (reader.ValueTextEquals("parameters"u8))
            {
                Once(ref seen, Seen.Parameters, "parameters");
                ReadParameters(ref reader, parameters, settings);
            }
            else if (reader.ValueTextEquals("id"u8))
            {
                Once(ref seen, Seen.Id, "id");
                reader.Read();
                id = TextOf(ref reader, "id");
            }
            else
            {
                // others are no fault: "model_name" is common
                reader.Skip();
            }
        }
        // nothing but the end may follow
        reader.Read();
        if (!binary.IsEmpty)
            throw Refusal.Invalid("", $"{binary.Length} bytes behind the JSON belong to no input; 'binary_data_size' says which do");
        return new InferRequest(id, parameters, assembly.Build(), outputs is { Count: > 0 } ? outputs : RequestedOutput.All(plan.Version));
    }

    private static void ReadInputs(ref Utf8JsonReader reader, ref ReadOnlySpan<byte> binary, int bytes, InputPlan plan, InputAssembly assembly, InferenceSettings settings)
    {
        BeginArray(ref reader, "inputs");
        for (var index = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; index++)
        {
            var place = $"inputs[{index}]";
            if (index >= plan.MostInputs(settings))
                throw Refusal.Invalid("inputs", $"more than {plan.MostInputs(settings)}");
            if (reader.TokenType != JsonTokenType.StartObject)
                throw Refusal.Invalid(place, "an object with 'name', 'datatype', 'shape' and 'data' belongs here");
            ReadInput(ref reader, ref binary, bytes, place, assembly);
        }
    }

    private static void ReadInput(ref Utf8JsonReader reader, ref ReadOnlySpan<byte> binary, int bytes, string place, InputAssembly assembly)
    {
        var seen = Seen.None;
        string name = "", type = "";
        long[] shape = [];
        long? size = null;
        SharedPart? shared = null;
        Utf8JsonReader later = default;
        var isRead = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("name"u8))
            {
                Once(ref seen, Seen.Name, place + ".name");
                reader.Read();
                name = TextOf(ref reader, place + ".name");
            }
            else if (reader.ValueTextEquals("datatype"u8))
            {
                Once(ref seen, Seen.Type, place + ".datatype");
                reader.Read();
                type = TextOf(ref reader, place + ".datatype");
            }
            else if (reader.ValueTextEquals("shape"u8))
            {
                Once(ref seen, Seen.Shape, place + ".shape");
                shape = ReadShape(ref reader, place + ".shape");
            }
            else if (reader.ValueTextEquals("parameters"u8))
            {
                Once(ref seen, Seen.Parameters, place + ".parameters");
                (size, shared) = ReadInputParameters(ref reader, place + ".parameters");
            }
            else if (reader.ValueTextEquals("data"u8))
            {
                Once(ref seen, Seen.Data, place + ".data");
                reader.Read();
                const Seen Head = Seen.Name | Seen.Type | Seen.Shape;
                if ((seen & Head) == Head)
                {
                    // the usual order: the values are read where they are
                    ReadValues(ref reader, bytes, TensorHead.Of(place, name, DataTypes.Parse(type, place + ".datatype"), shape), assembly);
                    isRead = true;
                }
                else
                {
                    later = reader;
                    reader.Skip();
                }
            }
            else
            {
                reader.Skip();
            }
        }
        foreach (var (part, what) in (ReadOnlySpan<(Seen, string)>)[(Seen.Name, "name"), (Seen.Type, "datatype"), (Seen.Shape, "shape")])
        {
            if (!seen.HasFlag(part))
                throw Refusal.Invalid(place, $"without '{what}'");
        }
        var hasData = seen.HasFlag(Seen.Data);
        if ((hasData ? 1 : 0) + (size is null ? 0 : 1) + (shared is null ? 0 : 1) is not 1 and var ways)
        {
            throw Refusal.Invalid(place, ways == 0
                ? "without 'data'; values come there, or behind the JSON ('binary_data_size')"
                : $"{string.Join(" and ", ((string?[])[hasData ? "'data'" : null, size is null ? null : "'binary_data_size'", shared is null ? null : $"'{SharedPart.RegionName}'"]).OfType<string>())}; values come one way or the other");
        }
        if (isRead)
            return;
        var head = TensorHead.Of(place, name, DataTypes.Parse(type, place + ".datatype"), shape);
        if (hasData)
            ReadValues(ref later, bytes, head, assembly);
        else if (shared is { } part)
            assembly.AddShared(part, head);
        else
            TakeBinary(ref binary, size!.Value, head, assembly);
    }

    private static void ReadValues(ref Utf8JsonReader reader, int bytes, in TensorHead head, InputAssembly assembly)
    {
        var slot = assembly.Expect(head);
        if (slot.Kind == InputKind.Column)
            assembly.Add(slot, JsonTensor.Cells(ref reader, head, bytes, slot.IsCategory));
        else
            assembly.Add(slot, head, JsonTensor.Floats(ref reader, head, bytes, slot.Kind == InputKind.Array));
    }

    private static void TakeBinary(ref ReadOnlySpan<byte> binary, long size, in TensorHead head, InputAssembly assembly)
    {
        if (size > binary.Length)
            throw Refusal.Invalid(head.Place + ".parameters.binary_data_size", $"{size}, and {binary.Length} bytes are left behind the JSON; Inference-Header-Content-Length says where they begin");
        var bytes = binary[..(int)size];
        binary = binary[(int)size..];
        Take(bytes, head, assembly);
    }

    /// <summary>The values of an input from bytes.</summary>
    /// <exception cref="PredictionException">they don't fit</exception>
    public static void Take(ReadOnlySpan<byte> bytes, in TensorHead head, InputAssembly assembly)
    {
        var slot = assembly.Expect(head);
        if (slot.Kind == InputKind.Column)
            assembly.Add(slot, BinaryTensor.Cells(bytes, head, slot.IsCategory));
        else
            assembly.Add(slot, head, BinaryTensor.Floats(bytes, head, slot.Kind == InputKind.Array));
    }

    private static long[] ReadShape(ref Utf8JsonReader reader, string place)
    {
        BeginArray(ref reader, place);
        Span<long> shape = stackalloc long[TensorHead.MaxAxes];
        var axes = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (axes == shape.Length)
                throw Refusal.Invalid(place, $"more than {shape.Length} axes");
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out shape[axes++]))
                throw Refusal.Invalid(place, "a whole number of at most 63 bits belongs at each axis");
        }
        return shape[..axes].ToArray();
    }

    private static (long? BinarySize, SharedPart? Shared) ReadInputParameters(ref Utf8JsonReader reader, string place)
    {
        BeginObject(ref reader, place);
        long? size = null;
        string? region = null;
        ulong? offset = null, sharedSize = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("binary_data_size"u8))
            {
                reader.Read();
                size = (long)Math.Min(CountOf(ref reader, place + ".binary_data_size"), long.MaxValue);
            }
            else if (!IsOfMemory(ref reader, place, ref region, ref offset, ref sharedSize))
            {
                reader.Skip();
            }
        }
        return (size, SharedPart.Of(region, offset, sharedSize, place));
    }

    private static List<RequestedOutput> ReadOutputs(ref Utf8JsonReader reader, ServedVersion version, InferenceSettings settings, SharedRegions? memory)
    {
        BeginArray(ref reader, "outputs");
        var outputs = new List<RequestedOutput>();
        for (var index = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; index++)
        {
            var place = $"outputs[{index}]";
            if (reader.TokenType != JsonTokenType.StartObject)
                throw Refusal.Invalid(place, "an object with 'name' belongs here");
            string? name = null;
            var output = default(RequestedOutput);
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("name"u8))
                {
                    reader.Read();
                    name = TextOf(ref reader, place + ".name");
                }
                else if (reader.ValueTextEquals("parameters"u8))
                {
                    output = ReadOutputParameters(ref reader, place + ".parameters", memory);
                }
                else
                {
                    reader.Skip();
                }
            }
            RequestedOutput.Add(outputs, output with { Name = name ?? throw Refusal.Invalid(place, "without 'name'") }, version, place, settings);
        }
        return outputs;
    }

    private static RequestedOutput ReadOutputParameters(ref Utf8JsonReader reader, string place, SharedRegions? memory)
    {
        BeginObject(ref reader, place);
        var output = default(RequestedOutput);
        string? region = null;
        ulong? offset = null, size = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals(RequestedOutput.ClassificationName))
            {
                reader.Read();
                output = output with { Classes = (int)Math.Min(CountOf(ref reader, $"{place}.{RequestedOutput.ClassificationName}"), int.MaxValue) };
            }
            else if (reader.ValueTextEquals(RequestedOutput.BinaryName))
            {
                reader.Read();
                output = output with { IsBinary = TruthOf(ref reader, $"{place}.{RequestedOutput.BinaryName}") };
            }
            else if (!IsOfMemory(ref reader, place, ref region, ref offset, ref size))
            {
                reader.Skip();
            }
        }
        if (SharedPart.Of(region, offset, size, place) is not { } part)
            return output;
        SharedRegions.Of(memory, $"{place}.{SharedPart.RegionName}").Check(part, $"{place}.{SharedPart.RegionName}");
        return output with { Memory = part };
    }

    private static bool IsOfMemory(ref Utf8JsonReader reader, string place, ref string? region, ref ulong? offset, ref ulong? size)
    {
        if (reader.ValueTextEquals(SharedPart.RegionName))
        {
            reader.Read();
            region = TextOf(ref reader, $"{place}.{SharedPart.RegionName}");
            return true;
        }
        if (reader.ValueTextEquals(SharedPart.OffsetName))
        {
            reader.Read();
            offset = CountOf(ref reader, $"{place}.{SharedPart.OffsetName}");
            return true;
        }
        if (reader.ValueTextEquals(SharedPart.ByteSizeName))
        {
            reader.Read();
            size = CountOf(ref reader, $"{place}.{SharedPart.ByteSizeName}");
            return true;
        }
        return false;
    }

    private static void ReadParameters(ref Utf8JsonReader reader, RequestParameters parameters, InferenceSettings settings)
    {
        BeginObject(ref reader, "parameters");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals(RequestParameters.PriorityName))
            {
                reader.Read();
                parameters.SetPriority(CountOf(ref reader, "parameters.priority"));
            }
            else if (reader.ValueTextEquals(RequestParameters.TimeoutName))
            {
                reader.Read();
                parameters.SetTimeout(CountOf(ref reader, "parameters.timeout"), settings);
            }
            else if (reader.ValueTextEquals(RequestParameters.KeyName))
            {
                reader.Read();
                parameters.SetKey(TextOf(ref reader, "parameters.key"), "parameters.key");
            }
            else if (reader.ValueTextEquals(RequestParameters.BinaryOutputName))
            {
                reader.Read();
                parameters.IsBinary = TruthOf(ref reader, "parameters.binary_data_output");
            }
            else if (reader.ValueTextEquals(SequenceStep.IdName))
            {
                reader.Read();
                if (reader.TokenType == JsonTokenType.String)
                    parameters.SetSequence(reader.GetString()!, "parameters.sequence_id");
                else
                    parameters.SetSequence(CountOf(ref reader, "parameters.sequence_id"));
            }
            else if (reader.ValueTextEquals(SequenceStep.FirstName))
            {
                reader.Read();
                parameters.SetFirst(TruthOf(ref reader, "parameters.sequence_start"));
            }
            else if (reader.ValueTextEquals(SequenceStep.LastName))
            {
                reader.Read();
                parameters.SetLast(TruthOf(ref reader, "parameters.sequence_end"));
            }
            else
            {
                reader.Skip();
            }
        }
    }

    private static void Once(ref Seen seen, Seen part, string place)
    {
        if (seen.HasFlag(part))
            throw Refusal.Invalid(place, "is there twice");
        seen |= part;
    }

    private static void BeginArray(ref Utf8JsonReader reader, string place)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
            throw Refusal.Invalid(place, "an array belongs here");
    }

    private static void BeginObject(ref Utf8JsonReader reader, string place)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
            throw Refusal.Invalid(place, "an object belongs here");
    }

    private static string TextOf(ref Utf8JsonReader reader, string place) =>
        reader.TokenType == JsonTokenType.String ? reader.GetString()! : throw Refusal.Invalid(place, "a text belongs here");

    private static bool TruthOf(ref Utf8JsonReader reader, string place) =>
        reader.TokenType is JsonTokenType.True or JsonTokenType.False ? reader.TokenType == JsonTokenType.True : throw Refusal.Invalid(place, "true or false belongs here");

    private static ulong CountOf(ref Utf8JsonReader reader, string place) =>
        reader.TokenType == JsonTokenType.Number && reader.TryGetUInt64(out var value) ? value : throw Refusal.Invalid(place, "a whole number of 0 or more belongs here");
}
