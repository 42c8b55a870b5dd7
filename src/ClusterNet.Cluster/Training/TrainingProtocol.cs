using Akka.Actor;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Training;

/// <summary>What a job's coordinator, and the directory of jobs, understand.</summary>
public static class TrainingProtocol
{
    /// <summary>Every message that concerns one job: sharding and serialization bind to this.</summary>
    public interface IJobMessage
    {
        /// <summary>The job.</summary>
        JobId Job { get; }
    }

    /// <summary>What a coordinator is asked to do.</summary>
    public static class Commands
    {
        /// <summary>Start a new job. Answered by <see cref="Replies.Accepted"/> once it is journalled.</summary>
        public sealed record Submit(JobId Job, JobSpec Spec, WorkerProtocol.JobPlan Plan) : IJobMessage, ITraced
        {
            /// <inheritdoc/>
            public string? Trace { get; init; }
        }

        /// <summary>Go on from the last committed checkpoint. Answered by <see cref="Replies.Accepted"/> or <see cref="Replies.Refused"/>.</summary>
        public sealed record Resume(JobId Job) : IJobMessage;

        /// <summary>Checkpoint and stop. Answered by <see cref="Replies.Accepted"/> once the checkpoint is committed.</summary>
        public sealed record Interrupt(JobId Job) : IJobMessage;

        /// <summary>End without a model. Answered by <see cref="Replies.Accepted"/>.</summary>
        public sealed record Cancel(JobId Job) : IJobMessage;

        /// <summary>From the directory: go on where the job was under way when its coordinator died. Where it is at rest, the coordinator says so with <see cref="Note"/>.</summary>
        public sealed record Nudge(JobId Job) : IJobMessage;

        /// <summary>From a coordinator to the directory: whether the job is under way, and must be nudged should its coordinator die. Answered by <see cref="Replies.Noted"/>.</summary>
        public sealed record Note(JobId Job, bool IsUnderWay) : IJobMessage
        {
            /// <summary>Of a job at rest: what lists say of it, so that nobody has to wake its coordinator.</summary>
            public JobSummary? Summary { get; init; }
        }

        /// <summary>From Cluster.Sharding, on the coordinator's node: it moves elsewhere.</summary>
        public sealed record HandOff : INoSerializationVerificationNeeded
        {
            /// <summary>The one.</summary>
            public static HandOff Instance { get; } = new();
        }

        /// <summary>To the directory: a free id for a job of this name. Answered by <see cref="Replies.Allocated"/>.</summary>
        public sealed record Allocate(string Name)
        {
            /// <summary>Drawn by who asks: for the same request the same id is given, however often it is asked for. Empty: each time another.</summary>
            public string Request { get; init; } = string.Empty;
        }
    }

    /// <summary>What a coordinator or the directory is asked.</summary>
    public static class Queries
    {
        /// <summary>Answered by <see cref="JobDetails"/> or <see cref="Replies.Refused"/>.</summary>
        public sealed record GetDetails(JobId Job) : IJobMessage;

        /// <summary>Answered by <see cref="JobProgress"/> or <see cref="Replies.Refused"/>.</summary>
        public sealed record GetProgress(JobId Job) : IJobMessage;

        /// <summary>Answered by <see cref="JobSummary"/> or <see cref="Replies.Refused"/>.</summary>
        public sealed record GetSummary(JobId Job) : IJobMessage;

        /// <summary>To the directory: answered by <see cref="Replies.Jobs"/>.</summary>
        public sealed record ListJobs;

        /// <summary>To the directory: answered by <see cref="Replies.Known"/>.</summary>
        public sealed record HasJob(JobId Job);
    }

    /// <summary>What they answer.</summary>
    public static class Replies
    {
        /// <summary>Done.</summary>
        public sealed record Accepted(JobId Job) : IJobMessage;

        /// <summary>Not done; the job is as it was.</summary>
        public sealed record Refused(JobId Job, IReadOnlyList<Fault> Faults) : IJobMessage;

        /// <summary>An id that no other job has or had.</summary>
        public sealed record Allocated(JobId Job) : IJobMessage;

        /// <summary>The directory knows.</summary>
        public sealed record Noted(JobId Job, bool IsUnderWay) : IJobMessage;

        /// <summary>All jobs, the newest last.</summary>
        public sealed record Jobs(IReadOnlyList<JobId> Ids)
        {
            /// <summary>Of those at rest that have said what they came to, in the same order; the others are to be asked.</summary>
            public IReadOnlyList<JobSummary> AtRest { get; init; } = [];
        }

        /// <summary>Whether there is such a job.</summary>
        public sealed record Known(JobId Job, bool IsKnown);
    }

    /// <summary>What a coordinator or the directory journals.</summary>
    public static class Events
    {
        /// <summary>What a job is.</summary>
        public sealed record JobSubmitted(JobId Job, JobSpec Spec, WorkerProtocol.JobPlan Plan, DateTimeOffset At) : ITraced
        {
            /// <summary>The traceparent of its submission: whatever becomes of the job later belongs to that trace.</summary>
            public string? Trace { get; init; }
        }

        /// <summary>Another plan of who computes what.</summary>
        /// <param name="Generation">its number</param>
        /// <param name="RestoreStep">the checkpoint that all go back to; null where none had to</param>
        /// <param name="Reason">why, for people</param>
        /// <param name="At">when</param>
        public sealed record GenerationOpened(Generation Generation, long? RestoreStep, string Reason, DateTimeOffset At)
        {
            /// <summary>Steps that were done then; null where it was not recorded.</summary>
            public long? Step { get; init; }
        }

        /// <summary>All shards have saved the state of a step. It carries the history up to that step, so that going back to it goes back in history too.</summary>
        /// <param name="Step">the version saved</param>
        /// <param name="Epochs">evaluated since the last commit and before <paramref name="Step"/></param>
        /// <param name="Losses">of steps since the last commit</param>
        /// <param name="EpochSoFar">sums over the steps of the epoch that <paramref name="Step"/> is in, up to there</param>
        /// <param name="Training">time spent computing steps so far</param>
        /// <param name="Kept">the checkpoints that are kept, this one last</param>
        public sealed record CheckpointCommitted(
            long Step, IReadOnlyList<EpochRecord> Epochs, IReadOnlyList<LossPoint> Losses, StepStatistics EpochSoFar, TimeSpan Training, IReadOnlyList<long> Kept)
        {
            /// <summary>Visits of the epochs that ended since the last commit.</summary>
            public IReadOnlyList<EpochVisits> Ledger { get; init; } = [];

            /// <summary>Asynchronous training: the most steps that a gradient was behind so far.</summary>
            public long? MaxStaleness { get; init; }

            /// <summary>How fast it went since the last commit.</summary>
            public IReadOnlyList<PacePoint> Paces { get; init; } = [];
        }

        /// <summary>The number that the job's model version will have.</summary>
        public sealed record VersionReserved(ModelVersionId Version);

        /// <summary>The best weights so far are registered and labelled, while the job goes on.</summary>
        /// <param name="Version">what they are called</param>
        /// <param name="Step">at which they were</param>
        /// <param name="WeightsSha256">of the weights</param>
        /// <param name="Metrics">by part and metric</param>
        public sealed record VersionHandedOver(ModelVersionId Version, long Step, string WeightsSha256, IReadOnlyDictionary<string, IReadOnlyDictionary<string, double>> Metrics);

        /// <summary>Stopped, ready to be resumed.</summary>
        public sealed record JobInterrupted(DateTimeOffset At);

        /// <summary>Over: the version is registered. Carries the history since the last commit.</summary>
        public sealed record JobCompleted(JobResult Result, IReadOnlyList<EpochRecord> Epochs, IReadOnlyList<LossPoint> Losses, DateTimeOffset At)
        {
            /// <summary>Visits of the epochs that ended since the last commit.</summary>
            public IReadOnlyList<EpochVisits> Ledger { get; init; } = [];

            /// <summary>How fast it went since the last commit.</summary>
            public IReadOnlyList<PacePoint> Paces { get; init; } = [];
        }

        /// <summary>Over without a model.</summary>
        public sealed record JobEnded(JobStatus Status, string? Failure, DateTimeOffset At);

        /// <summary>Of the directory: an id was given out.</summary>
        public sealed record JobAllocated(JobId Job, DateTimeOffset At)
        {
            /// <summary>As asked for; empty where the request had no name.</summary>
            public string Request { get; init; } = string.Empty;
        }

        /// <summary>Of the directory: a job is under way, or at rest.</summary>
        public sealed record JobNoted(JobId Job, bool IsUnderWay, DateTimeOffset At)
        {
            /// <summary>Of a job at rest; null where it did not say.</summary>
            public JobSummary? Summary { get; init; }
        }
    }
}
