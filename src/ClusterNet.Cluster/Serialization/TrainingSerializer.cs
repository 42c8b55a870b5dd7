using Akka.Actor;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Training.TrainingProtocol;

namespace ClusterNet.Cluster.Serialization;

/// <summary>Messages and events of jobs' coordinators and of the directory of jobs. See training.proto.</summary>
/// <param name="system">resolves actor references</param>
internal sealed class TrainingSerializer(ExtendedActorSystem system) : ProtocolSerializer(system, Table, Id)
{
    /// <summary>Never changes.</summary>
    public const int Id = 7103;

    private static readonly WireEnum<JobStatus, Wire.Status> Statuses = new();

    /// <summary>The messages.</summary>
    public static readonly CodecTable Table = Journalled(Replied(Asked(new CodecTable("training"))));

    private static CodecTable Asked(CodecTable table) => table
        .Add<Commands.Submit, Wire.JobSubmit>(
            "T:submit",
            m => new Wire.JobSubmit { Job = m.Job.Value, Spec = JobSpecJson.Serialize(m.Spec), Plan = m.Plan.ToWire() }.Traced(m.Trace),
            w => new Commands.Submit(new JobId(w.Job), JobSpecJson.Deserialize(w.Spec), w.Plan.FromWire()) { Trace = w.TraceOf() })
        .Add<Commands.Resume, Wire.JobOnly>("T:resume", m => ToWire(m.Job), w => new Commands.Resume(new JobId(w.Job)))
        .Add<Commands.Interrupt, Wire.JobOnly>("T:interrupt", m => ToWire(m.Job), w => new Commands.Interrupt(new JobId(w.Job)))
        .Add<Commands.Cancel, Wire.JobOnly>("T:cancel", m => ToWire(m.Job), w => new Commands.Cancel(new JobId(w.Job)))
        .Add<Commands.Nudge, Wire.JobOnly>("T:nudge", m => ToWire(m.Job), w => new Commands.Nudge(new JobId(w.Job)))
        .Add<Commands.Note, Wire.JobNote>(
            "T:note",
            m => new Wire.JobNote { Job = m.Job.Value, IsUnderWay = m.IsUnderWay, Summary = m.Summary is { } summary ? ToWire(summary) : null },
            w => new Commands.Note(new JobId(w.Job), w.IsUnderWay) { Summary = w.Summary is { } summary ? FromWire(summary) : null })
        .Add<Commands.Allocate, Wire.JobAllocate>(
            "T:allocate",
            m => new Wire.JobAllocate { Name = m.Name, Request = m.Request },
            w => new Commands.Allocate(w.Name) { Request = w.Request })
        .Add<Queries.GetDetails, Wire.JobOnly>("T:get-details", m => ToWire(m.Job), w => new Queries.GetDetails(new JobId(w.Job)))
        .Add<Queries.GetProgress, Wire.JobOnly>("T:get-progress", m => ToWire(m.Job), w => new Queries.GetProgress(new JobId(w.Job)))
        .Add<Queries.GetSummary, Wire.JobOnly>("T:get-summary", m => ToWire(m.Job), w => new Queries.GetSummary(new JobId(w.Job)))
        .Add<Queries.HasJob, Wire.JobOnly>("T:has-job", m => ToWire(m.Job), w => new Queries.HasJob(new JobId(w.Job)))
        .Add<Queries.ListJobs, Wire.JobList>("T:list", _ => new Wire.JobList(), _ => new Queries.ListJobs());

    private static CodecTable Replied(CodecTable table) => table
        .Add<Replies.Accepted, Wire.JobOnly>("T:accepted", m => ToWire(m.Job), w => new Replies.Accepted(new JobId(w.Job)))
        .Add<Replies.Refused, Wire.JobRefused>(
            "T:refused",
            m => new Wire.JobRefused { Job = m.Job.Value, Faults = { m.Faults.Select(WireParts.ToWire) } },
            w => new Replies.Refused(new JobId(w.Job), [.. w.Faults.Select(WireParts.FromWire)]))
        .Add<Replies.Allocated, Wire.JobOnly>("T:allocated", m => ToWire(m.Job), w => new Replies.Allocated(new JobId(w.Job)))
        .Add<Replies.Noted, Wire.JobNote>("T:noted", m => new Wire.JobNote { Job = m.Job.Value, IsUnderWay = m.IsUnderWay }, w => new Replies.Noted(new JobId(w.Job), w.IsUnderWay))
        .Add<Replies.Jobs, Wire.JobIds>(
            "T:jobs",
            m => new Wire.JobIds { Jobs = { m.Ids.Select(id => id.Value) }, AtRest = { m.AtRest.Select(ToWire) } },
            w => new Replies.Jobs([.. w.Jobs.Select(id => new JobId(id))]) { AtRest = [.. w.AtRest.Select(FromWire)] })
        .Add<Replies.Known, Wire.JobKnown>("T:known", m => new Wire.JobKnown { Job = m.Job.Value, IsKnown = m.IsKnown }, w => new Replies.Known(new JobId(w.Job), w.IsKnown))
        .Add<JobProgress, Wire.JobProgress>("T:progress", ToWire, FromWire)
        .Add<EpochRecord, Wire.Epoch>("T:epoch", ToWire, FromWire)
        .Add<EpochVisits, Wire.Visits>("T:visits", ToWire, FromWire)
        .Add<GenerationRecord, Wire.JobGenerationOpened>("T:generation-record", ToWire, FromWire)
        .Add<LossPoint, Wire.Loss>("T:loss", ToWire, FromWire)
        .Add<JobSummary, Wire.JobSummary>("T:summary", ToWire, FromWire)
        .Add<JobResult, Wire.JobResult>("T:result", ToWire, FromWire)
        .Add<JobDetails, Wire.JobDetails>(
            "T:details",
            m => new Wire.JobDetails
            {
                Summary = ToWire(m.Summary),
                Spec = JobSpecJson.Serialize(m.Spec),
                Progress = ToWire(m.Progress),
                Epochs = { m.Epochs.Select(ToWire) },
                Losses = { m.Losses.Select(ToWire) },
                CommittedCheckpoints = { m.CommittedCheckpoints },
                Result = m.Result is { } result ? ToWire(result) : null,
                Ledger = { m.Ledger.Select(ToWire) },
                Generations = { m.Generations.Select(ToWire) },
                Paces = { m.Paces.Select(ToWire) },
                LeftOut = { m.LeftOut.Select(ToWire) },
            },
            w => new JobDetails(
                FromWire(w.Summary),
                JobSpecJson.Deserialize(w.Spec),
                FromWire(w.Progress),
                [.. w.Epochs.Select(FromWire)],
                [.. w.Losses.Select(FromWire)],
                [.. w.CommittedCheckpoints],
                w.Result is { } result ? FromWire(result) : null)
            {
                Ledger = [.. w.Ledger.Select(FromWire)],
                Generations = [.. w.Generations.Select(FromWire)],
                Paces = [.. w.Paces.Select(FromWire)],
                LeftOut = [.. w.LeftOut.Select(FromWire)],
            });

    private static CodecTable Journalled(CodecTable table) => table
        .Add<Events.JobSubmitted, Wire.JobSubmitted>(
            "T:submitted",
            m => new Wire.JobSubmitted { Job = m.Job.Value, Spec = JobSpecJson.Serialize(m.Spec), Plan = m.Plan.ToWire(), At = m.At.ToWire() }.Traced(m.Trace),
            w => new Events.JobSubmitted(new JobId(w.Job), JobSpecJson.Deserialize(w.Spec), w.Plan.FromWire(), w.At.FromWire()) { Trace = w.TraceOf() })
        .Add<Events.GenerationOpened, Wire.JobGenerationOpened>(
            "T:generation",
            m => ToWire(new GenerationRecord(m.Generation, m.RestoreStep, m.Reason, m.At) { Step = m.Step }),
            w => new Events.GenerationOpened(new Generation(w.Generation), w.HasRestoreStep ? w.RestoreStep : null, w.Reason, w.At.FromWire()) { Step = w.HasStep ? w.Step : null })
        .Add<Events.CheckpointCommitted, Wire.JobCheckpointCommitted>(
            "T:committed",
            m =>
            {
                var wire = new Wire.JobCheckpointCommitted
                {
                    Step = m.Step,
                    Epochs = { m.Epochs.Select(ToWire) },
                    Losses = { m.Losses.Select(ToWire) },
                    EpochSoFar = m.EpochSoFar.ToWire(),
                    TrainingTicks = m.Training.Ticks,
                    Kept = { m.Kept },
                    Ledger = { m.Ledger.Select(ToWire) },
                    Paces = { m.Paces.Select(ToWire) },
                };
                if (m.MaxStaleness is { } staleness)
                    wire.MaxStaleness = staleness;
                return wire;
            },
            w => new Events.CheckpointCommitted(
                w.Step, [.. w.Epochs.Select(FromWire)], [.. w.Losses.Select(FromWire)], w.EpochSoFar.FromWire(), new TimeSpan(w.TrainingTicks), [.. w.Kept])
            {
                Ledger = [.. w.Ledger.Select(FromWire)],
                MaxStaleness = w.HasMaxStaleness ? w.MaxStaleness : null,
                Paces = [.. w.Paces.Select(FromWire)],
            })
        .Add<Events.VersionReserved, Wire.JobVersionReserved>(
            "T:reserved", m => new Wire.JobVersionReserved { Version = m.Version.ToWire() }, w => new Events.VersionReserved(w.Version.FromWire()))
        .Add<Events.VersionHandedOver, Wire.JobVersionHandedOver>(
            "T:handed-over",
            m => new Wire.JobVersionHandedOver { Version = m.Version.ToWire(), Step = m.Step, WeightsSha256 = m.WeightsSha256, Metrics = m.Metrics.ToWire() },
            w => new Events.VersionHandedOver(w.Version.FromWire(), w.Step, w.WeightsSha256, w.Metrics.FromWire()))
        .Add<Events.JobInterrupted, Wire.JobInterrupted>(
            "T:interrupted", m => new Wire.JobInterrupted { At = m.At.ToWire() }, w => new Events.JobInterrupted(w.At.FromWire()))
        .Add<Events.JobCompleted, Wire.JobCompleted>(
            "T:completed",
            m => new Wire.JobCompleted
            {
                Result = ToWire(m.Result),
                Epochs = { m.Epochs.Select(ToWire) },
                Losses = { m.Losses.Select(ToWire) },
                At = m.At.ToWire(),
                Ledger = { m.Ledger.Select(ToWire) },
                Paces = { m.Paces.Select(ToWire) },
            },
            w => new Events.JobCompleted(FromWire(w.Result), [.. w.Epochs.Select(FromWire)], [.. w.Losses.Select(FromWire)], w.At.FromWire())
            {
                Ledger = [.. w.Ledger.Select(FromWire)],
                Paces = [.. w.Paces.Select(FromWire)],
            })
        .Add<Events.JobEnded, Wire.JobEnded>(
            "T:ended",
            m =>
            {
                var wire = new Wire.JobEnded { Status = Statuses.ToWire(m.Status), At = m.At.ToWire() };
                if (m.Failure is { } failure)
                    wire.Failure = failure;
                return wire;
            },
            w => new Events.JobEnded(Statuses.FromWire(w.Status), w.HasFailure ? w.Failure : null, w.At.FromWire()))
        .Add<Events.JobAllocated, Wire.JobAllocated>(
            "T:id-given",
            m => new Wire.JobAllocated { Job = m.Job.Value, At = m.At.ToWire(), Request = m.Request },
            w => new Events.JobAllocated(new JobId(w.Job), w.At.FromWire()) { Request = w.Request })
        .Add<Events.JobNoted, Wire.JobNoted>(
            "T:job-noted",
            m => new Wire.JobNoted { Job = m.Job.Value, IsUnderWay = m.IsUnderWay, At = m.At.ToWire(), Summary = m.Summary is { } summary ? ToWire(summary) : null },
            w => new Events.JobNoted(new JobId(w.Job), w.IsUnderWay, w.At.FromWire()) { Summary = w.Summary is { } summary ? FromWire(summary) : null });

    private static Wire.JobOnly ToWire(JobId job) => new() { Job = job.Value };

    private static Wire.Epoch ToWire(EpochRecord epoch)
    {
        var wire = new Wire.Epoch { Epoch_ = epoch.Epoch, Step = epoch.Step, TrainingLoss = epoch.TrainingLoss, IsBest = epoch.IsBest };
        wire.Validation.Fill(epoch.Validation);
        return wire;
    }

    private static EpochRecord FromWire(Wire.Epoch epoch) => new(epoch.Epoch_, epoch.Step, epoch.TrainingLoss, epoch.Validation.FromWire(), epoch.IsBest);

    private static Wire.Visits ToWire(EpochVisits visits) => new()
    {
        Epoch = visits.Epoch,
        Step = visits.Step,
        Samples = visits.Samples,
        Expected = visits.Expected,
        IsEqual = visits.IsEqual,
    };

    private static EpochVisits FromWire(Wire.Visits visits) => new(visits.Epoch, visits.Step, visits.Samples, visits.Expected, visits.IsEqual);

    private static Wire.JobGenerationOpened ToWire(GenerationRecord generation)
    {
        var wire = new Wire.JobGenerationOpened { Generation = generation.Generation.Number, Reason = generation.Reason, At = generation.At.ToWire() };
        if (generation.RestoreStep is { } step)
            wire.RestoreStep = step;
        if (generation.Step is { } done)
            wire.Step = done;
        return wire;
    }

    private static GenerationRecord FromWire(Wire.JobGenerationOpened wire) =>
        new(new Generation(wire.Generation), wire.HasRestoreStep ? wire.RestoreStep : null, wire.Reason, wire.At.FromWire()) { Step = wire.HasStep ? wire.Step : null };

    private static Wire.NodeLeftOut ToWire(NodeLeftOut node) => new() { Node = node.Node, Reason = node.Reason };

    private static NodeLeftOut FromWire(Wire.NodeLeftOut wire) => new(wire.Node, wire.Reason);

    private static Wire.Loss ToWire(LossPoint point) => new() { Step = point.Step, Loss_ = point.Loss };

    private static LossPoint FromWire(Wire.Loss loss) => new(loss.Step, loss.Loss_);

    private static Wire.Pace ToWire(PacePoint point)
    {
        var wire = new Wire.Pace { Step = point.Step, SamplesPerSecond = point.SamplesPerSecond };
        if (point.MaxStaleness is { } staleness)
            wire.MaxStaleness = staleness;
        return wire;
    }

    private static PacePoint FromWire(Wire.Pace pace) => new(pace.Step, pace.SamplesPerSecond, pace.HasMaxStaleness ? pace.MaxStaleness : null);

    private static Wire.JobResult ToWire(JobResult result)
    {
        var wire = new Wire.JobResult
        {
            Version = result.Version.ToWire(),
            Steps = result.Steps,
            Epochs = result.Epochs,
            SamplesPerSecond = result.SamplesPerSecond,
            WeightsSha256 = result.WeightsSha256,
            SelectedStep = result.SelectedStep,
            Metrics = result.Metrics.ToWire(),
        };
        if (result.MaxStaleness is { } staleness)
            wire.MaxStaleness = staleness;
        return wire;
    }

    private static JobResult FromWire(Wire.JobResult result) => new(
        result.Version.FromWire(), result.Steps, result.Epochs, result.SamplesPerSecond, result.WeightsSha256, result.SelectedStep, result.Metrics.FromWire())
    {
        MaxStaleness = result.HasMaxStaleness ? result.MaxStaleness : null,
    };

    private static Wire.JobProgress ToWire(JobProgress progress)
    {
        var wire = new Wire.JobProgress
        {
            Job = progress.Job.Value,
            Status = Statuses.ToWire(progress.Status),
            Step = progress.Step,
            TotalSteps = progress.TotalSteps,
            Epoch = progress.Epoch,
            TotalEpochs = progress.TotalEpochs,
            SamplesPerSecond = progress.SamplesPerSecond,
            LatestEpoch = progress.LatestEpoch is { } latest ? ToWire(latest) : null,
        };
        if (progress.TrainingLoss is { } loss)
            wire.TrainingLoss = loss;
        if (progress.Failure is { } failure)
            wire.Failure = failure;
        if (progress.MaxStaleness is { } staleness)
            wire.MaxStaleness = staleness;
        return wire;
    }

    private static JobProgress FromWire(Wire.JobProgress progress) => new(
        new JobId(progress.Job),
        Statuses.FromWire(progress.Status),
        progress.Step,
        progress.TotalSteps,
        progress.Epoch,
        progress.TotalEpochs,
        progress.HasTrainingLoss ? progress.TrainingLoss : null,
        progress.SamplesPerSecond,
        progress.LatestEpoch is { } latest ? FromWire(latest) : null,
        progress.HasFailure ? progress.Failure : null)
    {
        MaxStaleness = progress.HasMaxStaleness ? progress.MaxStaleness : null,
    };

    private static Wire.JobSummary ToWire(JobSummary summary) => new()
    {
        Job = summary.Job.Value,
        Status = Statuses.ToWire(summary.Status),
        Step = summary.Step,
        TotalSteps = summary.TotalSteps,
        Submitted = summary.Submitted.ToWire(),
        Version = summary.Version is { } version ? version.ToWire() : null,
    };

    private static JobSummary FromWire(Wire.JobSummary summary) => new(
        new JobId(summary.Job),
        Statuses.FromWire(summary.Status),
        summary.Step,
        summary.TotalSteps,
        summary.Submitted.FromWire(),
        summary.Version is { } version ? version.FromWire() : null);
}
