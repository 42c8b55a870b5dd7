using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Tests.Serialization;

/// <summary>Jobs for messages: one with every setting away from its default, one with defaults only.</summary>
internal static class JobSpecs
{
    public static JobSpec Plain { get; } = new(
        "plain",
        new DataSpec("builtin:xor", DataFormat.Csv, LearningTask.Classification),
        new ModelSpec("mlp", new Dictionary<string, SettingValue>(), new InitialisationSpec()),
        new TrainingSpec { Epochs = 1 });

    public static JobSpec Full { get; } = new(
        "digits-cnn",
        new DataSpec("/data/größe.csv", DataFormat.Csv, LearningTask.Classification)
        {
            Target = "label",
            Features = ["a", "b"],
            Exclude = ["c"],
            Categorical = ["b"],
            FeatureArray = "images",
            Shape = [1, 8, 8],
            Csv = new CsvSpec(';', false, '\'', ["", "-1"]),
            Images = new ImageSpec(28, 27, 3),
            Split = new SplitSpec(SplitKind.Group)
            {
                Validation = 0.1,
                Test = 1.0 / 3,
                Seed = 5,
                Column = "patient",
                TestGroups = ["105", "116"],
                ValidationGroups = ["7"],
            },
            Preparation =
            [
                new PreparationSpec(PreparationKind.Impute, ["a"]) { Strategy = ImputeStrategy.Constant, Value = "0" },
                new PreparationSpec(PreparationKind.MinMax, []) { Range = (-1, 1.5) },
                new PreparationSpec(PreparationKind.Labels, []) { Labels = ["yes", "no"] },
            ],
        },
        new ModelSpec(
            "cnn",
            new Dictionary<string, SettingValue>
            {
                ["channels"] = new SettingValue.List([new SettingValue.Scalar("8"), new SettingValue.Scalar("16")]),
                ["head"] = new SettingValue.Map(new Dictionary<string, SettingValue> { ["dropout"] = new SettingValue.Scalar("0.1") }),
            },
            new InitialisationSpec(InitialisationKind.XavierNormal, 0.1)),
        new TrainingSpec
        {
            Optimizer = new OptimizerSpec
            {
                Kind = OptimizerKind.Sgd,
                LearningRate = 0.1,
                Momentum = 0.9,
                Nesterov = true,
                Beta1 = 0.8,
                Beta2 = 0.99,
                Alpha = 0.9,
                Epsilon = 1e-7,
                Centered = true,
                InitialAccumulator = 0.1,
                LearningRateDecay = 0.01,
                WeightDecay = 1e-4,
                DecoupledWeightDecay = true,
            },
            Schedule = new ScheduleSpec { Kind = ScheduleKind.Cosine, WarmupSteps = 10, Every = 7, Gamma = 0.5, FinalFactor = 0.01 },
            Loss = new LossSpec
            {
                Kind = LossKind.CrossEntropy,
                BalancedClassWeights = false,
                ClassWeights = new Dictionary<string, double> { ["yes"] = 2, ["no"] = 1.0 / 3 },
                LabelSmoothing = 0.1,
                Delta = 2,
            },
            Clip = new ClipSpec(1.5, 5),
            BatchSize = 64,
            Steps = 1000,
            Seed = long.MaxValue,
            Slices = 8,
            Workers = 2,
            Shards = 3,
            ThreadsPerWorker = 2,
            Consistency = ConsistencyMode.Ssp,
            Staleness = 7,
            BackupWorkers = 1,
            Codec = GradientCodec.TopK,
            TopK = 1.0 / 3,
            PullCodec = WeightCodec.Bf16,
            Checkpoint = new CheckpointSpec(50, 3),
            EarlyStopping = new EarlyStoppingSpec(5, 0.001),
            Select = VersionSelection.Last,
            Metric = "accuracy",
        });

    public static IReadOnlyList<JobSpec> All { get; } = [Plain, Full];
}
