namespace ClusterNet.Cluster.Telemetry;

/// <summary>
/// Every name that dashboards and traces may rely on: meters, instruments, activity sources, activities and their tags, after OpenTelemetry's naming. Durations are in seconds, sizes in bytes. No
/// tag and no value comes from the data that is trained on or predicted for, but for aggregates: the loss and the metrics.
/// </summary>
public static class TelemetryNames
{
    /// <summary>What the names of all meters and activity sources start with: <c>AddMeter(All)</c>, <c>AddSource(All)</c>.</summary>
    public const string All = "ClusterNet.*";

    /// <summary>Meter and activity source of job coordinators.</summary>
    public const string Training = "ClusterNet.Training";

    /// <summary>Meter and activity source of parameter shards.</summary>
    public const string Parameters = "ClusterNet.Parameters";

    /// <summary>Meter and activity source of workers.</summary>
    public const string Workers = "ClusterNet.Workers";

    /// <summary>Meter of the large-message lane.</summary>
    public const string Lane = "ClusterNet.Lane";

    /// <summary>Meter and activity source of inference.</summary>
    public const string Serving = "ClusterNet.Serving";

    /// <summary>Meter of what concerns a node as a whole.</summary>
    public const string Node = "ClusterNet.Node";

    /// <summary>Instruments.</summary>
    public static class Instruments
    {
        /// <summary>Counter: steps whose statistics the coordinator has; a step that is computed again after a rollback counts again. By <see cref="Tags.Job"/>.</summary>
        public const string Steps = "clusternet.training.steps";

        /// <summary>Counter: samples visited by those steps. By <see cref="Tags.Job"/>.</summary>
        public const string Samples = "clusternet.training.samples";

        /// <summary>Gauge: samples per second, of running jobs. By <see cref="Tags.Job"/>.</summary>
        public const string SampleRate = "clusternet.training.samples.rate";

        /// <summary>Gauge: mean loss of the latest step, of running jobs. By <see cref="Tags.Job"/>.</summary>
        public const string Loss = "clusternet.training.loss";

        /// <summary>Gauge: the generation, of running jobs. By <see cref="Tags.Job"/>.</summary>
        public const string Generation = "clusternet.training.generation";

        /// <summary>Counter: generations opened. By <see cref="Tags.Job"/> and <see cref="Tags.Reason"/>.</summary>
        public const string GenerationChanges = "clusternet.training.generation.changes";

        /// <summary>Gauge: workers that take part, of running jobs. By <see cref="Tags.Job"/>.</summary>
        public const string WorkerCount = "clusternet.training.workers";

        /// <summary>Histogram, seconds: from the first shard's part of a checkpoint in the store to its commit. By <see cref="Tags.Job"/>.</summary>
        public const string CommitDuration = "clusternet.training.checkpoint.commit.duration";

        /// <summary>Counter: checkpoints that failed. By <see cref="Tags.Job"/>.</summary>
        public const string CheckpointFailures = "clusternet.training.checkpoint.failures";

        /// <summary>Histogram, seconds: a step as a worker sees it, computing and waiting. By <see cref="Tags.Job"/>.</summary>
        public const string StepDuration = "clusternet.worker.step.duration";

        /// <summary>Histogram, seconds: the part of it that the worker computed, pushes handed over. By <see cref="Tags.Job"/>.</summary>
        public const string ComputeDuration = "clusternet.worker.step.compute.duration";

        /// <summary>Histogram, seconds: the part of it from the last push to the last shard's answer. By <see cref="Tags.Job"/>.</summary>
        public const string WaitDuration = "clusternet.worker.step.wait.duration";

        /// <summary>Counter: pushes that shards got. By <see cref="Tags.Job"/> and <see cref="Tags.Outcome"/>: applied, duplicate, stale, early, malformed.</summary>
        public const string Pushes = "clusternet.parameters.pushes";

        /// <summary>Counter: updates of a shard's weights. By <see cref="Tags.Job"/>.</summary>
        public const string Updates = "clusternet.parameters.updates";

        /// <summary>Histogram, steps: versions between the weights a gradient was computed with and those it was applied to. By <see cref="Tags.Job"/>.</summary>
        public const string Staleness = "clusternet.parameters.staleness";

        /// <summary>Histogram, seconds: a shard's part of a checkpoint, from the copy to the store's answer. By <see cref="Tags.Job"/>.</summary>
        public const string CheckpointDuration = "clusternet.parameters.checkpoint.duration";

        /// <summary>Counter, bytes: tensors of the checkpoints that shards saved. By <see cref="Tags.Job"/>.</summary>
        public const string CheckpointBytes = "clusternet.parameters.checkpoint.size";

        /// <summary>Counter, bytes: frames, head and tensors. By <see cref="Tags.Direction"/>.</summary>
        public const string LaneBytes = "clusternet.lane.io";

        /// <summary>Counter: messages. By <see cref="Tags.Direction"/>.</summary>
        public const string LaneMessages = "clusternet.lane.messages";

        /// <summary>Gauge, bytes: what waits to be written.</summary>
        public const string LaneQueue = "clusternet.lane.queue";

        /// <summary>Gauge, bytes: what was received and is not released yet.</summary>
        public const string LaneHeld = "clusternet.lane.held";

        /// <summary>Counter: messages or connections given up. By <see cref="Tags.Reason"/>.</summary>
        public const string LaneDrops = "clusternet.lane.drops";

        /// <summary>Counter: requests answered. By <see cref="Tags.Model"/> and <see cref="Tags.Outcome"/>.</summary>
        public const string InferenceRequests = "clusternet.inference.requests";

        /// <summary>Histogram, seconds: from a request's arrival at its actor to its answer. By <see cref="Tags.Model"/>.</summary>
        public const string InferenceDuration = "clusternet.inference.request.duration";

        /// <summary>Histogram, samples: computed together. By <see cref="Tags.Model"/>.</summary>
        public const string InferenceBatch = "clusternet.inference.batch.size";

        /// <summary>Gauge: requests that wait, on this node. By <see cref="Tags.Model"/>.</summary>
        public const string InferenceQueue = "clusternet.inference.queue";

        /// <summary>Counter: what the store did not do. By <see cref="Tags.Operation"/>.</summary>
        public const string StoreFailures = "clusternet.store.failures";

        /// <summary>Gauge: members of the cluster as this node sees them. By <see cref="Tags.Status"/>.</summary>
        public const string Members = "clusternet.cluster.members";

        /// <summary>Gauge: members that this node sees as unreachable.</summary>
        public const string Unreachable = "clusternet.cluster.unreachable";
    }

    /// <summary>Activities, in the order of a job's life.</summary>
    public static class Activities
    {
        /// <summary>The root of a job's trace: its data and model are checked, its id is given out, it is journalled.</summary>
        public const string Submit = "job submit";

        /// <summary>A run of a job at its coordinator, until it ends, is interrupted or the coordinator goes elsewhere.</summary>
        public const string Run = "job run";

        /// <summary>A generation: in a run; what follows is in the generation.</summary>
        public const string Generation = "generation";

        /// <summary>A phase: workers train, up to the next boundary.</summary>
        public const string Epoch = "epoch";

        /// <summary>A phase: a part of the data is evaluated.</summary>
        public const string Evaluation = "evaluation";

        /// <summary>A phase: the version is stored and registered.</summary>
        public const string Publish = "publish";

        /// <summary>From the first shard's part of a checkpoint in the store to its commit.</summary>
        public const string CheckpointCommit = "checkpoint commit";

        /// <summary>At a worker: one step, of those that are sampled.</summary>
        public const string Step = "worker step";

        /// <summary>At a shard: what a push of a sampled step led to.</summary>
        public const string Update = "shard update";

        /// <summary>At a shard: its part of a checkpoint.</summary>
        public const string Checkpoint = "shard checkpoint";

        /// <summary>The root of a prediction: as the caller sees it.</summary>
        public const string Predict = "predict";

        /// <summary>A request at the actor of its version: waiting, computing, answering.</summary>
        public const string Request = "inference request";

        /// <summary>What was computed together; linked to the requests.</summary>
        public const string Batch = "inference batch";
    }

    /// <summary>Tags of measurements and activities.</summary>
    public static class Tags
    {
        /// <summary>A job's id.</summary>
        public const string Job = "clusternet.job";

        /// <summary>A generation's number.</summary>
        public const string Generation = "clusternet.generation";

        /// <summary>A step, from 0.</summary>
        public const string Step = "clusternet.step";

        /// <summary>A shard's index.</summary>
        public const string Shard = "clusternet.shard";

        /// <summary>A model's name; on activities with its version.</summary>
        public const string Model = "clusternet.model";

        /// <summary>How it went, one of a few words.</summary>
        public const string Outcome = "clusternet.outcome";

        /// <summary>Why, one of a few words.</summary>
        public const string Reason = "clusternet.reason";

        /// <summary><c>sent</c> or <c>received</c>.</summary>
        public const string Direction = "clusternet.direction";

        /// <summary>What the store was asked for.</summary>
        public const string Operation = "clusternet.operation";

        /// <summary>A member's status.</summary>
        public const string Status = "clusternet.status";

        /// <summary>Number of samples.</summary>
        public const string Samples = "clusternet.samples";
    }
}
