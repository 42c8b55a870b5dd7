using System.Reflection;
using Akka.Actor;
using ClusterNet.Cluster.Access;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Lanes;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Training;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Data;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using ClusterNet.Data;

namespace ClusterNet.Cluster.Tests.Serialization;

/// <summary>At least one message of every type, with everything in it that can be there, and one with nothing that can be left out.</summary>
internal sealed class SampleMessages(IActorRef actor)
{
    private static readonly JobId Job = new("digits-cnn.7");
    private const string Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    private static readonly ShardId Shard = new(Job, 3);
    private static readonly Generation Generation = new(1L << 40);
    private static readonly ModelVersionId Version = new("digits-cnn", 12);
    private static readonly DateTimeOffset Time = new DateTimeOffset(2026, 11, 23, 18, 50, 1, TimeSpan.FromMinutes(-210)).AddTicks(1234567);
    private static readonly Fault[] Faults =
    [
        new("", "grün ≠ 緑 \0 \u2028 😀"), Fault.Unknown("config/jobs/x.yaml:12 training.optimizer.kind", "adm", ["sgd", "adam"]),
    ];

    private static readonly EpochRecord[] Epochs =
    [
        new(1, 100, double.NaN, new Dictionary<string, double> { ["loss"] = double.PositiveInfinity, ["précision"] = -0.0 }, false),
        new(2, 200, 0.1, new Dictionary<string, double>(), true),
    ];

    private static readonly EpochVisits[] Ledger = [new(1, 100, 1000, 1000, true), new(2, 200, 999, 1000, false)];
    private static readonly NodeLeftOut LeftOut = new("10.0.0.3:4053", "data.source: 'd.csv' is not there");
    private static readonly GenerationRecord[] Generations = [new(new(1), 0, "start", Time), new(Generation, null, "a worker left", Time) { Step = 7 }];
    private static readonly LossPoint[] Losses = [new(1, 2.3), new(long.MaxValue, double.Epsilon)];
    private static readonly PacePoint[] Paces = [new(1, 12345.6, null), new(long.MaxValue, double.Epsilon, 3)];

    private static readonly Dictionary<string, IReadOnlyDictionary<string, double>> Metrics = new()
    {
        ["validation"] = new Dictionary<string, double> { ["accuracy"] = 0.98, ["loss"] = 1.0 / 3 },
        ["test"] = new Dictionary<string, double>(),
    };

    private static readonly JobResult Result = new(Version, 1000, 10, 12345.6, new string('a', 64), 900, Metrics);
    private static readonly JobProgress Progress = new(Job, JobStatus.Failed, 5, 1000, 0, 10, 0.5, 1e6, Epochs[0], "no more memory");
    private static readonly JobSummary Summary = new(Job, JobStatus.Completed, 1000, 1000, Time, Version);

    private static readonly ParameterLayout Layout = new([("conv.weight", [8, 1, 3, 3]), ("conv.bias", [8]), ("gain", [])]);
    private static readonly WorkerProtocol.JobPlan Plan = new(Layout, 1000, 0, 200, """{"steps":[]}""", new string('f', 64)) { Arithmetic = new string('a', 64) };

    private static readonly ModelVersion Model = new(
        Version, Job, 900, -1, JobSpecs.Full.Model, new DataSignature(LearningTask.Classification, ["image"], [1, 8, 8], ["0", "1", ""], "y"),
        new string('f', 64), 82, new string('a', 64), Metrics, Time);

    private static readonly ModelProtocol.StoredVersion Stored = new(Model, JobSpecs.Full.Training.Loss, "{}", [new(0, 50), new(50, 32)]);

    private static readonly RawSamples.Table Table = new(["age", "größe", ""], [["61", null, ""], [], ["", "x", "y", null], ["\r\n\"", "1e-3", "😀"]]);

    private static readonly RawSamples.Array Array = new(
        [2, 2], new[] { 1f, -0f, float.NaN, float.PositiveInfinity, float.Epsilon, float.MaxValue, 0, 1 }, ["benign", ""]);

    /// <summary>Every type that crosses a boundary: the records of all protocols, whatever carries one of their interfaces, and what is stored or answered beside them.</summary>
    public static IReadOnlyList<Type> Types { get; } =
    [
        .. typeof(ICluster).Assembly.GetTypes().Where(type => IsGroup(type) && type.Name.EndsWith("Protocol", StringComparison.Ordinal)).SelectMany(Nested)
            .Concat(typeof(ICluster).Assembly.GetTypes().Where(IsOfFamily))
            .Concat([
                typeof(JobProgress), typeof(JobDetails), typeof(JobSummary), typeof(JobResult), typeof(EpochRecord), typeof(LossPoint), typeof(EpochVisits), typeof(GenerationRecord),
                typeof(ModelVersion), typeof(Prediction), typeof(PredictRequest), typeof(ServedPrediction), typeof(ShardCheckpoint), typeof(WeightsPart),
            ])
            .Where(type => !type.IsAssignableTo(typeof(INoSerializationVerificationNeeded)))
            .Distinct()
            .OrderBy(type => type.FullName, StringComparer.Ordinal),
    ];

    /// <summary>The samples of one type.</summary>
    public IReadOnlyList<object> Of(Type type) => [.. All().Where(message => message.GetType() == type)];

    public IEnumerable<object> All() => Parameters().Concat(Workers()).Concat(Training()).Concat(Models()).Concat(Serving()).Concat(Access()).Concat(LaneOnes());

    /// <summary>Those that Akka writes: all but what travels by the lane.</summary>
    public IEnumerable<object> ForAkka() => All().Where(message => !SerializationConfiguration.LaneTypes.ContainsKey(message.GetType()));

    public static TensorPayload Tensor(params float[] values)
    {
        var buffer = new TensorBufferPool(values.Length + 2).Rent();
        values.CopyTo(buffer.Span[1..]);
        return new TensorPayload(buffer, 1, values.Length);
    }

    private IEnumerable<object> Parameters()
    {
        var setup = new ParameterProtocol.ShardSetup(JobSpecs.Full.Training, 1L << 33, Layout, 4, 7);
        yield return setup;
        yield return new ParameterProtocol.ShardSetup(JobSpecs.Plain.Training, 1, Layout, 1, 1);
        yield return new ParameterProtocol.Commands.Open(Shard, Generation, setup, 0, actor) { Trace = Trace };
        yield return new ParameterProtocol.Commands.Open(Shard, Generation, setup, null, actor);
        yield return new ParameterProtocol.Commands.Push(Shard, Generation, 9, new TreeNode(2, 1), Tensor(1, -0f, float.NaN), new StepStatistics(32, 70.5, new SampleVisits(32, ulong.MaxValue))) { Trace = Trace };
        yield return new ParameterProtocol.Commands.Push(Shard, Generation.None, 0, default, Tensor(), default);
        yield return new ParameterProtocol.Commands.Push(Shard, Generation, 9, new TreeNode(2, 1), Tensor(1), new StepStatistics(32, 70.5)) { Codec = GradientCodec.TopK, Basis = 0, IsCopy = true };
        yield return new ParameterProtocol.Commands.KeepResidual(Shard, Generation, 9, 3, Tensor(1, -0f));
        yield return new ParameterProtocol.Queries.PullResidual(Shard, Generation, 9, 3);
        yield return new ParameterProtocol.Replies.ResidualKept(Shard, Generation, 9, 3, Tensor());
        yield return new ParameterProtocol.WorkItem(9, new TreeNode(1, 1));
        yield return new ParameterProtocol.Commands.ShareNorms(Shard, 2, 9, 1, [0.1, double.NegativeInfinity, -0.0], true);
        yield return new ParameterProtocol.Commands.Meet(Shard, Generation, [actor, actor]);
        yield return new ParameterProtocol.Commands.MarkBest(Shard, Generation, 9);
        yield return new ParameterProtocol.Commands.TakeCheckpoint(Shard, Generation, 9);
        yield return new ParameterProtocol.Commands.KeepCheckpoints(Shard, Generation, [0, 200, long.MaxValue]);
        yield return new ParameterProtocol.Commands.Publish(Shard, Generation, Version, ParameterProtocol.WeightsSelection.Best);
        yield return new ParameterProtocol.Commands.Close(Shard, Generation, true);
        yield return new ParameterProtocol.Queries.Pull(Shard, Generation, 9);
        yield return new ParameterProtocol.Queries.PullSelected(Shard, Generation, ParameterProtocol.WeightsSelection.Current);
        yield return new ParameterProtocol.Queries.PullInitial(Shard, Generation, new ShardRange(1024, 2048));
        yield return new ParameterProtocol.Replies.Opened(Shard, Generation, 9);
        yield return new ParameterProtocol.Replies.Opened(Shard, Generation, 9) { MissingSlices = [] };
        yield return new ParameterProtocol.Replies.Opened(Shard, Generation, 9) { MissingSlices = [1, 3] };
        yield return new ParameterProtocol.Replies.Leaving(Shard, Generation);
        yield return new ParameterProtocol.Commands.Go(Shard);
        yield return new ParameterProtocol.Replies.OpenFailed(Shard, Generation, 200, "damaged");
        yield return new ParameterProtocol.Replies.Pulled(Shard, Generation, 9, Tensor(0.25f, float.PositiveInfinity));
        yield return new ParameterProtocol.Replies.Pulled(Shard, Generation, 9, Tensor(0.25f))
        {
            Codec = WeightCodec.Bf16,
            IsSelected = true,
            Applied = new ParameterProtocol.WorkItem(9, new TreeNode(1, 1)),
            Claim = new ParameterProtocol.WorkItem(10, default),
            Late = [new(1, 1), default],
        };
        foreach (var reason in Enum.GetValues<ParameterProtocol.RefusalReason>())
            yield return new ParameterProtocol.Replies.Refused(Shard, Generation, 9, reason);
        yield return new ParameterProtocol.Replies.CheckpointSaved(Shard, Generation, 9);
        yield return new ParameterProtocol.Replies.CheckpointFailed(Shard, Generation, 9, "disk full");
        yield return new ParameterProtocol.Replies.Published(Shard, Generation, [new(0, 1), new(1, 2)]);
        yield return new ParameterProtocol.Replies.PublishFailed(Shard, Generation, "disk full");
        yield return new ParameterProtocol.Replies.StepsDone(Shard, Generation, 9, [new(32, 70.5), new(0, double.NaN)]);
        yield return new ParameterProtocol.Replies.StepsDone(Shard, Generation, 9, []) { MaxStaleness = 0 };
        yield return new ParameterProtocol.Replies.BestMarked(Shard, Generation, 9);
        yield return new ShardCheckpoint(Shard, 9, Tensor(1, 2, 3), [Tensor(4, 5), Tensor(6, -0f, float.NaN)], Tensor(7, 8, 9), 6);
        yield return new ShardCheckpoint(Shard, 9, Tensor(1, 2), [], null, 6) { Residuals = [Tensor(1, -0f), Tensor(float.NaN, 2)] };
        yield return new ShardCheckpoint(Shard, 0, Tensor(1), [], null, 0);
    }

    private static IEnumerable<object> LaneOnes()
    {
        yield return new LaneProtocol.Queries.Where();
        yield return new LaneProtocol.Replies.At("grün", 65_535, int.MinValue);
        yield return new LaneProtocol.Replies.At("::1", 1, 0) { Local = "clusternet-lane-0123456789abcdef0123456789abcdef" };
    }

    private IEnumerable<object> Workers()
    {
        yield return Plan;
        foreach (var spec in JobSpecs.All)
            yield return new WorkerProtocol.Commands.Prepare(spec);
        yield return new WorkerProtocol.Commands.Enlist(Job, JobSpecs.Full, Plan, 2);
        yield return new WorkerProtocol.Commands.Assign(Job, Generation, 9, 200, [new(1, 0), new(0, 2)], [actor]) { Trace = Trace };
        yield return new WorkerProtocol.Commands.Assign(Job, Generation, 9, 200, [], [actor]) { Backup = 0 };
        yield return new WorkerProtocol.Commands.SendResiduals(Job, Generation, 9);
        yield return new WorkerProtocol.Replies.Held(Job, Generation, 9);
        yield return new WorkerProtocol.Commands.Assign(Job, Generation, 9, 200, [new(1, 0)], [actor]) { FirstNodes = [] };
        yield return new WorkerProtocol.Commands.Assign(Job, Generation, 9, 200, [new(1, 0)], [actor]) { FirstNodes = [new(0, 1)] };
        yield return new WorkerProtocol.Commands.Release(Job);
        yield return new WorkerProtocol.Queries.GetCapacity();
        yield return new WorkerProtocol.Queries.GetTrial();
        yield return new WorkerProtocol.Replies.Trial("");
        yield return new WorkerProtocol.Replies.Trial("0f");
        yield return new WorkerProtocol.Replies.Capacity(0, int.MaxValue);
        yield return new WorkerProtocol.Commands.Continue(Job, Generation, 400) { Trace = Trace };
        yield return new WorkerProtocol.Commands.Hold(Job, Generation);
        foreach (var part in Enum.GetValues<WorkerProtocol.DataPart>())
            yield return new WorkerProtocol.Commands.Evaluate(Job, Generation, ParameterProtocol.WeightsSelection.Best, part, 3, 5);
        yield return new WorkerProtocol.Commands.Digest(Job, Generation, ParameterProtocol.WeightsSelection.Best);
        yield return new WorkerProtocol.Commands.Dismiss(Job);
        yield return new WorkerProtocol.Replies.Prepared(Plan);
        yield return new WorkerProtocol.Replies.Prepared(Plan with { Arithmetic = null });
        yield return new WorkerProtocol.Replies.Rejected(Faults);
        yield return new WorkerProtocol.Replies.Rejected(Faults) { IsOfNode = true };
        yield return new WorkerProtocol.Replies.Enlisted(Job);
        yield return new WorkerProtocol.Replies.Reached(Job, Generation, 200);
        yield return new WorkerProtocol.Replies.Evaluated(
            Job, Generation, ParameterProtocol.WeightsSelection.Best, WorkerProtocol.DataPart.Test, 3, 5, new byte[] { 0, 255, 7 });
        yield return new WorkerProtocol.Replies.Digested(Job, Generation, new string('0', 64), true);
        yield return new WorkerProtocol.Replies.WorkFailed(Job, Generation, "the data has changed");
        yield return new WorkerProtocol.Replies.WorkFailed(Job, Generation, "a cell") { Loggable = "" };
    }

    private static IEnumerable<object> Training()
    {
        yield return new TrainingProtocol.Commands.Submit(Job, JobSpecs.Full, Plan) { Trace = Trace };
        yield return new TrainingProtocol.Commands.Resume(Job);
        yield return new TrainingProtocol.Commands.Interrupt(Job);
        yield return new TrainingProtocol.Commands.Cancel(Job);
        yield return new TrainingProtocol.Commands.Allocate("digits");
        yield return new TrainingProtocol.Commands.Nudge(Job);
        yield return new TrainingProtocol.Commands.Note(Job, true);
        yield return new TrainingProtocol.Commands.Note(Job, false) { Summary = Summary };
        yield return new TrainingProtocol.Replies.Noted(Job, false);
        yield return new TrainingProtocol.Events.JobNoted(Job, true, Time);
        yield return new TrainingProtocol.Events.JobNoted(Job, false, Time) { Summary = Summary };
        yield return new TrainingProtocol.Queries.GetDetails(Job);
        yield return new TrainingProtocol.Queries.GetProgress(Job);
        yield return new TrainingProtocol.Queries.GetSummary(Job);
        yield return new TrainingProtocol.Queries.HasJob(Job);
        yield return new TrainingProtocol.Queries.ListJobs();
        yield return new TrainingProtocol.Replies.Accepted(Job);
        yield return new TrainingProtocol.Replies.Refused(Job, Faults);
        yield return new TrainingProtocol.Replies.Allocated(Job);
        yield return new TrainingProtocol.Replies.Jobs([Job, new("a")]);
        yield return new TrainingProtocol.Replies.Jobs([Job, new("a")]) { AtRest = [Summary] };
        yield return new TrainingProtocol.Replies.Known(Job, true);
        yield return Progress;
        foreach (var status in Enum.GetValues<JobStatus>())
            yield return new JobProgress(Job, status, 0, 0, 0, 0, null, 0, null, null) { MaxStaleness = status == JobStatus.Completed ? 2 : null };
        yield return Epochs[0];
        yield return Losses[1];
        yield return Ledger[1];
        yield return Generations[0];
        yield return Generations[1];
        yield return Summary;
        yield return Summary with { Version = null, Submitted = DateTimeOffset.MinValue };
        yield return Summary with { Submitted = DateTimeOffset.MaxValue };
        yield return Result;
        yield return Result with { MaxStaleness = 3 };
        yield return new JobDetails(Summary, JobSpecs.Full, Progress, Epochs, Losses, [200, 400], Result) { Ledger = Ledger, Generations = Generations, Paces = Paces, LeftOut = [LeftOut] };
        yield return new JobDetails(Summary, JobSpecs.Plain, Progress, [], [], [], null);
        yield return new TrainingProtocol.Events.JobSubmitted(Job, JobSpecs.Full, Plan, Time) { Trace = Trace };
        yield return new TrainingProtocol.Events.GenerationOpened(Generation, 200, "a worker left", Time) { Step = 213 };
        yield return new TrainingProtocol.Events.GenerationOpened(Generation, null, "", Time);
        yield return new TrainingProtocol.Events.CheckpointCommitted(200, Epochs, Losses, new StepStatistics(32, 70.5), TimeSpan.FromTicks(123456789), [100, 200]) { Ledger = Ledger, Paces = Paces };
        yield return new TrainingProtocol.Events.CheckpointCommitted(200, Epochs, Losses, default, TimeSpan.Zero, [200]) { MaxStaleness = 3 };
        yield return new TrainingProtocol.Events.VersionReserved(Version);
        yield return new TrainingProtocol.Events.VersionHandedOver(Version, 7, "ab", new Dictionary<string, IReadOnlyDictionary<string, double>> { ["test"] = new Dictionary<string, double> { ["loss"] = 0.5 } });
        yield return new TrainingProtocol.Events.JobInterrupted(Time);
        yield return new TrainingProtocol.Events.JobCompleted(Result, Epochs, Losses, Time) { Ledger = Ledger, Paces = Paces };
        yield return new TrainingProtocol.Events.JobEnded(JobStatus.Failed, "no more memory", Time);
        yield return new TrainingProtocol.Events.JobEnded(JobStatus.Cancelled, null, Time);
        yield return new TrainingProtocol.Events.JobAllocated(Job, Time);
        yield return new TrainingProtocol.Events.JobAllocated(Job, Time) { Request = "0f" };
    }

    private static IEnumerable<object> Models()
    {
        yield return Model;
        yield return Model with { Libraries = new Dictionary<string, string> { ["TorchSharp"] = "0.107.0" } };
        yield return Stored;
        yield return new ModelProtocol.Commands.Reserve("digits-cnn", Job);
        yield return new ModelProtocol.Commands.Register(Stored);
        yield return new ModelProtocol.Commands.Delete("digits-cnn", 12);
        yield return new ModelProtocol.Commands.Delete("no such / model", null);
        yield return new ModelProtocol.Queries.Find("digits-cnn", 12);
        yield return new ModelProtocol.Queries.Find("", null);
        yield return new ModelProtocol.Queries.Find("digits-cnn", null) { Label = "staging" };
        yield return new ModelProtocol.Queries.List();
        yield return new ModelProtocol.Replies.Reserved(Version);
        yield return new ModelProtocol.Replies.Registered(Version);
        yield return new ModelProtocol.Queries.IsThere(Version);
        yield return new ModelProtocol.Replies.There(Version);
        yield return new ModelProtocol.Replies.There(Version) { Arithmetic = "ab12" };
        yield return new ModelProtocol.Replies.Found(Stored);
        yield return new ModelProtocol.Replies.Found(Stored) { Arithmetic = "ab12" };
        yield return new ModelProtocol.Replies.Unknown(Faults[1]);
        yield return new ModelProtocol.Replies.Models([Model, Model with { Job = new("other") }]);
        yield return new ModelProtocol.Replies.Models([]);
        yield return new ModelProtocol.Replies.Deleted([Version]);
        yield return new ModelProtocol.Events.VersionReserved(Version, Job);
        yield return new ModelProtocol.Events.VersionReserved(Version, Job) { Step = 7 };
        yield return new ModelProtocol.Commands.Reserve("m", Job) { Step = 7 };
        yield return new ModelProtocol.Events.VersionRegistered(Stored);
        yield return new ModelProtocol.Events.VersionDeleted(Version);
        yield return new ModelProtocol.Events.WeightsDeleted(Version);
        yield return new ModelProtocol.Commands.SetLabel("digits-cnn", "production", 12);
        yield return new ModelProtocol.Commands.SetLabel("digits-cnn", "production", null);
        yield return new ModelProtocol.Replies.Labelled("digits-cnn", "production", 12);
        yield return new ModelProtocol.Replies.Labelled("digits-cnn", "production", null);
        yield return new ModelProtocol.Commands.NoteArithmetic(Version, "ab12");
        yield return new ModelProtocol.Events.ArithmeticNoted(Version, "ab12");
        yield return new ModelProtocol.Events.LabelChanged("digits-cnn", "production", 12);
        yield return new ModelProtocol.Events.LabelChanged("digits-cnn", "production", null);
        yield return new ModelProtocol.Commands.SetTraffic("digits-cnn", Traffic, "slow") { Instead = TrafficSpec.Default };
        yield return new ModelProtocol.Commands.SetTraffic("digits-cnn", TrafficSpec.Default with { IsUnloaded = true });
        yield return new ModelProtocol.Replies.TrafficSet("digits-cnn", Traffic with { Rollback = Traffic.Rollback! with { MaxLatency = null } });
        yield return new ModelProtocol.Events.TrafficChanged("digits-cnn", Traffic, "slow");
        yield return new ModelProtocol.Events.TrafficChanged("digits-cnn", TrafficSpec.Default, null);
        yield return new ModelProtocol.Replies.Refused(Faults);
        yield return new ModelProtocol.Queries.GetTable(-1) { Question = 3 };
        yield return new ModelProtocol.Queries.GetTable(7) { Question = 4, Used = [new ModelVersionId("digits-cnn", 12), new ModelVersionId("tumor", 1)] };
        yield return new ModelProtocol.Replies.Table(7, null) { Question = 3, Used = [new ModelVersionId("digits-cnn", 12), new ModelVersionId("tumor", 1)] };
        yield return new ModelProtocol.Replies.Table(7, [new("digits-cnn", [1, 12], new Dictionary<string, int> { ["staging"] = 12 }, Traffic)]);
        yield return new ModelProtocol.Replies.Table(0, []);
        yield return new WeightsPart(Version, new ShardRange(1024, 3), Tensor(1, float.NaN, -0f), new string('a', 64));
    }

    private static TrafficSpec Traffic { get; } = new([new("production", 0.9), new("12", 0.1)])
    {
        Shadows = ["staging"],
        Rollback = new("12") { MaxErrorRate = 0.01, MaxLatency = TimeSpan.FromMilliseconds(50), Window = TimeSpan.FromMinutes(2), LeastRequests = 100 },
    };

    private static IEnumerable<object> Serving()
    {
        var prepared = new ModelInput.Prepared([2, 2], Array.Values);
        yield return new PredictRequest("digits-cnn", new ModelInput.Raw(Table));
        yield return new PredictRequest("digits-cnn", prepared) { Version = "staging", Timeout = TimeSpan.FromSeconds(2), Priority = 9, Key = "patient", Trace = Trace };
        yield return new ServedPrediction(new Prediction(Version, [], new[] { 1f }), "a1", TimeSpan.FromTicks(1), TimeSpan.FromDays(1));
        yield return new ServingProtocol.Queries.Infer(7, Version, new ModelInput.Raw(Array)) { Patience = TimeSpan.FromSeconds(1), Priority = 0, Trace = Trace };
        yield return new ServingProtocol.Queries.Infer(long.MaxValue, Version, prepared);
        yield return new ServingProtocol.Queries.Infer(1, Version, prepared) { TakesOtherBits = true };
        yield return new ServingProtocol.Replies.InferFailed(1, ServingProtocol.FailureKind.Unavailable, Faults, null) { HasOtherBits = true };
        yield return new ServingProtocol.Queries.GetStatus();
        yield return new ServingProtocol.Commands.Cancel(7, Version);
        yield return new ServingProtocol.Commands.Withdraw();
        yield return new ServingProtocol.Commands.Prepare(Version);
        yield return new ServingProtocol.Commands.Prepare(Version) { IfRoom = true };
        yield return new ServingProtocol.Commands.Release(Version);
        yield return new ServingProtocol.Replies.Inferred(7, new ServedPrediction(new Prediction(Version, ["no", "yes"], new[] { 0.5f, 0.5f }), "", TimeSpan.Zero, TimeSpan.Zero));
        yield return new ServingProtocol.Replies.Prepared(Version, []);
        yield return new ServingProtocol.Replies.Prepared(Version, Faults);
        yield return new ServingProtocol.Replies.Status([]);
        foreach (var state in Enum.GetValues<ServingState>())
        {
            yield return new ServingProtocol.Replies.Status(
                [new(Version, state, state == ServingState.Failed ? "damaged" : null, 3, new ServingStatistics(1, new Dictionary<ServingProtocol.FailureKind, long> { [ServingProtocol.FailureKind.Overloaded] = 2 }, 3, 4, TimeSpan.FromTicks(5), TimeSpan.FromTicks(6), state == ServingState.Ready ? Time : null) { Latencies = state == ServingState.Ready ? [0, 3, 1] : [] })]);
        }
        foreach (var kind in Enum.GetValues<ServingProtocol.FailureKind>())
        {
            yield return new ServingProtocol.Replies.InferFailed(7, kind, Faults, kind == ServingProtocol.FailureKind.Overloaded ? TimeSpan.FromSeconds(1) : null);
            yield return new ServingProtocol.Replies.Refused(kind, Faults, kind == ServingProtocol.FailureKind.Overloaded ? TimeSpan.FromSeconds(1) : null);
        }
        yield return new ServingProtocol.Replies.PredictFailed(Version, ServingProtocol.FailureKind.Overloaded, []) { RetryAfter = TimeSpan.FromTicks(1) };
        yield return new ServingProtocol.Queries.Predict(Version, Table) { Trace = Trace };
        yield return new ServingProtocol.Queries.Predict(Version, Array);
        yield return new ServingProtocol.Queries.Evaluate(Version, new RawSamples.Table([], [])) { Trace = Trace };
        yield return new ServingProtocol.Queries.Evaluate(Version, new RawSamples.Array([3], ReadOnlyMemory<float>.Empty, []));
        yield return new Prediction(Version, ["benign", "malignant"], new[] { 0.25f, 0.75f, float.NaN, -0f });
        yield return new Prediction(Version, [], ReadOnlyMemory<float>.Empty);
        yield return new ServingProtocol.Queries.Evaluate(Version, new RawSamples.Table([], [])) { WantsSums = true };
        yield return new ServingProtocol.Replies.EvaluationDone(Version, Metrics["validation"]);
        yield return new ServingProtocol.Replies.EvaluationDone(Version, Metrics["validation"]) { Sums = new byte[] { 1, 2 } };
        foreach (var kind in Enum.GetValues<ServingProtocol.FailureKind>())
            yield return new ServingProtocol.Replies.PredictFailed(Version, kind, Faults);
    }

    private static IEnumerable<object> Access()
    {
        yield return new AccessProtocol.Queries.GetMembers();
        yield return new AccessProtocol.Replies.Members([]);
        yield return new AccessProtocol.Replies.Members([new NodeStatus(new NodeAddress("[::1]", 65535), "weaklyup", false, ["worker", ""]), new NodeStatus(new NodeAddress("", 0), "", true, [])]);
        yield return new AccessProtocol.Replies.Unavailable("grün ≠ 緑");
        yield return new AccessProtocol.Commands.Piece("", 0, 1, 0, "", default);
        yield return new AccessProtocol.Commands.Piece("0f", 6, 7, int.MaxValue, "S:predict", new byte[] { 0, 255, 7 });
        yield return new AccessProtocol.Replies.PieceTaken("0f", int.MaxValue);
        yield return new AccessProtocol.Replies.AtWork();
    }

    private static IEnumerable<Type> Nested(Type type) =>
        type.GetNestedTypes(BindingFlags.Public | BindingFlags.NonPublic).SelectMany(nested => IsGroup(nested) ? Nested(nested) : IsRecord(nested) ? [nested] : []);

    private static bool IsGroup(Type type) => type is { IsAbstract: true, IsSealed: true };

    private static bool IsRecord(Type type) => !type.IsEnum && !type.IsInterface && !type.IsDefined(typeof(System.Runtime.CompilerServices.CompilerGeneratedAttribute));

    private static bool IsOfFamily(Type type) => type is { IsAbstract: false }
        && new[]
        {
            typeof(ParameterProtocol.IShardMessage), typeof(WorkerProtocol.IWorkerMessage), typeof(TrainingProtocol.IJobMessage),
            typeof(ModelProtocol.IModelMessage), typeof(ServingProtocol.IVersionMessage),
        }.Any(family => type.IsAssignableTo(family));
}
