namespace ClusterNet.Core.Jobs;

/// <summary>
/// How a job is trained. The result depends on everything here but <see cref="Workers"/>, <see cref="BackupWorkers"/>, <see cref="Shards"/> and <see cref="Checkpoint"/>; under another
/// <see cref="Consistency"/> than synchronous it depends on who was how fast as well.
/// </summary>
public sealed record TrainingSpec
{
    /// <summary>The update rule.</summary>
    public OptimizerSpec Optimizer { get; init; } = new();

    /// <summary>The learning rate's course.</summary>
    public ScheduleSpec Schedule { get; init; } = new();

    /// <summary>What is minimised.</summary>
    public LossSpec Loss { get; init; } = new();

    /// <summary>Bounds on the gradient.</summary>
    public ClipSpec Clip { get; init; } = new();

    /// <summary>Samples in a step, over all workers.</summary>
    public int BatchSize { get; init; } = 32;

    /// <summary>Passes over the training part; null where <see cref="Steps"/> is given.</summary>
    public int? Epochs { get; init; }

    /// <summary>Steps in all; null where <see cref="Epochs"/> is given.</summary>
    public long? Steps { get; init; }

    /// <summary>Every random draw of the job follows from it.</summary>
    public long Seed { get; init; } = 1;

    /// <summary>Parts that a batch is cut into, a power of two; the most workers that can share a step.</summary>
    public int Slices { get; init; } = 4;

    /// <summary>Worker actors.</summary>
    public int Workers { get; init; } = 1;

    /// <summary>Parameter shards, fewer where the model is too small; null for as many as <see cref="Parameters.ShardPlan"/> gives a model of its size.</summary>
    public int? Shards { get; init; }

    /// <summary>torch threads of each worker. They change how sums are taken, so they belong to the job.</summary>
    public int ThreadsPerWorker { get; init; } = 1;

    /// <summary>How far workers may be apart.</summary>
    public ConsistencyMode Consistency { get; init; } = ConsistencyMode.Bsp;

    /// <summary>Bounded staleness: steps whose updates the weights that a gradient is computed with may lack.</summary>
    public int Staleness { get; init; } = 3;

    /// <summary>Workers beyond <see cref="Workers"/> that compute copies of what comes late; synchronous training only.</summary>
    public int BackupWorkers { get; init; }

    /// <summary>How gradients are written on their way to the shards.</summary>
    public GradientCodec Codec { get; init; } = GradientCodec.Fp32;

    /// <summary>Top-k: the share of the values of each block that travels, above 0 and at most 1.</summary>
    public double TopK { get; init; } = 0.01;

    /// <summary>How weights are written on their way to workers that train.</summary>
    public WeightCodec PullCodec { get; init; } = WeightCodec.Fp32;

    /// <summary>Whether workers go on without waiting for each other, so that only a checkpoint where all stand is a state to go back to.</summary>
    public bool IsAsynchronous => Consistency != ConsistencyMode.Bsp;

    /// <summary>Whether a change of workers has to go back to a checkpoint: they hold, or have sent, what no one else can give again.</summary>
    public bool RestoresOnChange => IsAsynchronous || Codec != GradientCodec.Fp32;

    /// <summary>When the state is saved.</summary>
    public CheckpointSpec Checkpoint { get; init; } = new();

    /// <summary>When to stop before the end; null for never.</summary>
    public EarlyStoppingSpec? EarlyStopping { get; init; }

    /// <summary>Which weights become the model version: those of the best validation result, or the last. Best needs a validation part.</summary>
    public VersionSelection Select { get; init; } = VersionSelection.Best;

    /// <summary>The validation metric that <see cref="Select"/> and early stopping go by.</summary>
    public string Metric { get; init; } = "loss";

    /// <summary>Hands versions over while the job trains; null for the end alone.</summary>
    public PublishSpec? Publish { get; init; }
}

/// <summary>Each epoch whose validation result is the best so far is checkpointed and registered as a version, and the label is put on it.</summary>
/// <param name="Label">what those that serve go by</param>
public sealed record PublishSpec(string Label)
{
    /// <summary>Where nothing is said.</summary>
    public const string DefaultLabel = "staging";

    /// <summary>The one word for when: at each checkpoint that is better than those before.</summary>
    public const string EveryCheckpoint = "every checkpoint";

    /// <summary>The most characters of a label.</summary>
    public const int MaxLabel = 40;

    /// <summary>Whether it can be a label: letters, digits, '.', '_', '-', the first a letter, so that no label is a number.</summary>
    public static bool IsLabel(string? label) =>
        label is { Length: > 0 and <= MaxLabel } && char.IsAsciiLetter(label[0]) && label.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-');
}

/// <summary>Which weights are kept.</summary>
public enum VersionSelection
{
    /// <summary>Those of the epoch with the best validation metric.</summary>
    Best,

    /// <summary>Those of the last step.</summary>
    Last,
}

/// <summary>The update rule and its constants, named as in torch.optim.</summary>
public sealed record OptimizerSpec
{
    /// <summary>Which rule.</summary>
    public OptimizerKind Kind { get; init; } = OptimizerKind.Adam;

    /// <summary>The base learning rate; the schedule multiplies it.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>SGD and RMSprop: momentum.</summary>
    public double Momentum { get; init; }

    /// <summary>SGD: dampening of momentum.</summary>
    public double Dampening { get; init; }

    /// <summary>SGD: Nesterov's momentum.</summary>
    public bool Nesterov { get; init; }

    /// <summary>Adam, AdamW, LAMB: decay of the first moment.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Adam, AdamW, LAMB: decay of the second moment.</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>RMSprop: decay of the mean square.</summary>
    public double Alpha { get; init; } = 0.99;

    /// <summary>Keeps denominators off zero; null for torch's default of the rule (1e-8; Adagrad 1e-10; LAMB 1e-6).</summary>
    public double? Epsilon { get; init; }

    /// <summary>RMSprop: subtracts the squared mean from the mean square.</summary>
    public bool Centered { get; init; }

    /// <summary>Adagrad: what the sum of squares starts at.</summary>
    public double InitialAccumulator { get; init; }

    /// <summary>Adagrad: the learning rate is divided by 1 + step x decay.</summary>
    public double LearningRateDecay { get; init; }

    /// <summary>Weight decay; null for the rule's default (AdamW 0.01, all others 0).</summary>
    public double? WeightDecay { get; init; }

    /// <summary>Whether weight decay is decoupled from the gradient (Loshchilov and Hutter 2019) or an L2 term in it; null for the rule's own way.</summary>
    public bool? DecoupledWeightDecay { get; init; }
}

/// <summary>The update rules there are.</summary>
public enum OptimizerKind
{
    /// <summary>Stochastic gradient descent.</summary>
    Sgd,

    /// <summary>Kingma and Ba 2015.</summary>
    Adam,

    /// <summary>Loshchilov and Hutter 2019.</summary>
    AdamW,

    /// <summary>Duchi, Hazan and Singer 2011.</summary>
    Adagrad,

    /// <summary>Tieleman and Hinton 2012.</summary>
    RmsProp,

    /// <summary>You et al. 2020.</summary>
    Lamb,
}

/// <summary>The factor on the learning rate as a function of the step.</summary>
public sealed record ScheduleSpec
{
    /// <summary>The course after warm-up.</summary>
    public ScheduleKind Kind { get; init; } = ScheduleKind.Constant;

    /// <summary>Steps over which the factor rises from near 0 to 1, before <see cref="Kind"/> sets in.</summary>
    public long WarmupSteps { get; init; }

    /// <summary>Step schedule: steps between drops.</summary>
    public long Every { get; init; } = 1000;

    /// <summary>Step schedule: factor of each drop.</summary>
    public double Gamma { get; init; } = 0.1;

    /// <summary>Cosine and linear: the factor at the end.</summary>
    public double FinalFactor { get; init; }
}

/// <summary>The courses there are.</summary>
public enum ScheduleKind
{
    /// <summary>Stays at 1.</summary>
    Constant,

    /// <summary>Drops by a factor at even distances.</summary>
    Step,

    /// <summary>Half a cosine from 1 to the final factor at the last step (Loshchilov and Hutter 2017, equation 5).</summary>
    Cosine,

    /// <summary>A straight line from 1 to the final factor at the last step.</summary>
    Linear,
}

/// <summary>What is minimised.</summary>
public sealed record LossSpec
{
    /// <summary>Which loss; null for cross-entropy (classification) or mean squared error (regression).</summary>
    public LossKind? Kind { get; init; }

    /// <summary>Classification: whether classes weigh by their inverse frequency in training, total / (classes x count).</summary>
    public bool BalancedClassWeights { get; init; }

    /// <summary>Classification: weights by class label; classes not named weigh 1.</summary>
    public IReadOnlyDictionary<string, double> ClassWeights { get; init; } = new Dictionary<string, double>();

    /// <summary>Cross-entropy: the share of probability that goes to all classes evenly, 0 to 1.</summary>
    public double LabelSmoothing { get; init; }

    /// <summary>Huber: where the square becomes a line.</summary>
    public double Delta { get; init; } = 1.0;
}

/// <summary>The losses there are.</summary>
public enum LossKind
{
    /// <summary>Mean squared error. With two classes: of the sigmoid of one output.</summary>
    Mse,

    /// <summary>Mean absolute error.</summary>
    Mae,

    /// <summary>Huber 1964.</summary>
    Huber,

    /// <summary>Two classes, one output: the logit of class 1.</summary>
    BinaryCrossEntropy,

    /// <summary>One output a class: logits.</summary>
    CrossEntropy,
}

/// <summary>Bounds on the batch's mean gradient, applied in this order; null for none.</summary>
/// <param name="Value">bound on each element's magnitude</param>
/// <param name="Norm">bound on the Euclidean norm over all parameters</param>
public sealed record ClipSpec(double? Value = null, double? Norm = null);

/// <summary>When the state is saved.</summary>
/// <param name="Every">steps between checkpoints; 0 for only at the end</param>
/// <param name="Keep">how many committed ones are kept</param>
public sealed record CheckpointSpec(long Every = 200, int Keep = 2)
{
    /// <summary>Whether the state after <paramref name="version"/> of <paramref name="totalSteps"/> steps is saved.</summary>
    public bool IsDue(long version, long totalSteps) => version > 0 && (version == totalSteps || (Every > 0 && version % Every == 0));
}

/// <summary>Stops when the validation metric has not improved.</summary>
/// <param name="Patience">epochs without an improvement</param>
/// <param name="MinDelta">what counts as one</param>
public sealed record EarlyStoppingSpec(int Patience, double MinDelta = 0);
