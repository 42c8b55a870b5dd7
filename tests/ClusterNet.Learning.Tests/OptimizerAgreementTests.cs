using ClusterNet.Core.Jobs;
using ClusterNet.Core.Optimizers;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Tests;

/// <summary>Core's update rules, fed the same 200 gradients, agree with TorchSharp's own optimizers.</summary>
public sealed class OptimizerAgreementTests
{
    private const int Length = 3000;

    public static TheoryData<string> Rules => new(_rules.Keys);

    private static readonly Dictionary<string, (OptimizerSpec Spec, Func<IEnumerable<Parameter>, optim.Optimizer> Torch)> _rules = new()
    {
        ["sgd"] = (Spec(OptimizerKind.Sgd, 0.05), p => optim.SGD(p, 0.05)),
        ["sgd, weight decay"] = (Spec(OptimizerKind.Sgd, 0.05) with { WeightDecay = 0.01 }, p => optim.SGD(p, 0.05, weight_decay: 0.01)),
        ["sgd, momentum, dampening"] = (Spec(OptimizerKind.Sgd, 0.05) with { Momentum = 0.9, Dampening = 0.1 }, p => optim.SGD(p, 0.05, momentum: 0.9, dampening: 0.1)),
        ["sgd, nesterov"] = (Spec(OptimizerKind.Sgd, 0.05) with { Momentum = 0.9, Nesterov = true, WeightDecay = 0.01 },
            p => optim.SGD(p, 0.05, momentum: 0.9, nesterov: true, weight_decay: 0.01)),
        ["adam"] = (Spec(OptimizerKind.Adam, 0.01), p => optim.Adam(p, 0.01)),
        ["adam, weight decay, betas"] = (Spec(OptimizerKind.Adam, 0.01) with { Beta1 = 0.8, Beta2 = 0.99, WeightDecay = 0.01, Epsilon = 1e-6 },
            p => optim.Adam(p, 0.01, 0.8, 0.99, 1e-6, weight_decay: 0.01)),
        ["adamw"] = (Spec(OptimizerKind.AdamW, 0.01) with { WeightDecay = 0.1 }, p => optim.AdamW(p, 0.01, weight_decay: 0.1)),
        ["adagrad"] = (Spec(OptimizerKind.Adagrad, 0.05) with { InitialAccumulator = 0.1, LearningRateDecay = 0.01, WeightDecay = 0.01 },
            p => optim.Adagrad(p, 0.05, lr_decay: 0.01, weight_decay: 0.01, initial_accumulator_value: 0.1)),
        ["rmsprop"] = (Spec(OptimizerKind.RmsProp, 0.01), p => optim.RMSProp(p, 0.01)),
        ["rmsprop, centered, momentum"] = (Spec(OptimizerKind.RmsProp, 0.01) with { Centered = true, Momentum = 0.9, WeightDecay = 0.01, Alpha = 0.9 },
            p => optim.RMSProp(p, 0.01, 0.9, momentum: 0.9, centered: true, weight_decay: 0.01)),
    };

    [Theory]
    [MemberData(nameof(Rules))]
    public void Two_hundred_steps_agree_with_torch(string rule)
    {
        var (spec, create) = _rules[rule];
        var random = new SplitMix64(17);
        var weights = Draw(random);
        using var parameter = new Parameter(tensor(weights));
        using var torchOptimizer = create([parameter]);
        var layout = new ParameterLayout([("p", [Length])]);
        var updater = new ShardUpdater(new TrainingSpec { Optimizer = spec }, 200, layout, new ShardRange(0, Length));
        var updated = new float[Length];
        for (var step = 0; step < 200; step++)
        {
            var gradient = Draw(random);
            using var torchGradient = tensor(gradient);
            parameter.grad = torchGradient;
            torchOptimizer.step();
            updater.Begin(step, gradient, 1, weights, updated);
            (weights, updated) = (updated, weights);
        }
        var expected = parameter.data<float>().ToArray();
        var distance = Math.Sqrt(expected.Zip(weights, (a, b) => (double)(a - b) * (a - b)).Sum());
        var norm = Math.Sqrt(expected.Sum(a => (double)a * a));
        Assert.True(distance <= 1e-5 * norm, $"relative distance {distance / norm:e2}");
        // single weights that ended near zero have lost digits on both sides
        Assert.All(expected.Zip(weights), pair => Assert.Equal(pair.First, pair.Second, 1e-5 * Math.Max(Math.Abs(pair.First), 0.1)));
    }

    private static OptimizerSpec Spec(OptimizerKind kind, double rate) => new() { Kind = kind, LearningRate = rate };

    private static float[] Draw(SplitMix64 random)
    {
        var values = new float[Length];
        for (var i = 0; i < Length; i++)
            values[i] = (float)(random.NextDouble() * 2 - 1);
        return values;
    }
}
