using ClusterNet.Core.Data;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;
using ClusterNet.Learning.Gradients;
using ClusterNet.Learning.Kernels;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Training;
using CsCheck;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Tests;

/// <summary>The gradients that kernels of our own compute are torch's, but for rounding, and their bits follow from the formulas alone.</summary>
public sealed class DensePassTests
{
    private static readonly Dictionary<string, double> _weights = new() { ["c0"] = 0.5, ["c1"] = 3 };

    public static TheoryData<string, LossSpec, DataSignature> Jobs => new()
    {
        { "hidden: 7", new LossSpec(), Fixtures.Classification(3, 5) },
        { "hidden: 20 6 17", new LossSpec { ClassWeights = _weights, LabelSmoothing = 0.2 }, Fixtures.Classification(4, 33) },
        { "hidden: 48 31; layer-norm: true", new LossSpec { BalancedClassWeights = false }, Fixtures.Classification(2, 2, 3, 4) },
        { "hidden: 12 5; dropout: 0.4", new LossSpec(), Fixtures.Classification(3, 19) },
        { "hidden: 18 40; dropout: 0.2; layer-norm: true", new LossSpec { Kind = LossKind.BinaryCrossEntropy, ClassWeights = _weights, LabelSmoothing = 0.1 }, Fixtures.Classification(2, 16) },
        { "hidden: 9", new LossSpec { Kind = LossKind.BinaryCrossEntropy }, Fixtures.Classification(2, 6) },
        { "hidden: 9", new LossSpec { Kind = LossKind.Mse, ClassWeights = _weights }, Fixtures.Classification(2, 6) },
        { "hidden: 11 3", new LossSpec(), Fixtures.Regression(8) },
        { "hidden: 4", new LossSpec { Kind = LossKind.Mae }, Fixtures.Regression(1) },
        { "hidden: 64 7", new LossSpec { Kind = LossKind.Huber, Delta = 0.3 }, Fixtures.Regression(100) },
    };

    /// <summary>Losses and gradients of slices of every size, against torch's graph of the same modules.</summary>
    [Theory]
    [MemberData(nameof(Jobs))]
    public void Gradients_are_those_of_torch(string settings, LossSpec spec, DataSignature signature)
    {
        var samples = Fixtures.Samples(signature, 60);
        using var model = Fixtures.Catalog.Build(Fixtures.Model("mlp", settings), spec, signature, seed: 3, threads: 1);
        Assert.NotNull(DensePass.TryCreate(model));
        using var loss = new LossFunction(spec, signature);
        using var computer = new GradientComputer(model, loss, samples);
        // the same cases each time: a value next to 0 that rounds to the other side of it would have another gradient, and rightly so
        foreach (var count in new[] { 1, 2, 7, 15, 16, 17, 32, 33, 40 })
        {
            var positions = Enumerable.Range(count % 20, count).ToArray();
            var gradient = new float[model.Layout.Length];
            var statistics = computer.Compute(count, 2, positions, gradient);
            var (expectedLoss, expected) = Torch(model, loss, samples, count, 2, positions);
            Assert.Equal(expectedLoss, statistics.Loss, 1e-5 * Math.Max(1, Math.Abs(expectedLoss)));
            var scale = expected.Max(Math.Abs);
            for (var i = 0; i < gradient.Length; i++)
                Assert.True(Math.Abs(expected[i] - gradient[i]) <= (1e-5 * scale) + 1e-6, $"{count} samples, element {i} of {model.Layout.Length}: {gradient[i]} where torch has {expected[i]}");
        }
    }

    /// <summary>What an element is: one chain, whatever is computed beside it.</summary>
    [Fact]
    public unsafe void Products_are_single_chains_in_order() =>
        Gen.Select(Gen.Int[1, 40], Gen.Int[1, 70], Gen.Int[1, 60], Gen.Int[0, 10_000]).Sample(
            (samples, inputs, outputs, seed) =>
            {
                var random = new SplitMix64((ulong)seed);
                float[] Values(int length) => [.. Enumerable.Range(0, length).Select(_ => (float)(random.NextDouble() * 2 - 1))];
                var (x, weights, bias, dy) = (Values(samples * inputs), Values(outputs * inputs), Values(outputs), Values(samples * outputs));
                var sizes = new PanelSizes(samples, inputs, outputs);
                var (xPanels, xByFeatures) = (new float[PanelKernel.PaddedLength(samples, inputs)], new float[PanelKernel.PaddedLength(inputs, samples)]);
                var (yPanels, dyPanels, dxPanels) = (new float[PanelKernel.PaddedLength(samples, outputs)], new float[PanelKernel.PaddedLength(samples, outputs)], new float[PanelKernel.PaddedLength(samples, inputs)]);
                var (y, dx, dw, db) = (new float[samples * outputs], new float[samples * inputs], new float[outputs * inputs], new float[outputs]);
                fixed (float* px = x, pw = weights, pb = bias, pdy = dy, xp = xPanels, xf = xByFeatures, yp = yPanels, dyp = dyPanels, dxp = dxPanels, py = y, pdx = dx, pdw = dw, pdb = db)
                {
                    PanelKernel.BySamples(px, xp, samples, inputs);
                    PanelKernel.ByFeatures(xp, xf, samples, inputs);
                    PanelKernel.BySamples(pdy, dyp, samples, outputs);
                    PanelKernel.Forward(pw, pb, xp, yp, sizes, threads: 1);
                    PanelKernel.BackwardInputs(pw, dyp, dxp, sizes, threads: 1);
                    PanelKernel.BackwardWeights(dyp, xf, pdw, 0, outputs, sizes, threads: 1);
                    PanelKernel.BackwardBias(dyp, pdb, samples, outputs);
                    PanelKernel.ToRows(yp, py, samples, outputs);
                    PanelKernel.ToRows(dxp, pdx, samples, inputs);
                }
                for (var sample = 0; sample < samples; sample++)
                {
                    for (var output = 0; output < outputs; output++)
                        Equal(Chain(bias[output], inputs, i => weights[(output * inputs) + i], i => x[(sample * inputs) + i]), y[(sample * outputs) + output]);
                    for (var input = 0; input < inputs; input++)
                        Equal(Chain(0, outputs, i => weights[(i * inputs) + input], i => dy[(sample * outputs) + i]), dx[(sample * inputs) + input]);
                }
                for (var output = 0; output < outputs; output++)
                {
                    for (var input = 0; input < inputs; input++)
                        Equal(Chain(0, samples, i => dy[(i * outputs) + output], i => x[(i * inputs) + input]), dw[(output * inputs) + input]);
                    Equal(Lanes(samples, i => dy[(i * outputs) + output]), db[output]);
                }
            },
            iter: 200);

    /// <summary>Threads take rows from each other, and nothing else.</summary>
    [Fact]
    public void Gradients_have_the_same_bits_with_any_number_of_threads()
    {
        var signature = Fixtures.Classification(10, 300);
        var samples = Fixtures.Samples(signature, 130);
        Assert.Single(new[] { 1, 2, 3, 8 }.Select(threads =>
        {
            using var model = Fixtures.Catalog.Build(Fixtures.Model("mlp", "hidden: 401 130; dropout: 0.1; layer-norm: true"), Fixtures.CrossEntropy, signature, seed: 3, threads);
            using var computer = Fixtures.Computer(model, Fixtures.CrossEntropy, samples);
            var gradient = new float[model.Layout.Length];
            computer.Compute(7, 0, Enumerable.Range(0, 130).ToArray(), gradient);
            return PlainLoop.Sha256(gradient);
        }).Distinct());
    }

    /// <summary>Parts travel while others are computed: the last first, and before there is anything of the layers in front.</summary>
    [Fact]
    public void Parts_are_told_layer_by_layer_from_the_last()
    {
        var signature = Fixtures.Classification(3, 20);
        using var model = Fixtures.Catalog.Build(Fixtures.Model("mlp", "hidden: 30 40; dropout: 0.3; layer-norm: true"), Fixtures.CrossEntropy, signature, seed: 3, threads: 1);
        using var computer = Fixtures.Computer(model, Fixtures.CrossEntropy, Fixtures.Samples(signature, 24));
        var plan = new BatchPlan(24, 24, 1, seed: 5);
        ShardRange[] ranges = [.. model.Layout.Entries.Select(entry => new ShardRange(entry.Offset, entry.Length))];
        var told = new List<int>();
        var early = new float[model.Layout.Length];
        var parts = computer.ComputeNode(7, new TreeNode(0, 0), plan, ranges, new TensorBufferPool(model.Layout.Length), (i, part) =>
        {
            part.Span.CopyTo(early.AsSpan(ranges[i].Offset));
            // a layer has two parameters
            Assert.All(model.Parameters.Take(i / 2 * 2), parameter => Assert.Null(parameter.Value.grad));
            told.Add(i);
        });
        Assert.Equal(Enumerable.Range(0, ranges.Length).Reverse(), told);
        var whole = new float[model.Layout.Length];
        computer.Compute(7, 0, plan.Slice(7, 0), whole);
        GradientComputerTests.AssertSameBits(whole, early);
        GradientComputerTests.AssertSameBits(whole, parts.SelectMany(part => part.Span.ToArray()).ToArray());
    }

    /// <summary>A large layer's rows travel while those in front of them are computed; each part is final when it is told.</summary>
    [Fact]
    public void Parts_of_a_layer_are_told_before_all_of_it_is_there()
    {
        var signature = Fixtures.Classification(3, 500);
        using var model = Fixtures.Catalog.Build(Fixtures.Model("mlp", "hidden: 301"), Fixtures.CrossEntropy, signature, seed: 3, threads: 1);
        using var computer = Fixtures.Computer(model, Fixtures.CrossEntropy, Fixtures.Samples(signature, 24));
        var plan = new BatchPlan(24, 24, 1, seed: 5);
        var cuts = Enumerable.Range(0, 9).Select(i => i * model.Layout.Length / 8).ToArray();
        ShardRange[] ranges = [.. cuts.Zip(cuts.Skip(1), (from, to) => new ShardRange(from, to - from))];
        var whole = new float[model.Layout.Length];
        computer.Compute(7, 0, plan.Slice(7, 0), whole);
        // what is freed now may be found again, and shall not look as if it were there already
        computer.Compute(7, 0, [0], new float[model.Layout.Length]);
        var early = new List<int>();
        var parts = computer.ComputeNode(7, new TreeNode(0, 0), plan, ranges, new TensorBufferPool(model.Layout.Length), (i, part) =>
        {
            GradientComputerTests.AssertSameBits(whole.AsSpan(ranges[i].Offset, ranges[i].Length), part.Span);
            using var gradient = model.Parameters[0].Gradient();
            if (gradient is null || !gradient.data<float>().ToArray().AsSpan().SequenceEqual(whole.AsSpan(0, model.Parameters[0].Length)))
                early.Add(i);
        });
        Assert.Equal([7, 6, 5, 4, 3, 2, 1], early);
        GradientComputerTests.AssertSameBits(whole, parts.SelectMany(part => part.Span.ToArray()).ToArray());
    }

    [Theory]
    [InlineData("hidden: 8; activation: gelu")]
    [InlineData("hidden: 8; activation: tanh; layer-norm: true")]
    public void Other_activations_are_left_to_torch(string settings)
    {
        using var model = Fixtures.Catalog.Build(Fixtures.Model("mlp", settings), Fixtures.CrossEntropy, Fixtures.Classification(3, 4), seed: 1, threads: 1);
        Assert.Null(DensePass.TryCreate(model));
    }

    /// <summary>Weights that overflowed give a loss that is not finite, whichever it is; the job says that it diverged.</summary>
    [Theory]
    [InlineData(LossKind.CrossEntropy)]
    [InlineData(LossKind.BinaryCrossEntropy)]
    [InlineData(LossKind.Mse)]
    [InlineData(LossKind.Mae)]
    [InlineData(LossKind.Huber)]
    public void What_is_no_number_stays_so(LossKind kind)
    {
        var spec = new LossSpec { Kind = kind };
        var signature = kind is LossKind.CrossEntropy or LossKind.BinaryCrossEntropy ? Fixtures.Classification(2, 4) : Fixtures.Regression(4);
        using var model = Fixtures.Catalog.Build(Fixtures.Model("mlp", "hidden: 8"), spec, signature, seed: 1, threads: 1);
        Assert.NotNull(DensePass.TryCreate(model));
        using var loss = new LossFunction(spec, signature);
        using var computer = new GradientComputer(model, loss, Fixtures.Samples(signature, 20));
        var gradient = new float[model.Layout.Length];
        foreach (var broken in new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity })
        {
            model.Weights.Fill(broken);
            Assert.False(double.IsFinite(computer.Compute(0, 0, [1, 2, 3], gradient).Loss));
        }
    }

    private static (double Loss, float[] Gradient) Torch(TrainableModel model, LossFunction loss, SampleSet samples, long step, int slice, int[] positions)
    {
        using var scope = NewDisposeScope();
        using var staging = new Staging(samples.Shape);
        foreach (var parameter in model.Parameters)
            parameter.ForgetGradient();
        model.Enter(training: true);
        model.Random.Begin(step, slice);
        var batch = staging.Gather(samples, positions);
        loss.Fill(samples, positions, staging);
        var sum = loss.Of(model.Module.call(batch.Features), batch, nn.Reduction.Sum);
        sum.backward();
        var gradient = new float[model.Layout.Length];
        foreach (var parameter in model.Parameters)
            parameter.TakeGradient(gradient);
        return (sum.item<float>(), gradient);
    }

    private static float Chain(float start, int count, Func<int, float> left, Func<int, float> right)
    {
        for (var i = 0; i < count; i++)
            start = MathF.FusedMultiplyAdd(left(i), right(i), start);
        return start;
    }

    /// <summary>Sixteen sums, added pairwise.</summary>
    private static float Lanes(int count, Func<int, float> value)
    {
        var lanes = new float[16];
        for (var i = 0; i < count; i++)
            lanes[i % 16] += value(i);
        for (var width = 8; width > 0; width /= 2)
        {
            for (var i = 0; i < width; i++)
                lanes[i] += lanes[i + width];
        }
        return lanes[0];
    }

    private static void Equal(float expected, float actual) => Assert.Equal(BitConverter.SingleToInt32Bits(expected), BitConverter.SingleToInt32Bits(actual));
}
