using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;
using CsCheck;

namespace ClusterNet.Core.Tests.Metrics;

/// <summary>The promise that workers' parts merge to the very report that one worker would have made, and that bytes from elsewhere are read or refused, nothing between.</summary>
public sealed class MetricAccumulatorTests
{
    private sealed record Sample(float[] Outputs, int Label, float Target, double Loss, double Weight);

    private static readonly Gen<(LearningTask Task, int Classes, Sample[] Samples, int Seed)> Cases = Gen.Select(
        Gen.Int[0, 5].SelectMany(classes =>
            Gen.Select(
                // coarse scores, so that ties are frequent
                Gen.OneOf(Gen.Single[0, 1], Gen.Int[0, 4].Select(x => x / 4f)).Array[Math.Max(1, classes)],
                Gen.Int[0, Math.Max(0, classes - 1)],
                Gen.Single[-10, 10],
                Gen.Double[0, 10],
                Gen.Double[0.1, 3])
            .Select((outputs, label, target, loss, weight) => new Sample(outputs, label, target, loss, weight)).Array[0, 60]
            .Select(samples => (classes, samples))),
        Gen.Int)
        .Where((cases, _) => cases.classes != 1)
        .Select((cases, seed) => (cases.classes == 0 ? LearningTask.Regression : LearningTask.Classification, cases.classes, cases.samples, seed));

    [Fact]
    public void Any_partition_in_any_order_gives_the_same_bits() => Cases.Sample((task, classes, samples, seed) =>
    {
        var expected = Of(task, classes, samples).Report();
        var random = new Random(seed);
        var shuffled = samples.ToArray();
        random.Shuffle(shuffled);
        var parts = shuffled.GroupBy(_ => random.Next(4)).Select(part => Of(task, classes, part)).ToArray();
        random.Shuffle(parts);
        var merged = new MetricAccumulator(task, classes);
        foreach (var part in parts)
        {
            if (random.Next(2) == 0)
                merged.Merge(part);
            else
                merged.Merge(MetricAccumulator.FromBytes(part.ToBytes()));
        }
        AssertSame(expected, merged.Report());
    });

    [Fact]
    public void A_report_has_names_that_are_known_and_finite_values() => Cases.Sample((task, classes, samples, _) =>
    {
        var report = Of(task, classes, samples).Report();
        var known = MetricNames.ForTask(task, classes).ToHashSet();
        Assert.All(report.Values, value =>
        {
            Assert.Contains(value.Key, known);
            Assert.True(double.IsFinite(value.Value));
            MetricNames.HigherIsBetter(value.Key);
        });
        Assert.Equal(samples.Length, report.Samples);
        Assert.Equal(task == LearningTask.Classification ? samples.Length : 0, report.Confusion.Sum(row => row.Sum()));
        Assert.Equal(samples.Length == 0, report.Values.Count == 0);
    });

    [Fact]
    public void A_sample_more_takes_as_many_bytes_as_is_said() => Cases.Sample((task, classes, samples, seed) =>
    {
        if (samples.Length == 0)
            return;
        // what is not of a sample alone: sums of any precision, and counts of pairs of classes that were not there yet
        var (all, twice) = (Of(task, classes, samples), Of(task, classes, [.. samples, .. samples]));
        var most = task == LearningTask.Classification ? MetricAccumulator.BytesOfSample(task, classes) : 0;
        Assert.InRange(twice.ToBytes().Length - all.ToBytes().Length - (most * samples.Length), -1024, 1024);
    });

    [Fact]
    public void Bytes_that_were_cut_short_or_prolonged_are_refused() => Cases.Sample((task, classes, samples, seed) =>
    {
        var bytes = Of(task, classes, samples).ToBytes();
        Assert.Throws<FormatException>(() => MetricAccumulator.FromBytes(bytes.AsSpan(0, new Random(seed).Next(bytes.Length))));
        Assert.Throws<FormatException>(() => MetricAccumulator.FromBytes([.. bytes, 0]));
    });

    [Fact]
    public void Bytes_that_were_changed_are_refused_or_still_make_a_report() => Cases.Sample((task, classes, samples, seed) =>
    {
        var bytes = Of(task, classes, samples).ToBytes();
        var random = new Random(seed);
        for (var changes = random.Next(1, 4); changes > 0; changes--)
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        MetricAccumulator read;
        try
        {
            read = MetricAccumulator.FromBytes(bytes);
        }
        catch (FormatException)
        {
            return;
        }
        read.Merge(read);
        Assert.All(read.Report().Values, value => Assert.True(double.IsFinite(value.Value)));
    });

    [Fact]
    public void Misuse_is_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new MetricAccumulator(LearningTask.Classification, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new MetricAccumulator(LearningTask.Classification, MetricAccumulator.MaxClasses + 1));
        var classification = new MetricAccumulator(LearningTask.Classification, 2);
        Assert.Throws<ArgumentException>(() => classification.Add([0.5f], 0, 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => classification.Add([0.5f, 0.5f], 2, 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => classification.Add([0.5f, 0.5f], -1, 0, 1));
        Assert.Throws<InvalidOperationException>(() => classification.Add(1f, 1f, 0, 1));
        Assert.Throws<ArgumentException>(() => classification.Merge(new MetricAccumulator(LearningTask.Classification, 3)));
        Assert.Throws<ArgumentException>(() => classification.Merge(new MetricAccumulator(LearningTask.Regression, 0)));
        Assert.Throws<InvalidOperationException>(() => new MetricAccumulator(LearningTask.Regression, 0).Add([0.5f, 0.5f], 0, 0, 1));
        Assert.Equal(0, classification.Samples);
        Assert.Empty(classification.Report().Values);
    }

    private static MetricAccumulator Of(LearningTask task, int classes, IEnumerable<Sample> samples)
    {
        var accumulator = new MetricAccumulator(task, classes);
        foreach (var sample in samples)
        {
            if (task == LearningTask.Classification)
                accumulator.Add(sample.Outputs, sample.Label, sample.Loss, sample.Weight);
            else
                accumulator.Add(sample.Outputs[0], sample.Target, sample.Loss, sample.Weight);
        }
        return accumulator;
    }

    private static void AssertSame(MetricReport expected, MetricReport actual)
    {
        Assert.Equal(expected.Samples, actual.Samples);
        Assert.Equal(expected.Values.Keys, actual.Values.Keys);
        Assert.All(expected.Values, value => Assert.Equal(BitConverter.DoubleToInt64Bits(value.Value), BitConverter.DoubleToInt64Bits(actual.Values[value.Key])));
        Assert.Equal(expected.Confusion.SelectMany(row => row), actual.Confusion.SelectMany(row => row));
    }
}
