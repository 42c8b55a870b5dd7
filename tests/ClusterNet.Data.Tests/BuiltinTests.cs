using ClusterNet.Core.Data;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data.Preparation;

namespace ClusterNet.Data.Tests;

/// <summary>The data that comes with the project is there, whole, and prepared the same way every time.</summary>
public sealed class BuiltinTests
{
    [Fact]
    public void Wdbc_is_split_with_its_classes_in_proportion_and_standardized_on_training()
    {
        var data = DataPipeline.Load(Specs.Wdbc, 1);
        Assert.Equal((399, 85, 85), (data.Training.Count, data.Validation.Count, data.Test.Count));
        Assert.Equal([30], data.Training.Shape);
        Assert.Equal(["0", "1"], data.Preparation.Signature.Classes);
        foreach (var part in new[] { data.Training, data.Validation, data.Test })
            Assert.Equal(357 / 569.0, part.Labels.ToArray().Average(), 0.01);
        for (var column = 0; column < 30; column++)
        {
            var values = Enumerable.Range(0, data.Training.Count).Select(i => (double)data.Training[i][column]).ToArray();
            Assert.Equal(0, values.Average(), 1e-6);
            Assert.Equal(1, values.Average(value => value * value), 1e-5);
        }
    }

    [Fact]
    public void The_same_seed_gives_the_same_bits_and_another_seed_others()
    {
        var first = DataPipeline.Load(Specs.Wdbc, 1);
        Assert.Equal(first.Fingerprint, DataPipeline.Load(Specs.Wdbc, 1).Fingerprint);
        Assert.NotEqual(first.Fingerprint, DataPipeline.Load(Specs.Wdbc, 2).Fingerprint);
        Assert.Equal(64, first.Fingerprint.Length);
    }

    [Fact]
    public void A_stored_preparation_prepares_the_same_bits()
    {
        var first = DataPipeline.Load(Specs.Wdbc, 1);
        var stored = FittedPreparation.FromJson(first.Preparation.ToJson());
        Assert.Equal(first.Fingerprint, DataPipeline.Load(Specs.Wdbc, 1, stored).Fingerprint);
        Assert.Equal(first.Preparation.ToJson(), stored.ToJson());
    }

    [Theory]
    [InlineData(1, 8, 8)]
    [InlineData(8, 8)]
    [InlineData(64)]
    public void Digits_take_the_shape_a_model_wants(params int[] shape)
    {
        var spec = new DataSpec("builtin:digits", DataFormat.Csv, LearningTask.Classification)
        {
            Shape = shape,
            Preparation = [new PreparationSpec(PreparationKind.Scale, []) { Value = "16" }],
        };
        var data = DataPipeline.Load(spec, 3);
        Assert.Equal(shape, data.Test.Shape);
        Assert.Equal(1797, data.Training.Count + data.Validation.Count + data.Test.Count);
        Assert.Equal(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"], data.Preparation.Signature.Classes);
        Assert.Equal(1, data.Training.Features.ToArray().Max());
        Assert.Equal(0, data.Training.Features.ToArray().Min());
    }

    [Fact]
    public void Xor_is_four_rows_of_training()
    {
        var data = DataPipeline.Load(new DataSpec("builtin:xor", DataFormat.Csv, LearningTask.Classification) { Split = new SplitSpec(SplitKind.None) }, 1);
        Assert.Equal([0, 0, 0, 1, 1, 0, 1, 1], data.Training.Features.ToArray());
        Assert.Equal([0, 1, 1, 0], data.Training.Labels.ToArray());
        Assert.Equal((0, 0), (data.Validation.Count, data.Test.Count));
    }

    [Fact]
    public void An_unknown_name_is_answered_with_those_there_are()
    {
        var fault = Assert.Throws<InputException>(() => DataPipeline.Load(Specs.Wdbc with { Source = "builtin:wbdc" }, 1)).Faults.Single();
        Assert.Equal(("data.source", "builtin:wbdc"), (fault.Place, fault.Found));
        Assert.Contains("builtin:wdbc", fault.Candidates);
    }

    [Fact]
    public void Rows_of_a_source_and_the_same_rows_as_a_request_are_the_same_samples()
    {
        var data = DataPipeline.Load(Specs.Wdbc, 1);
        var lines = Specs.EmbeddedText("wdbc.csv").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var table = new RawSamples.Table(lines[0].Split(','), [.. data.Test.Ids.ToArray().Select(id => (IReadOnlyList<string?>)lines[id + 1].Split(','))]);
        var prepared = data.Preparation.Prepare(table, withTargets: true);
        AssertSame(data.Test, prepared);

        var values = table.Rows.SelectMany(row => row.Take(30).Select(cell => float.Parse(cell!, System.Globalization.CultureInfo.InvariantCulture))).ToArray();
        AssertSame(data.Test, data.Preparation.Prepare(new RawSamples.Array([30], values, [.. table.Rows.Select(row => row[30]!)]), withTargets: true));
        Assert.Equal(Enumerable.Range(0, data.Test.Count), prepared.Ids.ToArray());
    }

    private static void AssertSame(SampleSet expected, SampleSet actual)
    {
        Assert.Equal(expected.Features.ToArray(), actual.Features.ToArray());
        Assert.Equal(expected.Labels.ToArray(), actual.Labels.ToArray());
    }
}
