using ClusterNet.Cluster.Telemetry;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;

namespace ClusterNet.Cluster.Serving;

/// <summary>What inference actors understand.</summary>
public static class ServingProtocol
{
    /// <summary>Every message that concerns one model version.</summary>
    public interface IVersionMessage
    {
        /// <summary>The version.</summary>
        ModelVersionId Version { get; }
    }

    /// <summary>What an inference actor is asked.</summary>
    public static class Queries
    {
        /// <summary>Predictions for raw samples. Answered by <see cref="Prediction"/> or <see cref="Replies.PredictFailed"/>, always.</summary>
        public sealed record Predict(ModelVersionId Version, RawSamples Samples) : IVersionMessage, ITraced
        {
            /// <inheritdoc/>
            public string? Trace { get; init; }
        }

        /// <summary>The same, from a router, which answers the caller. Answered by <see cref="Replies.Inferred"/> or <see cref="Replies.InferFailed"/>, always, and when it is due at the latest.</summary>
        /// <param name="Request">the sender's number for it</param>
        /// <param name="Version">the version</param>
        /// <param name="Input">raw or prepared samples</param>
        public sealed record Infer(long Request, ModelVersionId Version, ModelInput Input) : IVersionMessage, ITraced
        {
            /// <summary>From now on; null for as long as it takes. A span, since the clocks of two nodes differ.</summary>
            public TimeSpan? Patience { get; init; }

            /// <summary>Whether a node is to answer that computes other bits of the version than where it was loaded first: no other one can.</summary>
            public bool TakesOtherBits { get; init; }

            /// <summary>See <see cref="PriorityLevels"/>.</summary>
            public int Priority { get; init; } = PriorityLevels.Default;

            /// <inheritdoc/>
            public string? Trace { get; init; }
        }

        /// <summary>Metrics on raw samples that bring their targets. Answered by <see cref="Replies.EvaluationDone"/> or <see cref="Replies.PredictFailed"/>.</summary>
        public sealed record Evaluate(ModelVersionId Version, RawSamples Samples) : IVersionMessage, ITraced
        {
            /// <summary>Whether they are a part of more: then what the metrics are computed from is wanted, too.</summary>
            public bool WantsSums { get; init; }

            /// <inheritdoc/>
            public string? Trace { get; init; }
        }

        /// <summary>To a node's host: how its versions are. Answered by <see cref="Replies.Status"/>.</summary>
        public sealed record GetStatus;
    }

    /// <summary>What an inference actor is told.</summary>
    public static class Commands
    {
        /// <summary>To a router: the sender waits no longer for what it has asked. All of that which waits is taken out, without an answer.</summary>
        public sealed record Withdraw;

        /// <summary>Whoever wanted the answer is gone: a request that waits is taken out, without an answer.</summary>
        /// <param name="Request">the sender's number for it</param>
        /// <param name="Version">the version</param>
        public sealed record Cancel(long Request, ModelVersionId Version) : IVersionMessage;

        /// <summary>Load and warm up, and stay so for a while. Answered by <see cref="Replies.Prepared"/> when that is done or can't be.</summary>
        public sealed record Prepare(ModelVersionId Version) : IVersionMessage
        {
            /// <summary>Whether it is loaded only where no other version has to go for it.</summary>
            public bool IfRoom { get; init; }
        }

        /// <summary>No more requests come for now: answer what waits and let go.</summary>
        public sealed record Release(ModelVersionId Version) : IVersionMessage;
    }

    /// <summary>What it answers.</summary>
    public static class Replies
    {
        /// <summary>To <see cref="Queries.Infer"/>.</summary>
        public sealed record Inferred(long Request, ServedPrediction Served);

        /// <summary>To <see cref="Queries.Infer"/>: no prediction, and why.</summary>
        public sealed record InferFailed(long Request, FailureKind Kind, IReadOnlyList<Fault> Faults, TimeSpan? RetryAfter)
        {
            /// <summary>Whether the node stands back, as one that computes other bits of the version than where it was loaded first; it answers if that is asked for.</summary>
            public bool HasOtherBits { get; init; }
        }

        /// <summary>To <see cref="PredictRequest"/>: no prediction, and why.</summary>
        public sealed record Refused(FailureKind Kind, IReadOnlyList<Fault> Faults, TimeSpan? RetryAfter);

        /// <summary>The version answers at once; or it can't be loaded there, where there are faults.</summary>
        public sealed record Prepared(ModelVersionId Version, IReadOnlyList<Fault> Faults);

        /// <summary>The versions that a node has in memory, or could not load.</summary>
        public sealed record Status(IReadOnlyList<VersionStatus> Versions);

        /// <summary>Metrics by name.</summary>
        public sealed record EvaluationDone(ModelVersionId Version, IReadOnlyDictionary<string, double> Metrics) : IVersionMessage
        {
            /// <summary>As <c>MetricAccumulator.ToBytes</c> gives them, where they were wanted; else empty.</summary>
            public ReadOnlyMemory<byte> Sums { get; init; }
        }

        /// <summary>No prediction, and why.</summary>
        public sealed record PredictFailed(ModelVersionId Version, FailureKind Kind, IReadOnlyList<Fault> Faults) : IVersionMessage
        {
            /// <summary>When the same request may succeed; null where it will not, or nobody knows.</summary>
            public TimeSpan? RetryAfter { get; init; }
        }
    }

    /// <summary>Why there is no prediction.</summary>
    public enum FailureKind
    {
        /// <summary>The samples do not fit the model; the same request will fail again.</summary>
        InvalidInput,

        /// <summary>There is no such model or version.</summary>
        UnknownModel,

        /// <summary>The version is there but can't be loaded: its weights are missing or damaged.</summary>
        LoadFailed,

        /// <summary>Too many requests wait; try again later.</summary>
        Overloaded,

        /// <summary>The computation failed.</summary>
        ComputeFailed,

        /// <summary>The caller's time was up before there was an answer.</summary>
        DeadlineExceeded,

        /// <summary>No node can answer now: none is up, or the model was unloaded; try again later.</summary>
        Unavailable,
    }
}
