using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;
using ClusterNet.Learning.Training;

namespace ClusterNet.Learning.Tests;

/// <summary>What a part's metrics are does not depend on who evaluates which chunks of it, and a fixed batch gives a sample the same answer in any company.</summary>
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
    [InlineData("cnn")]
    [InlineData("gru")]
    public void A_fixed_batch_gives_a_sample_the_same_bits_in_any_company(string kind)
    {
        var (spec, signature) = Fixtures.Kind(kind);
        var samples = Fixtures.Samples(signature, 21);
        using var model = Fixtures.Catalog.Build(spec, Fixtures.CrossEntropy, signature, 1, 1);
        using var loss = new LossFunction(Fixtures.CrossEntropy, signature);
        using var predictor = new Predictor(model, loss, fixedBatch: 8);
        using var free = new Predictor(model, loss);
        var together = predictor.Predict(samples);
        Assert.Equal(21 * 3, together.Length);
        for (var i = 0; i < samples.Count; i++)
        {
            var alone = predictor.Predict(new Core.Data.SampleSet(samples.Shape, samples[i].ToArray(), Array.Empty<int>(), Array.Empty<float>(), (int[])[0]));
            GradientComputerTests.AssertSameBits(together.AsSpan(3 * i, 3), alone);
            Assert.Equal(1f, alone.Sum(), 1e-5f);
        }
        Assert.Equal(together, free.Predict(samples), (a, b) => Math.Abs(a - b) < 1e-5);
    }

    [Theory]
    [InlineData(2, "8")]
    [InlineData(3, "8 8")]
    [InlineData(10, "12")]
    [InlineData(2, "32")]
    public void Narrow_layers_whose_rows_round_differently_give_the_same_bits_too(int classes, string hidden)
    {
        var signature = Fixtures.Classification(classes, 30);
        var samples = Fixtures.Samples(signature, 100);
        using var model = Fixtures.Catalog.Build(Fixtures.Model("mlp", $"hidden: {hidden}"), Fixtures.CrossEntropy, signature, 1, 1);
        using var loss = new LossFunction(Fixtures.CrossEntropy, signature);
        using var predictor = new Predictor(model, loss, fixedBatch: 16);
        var together = predictor.Predict(samples);
        for (var i = 0; i < samples.Count; i++)
        {
            var alone = predictor.Predict(new Core.Data.SampleSet(samples.Shape, samples[i].ToArray(), Array.Empty<int>(), Array.Empty<float>(), (int[])[0]));
            GradientComputerTests.AssertSameBits(together.AsSpan(classes * i, classes), alone);
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
