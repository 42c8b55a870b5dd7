using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;
using CsCheck;

namespace ClusterNet.Core.Tests.Metrics;

/// <summary>The promise that each metric is what its definition says, on samples small enough to work out by hand; many are the examples of scikit-learn's documentation.</summary>
public sealed class MetricValueTests
{
    [Fact]
    public void Two_classes_count_class_1_as_positive()
    {
        // scikit-learn, balanced_accuracy_score: 0.625. TP 1, FP 1, FN 1, TN 3
        var report = Predicted([0, 1, 0, 0, 1, 0], [0, 1, 0, 0, 0, 1], 2);
        Assert.Equal([3, 1], report.Confusion[0]);
        Assert.Equal([1, 1], report.Confusion[1]);
        AssertValues(report, ("accuracy", 4 / 6.0), ("balanced-accuracy", 0.625), ("precision", 0.5), ("recall", 0.5), ("specificity", 0.75), ("f1", 0.5),
            ("precision/0", 0.75), ("recall/0", 0.75), ("specificity/0", 0.5), ("f1/0", 0.75), ("f1/1", 0.5),
            ("f1-macro", 0.625), ("f1-weighted", (4 * 0.75 + 2 * 0.5) / 6), ("precision-macro", 0.625), ("recall-weighted", 4 / 6.0));
    }

    [Fact]
    public void More_classes_are_averaged()
    {
        // scikit-learn, precision_recall_fscore_support: macro 0.222, 0.333, 0.266
        var report = Predicted([0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1], 3);
        AssertValues(report, ("precision", 2 / 9.0), ("recall", 1 / 3.0), ("f1", 0.8 / 3), ("precision-macro", 2 / 9.0), ("f1-weighted", 0.8 / 3),
            ("precision/0", 2 / 3.0), ("recall/0", 1), ("f1/0", 0.8), ("recall/1", 0), ("specificity/0", 0.75), ("specificity/1", 0.5), ("specificity/2", 0.75),
            ("specificity", 2 / 3.0), ("accuracy", 1 / 3.0), ("balanced-accuracy", 1 / 3.0));
    }

    [Fact]
    public void A_class_that_never_occurs_does_not_count_in_averages_and_has_no_values()
    {
        var report = Predicted([0, 0, 1, 1], [0, 0, 1, 0], 3);
        AssertValues(report, ("balanced-accuracy", 0.75), ("recall", 0.75), ("precision", (2 / 3.0 + 1) / 2));
        Assert.DoesNotContain("recall/2", report.Values.Keys);
        Assert.DoesNotContain("f1/2", report.Values.Keys);
    }

    [Fact]
    public void What_is_undefined_is_left_out()
    {
        // nothing predicted as 1, nothing is 1
        var report = Predicted([0, 0], [0, 0], 2);
        AssertValues(report, ("accuracy", 1), ("specificity", 1), ("balanced-accuracy", 1));
        foreach (var name in (string[])["precision", "recall", "f1", "roc-auc", "pr-auc"])
            Assert.DoesNotContain(name, report.Values.Keys);
    }

    [Theory]
    // scikit-learn, roc_auc_score and average_precision_score: 0.75 and 0.83
    [InlineData(new[] { 0, 0, 1, 1 }, new[] { 0.1f, 0.4f, 0.35f, 0.8f }, 0.75, 5 / 6.0)]
    // all tied: half of the pairs; precision is the prevalence
    [InlineData(new[] { 0, 1, 0, 1, 0 }, new[] { 0.5f, 0.5f, 0.5f, 0.5f, 0.5f }, 0.5, 0.4)]
    // 0.8 (1), 0.6 (1 and 0 tied), 0.2 (0): 3.5 of 4 pairs; 1/2 x 1 + 1/2 x 2/3
    [InlineData(new[] { 1, 1, 0, 0 }, new[] { 0.8f, 0.6f, 0.6f, 0.2f }, 0.875, 5 / 6.0)]
    [InlineData(new[] { 1, 0 }, new[] { 0.1f, 0.9f }, 0, 0.5)]
    public void Ranking_takes_ties_together(int[] labels, float[] scores, double rocAuc, double prAuc)
    {
        var accumulator = new MetricAccumulator(LearningTask.Classification, 2);
        foreach (var (label, score) in labels.Zip(scores))
            accumulator.Add([1 - score, score], label, 0, 1);
        AssertValues(accumulator.Report(), ("roc-auc", rocAuc), ("pr-auc", prAuc));
    }

    [Fact]
    public void Ranking_of_more_classes_is_one_against_the_rest()
    {
        var accumulator = new MetricAccumulator(LearningTask.Classification, 3);
        accumulator.Add([0.7f, 0.2f, 0.1f], 0, 0, 1);
        accumulator.Add([0.3f, 0.4f, 0.3f], 1, 0, 1);
        accumulator.Add([0.2f, 0.5f, 0.3f], 2, 0, 1);
        // class 0: 1; class 1: beats one of two; class 2: beats one and ties one
        AssertValues(accumulator.Report(), ("roc-auc", (1 + 0.5 + 0.75) / 3), ("pr-auc", (1 + 0.5 + 0.5) / 3));
    }

    [Fact]
    public void The_area_is_the_share_of_pairs_that_stand_right() => Gen.Select(Gen.Int[0, 1], Gen.Int[0, 6]).Array[2, 40].Sample(samples =>
    {
        var accumulator = new MetricAccumulator(LearningTask.Classification, 2);
        foreach (var (label, score) in samples)
            accumulator.Add([1 - score / 8f, score / 8f], label, 0, 1);
        var pairs = samples.Where(s => s.Item1 == 1).SelectMany(positive => samples.Where(s => s.Item1 == 0).Select(negative => positive.Item2.CompareTo(negative.Item2))).ToArray();
        Assert.Equal(pairs.Length > 0, accumulator.Report().Values.TryGetValue("roc-auc", out var area));
        if (pairs.Length > 0)
            Assert.Equal(pairs.Average(order => order > 0 ? 1 : order == 0 ? 0.5 : 0), area, 12);
    });

    [Fact]
    public void Brier_is_of_class_1_with_two_classes_and_the_sum_with_more()
    {
        // scikit-learn, brier_score_loss: 0.0375
        var two = new MetricAccumulator(LearningTask.Classification, 2);
        foreach (var (label, score) in new[] { (0, 0.1f), (1, 0.9f), (1, 0.8f), (0, 0.3f) })
            two.Add([1 - score, score], label, 0, 1);
        AssertValues(two.Report(), ("brier", 0.0375));
        var three = new MetricAccumulator(LearningTask.Classification, 3);
        three.Add([0.5f, 0.25f, 0.25f], 0, 0, 1);
        three.Add([0, 0, 1], 0, 0, 1);
        AssertValues(three.Report(), ("brier", (0.375 + 2) / 2));
    }

    [Fact]
    public void Calibration_error_weighs_bins_by_their_samples()
    {
        var accumulator = new MetricAccumulator(LearningTask.Classification, 2);
        // bin (9/15, 10/15]: confidences 0.625 and 0.65625, one right: |1 - 1.28125|; bin (14/15, 1]: 1 and 0.96875, both right: |2 - 1.96875|
        accumulator.Add([0.375f, 0.625f], 1, 0, 1);
        accumulator.Add([0.65625f, 0.34375f], 1, 0, 1);
        accumulator.Add([1, 0], 0, 0, 1);
        accumulator.Add([0.03125f, 0.96875f], 1, 0, 1);
        AssertValues(accumulator.Report(), ("ece", (0.28125 + 0.03125) / 4), ("accuracy", 0.75));
    }

    [Fact]
    public void Equal_probabilities_predict_the_first_class() =>
        Assert.Equal(1, Single([0.5f, 0.5f], 0).Values["accuracy"]);

    [Fact]
    public void Loss_is_the_weighted_mean_and_nothing_else_is_weighted()
    {
        var accumulator = new MetricAccumulator(LearningTask.Classification, 2);
        accumulator.Add([1, 0], 0, loss: 2, weight: 3);
        accumulator.Add([1, 0], 1, loss: 6, weight: 1);
        AssertValues(accumulator.Report(), ("loss", 3), ("accuracy", 0.5));
    }

    [Fact]
    public void Regression_follows_the_textbook()
    {
        // scikit-learn, r2_score, mean_squared_error and mean_absolute_error: 0.948..., 0.375, 0.5
        var accumulator = new MetricAccumulator(LearningTask.Regression, 0);
        foreach (var (target, prediction) in new[] { (3f, 2.5f), (-0.5f, 0f), (2f, 2f), (7f, 8f) })
            accumulator.Add(prediction, target, 1, 1);
        AssertValues(accumulator.Report(), ("mse", 0.375), ("rmse", Math.Sqrt(0.375)), ("mae", 0.5), ("r2", 1 - 1.5 / 29.1875), ("loss", 1));
        Assert.Empty(accumulator.Report().Confusion);
    }

    [Fact]
    public void R2_keeps_its_digits_far_from_zero()
    {
        var accumulator = new MetricAccumulator(LearningTask.Regression, 0);
        foreach (var (target, prediction) in new[] { (16777214f, 16777214f), (16777215f, 16777214f), (16777216f, 16777216f) })
            accumulator.Add(prediction, target, 0, 1);
        AssertValues(accumulator.Report(), ("r2", 0.5));
    }

    [Fact]
    public void R2_of_equal_targets_is_undefined()
    {
        var accumulator = new MetricAccumulator(LearningTask.Regression, 0);
        accumulator.Add(1, 0.1f, 0, 1);
        accumulator.Add(2, 0.1f, 0, 1);
        Assert.DoesNotContain("r2", accumulator.Report().Values.Keys);
    }

    [Fact]
    public void A_model_that_diverged_has_no_loss_and_no_scores_but_a_report()
    {
        var report = Single([float.NaN, float.NaN], 1);
        foreach (var name in (string[])["loss", "roc-auc", "pr-auc", "brier", "ece"])
            Assert.DoesNotContain(name, report.Values.Keys);
        Assert.Equal(0, report.Values["accuracy"]);
    }

    [Fact]
    public void Every_name_says_which_way_is_better()
    {
        Assert.Equal(["brier", "ece", "loss", "mae", "mse", "rmse"], MetricNames.All.Where(name => !MetricNames.HigherIsBetter(name)).Order(StringComparer.Ordinal));
        Assert.True(MetricNames.HigherIsBetter("recall/12"));
        foreach (var name in (string[])["", "acuracy", "loss/1", "recall/", "recall/x", "recall/-1", "roc-auc/1"])
            Assert.Throws<ArgumentException>(() => MetricNames.HigherIsBetter(name));
        Assert.Contains("f1/2", MetricNames.ForTask(LearningTask.Classification, 3));
        Assert.DoesNotContain("accuracy", MetricNames.ForTask(LearningTask.Regression));
        Assert.True(MetricNames.IsKnown(LearningTask.Classification, "f1/2") && MetricNames.IsKnown(LearningTask.Regression, "r2"));
        Assert.False(MetricNames.IsKnown(LearningTask.Regression, "f1/2") || MetricNames.IsKnown(LearningTask.Classification, "r2"));
    }

    private static MetricReport Predicted(int[] labels, int[] predictions, int classes)
    {
        var accumulator = new MetricAccumulator(LearningTask.Classification, classes);
        foreach (var (label, prediction) in labels.Zip(predictions))
            accumulator.Add([.. Enumerable.Range(0, classes).Select(k => k == prediction ? 1f : 0f)], label, 0, 1);
        return accumulator.Report();
    }

    private static MetricReport Single(float[] outputs, int label)
    {
        var accumulator = new MetricAccumulator(LearningTask.Classification, outputs.Length);
        accumulator.Add(outputs, label, outputs[0], 1);
        return accumulator.Report();
    }

    private static void AssertValues(MetricReport report, params (string Name, double Value)[] expected) =>
        Assert.All(expected, value => Assert.Equal(value.Value, report.Values[value.Name], 1e-7));
}
