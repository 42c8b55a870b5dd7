using ClusterNet.Cluster.Models;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;

namespace ClusterNet.Cluster.Serving;

/// <summary>
/// What a gateway, or a program that is part of the cluster, asks of the models that are served. Every call is a message to an actor and its answer. What can't be answered is a
/// <see cref="PredictionException"/>, whose kind says whether the same request may succeed later.
/// </summary>
public interface IModelServing
{
    /// <summary>A prediction, by the version that the request names or that the model's traffic leads to.</summary>
    /// <exception cref="PredictionException">there is none</exception>
    /// <exception cref="OperationCanceledException">the caller went away; what still waits is taken out of the queue</exception>
    Task<ServedPrediction> PredictAsync(PredictRequest request, CancellationToken cancel = default);

    /// <summary>The versions of a model that can be asked for, loaded or not; of all models where <paramref name="model"/> is null.</summary>
    /// <exception cref="PredictionException">there is no such model</exception>
    Task<IReadOnlyList<ServedVersion>> VersionsAsync(string? model = null, CancellationToken cancel = default);

    /// <summary>The version that a name leads to: a number, a label, or null for what traffic leads to most.</summary>
    /// <exception cref="PredictionException">there is no such version</exception>
    Task<ServedVersion> VersionAsync(string model, string? version, CancellationToken cancel = default);

    /// <summary>Loads and warms a model up on the nodes that are to have it; done when it is ready.</summary>
    /// <exception cref="PredictionException">it can't be loaded, and why</exception>
    Task LoadAsync(string model, CancellationToken cancel = default);

    /// <summary>Answers what waits, then lets the model go; requests are refused until it is loaded again.</summary>
    /// <exception cref="PredictionException">there is no such model</exception>
    Task UnloadAsync(string model, CancellationToken cancel = default);

    /// <summary>Which versions answer for a model.</summary>
    /// <exception cref="PredictionException">there is no such model</exception>
    Task<ModelTraffic> TrafficAsync(string model, CancellationToken cancel = default);

    /// <summary>Changes it, for all nodes. Versions that are to answer are loaded before requests go there.</summary>
    /// <exception cref="PredictionException">there is no such model, or the traffic can't be so: all that is wrong with it, as invalid input</exception>
    Task SetTrafficAsync(string model, TrafficSpec traffic, CancellationToken cancel = default);

    /// <summary>Puts a label on a version, off the one that had it; off all where <paramref name="version"/> is null. <c>production</c> is what answers where a model's traffic says nothing else.</summary>
    /// <exception cref="PredictionException">there is no such model or version, or it can't be a label</exception>
    Task LabelAsync(string model, string label, int? version, CancellationToken cancel = default);
}

/// <summary>Which versions answer for a model.</summary>
/// <param name="Model">its name</param>
/// <param name="Traffic">as it was said</param>
/// <param name="Labels">which version each is of</param>
/// <param name="Shares">what that comes to: the share of each version that answers, together 1</param>
/// <param name="Shadows">by version: how what it says differs from what was answered, of the requests to this node</param>
public sealed record ModelTraffic(
    string Model, TrafficSpec Traffic, IReadOnlyDictionary<string, int> Labels, IReadOnlyDictionary<int, double> Shares, IReadOnlyDictionary<int, ShadowStatistics> Shadows);

/// <summary>What is asked of a model.</summary>
/// <param name="Model">its name</param>
/// <param name="Input">one or more samples</param>
public sealed record PredictRequest(string Model, ModelInput Input)
{
    /// <summary>A version's number or a label; null where the model's traffic decides.</summary>
    public string? Version { get; init; }

    /// <summary>How long the caller waits; the model's default where null. A request that is late is answered as such and occupies no place in a batch.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>0 is the most urgent; requests of equal priority go in the order they came.</summary>
    public int Priority { get; init; } = PriorityLevels.Default;

    /// <summary>Requests with the same key go to the same version, while the traffic stays as it is; drawn by chance where null.</summary>
    public string? Key { get; init; }

    /// <summary>W3C traceparent, for the trace.</summary>
    public string? Trace { get; init; }
}

/// <summary>Priorities of requests.</summary>
public static class PriorityLevels
{
    /// <summary>The most urgent.</summary>
    public const int Highest = 0;

    /// <summary>Where nothing is said.</summary>
    public const int Default = 5;

    /// <summary>The least urgent.</summary>
    public const int Lowest = 9;
}

/// <summary>The samples of a request.</summary>
public abstract record ModelInput
{
    private ModelInput()
    {
    }

    /// <summary>Number of samples.</summary>
    public abstract int Count { get; }

    /// <summary>Raw features, which the version's own fitted preparation turns into tensors.</summary>
    public sealed record Raw(RawSamples Samples) : ModelInput
    {
        /// <inheritdoc/>
        public override int Count => Samples.Count;
    }

    /// <summary>What the module sees: prepared by the caller.</summary>
    /// <param name="Shape">of one sample, that of the version's signature</param>
    /// <param name="Values">count x product of the shape finite values, row-major</param>
    public sealed record Prepared(IReadOnlyList<int> Shape, ReadOnlyMemory<float> Values) : ModelInput
    {
        /// <inheritdoc/>
        public override int Count => Values.Length / Math.Max(1, Shape.Aggregate(1, (product, axis) => checked(product * axis)));
    }
}

/// <summary>A prediction and where it came from.</summary>
/// <param name="Prediction">version, classes, outputs</param>
/// <param name="WeightsSha256">of the version's weights</param>
/// <param name="Queued">how long the request waited</param>
/// <param name="Computed">how long its batch was computed</param>
public record ServedPrediction(Prediction Prediction, string WeightsSha256, TimeSpan Queued, TimeSpan Computed);

/// <summary>A version as it is served.</summary>
/// <param name="Version">all that is known of it</param>
/// <param name="Inputs">what a request gives, by name: raw columns, or the one array; beside them every version takes <see cref="TensorSignature.PreparedName"/></param>
/// <param name="Outputs">what it answers</param>
/// <param name="Labels">that lead to it</param>
/// <param name="State">whether it answers at once</param>
/// <param name="Reason">why it does not, for people; null where it does</param>
/// <param name="Share">of the model's traffic, 0 to 1</param>
/// <param name="Statistics">since the version was loaded</param>
public sealed record ServedVersion(
    ModelVersion Version,
    IReadOnlyList<TensorSignature> Inputs,
    IReadOnlyList<TensorSignature> Outputs,
    IReadOnlyList<string> Labels,
    ServingState State,
    string? Reason,
    double Share,
    ServingStatistics Statistics)
{
    /// <summary>Name and number.</summary>
    public ModelVersionId Id => Version.Id;
}

/// <summary>One input or output of a model.</summary>
/// <param name="Name">unique among the inputs, or among the outputs</param>
/// <param name="Type">FP32, FP64, BYTES, INT64: as the Open Inference Protocol names them</param>
/// <param name="Shape">with the batch axis first; -1 where free</param>
/// <param name="Categories">the values a category can have; null where it is none</param>
public sealed record TensorSignature(string Name, string Type, IReadOnlyList<long> Shape, IReadOnlyList<string>? Categories = null)
{
    /// <summary>The input that takes what the module sees, in place of all others.</summary>
    public const string PreparedName = "prepared";

    /// <summary>Classification: FP32, samples x classes.</summary>
    public const string ProbabilitiesName = "probabilities";

    /// <summary>Classification: BYTES, the label of the most probable class.</summary>
    public const string ClassName = "class";

    /// <summary>Regression: FP32, one a sample.</summary>
    public const string ValueName = "value";
}

/// <summary>Whether a version answers.</summary>
public enum ServingState
{
    /// <summary>It can be loaded and nobody has asked for it, or it was let go.</summary>
    Unloaded,

    /// <summary>It is being loaded and warmed up.</summary>
    Loading,

    /// <summary>It answers.</summary>
    Ready,

    /// <summary>It answers what waits, and nothing new.</summary>
    Draining,

    /// <summary>It can't be loaded.</summary>
    Failed,
}

/// <summary>Counts and times of a version, over all nodes.</summary>
/// <param name="Requests">answered with a prediction</param>
/// <param name="Failures">answered with a failure, by kind</param>
/// <param name="Samples">predicted</param>
/// <param name="Batches">computed</param>
/// <param name="Queued">sum over the requests</param>
/// <param name="Computed">sum over the batches</param>
/// <param name="Last">when the last request came; null where none did</param>
public sealed record ServingStatistics(
    long Requests, IReadOnlyDictionary<ServingProtocol.FailureKind, long> Failures, long Samples, long Batches, TimeSpan Queued, TimeSpan Computed, DateTimeOffset? Last)
{
    /// <summary>Requests that wait.</summary>
    public int Waiting { get; init; }

    /// <summary>Of the requests that were answered in the last one to two minutes, by bucket of <see cref="LatencyHistogram"/>.</summary>
    internal IReadOnlyList<long> Latencies { get; init; } = [];

    /// <summary>The time that a part of the requests of the last one to two minutes did not exceed, from their arrival at the version's actor to their answer.</summary>
    /// <param name="part">0 to 1: 0.99 for the 99th percentile</param>
    /// <returns>null where there was no request</returns>
    public TimeSpan? Latency(double part) => LatencyHistogram.Quantile(Latencies, part);

    /// <summary>Nothing has happened.</summary>
    public static ServingStatistics None { get; } = new(0, new Dictionary<ServingProtocol.FailureKind, long>(), 0, 0, TimeSpan.Zero, TimeSpan.Zero, null);
}

/// <summary>There is no prediction.</summary>
public sealed class PredictionException : Exception
{
    /// <param name="kind">what went wrong</param>
    /// <param name="faults">where, what was found, what to do</param>
    /// <param name="retryAfter">when the same request may succeed; null where it will not</param>
    /// <param name="inner">what it comes from; null where nothing was thrown</param>
    public PredictionException(ServingProtocol.FailureKind kind, IReadOnlyList<Fault> faults, TimeSpan? retryAfter = null, Exception? inner = null)
        : base(string.Join("; ", faults), inner)
    {
        Kind = kind;
        Faults = faults;
        RetryAfter = retryAfter;
    }

    /// <summary>What went wrong.</summary>
    public ServingProtocol.FailureKind Kind { get; }

    /// <summary>Where, what was found, what to do.</summary>
    public IReadOnlyList<Fault> Faults { get; }

    /// <summary>When the same request may succeed; null where it will not.</summary>
    public TimeSpan? RetryAfter { get; }
}
