using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Tests.OneHash;

/// <summary>Jobs that between them use everything that could make a result depend on who computes it.</summary>
internal static class OneHashJobs
{
    private static readonly (string Name, string[] Values)[] _mlp = [("hidden", ["64", "32"]), ("dropout", ["0.3"]), ("layer-norm", ["true"])];

    /// <summary>By name; the batch of 32 does not divide the training part, so each epoch's last batch is smaller.</summary>
    public static IReadOnlyDictionary<string, JobSpec> All { get; } = new Dictionary<string, JobSpec>
    {
        ["mlp"] = TestJobs.Wdbc("mlp", null, _mlp),
        ["mlp, clipped by global norm"] = TestJobs.Wdbc("mlp", training => training with { Clip = new ClipSpec(Norm: 0.5), Optimizer = Sgd }, _mlp),
        ["mlp, LAMB, clipped by value"] = TestJobs.Wdbc(
            "mlp", training => training with { Clip = new ClipSpec(Value: 0.1), Optimizer = new OptimizerSpec { Kind = OptimizerKind.Lamb, LearningRate = 0.01 } }, _mlp),
        ["mlp, stopped early, best epoch"] = TestJobs.Wdbc(
            "mlp",
            training => training with { Epochs = 40, EarlyStopping = new EarlyStoppingSpec(2), Optimizer = new OptimizerSpec { LearningRate = 0.02 } },
            _mlp),
        ["mlp, class weights, last epoch"] = TestJobs.Wdbc(
            "mlp", training => training with { Loss = new LossSpec { BalancedClassWeights = true, LabelSmoothing = 0.1 }, Select = VersionSelection.Last }, _mlp),
        ["mlp, eight slices"] = TestJobs.Wdbc("mlp", training => training with { Slices = 8, Steps = 20, Epochs = null }, _mlp),
        ["mlp, large enough for two shards unasked"] = TestJobs.Wdbc("mlp", training => training with { Steps = 20, Epochs = null }, ("hidden", ["512", "256"])),
        ["mlp, int8, pulls in bf16"] = TestJobs.Wdbc("mlp", training => training with { Codec = GradientCodec.Int8, PullCodec = WeightCodec.Bf16 }, _mlp),
        ["mlp, bf16, eight slices, last epoch"] = TestJobs.Wdbc(
            "mlp", training => training with { Codec = GradientCodec.Bf16, Slices = 8, Select = VersionSelection.Last, Optimizer = Sgd }, _mlp),
        ["mlp, top-k, clipped by global norm"] = TestJobs.Wdbc(
            "mlp", training => training with { Codec = GradientCodec.TopK, TopK = 0.1, Clip = new ClipSpec(Norm: 0.5) }, _mlp),
        ["cnn"] = TestJobs.Digits("cnn", [1, 8, 8], training => training with { Steps = 12, Epochs = null }, ("channels", ["8", "16"]), ("dropout", ["0.2"])),
        ["gru, clipped by global norm"] = TestJobs.Digits(
            "rnn",
            [8, 8],
            training => training with { Steps = 12, Epochs = null, Clip = new ClipSpec(Norm: 1) },
            ("cell", ["gru"]),
            ("hidden", ["24"]),
            ("layers", ["2"]),
            ("dropout", ["0.2"])),
    };

    /// <summary>Long enough to be disturbed: an evaluation every 13 steps, a checkpoint every 40.</summary>
    public static JobSpec Long { get; } = TestJobs.Wdbc(
        "mlp",
        training => training with { Epochs = 100, Checkpoint = new CheckpointSpec(40, 2), Workers = 4, Shards = 3, Clip = new ClipSpec(Norm: 1) },
        _mlp);

    private static OptimizerSpec Sgd => new() { Kind = OptimizerKind.Sgd, LearningRate = 0.05, Momentum = 0.9 };
}
