using Akka.Actor;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Parameters;

/// <summary>
/// What a parameter shard understands. A shard holds one run of a job's weights as <i>version</i> v: the weights after v steps. The life of a step: every worker pushes the tree
/// nodes it computed, the shard adds them, updates its weights, and answers each pusher with the new version. Where workers do not wait for each other (ssp, asp) a shard applies each push by itself, its version
/// is the number of steps that are complete, and shard 0's answers say what to compute next.
/// </summary>
public static class ParameterProtocol
{
    /// <summary>Every message that concerns one shard of one job: sharding and serialization bind to this.</summary>
    public interface IShardMessage
    {
        /// <summary>The shard.</summary>
        ShardId Shard { get; }
    }

    /// <summary>Which weights of a shard are meant.</summary>
    public enum WeightsSelection
    {
        /// <summary>The latest version.</summary>
        Current,

        /// <summary>Those last marked as best; the latest where none were.</summary>
        Best,
    }

    /// <summary>What others ask a shard to do.</summary>
    public static class Commands
    {
        /// <summary>
        /// From the coordinator, by sharding: enter a generation. The shard goes back to the checkpoint of step <paramref name="RestoreStep"/> (0: the initial weights), or keeps what it has where that is null,
        /// and answers <see cref="Replies.Opened"/>.
        /// </summary>
        /// <param name="Shard">the shard</param>
        /// <param name="Generation">the generation to enter</param>
        /// <param name="Setup">what the shard is made of</param>
        /// <param name="RestoreStep">a committed checkpoint, 0, or null</param>
        /// <param name="WeightsSource">a worker, which answers <see cref="Queries.PullInitial"/></param>
        public sealed record Open(ShardId Shard, Generation Generation, ShardSetup Setup, long? RestoreStep, IActorRef WeightsSource) : IShardMessage, ITraced
        {
            /// <inheritdoc/>
            public string? Trace { get; init; }
        }

        /// <summary>From a worker: the sum of the slice gradients below a tree node. Answered by <see cref="Replies.Pulled"/> with version <paramref name="Step"/> + 1, or <see cref="Replies.Refused"/>.</summary>
        /// <param name="Shard">the shard</param>
        /// <param name="Generation">the generation the worker is in</param>
        /// <param name="Step">the version of the weights it was computed with</param>
        /// <param name="Node">the node of the reduction tree that <paramref name="Gradient"/> is the sum of</param>
        /// <param name="Gradient">as many values as the shard has parameters, or the words that the job's codec makes of them</param>
        /// <param name="Statistics">added along</param>
        public sealed record Push(ShardId Shard, Generation Generation, long Step, TreeNode Node, TensorPayload Gradient, StepStatistics Statistics) : IShardMessage, ITraced
        {
            /// <summary>How the gradient is written; that of the job, or it is refused.</summary>
            public GradientCodec Codec { get; init; }

            /// <summary>Asynchronous training: the version of this shard's weights that it was computed with; null where that is the step.</summary>
            public long? Basis { get; init; }

            /// <summary>Whether it comes from a backup worker.</summary>
            public bool IsCopy { get; init; }

            /// <inheritdoc/>
            public string? Trace { get; init; }
        }

        /// <summary>
        /// From a worker whose codec loses something, in front of the push that makes a version due for a checkpoint, or because the coordinator asked: what the codec has lost of a slice so far. Not answered.
        /// </summary>
        /// <param name="Shard">the shard</param>
        /// <param name="Generation">the generation the worker is in</param>
        /// <param name="Version">of the weights that the slice's next gradient is computed with</param>
        /// <param name="Slice">the slice</param>
        /// <param name="Residual">as many values as the shard has parameters</param>
        public sealed record KeepResidual(ShardId Shard, Generation Generation, long Version, int Slice, TensorPayload Residual) : IShardMessage;

        /// <summary>From another shard of the job: its partial sums for a round of norms within a step. Repeated until the sender has all it needs itself.</summary>
        /// <param name="Shard">who it is for</param>
        /// <param name="From">the index of the shard it comes from</param>
        /// <param name="Step">the step</param>
        /// <param name="Round">0 and up within the step</param>
        /// <param name="Partials">see <c>ShardUpdater.Partials</c></param>
        /// <param name="IsAnswer">whether it was sent to a shard that lags, because that one asked; an answer is not answered</param>
        public sealed record ShareNorms(ShardId Shard, int From, long Step, int Round, double[] Partials, bool IsAnswer) : IShardMessage;

        /// <summary>From the coordinator, once all shards have opened: where the others are, for norms.</summary>
        public sealed record Meet(ShardId Shard, Generation Generation, IReadOnlyList<IActorRef> Shards) : IShardMessage;

        /// <summary>From the coordinator, while no step runs: the weights of <paramref name="Step"/> are the best so far. Answered by <see cref="Replies.BestMarked"/>.</summary>
        public sealed record MarkBest(ShardId Shard, Generation Generation, long Step) : IShardMessage;

        /// <summary>From the coordinator, while no step runs: save the state now, beside what the schedule saves. Answered like a scheduled one.</summary>
        public sealed record TakeCheckpoint(ShardId Shard, Generation Generation, long Step) : IShardMessage;

        /// <summary>From the coordinator: these checkpoints are committed and kept; what is older than the first of them can go.</summary>
        public sealed record KeepCheckpoints(ShardId Shard, Generation Generation, IReadOnlyList<long> Steps) : IShardMessage;

        /// <summary>From the coordinator: write the selected weights to the store as part of a model version. Answered by <see cref="Replies.Published"/>.</summary>
        public sealed record Publish(ShardId Shard, Generation Generation, ModelVersionId Version, WeightsSelection Selection) : IShardMessage;

        /// <summary>From the coordinator, to a shard that is <see cref="Replies.Leaving"/>: nothing is lost that could be saved.</summary>
        public sealed record Go(ShardId Shard) : IShardMessage;

        /// <summary>From Cluster.Sharding, on the shard's node: it moves elsewhere.</summary>
        public sealed record HandOff : INoSerializationVerificationNeeded
        {
            /// <summary>The one.</summary>
            public static HandOff Instance { get; } = new();
        }

        /// <summary>From the coordinator: the job is over here; stop.</summary>
        /// <param name="Shard">the shard</param>
        /// <param name="Generation">the last generation</param>
        /// <param name="DeleteCheckpoints">whether its checkpoints go too</param>
        public sealed record Close(ShardId Shard, Generation Generation, bool DeleteCheckpoints) : IShardMessage;
    }

    /// <summary>What others ask a shard, and a shard asks others.</summary>
    public static class Queries
    {
        /// <summary>
        /// From a worker: the weights of a version, the latest or the one before, or the next when it comes. Asynchronous training: weights that suffice for a gradient of that step; of shard 0, something to
        /// compute as well. Answered by <see cref="Replies.Pulled"/> or <see cref="Replies.Refused"/>.
        /// </summary>
        public sealed record Pull(ShardId Shard, Generation Generation, long Version) : IShardMessage;

        /// <summary>From a worker, in a generation that went back to a checkpoint: what the codec had lost of a slice. Answered by <see cref="Replies.ResidualKept"/> or <see cref="Replies.Refused"/>.</summary>
        public sealed record PullResidual(ShardId Shard, Generation Generation, long Version, int Slice) : IShardMessage;

        /// <summary>From a worker, while no step runs: the selected weights. Answered by <see cref="Replies.Pulled"/>.</summary>
        public sealed record PullSelected(ShardId Shard, Generation Generation, WeightsSelection Selection) : IShardMessage;

        /// <summary>From a shard to a worker: the initial weights of its run. Answered by <see cref="Replies.Pulled"/> with version 0.</summary>
        public sealed record PullInitial(ShardId Shard, Generation Generation, ShardRange Range) : IShardMessage;
    }

    /// <summary>What a shard answers.</summary>
    public static class Replies
    {
        /// <summary>To the coordinator: in the generation, at this version. The sender is the shard itself.</summary>
        public sealed record Opened(ShardId Shard, Generation Generation, long Version) : IShardMessage
        {
            /// <summary>The slices that the step at hand still lacks here, the lowest first; null for all.</summary>
            public IReadOnlyList<int>? MissingSlices { get; init; }
        }

        /// <summary>To the coordinator: the shard is to move to another node; it goes once it is let go with <see cref="Commands.Go"/>, or after a while by itself.</summary>
        public sealed record Leaving(ShardId Shard, Generation Generation) : IShardMessage;

        /// <summary>To the coordinator: the checkpoint it was to go back to is not there, or damaged.</summary>
        public sealed record OpenFailed(ShardId Shard, Generation Generation, long RestoreStep, string Reason) : IShardMessage;

        /// <summary>To a worker: weights.</summary>
        /// <param name="Shard">whose</param>
        /// <param name="Generation">of the shard</param>
        /// <param name="Version">steps they have seen</param>
        /// <param name="Weights">as many values as the shard has parameters, or the words that the job's codec for pulls makes of them</param>
        public sealed record Pulled(ShardId Shard, Generation Generation, long Version, TensorPayload Weights) : IShardMessage
        {
            /// <summary>How the weights are written.</summary>
            public WeightCodec Codec { get; init; }

            /// <summary>Whether it answers <see cref="Queries.PullSelected"/>.</summary>
            public bool IsSelected { get; init; }

            /// <summary>Asynchronous training, in answer to a push: what was pushed and is applied now.</summary>
            public WorkItem? Applied { get; init; }

            /// <summary>Asynchronous training, from shard 0: what to compute next. A step at or behind the worker's bound is kept for when it may go on.</summary>
            public WorkItem? Claim { get; init; }

            /// <summary>From shard 0 of a job with backup workers: the nodes of the step before that came late, one for each backup.</summary>
            public IReadOnlyList<TreeNode> Late { get; init; } = [];
        }

        /// <summary>To a worker: what the codec had lost of a slice; no values where that is nothing.</summary>
        public sealed record ResidualKept(ShardId Shard, Generation Generation, long Version, int Slice, TensorPayload Residual) : IShardMessage;

        /// <summary>To a worker: not done, and why.</summary>
        public sealed record Refused(ShardId Shard, Generation Generation, long Step, RefusalReason Reason) : IShardMessage;

        /// <summary>To the coordinator: the best weights are those of this step.</summary>
        public sealed record BestMarked(ShardId Shard, Generation Generation, long Step) : IShardMessage;

        /// <summary>To the coordinator: its part of a checkpoint is in the store.</summary>
        public sealed record CheckpointSaved(ShardId Shard, Generation Generation, long Step) : IShardMessage;

        /// <summary>To the coordinator: its part of a checkpoint is not in the store.</summary>
        public sealed record CheckpointFailed(ShardId Shard, Generation Generation, long Step, string Reason) : IShardMessage;

        /// <summary>To the coordinator: its part of a model version is in the store.</summary>
        /// <param name="Shard">whose</param>
        /// <param name="Generation">of the shard</param>
        /// <param name="Parts">the runs it wrote, in order</param>
        public sealed record Published(ShardId Shard, Generation Generation, IReadOnlyList<ShardRange> Parts) : IShardMessage;

        /// <summary>To the coordinator: its part of a model version could not be written.</summary>
        public sealed record PublishFailed(ShardId Shard, Generation Generation, string Reason) : IShardMessage;

        /// <summary>
        /// To the coordinator, from shard 0, a few times a second, at the end of an epoch, and before whatever else it tells the coordinator: the statistics of the steps since the last report.
        /// </summary>
        /// <param name="Shard">shard 0</param>
        /// <param name="Generation">of the shard</param>
        /// <param name="FirstStep">the step, from 0, of the first loss</param>
        /// <param name="Statistics">of each step, in order</param>
        public sealed record StepsDone(ShardId Shard, Generation Generation, long FirstStep, IReadOnlyList<StepStatistics> Statistics) : IShardMessage
        {
            /// <summary>Asynchronous training: the most steps that a gradient was behind, since the shard started. Every shard reports it, those but shard 0 without statistics.</summary>
            public long? MaxStaleness { get; init; }
        }
    }

    /// <summary>A part of a step's work.</summary>
    /// <param name="Step">the step</param>
    /// <param name="Node">which of its slices</param>
    public sealed record WorkItem(long Step, TreeNode Node);

    /// <summary>Why a shard refuses.</summary>
    public enum RefusalReason
    {
        /// <summary>The message is of an older generation.</summary>
        StaleGeneration,

        /// <summary>The step or version is over.</summary>
        StaleStep,

        /// <summary>The step or version is still to come, or the shard is not open.</summary>
        NotYet,

        /// <summary>The tensor has another length than the shard, or the node is not in the tree.</summary>
        Malformed,
    }

    /// <summary>What a shard is made of; the same in every generation.</summary>
    /// <param name="Training">optimizer, schedule, slices, checkpoints</param>
    /// <param name="TotalSteps">of the job, for the schedule</param>
    /// <param name="Layout">of the whole model</param>
    /// <param name="Shards">how many shards are wanted</param>
    /// <param name="StepsPerEpoch">steps in an epoch</param>
    public sealed record ShardSetup(TrainingSpec Training, long TotalSteps, ParameterLayout Layout, int Shards, int StepsPerEpoch)
    {
        /// <summary>The cut.</summary>
        public ShardPlan Plan { get; } = new(Layout.Length, Shards);
    }
}
