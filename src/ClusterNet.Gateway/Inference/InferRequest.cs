using System.Globalization;
using ClusterNet.Cluster.Serving;
using ClusterNet.Gateway.Inference.Examples;
using ClusterNet.Gateway.Inference.SharedMemory;

namespace ClusterNet.Gateway.Inference;

/// <summary>A request, read and checked against the version that it asks for.</summary>
/// <param name="Id">the caller's own; null where it gave none</param>
/// <param name="Parameters">what it wants beside the outputs</param>
/// <param name="Input">the samples</param>
/// <param name="Outputs">what it wants to be answered, in this order</param>
internal sealed record InferRequest(string? Id, RequestParameters Parameters, ModelInput Input, IReadOnlyList<RequestedOutput> Outputs)
{
    /// <summary>As the cluster is asked.</summary>
    /// <param name="model">its name</param>
    /// <param name="version">number or label; null where traffic decides</param>
    /// <param name="timeout">the most that it may take; null where nothing else bounds it</param>
    /// <param name="trace">W3C traceparent</param>
    public PredictRequest ToPredict(string model, string? version, TimeSpan? timeout, string? trace) => new(model, Input)
    {
        Version = version,
        Timeout = Parameters.Timeout is not { } own ? timeout : timeout is { } other && other < own ? other : own,
        Priority = Parameters.Priority,
        Key = Parameters.Key,
        Trace = trace,
    };
}

/// <summary>The parameters of a request that mean something here; all others are ignored, and by all but the examples those of sequences.</summary>
internal sealed class RequestParameters
{
    /// <summary>How urgent it is.</summary>
    public const string PriorityName = "priority";

    /// <summary>How long the caller waits, in microseconds.</summary>
    public const string TimeoutName = "timeout";

    /// <summary>Requests with the same key go to the same version.</summary>
    public const string KeyName = "key";

    /// <summary>Whether outputs are answered as bytes where they say nothing of their own.</summary>
    public const string BinaryOutputName = "binary_data_output";

    /// <summary>Whether the last response of a stream's request says that it is the last.</summary>
    public const string WantsFinalName = "triton_enable_empty_final_response";

    /// <summary>Whether the answer says of which weights it is and what the classes are called. For ClusterNet's own clients, by gRPC.</summary>
    public const string WantsDetailsName = "clusternet_details";

    private const int MaxKeyLength = 256;

    private SequenceStep _sequence;

    /// <summary>As the cluster counts it: 0 is the most urgent.</summary>
    public int Priority { get; private set; } = PriorityLevels.Default;

    /// <summary>How long the caller waits; null where it does not say.</summary>
    public TimeSpan? Timeout { get; private set; }

    /// <inheritdoc cref="KeyName"/>
    public string? Key { get; private set; }

    /// <summary>Which of a sequence it is; null where it is none.</summary>
    public SequenceStep? Sequence => _sequence.Id is { Length: > 0 } ? _sequence : null;

    /// <inheritdoc cref="BinaryOutputName"/>
    public bool IsBinary { get; set; }

    /// <inheritdoc cref="WantsFinalName"/>
    public bool WantsFinal { get; set; }

    /// <inheritdoc cref="WantsDetailsName"/>
    public bool WantsDetails { get; set; }

    /// <summary>The protocol counts from 1, the most urgent, and 0 stands for the default.</summary>
    public void SetPriority(ulong priority) => Priority = priority == 0 ? PriorityLevels.Default : (int)Math.Min(priority - 1, PriorityLevels.Lowest) + PriorityLevels.Highest;

    /// <summary>0 is no wish.</summary>
    public void SetTimeout(ulong microseconds, InferenceSettings settings)
    {
        if (microseconds > 0)
            Timeout = microseconds >= settings.MaxTimeout.TotalMicroseconds ? settings.MaxTimeout : TimeSpan.FromMicroseconds(microseconds);
    }

    /// <summary>An id that is a number; 0 is none.</summary>
    public void SetSequence(ulong id) => _sequence = _sequence with { Id = id == 0 ? "" : id.ToString(CultureInfo.InvariantCulture) };

    /// <exception cref="PredictionException">it is too long</exception>
    public void SetSequence(string id, string place) =>
        _sequence = _sequence with { Id = id.Length <= MaxKeyLength ? id : throw Refusal.Invalid(place, $"{id.Length} characters; at most {MaxKeyLength} are taken") };

    /// <summary>Whether it begins a sequence.</summary>
    public void SetFirst(bool isFirst) => _sequence = _sequence with { IsFirst = isFirst };

    /// <summary>Whether it ends one.</summary>
    public void SetLast(bool isLast) => _sequence = _sequence with { IsLast = isLast };

    /// <exception cref="PredictionException">it is too long</exception>
    public void SetKey(string key, string place) => Key = key.Length <= MaxKeyLength ? key : throw Refusal.Invalid(place, $"{key.Length} characters; at most {MaxKeyLength} are taken");
}

/// <summary>An output that is asked for.</summary>
/// <param name="Name">of the tensor</param>
/// <param name="IsBinary">as bytes behind the JSON; null where the request decides for all</param>
/// <param name="Classes">0, or how many of the largest values are wanted, as texts</param>
/// <param name="Memory">where its values are to be written; null where they go into the answer</param>
internal readonly record struct RequestedOutput(string Name, bool? IsBinary = null, int Classes = 0, SharedPart? Memory = null)
{
    /// <summary>How many of the largest values are wanted.</summary>
    public const string ClassificationName = "classification";

    /// <summary>Whether it is answered as bytes.</summary>
    public const string BinaryName = "binary_data";

    /// <summary>All outputs of a version.</summary>
    public static IReadOnlyList<RequestedOutput> All(ServedVersion version) => [.. version.Outputs.Select(output => new RequestedOutput(output.Name))];

    /// <summary>Checks an output against the version and those before it.</summary>
    /// <exception cref="PredictionException">there is no such output, it is there twice, or has no numbers to rank</exception>
    public static void Add(List<RequestedOutput> outputs, RequestedOutput output, ServedVersion version, string place, InferenceSettings settings)
    {
        if (outputs.Count >= settings.MaxTensors)
            throw Refusal.Invalid("outputs", $"more than {settings.MaxTensors}");
        var signature = version.Outputs.FirstOrDefault(known => known.Name == output.Name) ?? throw Refusal.Unknown(place + ".name", "output", output.Name, version.Outputs.Select(known => known.Name));
        if (outputs.Exists(other => other.Name == output.Name))
            throw Refusal.Invalid(place, $"'{output.Name}' is there twice");
        if (output.Classes > 0 && signature.Type == DataTypes.NameOf(DataType.Bytes))
            throw Refusal.Invalid($"{place}.parameters.{ClassificationName}", $"'{output.Name}' has texts, which can't be ranked; ask for that of numbers");
        outputs.Add(output);
    }
}
