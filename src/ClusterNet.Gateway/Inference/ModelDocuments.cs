using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using ClusterNet.Cluster.Serving;

namespace ClusterNet.Gateway.Inference;

/// <summary>What the protocol says of servers and models, for REST as it is and for gRPC to copy from.</summary>
internal static class ModelDocuments
{
    /// <summary>The framework that models run on.</summary>
    public const string Platform = "clusternet_torchsharp";

    /// <summary>Names of properties are written as they are in the protocol.</summary>
    public static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private static readonly string _version = typeof(ModelDocuments).Assembly.GetName().Version!.ToString(3);

    /// <summary>The server.</summary>
    public static ServerDocument Server(InferenceSettings settings) => new(
        settings.ServerName, _version, ["binary_tensor_data", "classification", "model_configuration", "model_repository", "schedule_policy", "statistics", .. settings.HasExamples ? (string[])["sequence"] : [], .. settings.HasSharedMemory ? (string[])["system_shared_memory"] : []]);

    /// <summary>A model, by one of its versions.</summary>
    /// <param name="version">the one that is described</param>
    /// <param name="all">of the model</param>
    public static ModelDocument Model(ServedVersion version, IEnumerable<ServedVersion> all) => new(
        version.Id.Model,
        [.. all.Select(other => other.Id.Version).Order().Select(Number)],
        Platform,
        [.. version.Inputs.Select(Tensor)],
        [.. version.Outputs.Select(Tensor)]);

    /// <summary>A model's configuration, as far as Triton's has something to say here.</summary>
    /// <param name="version">of the model</param>
    /// <param name="maxBatch">the most samples of a request; 0 where tensors have no batch axis</param>
    public static ConfigDocument Config(ServedVersion version, int maxBatch) => new(
        version.Id.Model,
        Platform,
        Platform,
        maxBatch,
        [.. version.Inputs.Select(tensor => Configured(tensor, maxBatch))],
        [.. version.Outputs.Select(tensor => Configured(tensor, maxBatch))]);

    /// <summary>Counts and times.</summary>
    public static StatisticsDocument Statistics(IEnumerable<ServedVersion> versions) => new([.. versions.Select(Counted)]);

    /// <summary>Versions with numbers that somebody has asked for, or that are loaded.</summary>
    public static IEnumerable<ServedVersion> WithStatistics(IEnumerable<ServedVersion> versions) =>
        versions.Where(version => version.State is not ServingState.Unloaded || version.Statistics.Last is not null);

    /// <summary>The repository.</summary>
    public static IReadOnlyList<IndexDocument> Index(IEnumerable<ServedVersion> versions, bool onlyReady) =>
    [
        .. versions
            .Where(version => !onlyReady || version.State == ServingState.Ready)
            .Select(version => new IndexDocument(version.Id.Model, Number(version.Id.Version), WordFor(version.State), version.Reason ?? "")),
    ];

    private static string Number(int version) => version.ToString(CultureInfo.InvariantCulture);

    private static string WordFor(ServingState state) => state switch
    {
        ServingState.Ready => "READY",
        ServingState.Loading => "LOADING",
        ServingState.Draining => "UNLOADING",
        _ => "UNAVAILABLE",
    };

    private static TensorDocument Tensor(TensorSignature tensor) => new(tensor.Name, tensor.Type, tensor.Shape);

    // Triton leaves the batch axis out where a configuration has a largest batch
    private static ConfigTensorDocument Configured(TensorSignature tensor, int maxBatch) => new(
        tensor.Name, tensor.Type == DataTypes.NameOf(DataType.Bytes) ? "TYPE_STRING" : "TYPE_" + tensor.Type, maxBatch == 0 ? tensor.Shape : tensor.Shape.Count > 1 ? [.. tensor.Shape.Skip(1)] : [1]);

    private static VersionStatistics Counted(ServedVersion version)
    {
        var counts = version.Statistics;
        var none = new DurationDocument(0, 0);
        return new VersionStatistics(
            version.Id.Model,
            Number(version.Id.Version),
            (ulong)Math.Max(0, counts.Last?.ToUnixTimeMilliseconds() ?? 0),
            (ulong)counts.Samples,
            (ulong)counts.Batches,
            new InferenceStatistics(
                new DurationDocument((ulong)counts.Requests, Nanoseconds(counts.Queued + counts.Computed)),
                new DurationDocument((ulong)counts.Failures.Values.Sum(), 0),
                new DurationDocument((ulong)counts.Requests, Nanoseconds(counts.Queued)),
                none,
                new DurationDocument((ulong)counts.Batches, Nanoseconds(counts.Computed)),
                none,
                none,
                none),
            []);
    }

    private static ulong Nanoseconds(TimeSpan time) => (ulong)Math.Max(0, time.TotalNanoseconds);
}

/// <summary>What the server calls itself and can do.</summary>
internal sealed record ServerDocument(string Name, string Version, IReadOnlyList<string> Extensions);

/// <summary>A tensor of a model.</summary>
internal sealed record TensorDocument(string Name, string Datatype, IReadOnlyList<long> Shape);

/// <summary>A model.</summary>
internal sealed record ModelDocument(string Name, IReadOnlyList<string> Versions, string Platform, IReadOnlyList<TensorDocument> Inputs, IReadOnlyList<TensorDocument> Outputs);

/// <summary>A tensor of a configuration.</summary>
internal sealed record ConfigTensorDocument(string Name, string DataType, IReadOnlyList<long> Dims);

/// <summary>A model's configuration.</summary>
internal sealed record ConfigDocument(string Name, string Platform, string Backend, int MaxBatchSize, IReadOnlyList<ConfigTensorDocument> Input, IReadOnlyList<ConfigTensorDocument> Output);

/// <summary>How often, and for how long altogether.</summary>
internal sealed record DurationDocument(ulong Count, ulong Ns);

/// <summary>Where the time of requests went.</summary>
internal sealed record InferenceStatistics(
    DurationDocument Success, DurationDocument Fail, DurationDocument Queue, DurationDocument ComputeInput, DurationDocument ComputeInfer, DurationDocument ComputeOutput, DurationDocument CacheHit, DurationDocument CacheMiss);

/// <summary>One version's counts.</summary>
/// <param name="Name">of the model</param>
/// <param name="Version">its number</param>
/// <param name="LastInference">milliseconds since 1970; 0 for never</param>
/// <param name="InferenceCount">samples</param>
/// <param name="ExecutionCount">batches</param>
/// <param name="InferenceStats">times</param>
/// <param name="BatchStats">none is kept by size</param>
internal sealed record VersionStatistics(string Name, string Version, ulong LastInference, ulong InferenceCount, ulong ExecutionCount, InferenceStatistics InferenceStats, IReadOnlyList<object> BatchStats);

/// <summary>Counts of versions.</summary>
internal sealed record StatisticsDocument(IReadOnlyList<VersionStatistics> ModelStats);

/// <summary>A version in the index of the repository.</summary>
internal sealed record IndexDocument(string Name, string Version, string State, string Reason);
