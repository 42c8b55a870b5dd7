using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;
using ClusterNet.Learning.Training;

namespace ClusterNet.Learning.Tests;

/// <summary>What a part's metrics are does not depend on who evaluates which chunks of it, and a sample has the same answer in any company.</summary>
public sealed class EvaluatorTests
{
    [Theory]
    [InlineData("mlp")]
    [InlineData("gru")]
    public void Chunks_merge_to_the_same_report_however_they_are_dealt(string kind)
    {
        var (spec, signature) = Fixtures.Kind(kind);
        var samples = Fixtures.Samples(signature, 3 * Evaluator.ChunkSize + 5);
        var lossSpec = new LossSpec { ClassWeights = new Dictionary<string, double> { ["c1"] = 2 } };
        using var model = Fixtures.Catalog.Build(spec, lossSpec, signature, 1, 1);
        using var loss = new LossFunction(lossSpec, signature);
        using var evaluator = new Evaluator(model, loss);
        var whole = evaluator.Evaluate(samples).Report();
        Assert.Equal(4, Evaluator.ChunkCount(samples.Count));
        var merged = new MetricAccumulator(LearningTask.Classification, 3);
        foreach (var (first, count) in new[] { (3, 1), (1, 2), (0, 1), (2, 0) })
            merged.Merge(evaluator.Evaluate(samples, first, count));
        Assert.Equal(whole.Values, merged.Report().Values);
        Assert.Equal(samples.Count, whole.Samples);
        Assert.Throws<ArgumentOutOfRangeException>(() => evaluator.Evaluate(samples, 3, 2));
    }

    [Fact]
    public void Evaluation_leaves_training_as_it_was()
    {
        var (spec, signature) = Fixtures.Kind("mlp");
        var samples = Fixtures.Samples(signature, 64);
        using var model = Fixtures.Catalog.Build(spec, Fixtures.CrossEntropy, signature, 1, 1);
        using var loss = new LossFunction(Fixtures.CrossEntropy, signature);
        using var computer = new GradientComputer(model, loss, samples);
        using var evaluator = new Evaluator(model, loss);
        var (before, after) = (new float[model.Layout.Length], new float[model.Layout.Length]);
        computer.Compute(1, 1, [1, 2, 3], before);
        evaluator.Evaluate(samples);
        computer.Compute(1, 1, [1, 2, 3], after);
        GradientComputerTests.AssertSameBits(before, after);
    }

    [Theory]
    [InlineData("mlp")]
    [InlineData("mlp-odd")]
    [InlineData("cnn")]
    [InlineData("gru")]
    [InlineData("lstm")]
    public void A_sample_has_the_same_bits_in_any_company(string kind)
    {
        var (spec, signature) = Fixtures.Kind(kind);
        using var model = Fixtures.Catalog.Build(spec, Fixtures.CrossEntropy, signature, 1, 1);
        using var loss = new LossFunction(Fixtures.CrossEntropy, signature);
        using var predictor = new Predictor(model, loss, isBatchInvariant: true);
        using var free = new Predictor(model, loss);
        var samples = Fixtures.Samples(signature, 150);
        AssertSameBitsInAnyCompany(predictor, samples);
        Assert.Equal(predictor.Predict(samples), free.Predict(samples), (a, b) => Math.Abs(a - b) < 1e-5);
    }

    [Theory]
    [InlineData(2, "8", 30)]
    [InlineData(3, "8 8", 30)]
    [InlineData(10, "12", 30)]
    [InlineData(2, "32", 30)]
    [InlineData(2, "16 8", 30)]
    [InlineData(1, "128", 10)]
    [InlineData(3, "64 64", 30)]
    [InlineData(10, "512 512", 784)]
    [InlineData(7, "33 65", 129)]
    public void Layers_whose_rows_or_heights_round_differently_give_the_same_bits_too(int outputs, string hidden, int features)
    {
        var signature = outputs == 1 ? Fixtures.Regression(features) : Fixtures.Classification(outputs, features);
        var objective = outputs == 1 ? new LossSpec() : Fixtures.CrossEntropy;
        using var model = Fixtures.Catalog.Build(Fixtures.Model("mlp", $"hidden: {hidden}"), objective, signature, 1, 1);
        using var loss = new LossFunction(objective, signature);
        using var predictor = new Predictor(model, loss, isBatchInvariant: true);
        AssertSameBitsInAnyCompany(predictor, Fixtures.Samples(signature, 150));
    }

    /// <summary>All at once, each alone, and in groups of all sizes.</summary>
    private static void AssertSameBitsInAnyCompany(Predictor predictor, Core.Data.SampleSet samples)
    {
        var together = predictor.Predict(samples);
        Assert.Equal(samples.Count * predictor.Columns, together.Length);
        for (var (first, size) = (0, 1); first < samples.Count; first += size, size = (size % 40) + 1)
        {
            size = Math.Min(size, samples.Count - first);
            AssertSame(first, size);
        }
        for (var i = 0; i < samples.Count; i++)
            AssertSame(i, 1);

        void AssertSame(int first, int count)
        {
            var group = new Core.Data.SampleSet(samples.Shape, samples.Features.Slice(first * samples.ElementsPerSample, count * samples.ElementsPerSample), Array.Empty<int>(), Array.Empty<float>(), new int[count]);
            GradientComputerTests.AssertSameBits(together.AsSpan(predictor.Columns * first, predictor.Columns * count), predictor.Predict(group));
        }
    }

    [Fact]
    public void Nothing_to_predict_is_no_answer()
    {
        var signature = Fixtures.Regression(4);
        using var model = Fixtures.Catalog.Build(Fixtures.Model("mlp"), new LossSpec(), signature, 1, 1);
        using var loss = new LossFunction(new LossSpec(), signature);
        using var predictor = new Predictor(model, loss);
        Assert.Empty(predictor.Predict(Fixtures.Samples(signature, 0)));
        Assert.Throws<ArgumentException>(() => predictor.Predict(Fixtures.Samples(Fixtures.Regression(5), 1)));
    }
}
