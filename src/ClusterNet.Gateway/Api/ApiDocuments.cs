using ClusterNet.Cluster.Access;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Training;
using ClusterNet.Gateway.Access;

namespace ClusterNet.Gateway.Api;

/// <summary>Something went wrong, and what to do.</summary>
public sealed record ErrorDocument(string Error);

/// <summary>Who the caller is to this gateway.</summary>
/// <param name="Name">as authentication knows it; <c>anonymous</c> without credentials</param>
/// <param name="Scopes">what it may do</param>
/// <param name="AuthenticationRequired">whether callers must say who they are</param>
/// <param name="Node">the gateway's name</param>
public sealed record SessionDocument(string Name, IReadOnlyList<string> Scopes, bool AuthenticationRequired, string Node);

/// <summary>A job in a list.</summary>
public sealed record JobSummaryDocument(string Job, string Status, long Steps, long TotalSteps, DateTimeOffset Submitted, string? Model, int? Version)
{
    internal static JobSummaryDocument Of(JobSummary job) =>
        new(job.Job.Value, Word(job.Status), job.Step, job.TotalSteps, job.Submitted, job.Version?.Model, job.Version?.Version);

    internal static string Word(JobStatus status) => status.ToString().ToLowerInvariant();
}

/// <summary>The jobs of the cluster, the newest last.</summary>
public sealed record JobsDocument(IReadOnlyList<JobSummaryDocument> Jobs);

/// <summary>A job that was asked for or changed.</summary>
public sealed record JobReferenceDocument(string Job, string Status);

/// <summary>What an epoch ended with. Numbers that JSON does not have are null.</summary>
public sealed record EpochDocument(long Epoch, long Step, double TrainingLoss, IReadOnlyDictionary<string, double> Validation, bool IsBest)
{
    internal static EpochDocument Of(EpochRecord epoch) => new(epoch.Epoch, epoch.Step, epoch.TrainingLoss, epoch.Validation, epoch.IsBest);
}

/// <summary>A moment of a job: the data of each <c>progress</c> event.</summary>
public sealed record ProgressDocument(
    string Job, string Status, long Step, long TotalSteps, long Epoch, long TotalEpochs, double? TrainingLoss, double SamplesPerSecond, EpochDocument? LatestEpoch, string? Failure, long? MaxStaleness)
{
    internal static ProgressDocument Of(JobProgress progress) => new(
        progress.Job.Value, JobSummaryDocument.Word(progress.Status), progress.Step, progress.TotalSteps, progress.Epoch, progress.TotalEpochs, progress.TrainingLoss, progress.SamplesPerSecond,
        progress.LatestEpoch is { } epoch ? EpochDocument.Of(epoch) : null, progress.Failure, progress.MaxStaleness);
}

/// <summary>The mean training loss of a step.</summary>
public sealed record LossDocument(long Step, double Loss);

/// <summary>How fast a job went just before a step was done; the staleness of asynchronous training is the most until then.</summary>
public sealed record PaceDocument(long Step, double SamplesPerSecond, long? MaxStaleness);

/// <summary>A plan of who computes what, which the loss or the arrival of someone ended.</summary>
public sealed record GenerationDocument(long Generation, long? Step, long? RestoreStep, string Reason, DateTimeOffset At);

/// <summary>What a completed job ended with.</summary>
public sealed record JobResultDocument(
    string Model, int Version, string WeightsSha256, long SelectedStep, double SamplesPerSecond, long? MaxStaleness, IReadOnlyDictionary<string, IReadOnlyDictionary<string, double>> Metrics);

/// <summary>All that is known of a job.</summary>
/// <param name="Job">its id</param>
/// <param name="Progress">its latest moment</param>
/// <param name="Submitted">when</param>
/// <param name="Losses">by step, thinned to at most a few thousand points</param>
/// <param name="Paces">samples per second by step, thinned to at most a thousand points</param>
/// <param name="History">what each epoch ended with</param>
/// <param name="Generations">the latest, the oldest first</param>
/// <param name="LeftOut">nodes that can't have its workers, while it runs</param>
/// <param name="Consistency">how far workers may drift apart: bsp, ssp or asp</param>
/// <param name="StalenessBound">of ssp, in steps</param>
/// <param name="Checkpoints">steps whose checkpoint is kept</param>
/// <param name="Result">once completed</param>
public sealed record JobDocument(
    string Job,
    ProgressDocument Progress,
    DateTimeOffset Submitted,
    IReadOnlyList<LossDocument> Losses,
    IReadOnlyList<PaceDocument> Paces,
    IReadOnlyList<EpochDocument> History,
    IReadOnlyList<GenerationDocument> Generations,
    IReadOnlyList<NodeLeftOut> LeftOut,
    IReadOnlyList<long> Checkpoints,
    string Consistency,
    int? StalenessBound,
    JobResultDocument? Result)
{
    internal static JobDocument Of(JobDetails job) => new(
        job.Summary.Job.Value,
        ProgressDocument.Of(job.Progress),
        job.Summary.Submitted,
        [.. job.Losses.Select(loss => new LossDocument(loss.Step, loss.Loss))],
        [.. job.Paces.Select(pace => new PaceDocument(pace.Step, pace.SamplesPerSecond, pace.MaxStaleness))],
        [.. job.Epochs.Select(EpochDocument.Of)],
        [.. job.Generations.Select(generation => new GenerationDocument(generation.Generation.Number, generation.Step, generation.RestoreStep, generation.Reason, generation.At))],
        job.LeftOut,
        job.CommittedCheckpoints,
        job.Spec.Training.Consistency.ToString().ToLowerInvariant(),
        job.Spec.Training.Consistency == Core.Jobs.ConsistencyMode.Ssp ? job.Spec.Training.Staleness : null,
        job.Result is { } result
            ? new JobResultDocument(result.Version.Model, result.Version.Version, result.WeightsSha256, result.SelectedStep, result.SamplesPerSecond, result.MaxStaleness, result.Metrics)
            : null);
}

/// <summary>A version of a model.</summary>
public sealed record ModelDocument(
    string Model,
    int Version,
    string Kind,
    string Job,
    long Step,
    long Seed,
    int Parameters,
    string WeightsSha256,
    string DataFingerprint,
    string Task,
    string Target,
    IReadOnlyList<string> Inputs,
    IReadOnlyList<int> Shape,
    IReadOnlyList<string> Classes,
    IReadOnlyDictionary<string, IReadOnlyDictionary<string, double>> Metrics,
    DateTimeOffset Registered)
{
    internal static ModelDocument Of(ModelVersion version) => new(
        version.Id.Model, version.Id.Version, version.Model.Kind, version.Job.Value, version.Step, version.Seed, version.Parameters, version.WeightsSha256, version.DataFingerprint,
        version.Signature.Task.ToString().ToLowerInvariant(), version.Signature.TargetName, version.Signature.InputNames, version.Signature.Shape, version.Signature.Classes, version.Metrics, version.Registered);
}

/// <summary>An input or an output of a version.</summary>
/// <param name="Name">unique among the inputs, or among the outputs</param>
/// <param name="Datatype">as the Open Inference Protocol names them</param>
/// <param name="Shape">with the batch axis first; -1 where free</param>
/// <param name="Categories">the values that a category can have; null where it is none</param>
public sealed record TensorSignatureDocument(string Name, string Datatype, IReadOnlyList<long> Shape, IReadOnlyList<string>? Categories)
{
    internal static TensorSignatureDocument Of(TensorSignature tensor) => new(tensor.Name, tensor.Type, tensor.Shape, tensor.Categories);
}

/// <summary>What a version takes and answers.</summary>
public sealed record SignatureDocument(
    string Model, int Version, string Task, string Target, IReadOnlyList<string> Classes, IReadOnlyList<TensorSignatureDocument> Inputs, IReadOnlyList<TensorSignatureDocument> Outputs)
{
    internal static SignatureDocument Of(ServedVersion served)
    {
        var signature = served.Version.Signature;
        return new SignatureDocument(
            served.Id.Model, served.Id.Version, signature.Task.ToString().ToLowerInvariant(), signature.TargetName, signature.Classes,
            [.. served.Inputs.Select(TensorSignatureDocument.Of)], [.. served.Outputs.Select(TensorSignatureDocument.Of)]);
    }
}

/// <summary>Versions of models.</summary>
public sealed record ModelsDocument(IReadOnlyList<ModelDocument> Models);

/// <summary>Versions that are gone.</summary>
public sealed record DeletedDocument(IReadOnlyList<VersionDocument> Deleted);

/// <summary>Names a version.</summary>
public sealed record VersionDocument(string Model, int Version);

/// <summary>A node as the gateway sees it.</summary>
public sealed record NodeDocument(string Address, string Status, bool Reachable, IReadOnlyList<string> Roles)
{
    internal static NodeDocument Of(NodeStatus node) => new(node.Address.ToString(), node.Status, node.Reachable, node.Roles);
}

/// <summary>The cluster's nodes, the oldest first.</summary>
public sealed record ClusterDocument(IReadOnlyList<NodeDocument> Nodes);

/// <summary>Entities of one kind on one node.</summary>
/// <param name="Kind">what they are: <c>parameters</c>, <c>jobs</c>, ...</param>
/// <param name="Address">the node</param>
/// <param name="Entities">how many live there</param>
/// <param name="Shards">entities by Cluster.Sharding's shard</param>
public sealed record ShardsOnNodeDocument(string Kind, string Address, int Entities, IReadOnlyDictionary<string, int> Shards);

/// <summary>Where the sharded entities are.</summary>
public sealed record ShardsDocument(IReadOnlyList<ShardsOnNodeDocument> Regions);

/// <summary>Something that happened.</summary>
/// <param name="Id">counts up from 1 at this gateway's start</param>
/// <param name="At">when this gateway learned of it</param>
/// <param name="Kind">what: <c>node-up</c>, <c>node-unreachable</c>, <c>job</c>, <c>act</c>, ...</param>
/// <param name="Subject">a node, a job, a model</param>
/// <param name="Message">for people</param>
public sealed record EventDocument(long Id, DateTimeOffset At, string Kind, string Subject, string Message);

/// <summary>The latest events, the oldest first.</summary>
public sealed record EventsDocument(IReadOnlyList<EventDocument> Events);

/// <summary>An API key, without the key itself.</summary>
public sealed record KeyDocument(string Id, string Name, IReadOnlyList<string> Scopes, DateTimeOffset Created, DateTimeOffset? Expires, DateTimeOffset? Revoked)
{
    internal static KeyDocument Of(ApiKey key) => new(key.Id, key.Name, key.Scopes, key.Created, key.Expires, key.Revoked);
}

/// <summary>API keys, the oldest first.</summary>
public sealed record KeysDocument(IReadOnlyList<KeyDocument> Keys);

/// <summary>A key to be made.</summary>
/// <param name="Name">whose it is</param>
/// <param name="Scopes">what it allows</param>
/// <param name="Days">how long it is good; null for ever</param>
public sealed record NewKeyDocument(string Name, IReadOnlyList<string> Scopes, double? Days = null);

/// <summary>A key that was made.</summary>
/// <param name="Key">all but the key itself</param>
/// <param name="Secret">the key itself: shown now and never again</param>
public sealed record CreatedKeyDocument(KeyDocument Key, string Secret);

/// <summary>Where the audit log's chains stand.</summary>
/// <param name="Heads">each <c>CHAIN@SEQUENCE:HASH</c>, as <c>clusternet audit verify --expect</c> takes it</param>
public sealed record AuditDocument(IReadOnlyList<string> Heads);
