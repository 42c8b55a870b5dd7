using Akka.Actor;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Workers;

/// <summary>What a node's worker host and its workers understand.</summary>
public static class WorkerProtocol
{
    /// <summary>Every message that concerns one job's workers.</summary>
    public interface IWorkerMessage
    {
        /// <summary>The job.</summary>
        JobId Job { get; }
    }

    /// <summary>The three parts of a job's data.</summary>
    public enum DataPart
    {
        /// <summary>What gradients are computed on.</summary>
        Training,

        /// <summary>What choices are made on.</summary>
        Validation,

        /// <summary>What is looked at once, at the end.</summary>
        Test,
    }

    /// <summary>What a host or a worker is asked to do.</summary>
    public static class Commands
    {
        /// <summary>To a host: check a job's data and model, fit its preparation. Answered by <see cref="Replies.Prepared"/> or <see cref="Replies.Rejected"/>.</summary>
        public sealed record Prepare(JobSpec Spec);

        /// <summary>To a host: start workers for a job. Each answers <see cref="Replies.Enlisted"/> to the sender once its data and model are ready.</summary>
        /// <param name="Job">the job</param>
        /// <param name="Spec">what it is</param>
        /// <param name="Plan">what was fitted when it was prepared</param>
        /// <param name="Count">how many workers</param>
        public sealed record Enlist(JobId Job, JobSpec Spec, JobPlan Plan, int Count) : IWorkerMessage;

        /// <summary>To a worker: take part in a generation, from <paramref name="Step"/> up to <paramref name="Until"/>.</summary>
        /// <param name="Job">the job</param>
        /// <param name="Generation">the generation</param>
        /// <param name="Step">the version to start from; the worker pulls it if it does not have it</param>
        /// <param name="Until">the version to stop at and answer <see cref="Replies.Reached"/></param>
        /// <param name="Nodes">what it computes of each step</param>
        /// <param name="Shards">where the weights are, by shard index</param>
        public sealed record Assign(JobId Job, Generation Generation, long Step, long Until, IReadOnlyList<TreeNode> Nodes, IReadOnlyList<IActorRef> Shards) : IWorkerMessage, ITraced
        {
            /// <summary>Which of the backup workers it is, from 0; null for one that has nodes of its own.</summary>
            public int? Backup { get; init; }

            /// <summary>What it computes of the generation's first step alone, since the shards have the rest from before; null for <see cref="Nodes"/>. With none it awaits what others compute.</summary>
            public IReadOnlyList<TreeNode>? FirstNodes { get; init; }

            /// <inheritdoc/>
            public string? Trace { get; init; }
        }

        /// <summary>To a worker that stands at its bound: go on to the next.</summary>
        public sealed record Continue(JobId Job, Generation Generation, long Until) : IWorkerMessage, ITraced
        {
            /// <inheritdoc/>
            public string? Trace { get; init; }
        }

        /// <summary>
        /// To one worker: stop before the next step, which stops all, and answer <see cref="Replies.Reached"/>. Where others can go on without it (asynchronous training, backup workers) to all of them: go no further
        /// than the step at hand, and answer <see cref="Replies.Held"/>; a <see cref="Continue"/> to the furthest then leads all to one version.
        /// </summary>
        public sealed record Hold(JobId Job, Generation Generation) : IWorkerMessage;

        /// <summary>To a worker that stands, or waits for others at <paramref name="Version"/>: give the shards what the codec had lost of its slices there.</summary>
        public sealed record SendResiduals(JobId Job, Generation Generation, long Version) : IWorkerMessage;

        /// <summary>To a worker while no step runs: evaluate chunks of a part. Answered by <see cref="Replies.Evaluated"/>.</summary>
        /// <param name="Job">the job</param>
        /// <param name="Generation">the generation</param>
        /// <param name="Selection">with which weights</param>
        /// <param name="Part">on which part</param>
        /// <param name="FirstChunk">the first chunk</param>
        /// <param name="Chunks">how many</param>
        public sealed record Evaluate(
            JobId Job, Generation Generation, ParameterProtocol.WeightsSelection Selection, DataPart Part, int FirstChunk, int Chunks) : IWorkerMessage;

        /// <summary>To a worker while no step runs: the digest of the selected weights. Answered by <see cref="Replies.Digested"/>.</summary>
        public sealed record Digest(JobId Job, Generation Generation, ParameterProtocol.WeightsSelection Selection) : IWorkerMessage;

        /// <summary>To a host: stop the job's workers.</summary>
        public sealed record Dismiss(JobId Job) : IWorkerMessage;

        /// <summary>To one worker: it is not needed any more; stop.</summary>
        public sealed record Release(JobId Job) : IWorkerMessage;

        /// <summary>To the host of its own node, which is about to go: take no more work, tell who asked before, and answer <see cref="Replies.Left"/> once coordinators have let all workers go.</summary>
        public sealed record Leave : INoSerializationVerificationNeeded;
    }

    /// <summary>What a host is asked.</summary>
    public static class Queries
    {
        /// <summary>How many workers it can have; also asked to see whether it is there. Answered by <see cref="Replies.Capacity"/>, now and whenever that changes.</summary>
        public sealed record GetCapacity;

        /// <summary>To a host: what kind of processor its node has, see <c>ProcessorTrial</c>. Answered by <see cref="Replies.Trial"/>.</summary>
        public sealed record GetTrial;
    }

    /// <summary>What a host or a worker answers.</summary>
    public static class Replies
    {
        /// <summary>The job can be trained.</summary>
        public sealed record Prepared(JobPlan Plan);

        /// <summary>The job can't be trained; nothing was stored.</summary>
        public sealed record Rejected(IReadOnlyList<Fault> Faults)
        {
            /// <summary>Whether it is the node that can't: the data are not there, or a library. Another one may.</summary>
            public bool IsOfNode { get; init; }
        }

        /// <summary>What a node can have.</summary>
        /// <param name="Workers">the most workers of one job; 0 while it leaves</param>
        /// <param name="ThreadsPerWorker">the most torch threads of one</param>
        public sealed record Capacity(int Workers, int ThreadsPerWorker);

        /// <summary>Nodes that say the same are of one kind.</summary>
        /// <param name="Sha256">lower-case hexadecimal; empty where it can't be told</param>
        public sealed record Trial(string Sha256);

        /// <summary>The host has no workers any more.</summary>
        public sealed record Left : INoSerializationVerificationNeeded;

        /// <summary>A worker is ready. The sender is the worker.</summary>
        public sealed record Enlisted(JobId Job) : IWorkerMessage;

        /// <summary>A worker stands at a version and computes nothing.</summary>
        public sealed record Reached(JobId Job, Generation Generation, long Version) : IWorkerMessage;

        /// <summary>A worker goes no further than a version, whatever the others do.</summary>
        public sealed record Held(JobId Job, Generation Generation, long Version) : IWorkerMessage;

        /// <summary>The metrics of some chunks, as <c>MetricAccumulator.ToBytes</c> gives them.</summary>
        public sealed record Evaluated(
            JobId Job, Generation Generation, ParameterProtocol.WeightsSelection Selection, DataPart Part, int FirstChunk, int Chunks, ReadOnlyMemory<byte> Metrics) : IWorkerMessage;

        /// <summary>The digest of the selected weights.</summary>
        /// <param name="Job">the job</param>
        /// <param name="Generation">the generation</param>
        /// <param name="Sha256">lower-case hexadecimal, over little-endian float32 in the layout's order</param>
        /// <param name="AllFinite">whether no weight is NaN or infinite</param>
        public sealed record Digested(JobId Job, Generation Generation, string Sha256, bool AllFinite) : IWorkerMessage;

        /// <summary>A worker could not compute; repeating would not help. Of no generation: it could not even start, which another node may.</summary>
        public sealed record WorkFailed(JobId Job, Generation Generation, string Reason) : IWorkerMessage
        {
            /// <summary>What a log may say where <see cref="Reason"/> may tell of the data; null where it does not.</summary>
            public string? Loggable { get; init; }
        }
    }

    /// <summary>What was found and fitted when a job was prepared; stored with the job, so that every worker and every resumption does the same.</summary>
    /// <param name="Layout">of the model's parameters</param>
    /// <param name="TrainingSamples">in the training part</param>
    /// <param name="ValidationSamples">in the validation part</param>
    /// <param name="TestSamples">in the test part</param>
    /// <param name="PreparationJson">the fitted preparation</param>
    /// <param name="DataFingerprint">of the prepared data: a worker whose data differs refuses to work</param>
    public sealed record JobPlan(
        ParameterLayout Layout, int TrainingSamples, int ValidationSamples, int TestSamples, string PreparationJson, string DataFingerprint)
    {
        /// <summary>Of the job's trial gradient where it was prepared: a worker that computes other bits refuses to work. Null for asynchronous training and jobs of older versions: any worker takes them.</summary>
        public string? Arithmetic { get; init; }
    }
}
