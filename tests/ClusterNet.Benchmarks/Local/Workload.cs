using ClusterNet.Core.Jobs;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ClusterNet.Benchmarks.Local;

/// <summary>The same training twice: as a job of the cluster, and as a program that somebody writes with TorchSharp alone.</summary>
/// <param name="Name">of the figure</param>
/// <param name="Model">as a job names it</param>
/// <param name="PlainModel">the same layers, written out</param>
/// <param name="Optimizer">as a job names it</param>
/// <param name="PlainOptimizer">the same rule and constants from torch.optim</param>
internal sealed record Workload(
    string Name, ModelSpec Model, Func<nn.Module<Tensor, Tensor>> PlainModel, OptimizerSpec Optimizer, Func<nn.Module, optim.Optimizer> PlainOptimizer)
{
    public const int BatchSize = 128;

    private static readonly OptimizerSpec _adam = new() { Kind = OptimizerKind.Adam, LearningRate = 1e-3 };
    private static readonly OptimizerSpec _momentum = new() { Kind = OptimizerKind.Sgd, LearningRate = 0.01, Momentum = 0.9 };

    /// <summary>Adam is what most people train with; SGD with momentum costs torch the least, so that everything around it shows the most.</summary>
    public static IReadOnlyList<Workload> All { get; } =
    [
        new("mlp-adam", Mlp, PlainMlp, _adam, PlainAdam),
        new("cnn-adam", Cnn, PlainCnn, _adam, PlainAdam),
        new("mlp-sgd", Mlp, PlainMlp, _momentum, PlainMomentum),
        new("cnn-sgd", Cnn, PlainCnn, _momentum, PlainMomentum),
    ];

    private static ModelSpec Mlp => new("mlp", new Dictionary<string, SettingValue> { ["hidden"] = List("512", "512") }, new InitialisationSpec());

    private static ModelSpec Cnn => new("cnn", new Dictionary<string, SettingValue> { ["channels"] = List("16", "32"), ["head"] = List("64") }, new InitialisationSpec());

    /// <summary>The job that trains it for <paramref name="steps"/> steps; checkpointed at the end only.</summary>
    public JobSpec Job(string dataFile, long steps, LocalSettings settings) => new(
        Name,
        new DataSpec(dataFile, DataFormat.Npz, LearningTask.Classification)
        {
            Target = "y",
            Shape = [1, SyntheticImages.Side, SyntheticImages.Side],
            Split = new SplitSpec(SplitKind.None),
            Preparation = [new PreparationSpec(PreparationKind.Scale, []) { Value = "255" }],
        },
        Model,
        new TrainingSpec
        {
            Optimizer = Optimizer,
            BatchSize = BatchSize,
            Steps = steps,
            Slices = settings.Slices,
            Shards = settings.Shards,
            Workers = 1,
            ThreadsPerWorker = 1,
            Checkpoint = new CheckpointSpec(Every: 0, Keep: 1),
            Select = VersionSelection.Last,
        });

    private static SettingValue.List List(params string[] items) => new([.. items.Select(item => new SettingValue.Scalar(item))]);

    private static nn.Module<Tensor, Tensor> PlainMlp() => nn.Sequential(
        nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, SyntheticImages.Classes));

    private static nn.Module<Tensor, Tensor> PlainCnn() => nn.Sequential(
        nn.Conv2d(1, 16, 3, padding: 1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding: 1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 64), nn.ReLU(), nn.Linear(64, SyntheticImages.Classes));

    private static Adam PlainAdam(nn.Module module) => optim.Adam(module.parameters(), lr: 1e-3);

    private static SGD PlainMomentum(nn.Module module) => optim.SGD(module.parameters(), learningRate: 0.01, momentum: 0.9);
}
