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

        /// <summary>Metrics on raw samples that bring their targets. Answered by <see cref="Replies.EvaluationDone"/> or <see cref="Replies.PredictFailed"/>.</summary>
        public sealed record Evaluate(ModelVersionId Version, RawSamples Samples) : IVersionMessage, ITraced
        {
            /// <inheritdoc/>
            public string? Trace { get; init; }
        }
    }

    /// <summary>What it answers.</summary>
    public static class Replies
    {
        /// <summary>Metrics by name.</summary>
        public sealed record EvaluationDone(ModelVersionId Version, IReadOnlyDictionary<string, double> Metrics) : IVersionMessage;

        /// <summary>No prediction, and why.</summary>
        public sealed record PredictFailed(ModelVersionId Version, FailureKind Kind, IReadOnlyList<Fault> Faults) : IVersionMessage;
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
