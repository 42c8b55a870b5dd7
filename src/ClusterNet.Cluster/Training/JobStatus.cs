using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Training;

/// <summary>Where a job stands.</summary>
public enum JobStatus
{
    /// <summary>Data and model are being made ready.</summary>
    Preparing,

    /// <summary>Steps are being computed.</summary>
    Training,

    /// <summary>Stopped at a committed checkpoint; can be resumed. So is a job whose process was killed.</summary>
    Interrupted,

    /// <summary>Done; its model version is registered.</summary>
    Completed,

    /// <summary>Ended by request, without a model.</summary>
    Cancelled,

    /// <summary>Ended by a fault.</summary>
    Failed,
}

/// <summary>A moment of a job.</summary>
/// <param name="Job">the job</param>
/// <param name="Status">where it stands</param>
/// <param name="Step">steps done</param>
/// <param name="TotalSteps">steps asked for; early stopping may end before</param>
/// <param name="Epoch">epochs done</param>
/// <param name="TotalEpochs">epochs asked for, rounded up</param>
/// <param name="TrainingLoss">mean loss of the latest step known; null before the first</param>
/// <param name="SamplesPerSecond">training samples per second over the last moments; 0 before the first</param>
/// <param name="LatestEpoch">the last epoch that was evaluated; null before the first</param>
/// <param name="Failure">why it failed, else null</param>
public sealed record JobProgress(
    JobId Job,
    JobStatus Status,
    long Step,
    long TotalSteps,
    long Epoch,
    long TotalEpochs,
    double? TrainingLoss,
    double SamplesPerSecond,
    EpochRecord? LatestEpoch,
    string? Failure)
{
    /// <summary>The most versions that a gradient was behind so far; null where none can be.</summary>
    public long? MaxStaleness { get; init; }
}

/// <summary>What an epoch ended with.</summary>
/// <param name="Epoch">from 1</param>
/// <param name="Step">steps done at its end</param>
/// <param name="TrainingLoss">mean loss over its samples, while they were trained on</param>
/// <param name="Validation">metrics on the validation part by name; empty without one</param>
/// <param name="IsBest">whether it was the best so far by the job's metric</param>
public sealed record EpochRecord(long Epoch, long Step, double TrainingLoss, IReadOnlyDictionary<string, double> Validation, bool IsBest);

/// <summary>Which training samples an epoch visited: the ledger of exactly-once. Epochs are compared when their last step is done; one that does not agree fails the job.</summary>
/// <param name="Epoch">from 1</param>
/// <param name="Step">steps done at its end, or at the end of the job</param>
/// <param name="Samples">visits, counted where gradients were computed</param>
/// <param name="Expected">samples it has up to <paramref name="Step"/></param>
/// <param name="IsEqual">whether the visits were one to each of these samples, by number and fingerprint</param>
public sealed record EpochVisits(long Epoch, long Step, long Samples, long Expected, bool IsEqual);

/// <summary>A generation of a job: a plan of who computes what, which the loss or the arrival of someone ended.</summary>
/// <param name="Generation">its number</param>
/// <param name="RestoreStep">the checkpoint that all went back to; null where nothing was lost</param>
/// <param name="Reason">why it was opened, for people</param>
/// <param name="At">when</param>
public sealed record GenerationRecord(Generation Generation, long? RestoreStep, string Reason, DateTimeOffset At)
{
    /// <summary>Steps that were done when it was opened; null where it was not recorded.</summary>
    public long? Step { get; init; }
}

/// <summary>A node that can't have workers of a job, and why.</summary>
/// <param name="Node"><c>HOST:PORT</c></param>
/// <param name="Reason">for people; it may quote the data</param>
public sealed record NodeLeftOut(string Node, string Reason);

/// <summary>A job in a list.</summary>
/// <param name="Job">the job</param>
/// <param name="Status">where it stands</param>
/// <param name="Step">steps done</param>
/// <param name="TotalSteps">steps asked for</param>
/// <param name="Submitted">when</param>
/// <param name="Version">what it registered, else null</param>
public sealed record JobSummary(JobId Job, JobStatus Status, long Step, long TotalSteps, DateTimeOffset Submitted, ModelVersionId? Version);

/// <summary>All that is known of a job.</summary>
/// <param name="Summary">as in a list</param>
/// <param name="Spec">what it was asked</param>
/// <param name="Progress">its latest moment</param>
/// <param name="Epochs">what each epoch ended with, the first first</param>
/// <param name="Losses">mean training loss by step, thinned to at most a few thousand points</param>
/// <param name="CommittedCheckpoints">steps whose checkpoint is kept, the oldest first</param>
/// <param name="Result">what it ended with, once completed</param>
public sealed record JobDetails(
    JobSummary Summary,
    JobSpec Spec,
    JobProgress Progress,
    IReadOnlyList<EpochRecord> Epochs,
    IReadOnlyList<LossPoint> Losses,
    IReadOnlyList<long> CommittedCheckpoints,
    JobResult? Result)
{
    /// <summary>Which training samples each epoch visited, the first first.</summary>
    public IReadOnlyList<EpochVisits> Ledger { get; init; } = [];

    /// <summary>The latest generations, the oldest first.</summary>
    public IReadOnlyList<GenerationRecord> Generations { get; init; } = [];

    /// <summary>Nodes that can't have its workers, while it runs.</summary>
    public IReadOnlyList<NodeLeftOut> LeftOut { get; init; } = [];

    /// <summary>How fast it went, by step, thinned to at most a thousand points.</summary>
    public IReadOnlyList<PacePoint> Paces { get; init; } = [];
}

/// <summary>How fast a job went just before a step was done.</summary>
/// <param name="Step">from 1</param>
/// <param name="SamplesPerSecond">training samples per second while steps were computed</param>
/// <param name="MaxStaleness">asynchronous training: the most steps that a gradient was behind until then; null otherwise</param>
public readonly record struct PacePoint(long Step, double SamplesPerSecond, long? MaxStaleness);

/// <summary>The mean training loss of one step.</summary>
/// <param name="Step">from 1</param>
/// <param name="Loss">mean over the step's samples</param>
public readonly record struct LossPoint(long Step, double Loss);

/// <summary>What a completed job ended with.</summary>
/// <param name="Version">the registered version</param>
/// <param name="Steps">steps done</param>
/// <param name="Epochs">epochs done</param>
/// <param name="SamplesPerSecond">training samples per second while steps were computed</param>
/// <param name="WeightsSha256">SHA-256, lower-case hexadecimal, of the version's weights: little-endian float32 in the layout's order</param>
/// <param name="SelectedStep">the step whose weights were registered</param>
/// <param name="Metrics">by part (<c>training</c>, <c>validation</c>, <c>test</c>; only those that have samples), then by metric</param>
public sealed record JobResult(
    ModelVersionId Version,
    long Steps,
    long Epochs,
    double SamplesPerSecond,
    string WeightsSha256,
    long SelectedStep,
    IReadOnlyDictionary<string, IReadOnlyDictionary<string, double>> Metrics)
{
    /// <summary>Asynchronous training: the most steps that a gradient was behind at any shard, as measured where it was applied; else null.</summary>
    public long? MaxStaleness { get; init; }
}
