using ClusterNet.Core.Jobs;
using ClusterNet.Data;
using ClusterNet.Learning.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Tests;

/// <summary>Slices, tree and Core's update rules train what a plain loop of torch on whole batches trains.</summary>
public sealed class TrainingAgreementTests
{
    public static TheoryData<string, OptimizerKind> Cases { get; } = new()
    {
        { "mlp", OptimizerKind.AdamW },
        { "mlp", OptimizerKind.Sgd },
        { "cnn", OptimizerKind.Adam },
        { "gru", OptimizerKind.AdamW },
        { "lstm", OptimizerKind.RmsProp },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_hundred_steps_end_where_torch_ends(string kind, OptimizerKind optimizer)
    {
        var (model, signature) = Fixtures.Kind(kind);
        var settings = model.Settings.Where(setting => setting.Key != "dropout").ToDictionary();
        // where a derivative jumps, at a ReLU's corner or between two largest values, rounding may become a difference of any size: seen at one of four million activations
        if (kind is "mlp" or "cnn")
            settings["activation"] = new SettingValue.Scalar("gelu");
        if (kind == "cnn")
            settings["pool"] = new SettingValue.Scalar("average");
        model = model with { Settings = settings };
        var data = Digits(signature.Shape.Count == 1 ? [64] : [.. signature.Shape]);
        var job = new JobSpec("agreement", data.Spec, model, new TrainingSpec
        {
            Optimizer = new OptimizerSpec { Kind = optimizer, LearningRate = optimizer == OptimizerKind.Sgd ? 0.05 : 0.002, Momentum = optimizer == OptimizerKind.Sgd ? 0.9 : 0 },
            Loss = new LossSpec { BalancedClassWeights = true, LabelSmoothing = 0.05 },
            BatchSize = 48,
            Steps = 100,
            Seed = 11,
            Slices = 4,
            Select = VersionSelection.Last,
        });

        var plain = PlainLoop.Train(job, data.Prepared);
        var expected = TorchLoop.Train(job, data.Prepared);

        var distance = Math.Sqrt(expected.Zip(plain.Last, (a, b) => (double)(a - b) * (a - b)).Sum());
        var norm = Math.Sqrt(expected.Sum(a => (double)a * a));
        Assert.Equal(100, plain.Steps);
        Assert.True(distance <= 1e-5 * norm, $"relative distance {distance / norm:e2}");
    }

    [Fact]
    public void Training_reaches_a_good_model_and_selects_the_best()
    {
        var data = Digits(64);
        var job = new JobSpec("learns", data.Spec, Fixtures.Model("mlp", "hidden: 64; dropout: 0.1"), new TrainingSpec
        {
            Optimizer = new OptimizerSpec { Kind = OptimizerKind.AdamW, LearningRate = 0.005 },
            Epochs = 8,
            EarlyStopping = new EarlyStoppingSpec(3),
        });
        var plain = PlainLoop.Train(job, data.Prepared);
        var signature = data.Prepared.Preparation.Signature;
        using var model = Fixtures.Catalog.Build(job.Model, job.Training.Loss, signature, 1, 1);
        using var loss = new LossFunction(job.Training.Loss, signature);
        using var evaluator = new Evaluator(model, loss);
        plain.Selected.CopyTo(model.Weights);
        Assert.True(evaluator.Evaluate(data.Prepared.Test).Report().Values["accuracy"] > 0.9);
        Assert.Equal(plain.SelectedSha256, PlainLoop.Train(job, data.Prepared).SelectedSha256);
    }

    private static (DataSpec Spec, PreparedData Prepared) Digits(params int[] shape)
    {
        var spec = new DataSpec("builtin:digits", DataFormat.Csv, LearningTask.Classification)
        {
            Shape = shape,
            Preparation = [new PreparationSpec(PreparationKind.Scale, []) { Value = "16" }],
        };
        return (spec, DataPipeline.Load(spec, seed: 1));
    }

    /// <summary>The same job with torch alone: whole batches, torch's loss, torch's optimizer.</summary>
    private static class TorchLoop
    {
        public static float[] Train(JobSpec job, PreparedData data)
        {
            var training = job.Training;
            var signature = data.Preparation.Signature;
            using var model = Fixtures.Catalog.Build(job.Model, training.Loss, signature, training.Seed, 1);
            var parameters = model.Module.parameters().ToArray();
            using var optimizer = Optimizer(training.Optimizer, parameters);
            var plan = Core.Plans.BatchPlan.Of(training, data.Training.Count);
            var counts = LossFunction.ClassCounts(data.Training, signature.Classes.Count);
            using var weights = tensor(counts.Select(count => (float)((double)counts.Sum() / (counts.Length * (double)count))).ToArray());
            for (var step = 0; step < training.Steps; step++)
            {
                using var scope = NewDisposeScope();
                var positions = Enumerable.Range(0, plan.Slices).SelectMany(slice => plan.Slice(step, slice).ToArray()).ToArray();
                var x = tensor(positions.SelectMany(position => data.Training[position].ToArray()).ToArray()).reshape([positions.Length, .. signature.Shape.Select(axis => (long)axis)]);
                var y = tensor(positions.Select(position => (long)data.Training.Labels.Span[position]).ToArray());
                foreach (var parameter in parameters)
                    parameter.grad = null;
                nn.functional.cross_entropy(model.Module.call(x), y, weights, label_smoothing: training.Loss.LabelSmoothing).backward();
                optimizer.step();
            }
            return [.. model.Weights];
        }

        private static optim.Optimizer Optimizer(OptimizerSpec spec, IEnumerable<Parameter> parameters) => spec.Kind switch
        {
            OptimizerKind.Sgd => optim.SGD(parameters, spec.LearningRate, spec.Momentum),
            OptimizerKind.Adam => optim.Adam(parameters, spec.LearningRate),
            OptimizerKind.AdamW => optim.AdamW(parameters, spec.LearningRate, weight_decay: 0.01),
            _ => optim.RMSProp(parameters, spec.LearningRate),
        };
    }
}
