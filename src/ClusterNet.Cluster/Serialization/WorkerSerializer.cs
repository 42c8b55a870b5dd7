using Akka.Actor;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Workers.WorkerProtocol;

namespace ClusterNet.Cluster.Serialization;

/// <summary>Messages of worker hosts and workers. See workers.proto.</summary>
/// <param name="system">resolves actor references</param>
internal sealed class WorkerSerializer(ExtendedActorSystem system) : ProtocolSerializer(system, Table, Id)
{
    /// <summary>Never changes.</summary>
    public const int Id = 7102;

    private static readonly WireEnum<DataPart, Wire.Part> Parts = new();

    /// <summary>The messages.</summary>
    public static readonly CodecTable Table = Replied(Commanded(new CodecTable("worker")));

    private static CodecTable Commanded(CodecTable table) => table
        .Add<Commands.Prepare, Wire.WorkerPrepare>(
            "W:prepare", m => new Wire.WorkerPrepare { Spec = JobSpecJson.Serialize(m.Spec) }, w => new Commands.Prepare(JobSpecJson.Deserialize(w.Spec)))
        .Add<Commands.Enlist, Wire.WorkerEnlist>(
            "W:enlist",
            m => new Wire.WorkerEnlist { Job = m.Job.Value, Spec = JobSpecJson.Serialize(m.Spec), Plan = m.Plan.ToWire(), Count = m.Count },
            w => new Commands.Enlist(new JobId(w.Job), JobSpecJson.Deserialize(w.Spec), w.Plan.FromWire(), w.Count))
        .Add<Commands.Assign, Wire.WorkerAssign>(
            "W:assign",
            m =>
            {
                var wire = new Wire.WorkerAssign
                {
                    Job = m.Job.Value,
                    Generation = m.Generation.Number,
                    Step = m.Step,
                    Until = m.Until,
                    Nodes = { m.Nodes.Select(WireParts.ToWire) },
                    Shards = { m.Shards.Select(WireParts.ToWire) },
                    IsFirstGiven = m.FirstNodes is not null,
                    FirstNodes = { (m.FirstNodes ?? []).Select(WireParts.ToWire) },
                };
                if (m.Backup is { } backup)
                    wire.Backup = backup;
                return wire.Traced(m.Trace);
            },
            (w, system) => new Commands.Assign(
                new JobId(w.Job),
                new Generation(w.Generation),
                w.Step,
                w.Until,
                [.. w.Nodes.Select(WireParts.FromWire)],
                [.. w.Shards.Select(path => path.ToActor(system))])
            {
                FirstNodes = w.IsFirstGiven ? [.. w.FirstNodes.Select(WireParts.FromWire)] : null,
                Backup = w.HasBackup ? w.Backup : null,
                Trace = w.TraceOf(),
            })
        .Add<Commands.Continue, Wire.WorkerContinue>(
            "W:continue",
            m => new Wire.WorkerContinue { Job = m.Job.Value, Generation = m.Generation.Number, Until = m.Until }.Traced(m.Trace),
            w => new Commands.Continue(new JobId(w.Job), new Generation(w.Generation), w.Until) { Trace = w.TraceOf() })
        .Add<Commands.Hold, Wire.WorkerHold>(
            "W:hold",
            m => new Wire.WorkerHold { Job = m.Job.Value, Generation = m.Generation.Number },
            w => new Commands.Hold(new JobId(w.Job), new Generation(w.Generation)))
        .Add<Commands.SendResiduals, Wire.WorkerReached>(
            "W:send-residuals",
            m => new Wire.WorkerReached { Job = m.Job.Value, Generation = m.Generation.Number, Version = m.Version },
            w => new Commands.SendResiduals(new JobId(w.Job), new Generation(w.Generation), w.Version))
        .Add<Commands.Evaluate, Wire.WorkerEvaluate>(
            "W:evaluate",
            ToWire,
            w => new Commands.Evaluate(
                new JobId(w.Job), new Generation(w.Generation), w.Selection.FromWire(), Parts.FromWire(w.Part), w.FirstChunk, w.Chunks))
        .Add<Commands.Digest, Wire.WorkerDigest>(
            "W:digest",
            m => new Wire.WorkerDigest { Job = m.Job.Value, Generation = m.Generation.Number, Selection = m.Selection.ToWire() },
            w => new Commands.Digest(new JobId(w.Job), new Generation(w.Generation), w.Selection.FromWire()))
        .Add<Commands.Dismiss, Wire.WorkerJob>("W:dismiss", m => new Wire.WorkerJob { Job = m.Job.Value }, w => new Commands.Dismiss(new JobId(w.Job)))
        .Add<Commands.Release, Wire.WorkerJob>("W:release", m => new Wire.WorkerJob { Job = m.Job.Value }, w => new Commands.Release(new JobId(w.Job)))
        .Add<Queries.GetCapacity, Wire.WorkerGetCapacity>("W:get-capacity", _ => new Wire.WorkerGetCapacity(), _ => new Queries.GetCapacity())
        .Add<Queries.GetTrial, Wire.WorkerGetCapacity>("W:get-trial", _ => new Wire.WorkerGetCapacity(), _ => new Queries.GetTrial());

    private static CodecTable Replied(CodecTable table) => table
        .Add<Replies.Prepared, Wire.WorkerPrepared>(
            "W:prepared", m => new Wire.WorkerPrepared { Plan = m.Plan.ToWire() }, w => new Replies.Prepared(w.Plan.FromWire()))
        .Add<Replies.Rejected, Wire.WorkerRejected>(
            "W:rejected",
            m => new Wire.WorkerRejected { Faults = { m.Faults.Select(WireParts.ToWire) }, OfNode = m.IsOfNode },
            w => new Replies.Rejected([.. w.Faults.Select(WireParts.FromWire)]) { IsOfNode = w.OfNode })
        .Add<Replies.Capacity, Wire.WorkerCapacity>(
            "W:capacity",
            m => new Wire.WorkerCapacity { Workers = m.Workers, ThreadsPerWorker = m.ThreadsPerWorker },
            w => new Replies.Capacity(w.Workers, w.ThreadsPerWorker))
        .Add<Replies.Trial, Wire.WorkerTrial>("W:trial", m => new Wire.WorkerTrial { Sha256 = m.Sha256 }, w => new Replies.Trial(w.Sha256))
        .Add<Replies.Enlisted, Wire.WorkerJob>("W:enlisted", m => new Wire.WorkerJob { Job = m.Job.Value }, w => new Replies.Enlisted(new JobId(w.Job)))
        .Add<Replies.Reached, Wire.WorkerReached>(
            "W:reached",
            m => new Wire.WorkerReached { Job = m.Job.Value, Generation = m.Generation.Number, Version = m.Version },
            w => new Replies.Reached(new JobId(w.Job), new Generation(w.Generation), w.Version))
        .Add<Replies.Held, Wire.WorkerReached>(
            "W:held",
            m => new Wire.WorkerReached { Job = m.Job.Value, Generation = m.Generation.Number, Version = m.Version },
            w => new Replies.Held(new JobId(w.Job), new Generation(w.Generation), w.Version))
        .Add<Replies.Evaluated, Wire.WorkerEvaluated>(
            "W:evaluated",
            m => new Wire.WorkerEvaluated
            {
                Of = ToWire(new Commands.Evaluate(m.Job, m.Generation, m.Selection, m.Part, m.FirstChunk, m.Chunks)),
                // nobody writes to metrics that were sent
                Metrics = Google.Protobuf.UnsafeByteOperations.UnsafeWrap(m.Metrics),
            },
            w => new Replies.Evaluated(
                new JobId(w.Of.Job),
                new Generation(w.Of.Generation),
                w.Of.Selection.FromWire(),
                Parts.FromWire(w.Of.Part),
                w.Of.FirstChunk,
                w.Of.Chunks,
                w.Metrics.Memory))
        .Add<Replies.Digested, Wire.WorkerDigested>(
            "W:digested",
            m => new Wire.WorkerDigested { Job = m.Job.Value, Generation = m.Generation.Number, Sha256 = m.Sha256, AllFinite = m.AllFinite },
            w => new Replies.Digested(new JobId(w.Job), new Generation(w.Generation), w.Sha256, w.AllFinite))
        .Add<Replies.WorkFailed, Wire.WorkerFailed>(
            "W:failed",
            m =>
            {
                var wire = new Wire.WorkerFailed { Job = m.Job.Value, Generation = m.Generation.Number, Reason = m.Reason };
                if (m.Loggable is { } loggable)
                    wire.Loggable = loggable;
                return wire;
            },
            w => new Replies.WorkFailed(new JobId(w.Job), new Generation(w.Generation), w.Reason) { Loggable = w.HasLoggable ? w.Loggable : null })
        .Add<JobPlan, Wire.JobPlan>("W:plan", WireParts.ToWire, WireParts.FromWire);

    private static Wire.WorkerEvaluate ToWire(Commands.Evaluate m) => new()
    {
        Job = m.Job.Value,
        Generation = m.Generation.Number,
        Selection = m.Selection.ToWire(),
        Part = Parts.ToWire(m.Part),
        FirstChunk = m.FirstChunk,
        Chunks = m.Chunks,
    };
}
