using ClusterNet.Core.Jobs;
using ClusterNet.Learning.Training;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace ClusterNet.Learning.Tests;

/// <summary>The sums that slices give are torch's losses, weights and smoothing included; what does not go with the data is refused.</summary>
public sealed class LossFunctionTests
{
    private static readonly Dictionary<string, double> _weights = new() { ["c0"] = 0.5, ["c1"] = 3 };

    [Fact]
    public void Cross_entropy_with_weights_and_smoothing_is_that_of_torch()
    {
        var (mean, outputs, labels) = Run(new LossSpec { ClassWeights = _weights, LabelSmoothing = 0.2 }, Fixtures.Classification(3, 5));
        using var weight = tensor([0.5f, 3f, 1f]);
        using var target = tensor(labels);
        Assert.Equal(F.cross_entropy(outputs, target, weight, label_smoothing: 0.2).item<float>(), mean, 1e-5);
    }

    [Fact]
    public void Balanced_weights_are_total_over_classes_times_count()
    {
        var (mean, outputs, labels) = Run(new LossSpec { BalancedClassWeights = true }, Fixtures.Classification(3, 5));
        var counts = Enumerable.Range(0, 3).Select(c => labels.Count(label => label == c)).ToArray();
        Assert.All(counts, count => Assert.True(count > 0));
        using var weight = tensor(counts.Select(count => labels.Length / (3f * count)).ToArray());
        using var target = tensor(labels);
        Assert.Equal(F.cross_entropy(outputs, target, weight).item<float>(), mean, 1e-5);
    }

    [Fact]
    public void Binary_cross_entropy_is_that_of_torch()
    {
        var (mean, outputs, labels) = Run(new LossSpec { Kind = LossKind.BinaryCrossEntropy }, Fixtures.Classification(2, 5));
        using var target = tensor(labels.Select(label => (float)label).ToArray()).reshape(-1, 1);
        Assert.Equal([labels.Length, 1L], outputs.shape);
        Assert.Equal(F.binary_cross_entropy_with_logits(outputs, target).item<float>(), mean, 1e-5);
    }

    [Fact]
    public void Binary_cross_entropy_with_weights_and_smoothing_is_cross_entropy_of_the_logits_zero_and_z()
    {
        var (mean, outputs, labels) = Run(new LossSpec { Kind = LossKind.BinaryCrossEntropy, ClassWeights = _weights, LabelSmoothing = 0.2 }, Fixtures.Classification(2, 5));
        using var both = cat([zeros_like(outputs), outputs], 1);
        using var weight = tensor([0.5f, 3f]);
        using var target = tensor(labels);
        Assert.Equal(F.cross_entropy(both, target, weight, label_smoothing: 0.2).item<float>(), mean, 1e-5);
    }

    [Fact]
    public void Mean_squared_error_of_two_classes_is_of_the_sigmoid()
    {
        var (mean, outputs, labels) = Run(new LossSpec { Kind = LossKind.Mse }, Fixtures.Classification(2, 5));
        using var target = tensor(labels.Select(label => (float)label).ToArray()).reshape(-1, 1);
        Assert.Equal(F.mse_loss(outputs.sigmoid(), target).item<float>(), mean, 1e-5);
    }

    [Theory]
    [InlineData(null)]
    [InlineData(LossKind.Mse)]
    [InlineData(LossKind.Mae)]
    [InlineData(LossKind.Huber)]
    public void Losses_of_regression_are_those_of_torch(LossKind? kind)
    {
        var (mean, outputs, _) = Run(new LossSpec { Kind = kind, Delta = 0.3 }, Fixtures.Regression(5));
        using var target = tensor(Fixtures.Samples(Fixtures.Regression(5), 40).Values.ToArray()).reshape(-1, 1);
        var expected = kind switch
        {
            LossKind.Mae => F.l1_loss(outputs, target),
            LossKind.Huber => F.huber_loss(outputs, target, 0.3),
            _ => F.mse_loss(outputs, target),
        };
        Assert.Equal(expected.item<float>(), mean, 1e-5);
    }

    [Fact]
    public void Probabilities_sum_to_one_and_values_stay_as_they_are()
    {
        using var many = new LossFunction(new LossSpec(), Fixtures.Classification(2, 5));
        using var binary = new LossFunction(new LossSpec { Kind = LossKind.BinaryCrossEntropy }, Fixtures.Classification(2, 5));
        using var regression = new LossFunction(new LossSpec(), Fixtures.Regression(5));
        var p = 1 / (1 + MathF.Exp(-3));
        Assert.Equal([p, 1 - p], Probabilities(many, 2, -1), (a, b) => Math.Abs(a - b) < 1e-6);
        var q = 1 / (1 + MathF.Exp(-2));
        Assert.Equal([1 - q, q], Probabilities(binary, 2), (a, b) => Math.Abs(a - b) < 1e-6);
        Assert.Equal([2f], Probabilities(regression, 2));
        Assert.Equal((2, 2, 1), (many.Columns, binary.Columns, regression.Columns));

        static float[] Probabilities(LossFunction loss, params float[] outputs)
        {
            var probabilities = new float[loss.Columns];
            loss.ToProbabilities(outputs, probabilities);
            return probabilities;
        }
    }

    [Theory]
    [InlineData(LossKind.CrossEntropy, true, "training.loss.kind")]
    [InlineData(LossKind.BinaryCrossEntropy, true, "training.loss.kind")]
    [InlineData(LossKind.Mae, false, "training.loss.kind")]
    [InlineData(LossKind.Mse, false, "training.loss.kind")]
    [InlineData(LossKind.BinaryCrossEntropy, false, "training.loss.kind")]
    public void A_loss_that_does_not_go_with_the_data_is_a_fault(LossKind kind, bool regression, string place)
    {
        var faults = new List<Core.Faults.Fault>();
        LossFunction.Validate(new LossSpec { Kind = kind }, regression ? Fixtures.Regression(5) : Fixtures.Classification(3, 5), faults);
        Assert.Equal(place, Assert.Single(faults).Place);
    }

    private static (double Mean, Tensor Outputs, long[] Labels) Run(LossSpec spec, Core.Data.DataSignature signature)
    {
        var samples = Fixtures.Samples(signature, 40);
        using var model = Fixtures.Catalog.Build(Fixtures.Model("mlp"), spec, signature, 1, 1);
        using var loss = new LossFunction(spec, signature, LossFunction.ClassCounts(samples, signature.Classes.Count));
        using var computer = new GradientComputer(model, loss, samples);
        using var evaluator = new Evaluator(model, loss);
        var mean = computer.Compute(0, 0, Enumerable.Range(0, 40).ToArray(), new float[model.Layout.Length]).MeanLoss;
        // without dropout, training and evaluation see the same loss
        Assert.Equal(mean, evaluator.Evaluate(samples).Report().Values["loss"], 1e-5);
        using var x = tensor(samples.Features.ToArray()).reshape(40, -1);
        return (mean, model.Module.call(x).detach(), [.. samples.Labels.ToArray().Select(label => (long)label)]);
    }
}
