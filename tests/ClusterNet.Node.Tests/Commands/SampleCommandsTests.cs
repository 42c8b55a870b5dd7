using System.Text.Json;
using ClusterNet.Data;

namespace ClusterNet.Node.Tests.Commands;

/// <summary>Samples come from files and standard input in every form, and predictions leave in the form that was asked for.</summary>
public sealed class SampleCommandsTests
{
    private const string Rows = "a,b,target\n1,2,yes\n3,4,no\n5,6,yes\n";

    private static Cli WithModel(string input = "", bool isTerminal = false)
    {
        var cli = new Cli { Input = input, IsTerminal = isTerminal };
        cli.Cluster.Add(FakeCluster.Version("m", 1));
        cli.Cluster.Add(FakeCluster.Version("m", 2));
        return cli;
    }

    [Fact]
    public async Task Predictions_go_to_a_pipe_as_csv()
    {
        using var cli = WithModel();
        Assert.Equal(0, await cli.RunAsync("predict", "m", "--input", cli.Folder.File("rows.csv", Rows)));
        Assert.Equal("sample,prediction,p(no),p(yes)\n1,yes,0.1,0.9\n2,no,0.75,0.25\n3,yes,0.1,0.9\n", cli.Output);
        Assert.Contains("predict m:2", cli.Cluster.Calls);
    }

    [Fact]
    public async Task A_terminal_gets_a_table()
    {
        using var cli = WithModel(isTerminal: true);
        Assert.Equal(0, await cli.RunAsync("predict", "m:1", "--input", cli.Folder.File("rows.csv", Rows)));
        Assert.Matches(@"2\s+no\s+0\.7500\s+0\.2500", cli.Output);
        Assert.Contains("predict m:1", cli.Cluster.Calls);
    }

    [Theory]
    [InlineData(Rows, null)]
    [InlineData(Rows, "csv")]
    [InlineData("""[{"a": 1, "b": 2}, {"a": 3, "b": 4}, {"a": 5, "b": 6}]""", null)]
    [InlineData("""[{"a": 1, "b": 2}, {"a": 3, "b": 4}, {"a": 5, "b": 6}]""", "json")]
    public async Task Standard_input_is_read(string input, string? format)
    {
        using var cli = WithModel(input);
        Assert.Equal(0, await cli.RunAsync(["predict", "m", "--input", "-", "--json", .. format is null ? Array.Empty<string>() : ["--format", format]]));
        var predictions = cli.Document.GetProperty("predictions");
        Assert.Equal(3, predictions.GetArrayLength());
        Assert.Equal("yes", predictions[0].GetProperty("class").GetString());
        Assert.Equal(0.9, predictions[0].GetProperty("probabilities").GetProperty("yes").GetDouble());
        Assert.IsType<RawSamples.Table>(cli.Cluster.LastSamples);
    }

    [Theory]
    [InlineData("out.csv")]
    [InlineData("out.json")]
    public async Task The_form_of_a_file_follows_its_name(string name)
    {
        using var cli = WithModel();
        var output = Path.Combine(cli.Folder.Path, name);
        Assert.Equal(0, await cli.RunAsync("predict", "m", "--input", cli.Folder.File("rows.csv", Rows), "--output", output));
        Assert.Contains("3 predictions of m:2", cli.Output, StringComparison.Ordinal);
        var text = await File.ReadAllTextAsync(output);
        if (name.EndsWith(".csv", StringComparison.Ordinal))
            Assert.StartsWith("sample,prediction", text, StringComparison.Ordinal);
        else
            Assert.Equal(2, JsonDocument.Parse(text).RootElement.GetProperty("version").GetInt32());
    }

    [Theory]
    [InlineData("--input|missing.csv", "missing.csv")]
    [InlineData("--input|-|--format|xml", "'xml' is not one of csv, json, npz, images")]
    [InlineData("--input|-|--output|out.txt", "ends neither in .csv nor in .json")]
    [InlineData("--input|-|--output|no/such/folder/out.csv", "there is no folder")]
    public async Task What_can_not_be_read_or_written_is_refused(string arguments, string message)
    {
        using var cli = WithModel(Rows);
        Assert.Equal(2, await cli.RunAsync(["predict", "m", .. arguments.Split('|')]));
        Assert.Contains(message, cli.Error, StringComparison.Ordinal);
        Assert.Empty(cli.Output);
        Assert.DoesNotContain(cli.Cluster.Calls, call => call.StartsWith("predict", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_unknown_model_is_refused_with_the_near_miss()
    {
        using var cli = new Cli();
        cli.Cluster.Add(FakeCluster.Version("breast-cancer", 1));
        Assert.Equal(2, await cli.RunAsync("predict", "brest-cancer", "--input", "builtin:wdbc"));
        Assert.Contains("Did you mean 'breast-cancer'?", cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Evaluation_prints_metrics_in_words_and_as_a_document()
    {
        using var cli = WithModel();
        var file = cli.Folder.File("rows.csv", Rows);
        Assert.Equal(0, await cli.RunAsync("evaluate", "m", "--data", file));
        Assert.Matches(@"accuracy\s+0\.9765", cli.Output);
        Assert.Equal(3, cli.Cluster.LastSamples!.Count);
        using var json = WithModel();
        Assert.Equal(0, await json.RunAsync("evaluate", "m", "--data", file, "--json"));
        Assert.Equal(0.9951, json.Document.GetProperty("metrics").GetProperty("roc-auc").GetDouble());
    }

    [Theory]
    [InlineData("builtin:wdbc", "mean_radius")]
    [InlineData("builtin:xor", "target")]
    public async Task A_built_in_data_set_is_described(string name, string column)
    {
        using var cli = new Cli();
        Assert.Equal(0, await cli.RunAsync("datasets", "describe", name));
        Assert.Contains(column, cli.Output, StringComparison.Ordinal);
        Assert.Equal(0, cli.ClustersStarted);
    }

    [Fact]
    public async Task A_table_is_described_with_its_types_and_gaps()
    {
        using var cli = new Cli();
        var file = cli.Folder.File("x.csv", "age;sex\n50;f\n;m\n70;f\n");
        Assert.Equal(0, await cli.RunAsync("datasets", "describe", file, "--delimiter", ";", "--json"));
        var columns = cli.Document.GetProperty("columns");
        Assert.Equal(("age", "integer", 1, 60.0), (
            columns[0].GetProperty("name").GetString(),
            columns[0].GetProperty("type").GetString(),
            columns[0].GetProperty("missing").GetInt32(),
            columns[0].GetProperty("mean").GetDouble()));
        Assert.Equal("text", columns[1].GetProperty("type").GetString());
        Assert.Equal(2, await cli.RunAsync("datasets", "describe", "nothing.csv"));
    }
}
