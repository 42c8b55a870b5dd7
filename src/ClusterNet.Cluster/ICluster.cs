using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;

namespace ClusterNet.Cluster;

/// <summary>
/// What a program asks of a cluster it is part of. Every call is a message to an actor and its answer; a refusal comes back as an
/// <see cref="Core.Faults.InputException"/> where the caller's input is wrong, and as a <see cref="ClusterException"/> where the cluster could not do it.
/// </summary>
public interface ICluster : IAsyncDisposable
{
    /// <summary>Starts a job under an id of its own (the job's name and a number). Data and model are checked before anything is stored.</summary>
    Task<JobId> SubmitAsync(JobSpec spec, CancellationToken cancel = default);

    /// <summary>Goes on with an interrupted or killed job from its last committed checkpoint.</summary>
    Task ResumeAsync(JobId job, CancellationToken cancel = default);

    /// <summary>Checkpoints a running job at its next step boundary and stops it there, ready to be resumed; done when the checkpoint is committed.</summary>
    Task InterruptAsync(JobId job, CancellationToken cancel = default);

    /// <summary>Ends a job for good without registering a model.</summary>
    Task CancelAsync(JobId job, CancellationToken cancel = default);

    /// <summary>The job's progress a few times a second, until it ends; the last item has an end status.</summary>
    IAsyncEnumerable<JobProgress> WatchAsync(JobId job, CancellationToken cancel = default);

    /// <summary>All jobs of the store, the newest last.</summary>
    Task<IReadOnlyList<JobSummary>> JobsAsync(CancellationToken cancel = default);

    /// <summary>All that is known of a job.</summary>
    Task<JobDetails> JobAsync(JobId job, CancellationToken cancel = default);

    /// <summary>All versions of all models.</summary>
    Task<IReadOnlyList<ModelVersion>> ModelsAsync(CancellationToken cancel = default);

    /// <summary>A version, or the newest where <paramref name="version"/> is null.</summary>
    Task<ModelVersion> ModelAsync(string model, int? version, CancellationToken cancel = default);

    /// <summary>The version that has a label.</summary>
    Task<ModelVersion> LabelledModelAsync(string model, string label, CancellationToken cancel = default);

    /// <summary>Puts a label on a version, off the one that had it; off all where <paramref name="version"/> is null. <see cref="ModelLabels.Production"/> is what answers where a model's traffic says nothing else.</summary>
    Task LabelModelAsync(string model, string label, int? version, CancellationToken cancel = default);

    /// <summary>All models: their versions, which labels these have, and which of them answer.</summary>
    Task<IReadOnlyList<ModelEntry>> ModelEntriesAsync(CancellationToken cancel = default);

    /// <summary>Says which versions answer for a model. Those that are to are loaded before requests go there.</summary>
    Task SetTrafficAsync(string model, TrafficSpec traffic, CancellationToken cancel = default);

    /// <summary>Deletes a version and its weights, or all versions of the model where <paramref name="version"/> is null. Gives those deleted.</summary>
    Task<IReadOnlyList<ModelVersionId>> DeleteModelAsync(string model, int? version, CancellationToken cancel = default);

    /// <summary>Predictions of a version for raw samples, by message to its inference actor.</summary>
    Task<Prediction> PredictAsync(ModelVersionId version, RawSamples samples, CancellationToken cancel = default);

    /// <summary>Metrics of a version on raw samples that bring their targets.</summary>
    Task<IReadOnlyDictionary<string, double>> EvaluateAsync(ModelVersionId version, RawSamples samples, CancellationToken cancel = default);
}

/// <summary>The cluster could not do what was asked, through no fault of the input.</summary>
public sealed class ClusterException : Exception
{
    /// <param name="message">what happened and what to do</param>
    /// <param name="inner">the cause, if an exception was it</param>
    public ClusterException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
