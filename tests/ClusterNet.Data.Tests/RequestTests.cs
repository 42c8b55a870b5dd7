using System.Text;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data.Requests;

namespace ClusterNet.Data.Tests;

/// <summary>Samples of a request are read in every form that is promised, within bounds, and what can't be read says where.</summary>
public sealed class RequestTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static RawSamples Read(string text, RawSampleOptions? options = null) =>
        RawSampleReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "input", options ?? new RawSampleOptions());

    private static Fault FaultOf(string text, RawSampleOptions? options = null) => Specs.SingleFault(() => Read(text, options));

    [Theory]
    [InlineData("a,b\n1,?\n\"x\",2.50\n")]
    [InlineData("[{\"a\": 1, \"b\": null}, {\"b\": 2.50, \"a\": \"x\"}]")]
    [InlineData("  {\"samples\": [{\"a\": 1}, {\"a\": \"x\", \"b\": 2.50}]}")]
    public void Rows_come_as_text_or_as_objects(string text)
    {
        var table = Assert.IsType<RawSamples.Table>(Read(text));
        Assert.Equal(["a", "b"], table.Columns);
        Assert.Equal(["1", null], table.Rows[0]);
        Assert.Equal(["x", "2.50"], table.Rows[1]);
    }

    [Theory]
    [InlineData("[[1, 2], [3, null]]", 2, new[] { 2 })]
    [InlineData("{\"samples\": [[1, 2], [3, null]], \"targets\": [1, \"no\"]}", 2, new[] { 2 })]
    [InlineData("[1, 2, 3, null]", 1, new[] { 4 })]
    [InlineData("[[[1, 2], [3, null]]]", 1, new[] { 2, 2 })]
    public void Arrays_come_nested_as_the_samples_are_shaped(string text, int count, int[] shape)
    {
        var array = Assert.IsType<RawSamples.Array>(Read(text));
        Assert.Equal(count, array.Count);
        Assert.Equal(shape, array.Shape);
        Assert.Equal([1, 2, 3, float.NaN], array.Values.ToArray());
        if (array.Targets.Count > 0)
            Assert.Equal(["1", "no"], array.Targets);
    }

    [Fact]
    public void One_object_is_one_sample() => Assert.Equal(1, Read("{\"a\": 1}").Count);

    [Theory]
    [InlineData("[{\"a\": 1}", "input:1", "not JSON")]
    [InlineData("[{\"a\": 1, \"a\": 2}]", "input", "not JSON")]
    [InlineData("[]", "input", "nothing to predict")]
    [InlineData("[{\"a\": \"\\ud83d\"}]", "input", "half of a surrogate pair")]
    [InlineData("[{\"\\ude00\": 1}]", "input", "half of a surrogate pair")]
    [InlineData("{\"samples\": [[1]], \"\\ud83d\": 1}", "input", "half of a surrogate pair")]
    [InlineData("{\"samples\": [[1]], \"targets\": [\"\\ud83d\"]}", "input", "half of a surrogate pair")]
    [InlineData("{\"samples\": 3}", "input", "array of objects")]
    [InlineData("{\"samples\": [], \"rows\": []}", "input", "'rows' is not one of samples, targets")]
    [InlineData("[{\"a\": [1]}]", "input:samples[0].a", "an array of 1 where a number")]
    [InlineData("[{\"a\": 1}, 2]", "input:samples[1]", "'2' among objects")]
    [InlineData("[[1, 2], [3]]", "input:samples[1]", "an array of 1 where an array of 2")]
    [InlineData("[[1, \"x\"]]", "input:samples[0][1]", "where a finite number")]
    [InlineData("[[1, 1e99]]", "input:samples[0][1]", "where a finite number")]
    [InlineData("[[[[[[1]]]]]]", "input", "nested")]
    [InlineData("[[]]", "input", "empty array")]
    [InlineData("a,b\n1\n", "input:2", "1 cells where 2")]
    [InlineData("a,b\n", "input", "nothing to predict")]
    [InlineData("", "input", "empty")]
    public void What_can_not_be_read_says_where(string text, string place, string message)
    {
        var fault = FaultOf(text);
        Assert.Equal(place, fault.Place);
        Assert.Contains(message, fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void JSON_that_is_not_UTF_8_is_refused_with_its_line()
    {
        var bytes = Encoding.Latin1.GetBytes("[{\"size\": 1},\n {\"gr\u00f6\u00dfe\": 2}]");
        var fault = Specs.SingleFault(() => RawSampleReader.Read(new MemoryStream(bytes), "input", new RawSampleOptions()));
        Assert.Equal(("input:2", "is not UTF-8; save the file as UTF-8"), (fault.Place, fault.Message));
    }

    [Fact]
    public void More_than_the_bounds_is_refused()
    {
        Assert.Contains("at once", FaultOf("a\n1\n2\n3\n", new RawSampleOptions { MaxSamples = 2 }).Message, StringComparison.Ordinal);
        Assert.Contains("at once", FaultOf("[[1],[2],[3]]", new RawSampleOptions { MaxSamples = 2 }).Message, StringComparison.Ordinal);
        Assert.Contains("at once", FaultOf("[[1],[2],[3]]", new RawSampleOptions { MaxBytes = 5 }).Message, StringComparison.Ordinal);
        Assert.Contains("not JSON", FaultOf(new string('[', 100)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Arrays_are_found_by_name_by_part_or_by_being_alone()
    {
        var features = NumpyFiles.Npy<short>("<i2", "(2, 3)", [1, 2, 3, 4, 5, 6]);
        var targets = NumpyFiles.Npy<byte>("|u1", "(2, 1)", [0, 1]);
        var options = new RawSampleOptions { FeatureArray = "images", TargetArray = "labels" };
        foreach (var bytes in new[]
        {
            NumpyFiles.Npz(("images", features), ("labels", targets)),
            NumpyFiles.Npz(("test_images", features), ("test_labels", targets), ("train_images", features)),
            NumpyFiles.Npz(("anything", features)),
            features,
        })
        {
            var array = Assert.IsType<RawSamples.Array>(RawSampleReader.Read(_folder.Write("input.npz", bytes), options));
            Assert.Equal([3], array.Shape);
            Assert.Equal([1, 2, 3, 4, 5, 6], array.Values.ToArray());
            Assert.True(array.Targets.Count == 0 || array.Targets.SequenceEqual(["0", "1"]));
        }
        var fault = Specs.SingleFault(() => RawSampleReader.Read(_folder.Write("input.npz", NumpyFiles.Npz(("a", features), ("b", features))), options));
        Assert.Equal("images", fault.Found);
    }

    [Fact]
    public void A_name_tells_the_form_or_is_refused()
    {
        Assert.Equal(1, RawSampleReader.Read(_folder.Write("x.tsv", "a\tb\n1\t2\n"), new RawSampleOptions { Csv = new CsvSpec('\t') }).Count);
        Assert.Equal(1, RawSampleReader.Read(_folder.Write("x.json", "[{\"a\": 1}]")).Count);
        Assert.Equal(569, RawSampleReader.Read("builtin:wdbc").Count);
        Assert.Contains("say the format", Specs.SingleFault(() => RawSampleReader.Read(_folder.Write("x.xlsx", "?"))).Message, StringComparison.Ordinal);
        Assert.Equal("x.jsn", Specs.SingleFault(() => RawSampleReader.Read(_folder["x.jsn"])).Found);
    }

    [Fact]
    public void The_marks_of_missing_values_hold_for_every_form()
    {
        var spec = Specs.Csv(_folder.Write("rows.csv", "a,target\n1,0\n-9,1\n5,1\n")) with
        {
            Csv = new CsvSpec(Missing: ["-9"]),
            Preparation = [Specs.Step(PreparationKind.Impute)],
        };
        var fitted = DataPipeline.Load(spec, 1).Preparation;
        foreach (var text in new[] { "a\n-9\n", "[{\"a\": -9}]", "[{\"a\": \"-9\"}]", "[{\"a\": null}]", "[[-9]]", "[[null]]" })
            Assert.Equal([3], fitted.Prepare(Read(text), withTargets: false).Features.ToArray());
    }
}
