using System.Text.Json;
using ClusterNet.Data.Description;
using SkiaSharp;

namespace ClusterNet.Data.Tests;

/// <summary>A description says what a person needs before naming columns in a job.</summary>
public sealed class DescriptionTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Columns_have_a_type_missing_values_and_statistics()
    {
        var path = _folder.Write("rows.csv", "a,b,c,d\n1,0.5,x,?\n3,?,y,\n2,1.5,x,NA\n");
        var data = DatasetDescriber.Describe(path);
        Assert.Equal(("csv", 3), (data.Kind, data.Samples));
        Assert.Equal(["integer", "number", "text", "empty"], data.Columns.Select(column => column.Type));
        Assert.Equal([0, 1, 0, 3], data.Columns.Select(column => column.Missing));
        Assert.Equal([3, 2, 2, 0], data.Columns.Select(column => column.Distinct));
        Assert.Equal((1.0, 3.0, 2.0), (data.Columns[0].Minimum, data.Columns[0].Maximum, data.Columns[0].Mean));
        Assert.Equal(Math.Sqrt(2 / 3.0), data.Columns[0].StandardDeviation!.Value, 1e-12);
        Assert.Equal(new WordCount("x", 2), data.Columns[2].MostFrequent[0]);
    }

    [Fact]
    public void Distinct_values_are_counted_up_to_a_bound()
    {
        var path = _folder.Write("rows.csv", "a\n" + string.Concat(Enumerable.Range(0, 5000).Select(i => $"id{i}\n")));
        var column = DatasetDescriber.Describe(path).Columns.Single();
        Assert.Equal(DatasetDescriber.MostDistinct, column.Distinct);
        Assert.Empty(column.MostFrequent);
    }

    [Fact]
    public void Arrays_have_a_type_a_shape_and_a_range()
    {
        var npz = _folder.Write("a.npz", NumpyFiles.Npz(("X", NumpyFiles.Npy<float>("<f4", "(2, 2)", [1, float.NaN, 3, -1])), ("name", NumpyFiles.Text(2, "a", "b"))));
        var data = DatasetDescriber.Describe(npz);
        Assert.Equal((1, -1.0, 3.0, 1.0), (data.Arrays[0].NotNumbers, data.Arrays[0].Minimum, data.Arrays[0].Maximum, data.Arrays[0].Mean));
        Assert.Equal(("<U2", null), (data.Arrays[1].Type, data.Arrays[1].Mean));
        Assert.Equal(2, data.Samples);
        Assert.Equal("npy", DatasetDescriber.Describe(_folder.Write("a.npy", NumpyFiles.Npy<byte>("|u1", "(3,)", [1, 2, 3]))).Kind);
    }

    [Fact]
    public void Folders_of_pictures_have_classes_and_sizes()
    {
        _folder.Write("cat/1.png", ImageFolderTests.Encode(4, 3, (_, _) => SKColors.Gray));
        _folder.Write("cat/2.png", ImageFolderTests.Encode(4, 3, (_, _) => SKColors.Gray));
        _folder.Write("dog/1.png", ImageFolderTests.Encode(5, 5, (_, _) => SKColors.Gray));
        var data = DatasetDescriber.Describe(_folder.Path);
        Assert.Equal([new WordCount("cat", 2), new WordCount("dog", 1)], data.Classes);
        Assert.Equal([new PictureSize(4, 3, 2), new PictureSize(5, 5, 1)], data.Sizes);
    }

    [Fact]
    public void A_description_can_be_written_as_json()
    {
        var json = JsonSerializer.Serialize(DatasetDescriber.Describe("builtin:wdbc"));
        Assert.Contains("\"mean_radius\"", json, StringComparison.Ordinal);
        Assert.Contains("569", json, StringComparison.Ordinal);
    }
}
