using System.Globalization;
using ClusterNet.Cluster.Serving;
using ClusterNet.Gateway.Grpc.Protocol;
using ClusterNet.Gateway.Inference;
using ClusterNet.Gateway.Inference.Examples;
using ClusterNet.Gateway.Inference.SharedMemory;
using Google.Protobuf.Collections;
using DataType = ClusterNet.Gateway.Inference.DataType;

namespace ClusterNet.Gateway.Grpc;

/// <summary>Reads a request of gRPC: raw contents beside the inputs, or each input's own contents by type.</summary>
internal static class GrpcRequestReader
{
    /// <summary>A whole request.</summary>
    /// <exception cref="PredictionException">it is none that the version takes</exception>
    public static InferRequest Read(ModelInferRequest message, InputPlan plan, InferenceSettings settings, SharedRegions? memory = null)
    {
        if (message.Inputs.Count > plan.MostInputs(settings))
            throw Refusal.Invalid("inputs", $"more than {plan.MostInputs(settings)}");
        var isRaw = message.RawInputContents.Count > 0;
        var sent = message.Inputs.Count(input => !input.Parameters.ContainsKey(SharedPart.RegionName));
        if (isRaw && message.RawInputContents.Count != sent)
            throw Refusal.Invalid("raw_input_contents", $"{message.RawInputContents.Count}, and there are {sent} inputs{(sent == message.Inputs.Count ? "" : " that are not in shared memory")}; each has one, in their order");
        var assembly = new InputAssembly(plan, settings, memory);
        var next = 0;
        foreach (var (index, input) in message.Inputs.Index())
        {
            var shared = ReadPart(input.Parameters, $"inputs[{index}].parameters");
            ReadInput(input, shared, isRaw && shared is null ? message.RawInputContents[next++].Span : default, isRaw, $"inputs[{index}]", assembly);
        }
        var parameters = ReadParameters(message.Parameters, settings);
        return new InferRequest(message.Id.Length == 0 ? null : message.Id, parameters, assembly.Build(), ReadOutputs(message, plan.Version, settings, memory));
    }

    private static void ReadInput(ModelInferRequest.Types.InferInputTensor input, SharedPart? shared, ReadOnlySpan<byte> raw, bool isRaw, string place, InputAssembly assembly)
    {
        if (input.Shape.Count > TensorHead.MaxAxes)
            throw Refusal.Invalid(place + ".shape", $"{input.Shape.Count} axes; at most {TensorHead.MaxAxes} are taken");
        var head = TensorHead.Of(place, input.Name, DataTypes.Parse(input.Datatype, place + ".datatype"), [.. input.Shape]);
        if (shared is { } part)
        {
            if (input.Contents is not null && ListOf(input.Contents) != 0)
                throw Refusal.Invalid(place + ".contents", $"beside {SharedPart.RegionName}; values come one way or the other");
            assembly.AddShared(part, head);
            return;
        }
        if (isRaw)
        {
            if (input.Contents is not null && ListOf(input.Contents) != 0)
                throw Refusal.Invalid(place + ".contents", "beside raw_input_contents; values come one way or the other");
            JsonRequestReader.Take(raw, head, assembly);
            return;
        }
        var slot = assembly.Expect(head);
        CheckContents(input.Contents, head);
        if (slot.Kind == InputKind.Column)
            assembly.Add(slot, Cells(input.Contents!, head, slot.IsCategory));
        else
            assembly.Add(slot, head, Floats(input.Contents!, head, slot.Kind == InputKind.Array));
    }

    /// <summary>The cells of some inputs, each of any shape.</summary>
    /// <param name="message">the request</param>
    /// <param name="names">of the inputs, all of which have to be there</param>
    /// <param name="settings">bounds</param>
    /// <exception cref="PredictionException">one is missing, or has other values than its shape says</exception>
    public static IReadOnlyList<string?[]> ReadCells(ModelInferRequest message, IEnumerable<string> names, InferenceSettings settings)
    {
        var isRaw = message.RawInputContents.Count > 0;
        if (isRaw && message.RawInputContents.Count != message.Inputs.Count)
            throw Refusal.Invalid("raw_input_contents", $"{message.RawInputContents.Count}, and there are {message.Inputs.Count} inputs; each has one, in their order");
        return [.. names.Select(name =>
        {
            var (index, input) = message.Inputs.Index().FirstOrDefault(given => given.Item.Name == name);
            if (input is null)
                throw Refusal.Invalid("inputs", $"without {name}, which the model needs");
            var place = $"inputs[{index}]";
            var head = TensorHead.Of(place, name, DataTypes.Parse(input.Datatype, place + ".datatype"), [.. input.Shape]);
            if (head.Elements > settings.MaxSamples)
                throw Refusal.Invalid(place + ".shape", $"{head.ShownShape} has more than {settings.MaxSamples} values");
            if (isRaw)
                return BinaryTensor.Cells(message.RawInputContents[index].Span, head, false);
            CheckContents(input.Contents, head);
            return Cells(input.Contents!, head, false);
        })];
    }

    /// <summary>The outputs that a message asks for.</summary>
    /// <exception cref="PredictionException">there is no such output</exception>
    public static IReadOnlyList<RequestedOutput> ReadOutputs(ModelInferRequest message, ServedVersion version, InferenceSettings settings) => ReadOutputs(message, version, settings, null);

    /// <summary>The parameters that mean something.</summary>
    /// <exception cref="PredictionException">one is of another type</exception>
    public static RequestParameters ReadParameters(ModelInferRequest message, InferenceSettings settings) => ReadParameters(message.Parameters, settings);

    /// <summary>The id of the sequence that a message is part of; null where it is of none.</summary>
    public static string? SequenceOf(ModelInferRequest message) => message.Parameters.TryGetValue(SequenceStep.IdName, out var id)
        ? id.ParameterChoiceCase switch
        {
            InferParameter.ParameterChoiceOneofCase.StringParam when id.StringParam.Length > 0 => id.StringParam,
            InferParameter.ParameterChoiceOneofCase.Int64Param when id.Int64Param > 0 => id.Int64Param.ToString(CultureInfo.InvariantCulture),
            InferParameter.ParameterChoiceOneofCase.Uint64Param when id.Uint64Param > 0 => id.Uint64Param.ToString(CultureInfo.InvariantCulture),
            _ => null,
        }
        : null;

    /// <summary>Which list has values, as a bit for each.</summary>
    private static int ListOf(InferTensorContents contents) =>
        (contents.BoolContents.Count > 0 ? 1 : 0) | (contents.IntContents.Count > 0 ? 2 : 0) | (contents.Int64Contents.Count > 0 ? 4 : 0) | (contents.UintContents.Count > 0 ? 8 : 0)
        | (contents.Uint64Contents.Count > 0 ? 16 : 0) | (contents.Fp32Contents.Count > 0 ? 32 : 0) | (contents.Fp64Contents.Count > 0 ? 64 : 0) | (contents.BytesContents.Count > 0 ? 128 : 0);

    private static void CheckContents(InferTensorContents? contents, in TensorHead head)
    {
        if (head.Type is DataType.FP16 or DataType.BF16)
            throw Refusal.Invalid(head.Place + ".datatype", $"{DataTypes.NameOf(head.Type)} comes as raw_input_contents alone");
        if (contents is null)
            throw Refusal.Invalid(head.Place + ".contents", "nothing there; values come there, or in raw_input_contents");
        var (list, name, count) = head.Type switch
        {
            DataType.Bool => (1, "bool_contents", contents.BoolContents.Count),
            DataType.Int8 or DataType.Int16 or DataType.Int32 => (2, "int_contents", contents.IntContents.Count),
            DataType.Int64 => (4, "int64_contents", contents.Int64Contents.Count),
            DataType.UInt8 or DataType.UInt16 or DataType.UInt32 => (8, "uint_contents", contents.UintContents.Count),
            DataType.UInt64 => (16, "uint64_contents", contents.Uint64Contents.Count),
            DataType.FP32 => (32, "fp32_contents", contents.Fp32Contents.Count),
            DataType.FP64 => (64, "fp64_contents", contents.Fp64Contents.Count),
            _ => (128, "bytes_contents", contents.BytesContents.Count),
        };
        if ((ListOf(contents) & ~list) != 0 || count != head.Elements)
            throw Refusal.Invalid(head.Place + ".contents", $"{count} values in {name}, where shape {head.ShownShape} of {DataTypes.NameOf(head.Type)} has {head.Elements}, and others have none");
    }

    private static float[] Floats(InferTensorContents contents, in TensorHead head, bool mayBeMissing)
    {
        var values = GC.AllocateUninitializedArray<float>(head.Elements);
        switch (head.Type)
        {
            case DataType.FP32:
                contents.Fp32Contents.CopyTo(values, 0);
                break;
            case DataType.FP64:
                for (var i = 0; i < values.Length; i++)
                    values[i] = Numbers.Exact(contents.Fp64Contents[i], head, i);
                break;
            case DataType.Bool:
                for (var i = 0; i < values.Length; i++)
                    values[i] = contents.BoolContents[i] ? 1 : 0;
                break;
            case DataType.Int64 or DataType.Int8 or DataType.Int16 or DataType.Int32:
                for (var i = 0; i < values.Length; i++)
                    values[i] = Numbers.Exact(SignedAt(contents, head, i), head, i);
                break;
            default:
                for (var i = 0; i < values.Length; i++)
                    values[i] = Numbers.Exact(UnsignedAt(contents, head, i), head, i);
                break;
        }
        Numbers.CheckFinite(values, head, mayBeMissing);
        return values;
    }

    private static string?[] Cells(InferTensorContents contents, in TensorHead head, bool isCategory)
    {
        var cells = new string?[head.Elements];
        for (var i = 0; i < cells.Length; i++)
        {
            cells[i] = head.Type switch
            {
                DataType.Bytes => BinaryTensor.Text(contents.BytesContents[i].Span, head, i),
                DataType.FP32 => Numbers.Cell(contents.Fp32Contents[i], head, i),
                DataType.FP64 => Numbers.Cell(contents.Fp64Contents[i], head, i),
                DataType.Bool => Numbers.Cell(contents.BoolContents[i], isCategory),
                DataType.Int64 or DataType.Int8 or DataType.Int16 or DataType.Int32 => SignedAt(contents, head, i).ToString(CultureInfo.InvariantCulture),
                _ => UnsignedAt(contents, head, i).ToString(CultureInfo.InvariantCulture),
            };
        }
        return cells;
    }

    // narrow types travel in wider fields
    private static long SignedAt(InferTensorContents contents, in TensorHead head, int index)
    {
        var value = head.Type == DataType.Int64 ? contents.Int64Contents[index] : contents.IntContents[index];
        var (least, most) = Numbers.RangeOf(head.Type);
        return value >= least && (value < 0 || (ulong)value <= most) ? value : throw Refusal.Invalid(Numbers.PlaceOf(head, index), $"{value} is no {DataTypes.NameOf(head.Type)}");
    }

    private static ulong UnsignedAt(InferTensorContents contents, in TensorHead head, int index)
    {
        var value = head.Type == DataType.UInt64 ? contents.Uint64Contents[index] : contents.UintContents[index];
        return value <= Numbers.RangeOf(head.Type).Most ? value : throw Refusal.Invalid(Numbers.PlaceOf(head, index), $"{value} is no {DataTypes.NameOf(head.Type)}");
    }

    private static IReadOnlyList<RequestedOutput> ReadOutputs(ModelInferRequest message, ServedVersion version, InferenceSettings settings, SharedRegions? memory)
    {
        if (message.Outputs.Count == 0)
            return RequestedOutput.All(version);
        var outputs = new List<RequestedOutput>();
        foreach (var (index, output) in message.Outputs.Index())
        {
            var place = $"outputs[{index}]";
            var shared = ReadPart(output.Parameters, $"{place}.parameters");
            if (shared is { } part)
                SharedRegions.Of(memory, $"{place}.parameters.{SharedPart.RegionName}").Check(part, $"{place}.parameters.{SharedPart.RegionName}");
            var classes = output.Parameters.TryGetValue(RequestedOutput.ClassificationName, out var parameter)
                ? (int)Math.Min(CountOf(parameter, $"{place}.parameters.{RequestedOutput.ClassificationName}"), int.MaxValue)
                : 0;
            RequestedOutput.Add(outputs, new RequestedOutput(output.Name, true, classes, shared), version, place, settings);
        }
        return outputs;
    }

    private static SharedPart? ReadPart(MapField<string, InferParameter> given, string place)
    {
        if (given.Count == 0)
            return null;
        string? region = null;
        if (given.TryGetValue(SharedPart.RegionName, out var name))
            region = name.HasStringParam ? name.StringParam : throw Refusal.Invalid($"{place}.{SharedPart.RegionName}", "a text belongs here");
        return SharedPart.Of(region, CountAt(SharedPart.OffsetName), CountAt(SharedPart.ByteSizeName), place);

        ulong? CountAt(string key) => given.TryGetValue(key, out var count) ? CountOf(count, $"{place}.{key}") : null;
    }

    private static RequestParameters ReadParameters(MapField<string, InferParameter> given, InferenceSettings settings)
    {
        var parameters = new RequestParameters { IsBinary = true };
        if (given.TryGetValue(RequestParameters.PriorityName, out var priority))
            parameters.SetPriority(CountOf(priority, "parameters.priority"));
        if (given.TryGetValue(RequestParameters.TimeoutName, out var timeout))
            parameters.SetTimeout(CountOf(timeout, "parameters.timeout"), settings);
        if (given.TryGetValue(RequestParameters.KeyName, out var key))
            parameters.SetKey(key.HasStringParam ? key.StringParam : throw Refusal.Invalid("parameters.key", "a text belongs here"), "parameters.key");
        if (given.TryGetValue(SequenceStep.IdName, out var sequence))
        {
            if (sequence.HasStringParam)
                parameters.SetSequence(sequence.StringParam, "parameters.sequence_id");
            else
                parameters.SetSequence(CountOf(sequence, "parameters.sequence_id"));
        }
        if (given.TryGetValue(SequenceStep.FirstName, out var first))
            parameters.SetFirst(TruthOf(first, "parameters.sequence_start"));
        if (given.TryGetValue(SequenceStep.LastName, out var last))
            parameters.SetLast(TruthOf(last, "parameters.sequence_end"));
        if (given.TryGetValue(RequestParameters.WantsFinalName, out var wants))
            parameters.WantsFinal = TruthOf(wants, $"parameters.{RequestParameters.WantsFinalName}");
        if (given.TryGetValue(RequestParameters.WantsDetailsName, out var details))
            parameters.WantsDetails = TruthOf(details, $"parameters.{RequestParameters.WantsDetailsName}");
        return parameters;
    }

    private static bool TruthOf(InferParameter parameter, string place) => parameter.HasBoolParam ? parameter.BoolParam : throw Refusal.Invalid(place, "true or false belongs here");

    private static ulong CountOf(InferParameter parameter, string place) => parameter.ParameterChoiceCase switch
    {
        InferParameter.ParameterChoiceOneofCase.Int64Param when parameter.Int64Param >= 0 => (ulong)parameter.Int64Param,
        InferParameter.ParameterChoiceOneofCase.Uint64Param => parameter.Uint64Param,
        _ => throw Refusal.Invalid(place, "a whole number of 0 or more belongs here"),
    };
}
