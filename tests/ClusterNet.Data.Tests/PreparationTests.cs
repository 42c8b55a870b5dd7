using System.Globalization;
using ClusterNet.Core.Data;
using ClusterNet.Core.Jobs;
using ClusterNet.Data.Preparation;
using CsCheck;

namespace ClusterNet.Data.Tests;

/// <summary>Steps are fitted on the training part alone, applied in their order, and stored without losing a bit.</summary>
public sealed class PreparationTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private DataSpec Spec(string text, params PreparationSpec[] steps) => Specs.Csv(_folder.Write("rows.csv", text)) with { Preparation = steps };

    private static float[] Column(SampleSet samples, int column) => [.. Enumerable.Range(0, samples.Count).Select(i => samples[i][column])];

    private static RawSamples.Table Request(string columns, params string[] rows) =>
        new(columns.Split(','), [.. rows.Select(row => (IReadOnlyList<string?>)[.. row.Split(',').Select(cell => cell.Length == 0 ? null : cell)])]);

    [Theory]
    [InlineData(ImputeStrategy.Mean, 3)]
    [InlineData(ImputeStrategy.Median, 2)]
    [InlineData(ImputeStrategy.MostFrequent, 1)]
    [InlineData(ImputeStrategy.Constant, -7)]
    public void Missing_numbers_become_what_the_strategy_says(ImputeStrategy strategy, float expected)
    {
        var step = Specs.Step(PreparationKind.Impute) with { Strategy = strategy, Value = "-7" };
        var data = DataPipeline.Load(Spec("a,target\n1,0\n,1\n3,0\n1,1\n7,0\n", step) with { Csv = new CsvSpec() }, 1);
        Assert.Equal([1, expected, 3, 1, 7], Column(data.Training, 0));
    }

    [Fact]
    public void The_most_frequent_of_several_is_the_smallest()
    {
        var step = Specs.Step(PreparationKind.Impute) with { Strategy = ImputeStrategy.MostFrequent };
        Assert.Equal([5, 5, 2, 2, 9, 2], Column(DataPipeline.Load(Spec("a,target\n5,0\n5,1\n2,0\n2,1\n9,0\n?,1\n", step), 1).Training, 0));
    }

    [Fact]
    public void Steps_follow_each_other_in_their_order()
    {
        var data = DataPipeline.Load(
            Spec(
                "a,b,target\n0,1,0\n10,1,1\n,1,0\n",
                Specs.Step(PreparationKind.Impute) with { Strategy = ImputeStrategy.Constant, Value = "20" },
                Specs.Step(PreparationKind.MinMax, "a") with { Range = (-1, 1) },
                Specs.Step(PreparationKind.Scale) with { Value = "2" },
                Specs.Step(PreparationKind.Standardize, "b")),
            1);
        Assert.Equal([-0.5f, 0, 0.5f], Column(data.Training, 0));
        Assert.Equal([0, 0, 0], Column(data.Training, 1));
    }

    [Fact]
    public void A_constant_column_is_standardized_to_zero_whatever_its_rounding()
    {
        var text = "a,target\n" + string.Concat(Enumerable.Range(0, 99).Select(i => $"0.1,{i % 2}\n"));
        Assert.All(DataPipeline.Load(Spec(text, Specs.Step(PreparationKind.Standardize)), 1).Training.Features.ToArray(), value => Assert.Equal(0, value));
    }

    [Fact]
    public void Categories_become_columns_and_an_unknown_one_none_of_them()
    {
        const string Text = "site,age,target\nx,1,0\n10,2,1\n9.0,3,0\nx,4,1\n";
        foreach (var spec in new[] { Spec(Text) with { Categorical = ["site"] }, Spec(Text, Specs.Step(PreparationKind.OneHot, "site")) })
        {
            var data = DataPipeline.Load(spec, 1);
            Assert.Equal([4], data.Training.Shape);
            Assert.Equal([0, 0, 1, 1, 0, 1, 0, 2, 1, 0, 0, 3, 0, 0, 1, 4], data.Training.Features.ToArray());
            Assert.Equal(["site", "age"], data.Preparation.Signature.InputNames);
            var request = data.Preparation.Prepare(Request("age,other,site", "5,?,9", "6,,somewhere"), withTargets: false);
            Assert.Equal([1, 0, 0, 5, 0, 0, 0, 6], request.Features.ToArray());
            Assert.Equal((0, 0), (request.Labels.Length, request.Values.Length));
        }
    }

    [Fact]
    public void Missing_categories_are_imputed_or_a_fault()
    {
        const string Text = "site,target\nb,0\na,1\nb,0\n?,1\n";
        var imputed = Specs.Step(PreparationKind.Impute, "site") with { Strategy = ImputeStrategy.MostFrequent };
        Assert.Equal([0, 1, 1, 0, 0, 1, 0, 1], DataPipeline.Load(Spec(Text, imputed) with { Categorical = ["site"] }, 1).Training.Features.ToArray());
        var constant = Specs.Step(PreparationKind.Impute) with { Strategy = ImputeStrategy.Constant, Value = "unknown" };
        Assert.Equal([3], DataPipeline.Load(Spec(Text, constant) with { Categorical = ["site"] }, 1).Training.Shape);
        var fault = Specs.SingleFault(Spec(Text) with { Categorical = ["site"] });
        Assert.EndsWith("rows.csv:5", fault.Place, StringComparison.Ordinal);
        Assert.Contains("impute", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Labels_fix_the_order_of_the_classes()
    {
        const string Text = "a,target\n1,pos\n2,neg\n";
        var labels = Specs.Step(PreparationKind.Labels) with { Labels = ["pos", "neg"] };
        Assert.Equal([0, 1], DataPipeline.Load(Spec(Text, labels), 1).Training.Labels.ToArray());
        Assert.Equal([1, 0], DataPipeline.Load(Spec(Text), 1).Training.Labels.ToArray());
        var fault = Specs.SingleFault(Spec(Text, labels with { Labels = ["pos", "negative"] }));
        Assert.Equal(("data.preparation[0].labels", "neg"), (fault.Place, fault.Found));
    }

    [Fact]
    public void Arrays_share_statistics_along_lanes()
    {
        var pixels = Enumerable.Range(0, 16).Select(i => (float)i).ToArray();
        var path = _folder.Write("a.npz", NumpyFiles.Npz(("X", NumpyFiles.Npy("<f4", "(2, 2, 2, 2)", pixels)), ("y", NumpyFiles.Npy<byte>("|u1", "(2,)", [0, 1]))));
        var spec = Specs.Npz(path) with { Preparation = [Specs.Step(PreparationKind.MinMax)] };
        // channels first: 0..3 and 8..11 are the first channel, 4..7 and 12..15 the second
        Assert.Equal(pixels.Select(value => (value - (value % 8 < 4 ? 0 : 4)) / 11).Select(value => (float)value), DataPipeline.Load(spec, 1).Training.Features.ToArray(), new Near());
        Assert.Equal(pixels.Select(value => value / 15), DataPipeline.Load(spec with { Shape = [4, 2] }, 1).Training.Features.ToArray(), new Near());
        Assert.Equal(pixels.Select(value => value < 8 ? 0f : 1f), DataPipeline.Load(spec with { Shape = [8] }, 1).Training.Features.ToArray(), new Near());
    }

    [Fact]
    public void Rows_outside_training_never_change_what_is_fitted() =>
        Gen.Select(Gen.Double[-1e6, 1e6].Array[12, 30], Gen.Double[-1e6, 1e6].Array[5, 10], Gen.Double[-1e6, 1e6].Array[5, 10]).Sample((training, some, others) =>
        {
            string Fitted(double[] test)
            {
                var rows = training.Select((value, i) => (value, part: "train", i)).Concat(test.Select((value, i) => (value, part: i % 2 == 0 ? "test" : "val", i)));
                var text = "a,c,part,target\n" + string.Concat(rows.Select(row =>
                    string.Create(CultureInfo.InvariantCulture, $"{(row.i % 4 == 3 ? "" : row.value)},{(row.part == "train" ? row.i % 3 : (int)row.value)},{row.part},{row.i % 2}\n")));
                var spec = Spec(text, Specs.Step(PreparationKind.Impute) with { Strategy = ImputeStrategy.Median }, Specs.Step(PreparationKind.Standardize), Specs.Step(PreparationKind.MinMax));
                return DataPipeline.Load(spec with { Categorical = ["c"], Split = new SplitSpec(SplitKind.Column) { Column = "part" } }, 1).Preparation.ToJson();
            }

            return Fitted(some) == Fitted(others);
        }, iter: 50, threads: 1);

    [Fact]
    public void A_stored_preparation_keeps_every_bit_of_every_number() =>
        Gen.Double.Where(double.IsFinite).Array[1, 20].Sample(values =>
        {
            var steps = values.Select(value => (NumberStep)new NumberStep.Fill(value)).ToArray();
            var signature = new DataSignature(LearningTask.Regression, ["a"], [1], [], "y");
            var json = new FittedPreparation(signature, new TablePreparation([new ColumnPreparation.Number("a", steps)]), ["?"]).ToJson();
            return FittedPreparation.FromJson(json).ToJson() == json
                && values.All(value => json.Contains(value.ToString("R", CultureInfo.InvariantCulture).Replace("+", "\\u002B", StringComparison.Ordinal), StringComparison.Ordinal)
                    || json.Contains(value.ToString("R", CultureInfo.InvariantCulture), StringComparison.Ordinal));
        });

    [Fact]
    public void A_damaged_document_is_refused()
    {
        var good = DataPipeline.Load(Specs.Wdbc, 1).Preparation.ToJson();
        foreach (var bad in new[]
        {
            "", "null", "{}", "[]", good[..^10],
            good.Replace("\"standardize\"", "\"system.io.file\"", StringComparison.Ordinal),
            good.Replace("\"shape\":[30]", "\"shape\":[31]", StringComparison.Ordinal),
            good.Replace("\"classes\":[\"0\",\"1\"]", "\"classes\":[\"0\",\"0\"]", StringComparison.Ordinal),
            good.Replace("\"mean_radius\"", "null", StringComparison.Ordinal),
            good.Replace("\"version\":1", "\"version\":2", StringComparison.Ordinal),
            good.Replace("\"deviation\":", "\"deviation\":-", StringComparison.Ordinal),
            good.Replace("\"missing\":", "\"unknown\":", StringComparison.Ordinal),
        })
        {
            Assert.NotEqual(good, bad);
            Assert.Throws<FormatException>(() => FittedPreparation.FromJson(bad));
        }
    }

    [Fact]
    public void A_source_that_changed_is_refused_by_its_old_preparation()
    {
        var fitted = DataPipeline.Load(Spec("a,target\n1,0\n2,1\n"), 1).Preparation;
        var spec = Spec("b,target\n1,0\n2,1\n");
        Assert.Contains("no longer", Specs.SingleFault(() => DataPipeline.Load(spec, 1, fitted)).Message, StringComparison.Ordinal);
    }

    public static TheoryData<PreparationSpec, string, string> WrongSteps => new()
    {
        { Specs.Step(PreparationKind.Scale), "data.preparation[0]", "not a number to divide by" },
        { Specs.Step(PreparationKind.Scale) with { Value = "0" }, "data.preparation[0]", "not a number to divide by" },
        { Specs.Step(PreparationKind.MinMax) with { Range = (1, 1) }, "data.preparation[0]", "from a lower to a higher" },
        { Specs.Step(PreparationKind.Standardize, "b"), "data.preparation[0].columns", "no feature 'b'" },
        { Specs.Step(PreparationKind.Standardize, "site"), "data.preparation[0]", "holds categories" },
        { Specs.Step(PreparationKind.Impute, "site"), "data.preparation[0]", "holds categories" },
        { Specs.Step(PreparationKind.Impute, "a") with { Strategy = ImputeStrategy.Constant, Value = "x" }, "data.preparation[0]", "could stand in column 'a'" },
        { Specs.Step(PreparationKind.Labels) with { Labels = ["0", "1", "0.0"] }, "data.preparation[0].labels", "stands twice" },
    };

    [Theory]
    [MemberData(nameof(WrongSteps))]
    public void A_step_that_can_not_be_applied_is_refused(PreparationSpec step, string place, string message)
    {
        var fault = Specs.SingleFault(Spec("a,site,target\n1,x,0\n2,y,1\n", step) with { Categorical = ["site"] });
        Assert.Equal(place, fault.Place);
        Assert.Contains(message, fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_shape_of_another_size_is_refused() =>
        Assert.Equal("data.shape", Specs.SingleFault(Specs.Wdbc with { Shape = [5, 7] }).Place);

    [Fact]
    public void A_column_without_any_value_in_training_is_refused() =>
        Assert.Contains("no value at all", Specs.SingleFault(Spec("a,b,target\n1,?,0\n2,?,1\n", Specs.Step(PreparationKind.Impute))).Message, StringComparison.Ordinal);

    [Fact]
    public void Requests_that_do_not_fit_the_model_say_why()
    {
        var fitted = DataPipeline.Load(Spec("age,sex,target\n1,0,no\n2,1,yes\n"), 1).Preparation;
        var missing = Specs.SingleFault(() => fitted.Prepare(Request("aeg,sex", "1,2"), withTargets: false));
        Assert.Equal("age", missing.Found);
        Assert.Contains("aeg", missing.Candidates);
        Assert.Equal("samples[1]", Specs.SingleFault(() => fitted.Prepare(Request("age,sex", "1,2", "old,2"), withTargets: false)).Place);
        Assert.Contains("impute", Specs.SingleFault(() => fitted.Prepare(Request("age,sex", "1,"), withTargets: false)).Message, StringComparison.Ordinal);
        Assert.Contains("1 cells where 2", Specs.SingleFault(() => fitted.Prepare(new RawSamples.Table(["age", "sex"], [["1"]]), withTargets: false)).Message, StringComparison.Ordinal);
        Assert.Contains("this model takes 2: age, sex", Specs.SingleFault(() => fitted.Prepare(new RawSamples.Array([3], new float[3], []), withTargets: false)).Message, StringComparison.Ordinal);
        var unknown = Specs.SingleFault(() => fitted.Prepare(Request("age,sex,target", "1,2,maybe"), withTargets: true));
        Assert.Equal(("samples[0]", "maybe"), (unknown.Place, unknown.Found));
        Assert.Contains("target column 'target'", Specs.SingleFault(() => fitted.Prepare(Request("age,sex", "1,2"), withTargets: true)).Message, StringComparison.Ordinal);
        Assert.Contains("0 targets came with 1 samples", Specs.SingleFault(() => fitted.Prepare(new RawSamples.Array([2], new float[2], []), withTargets: true)).Message, StringComparison.Ordinal);
    }

    private sealed class Near : IEqualityComparer<float>
    {
        public bool Equals(float x, float y) => Math.Abs(x - y) < 1e-6;

        public int GetHashCode(float value) => 0;
    }
}
