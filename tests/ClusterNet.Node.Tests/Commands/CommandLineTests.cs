using ClusterNet.Cluster.Training;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Node.Tests.Commands;

/// <summary>Every command answers in words and as a document, and what can't be understood is refused with a hint.</summary>
public sealed class CommandLineTests
{
    private static readonly JobSpec _spec = new(
        "old",
        new DataSpec("builtin:wdbc", DataFormat.Csv, LearningTask.Classification),
        new ModelSpec("mlp", new Dictionary<string, SettingValue>(), new InitialisationSpec()),
        new TrainingSpec { Epochs = 3 });

    [Fact]
    public async Task Help_tells_the_commands_and_the_exit_codes()
    {
        using var cli = new Cli();
        Assert.Equal(0, await cli.RunAsync("--help"));
        foreach (var text in new[] { "train", "resume", "evaluate", "predict", "jobs", "models", "datasets", "Exit codes:", "130  interrupted", "--data-dir" })
            Assert.Contains(text, cli.Output, StringComparison.Ordinal);
        Assert.Empty(cli.Error);
    }

    [Theory]
    [InlineData("trian x", "argument 'trian': no such command. Did you mean 'train'?")]
    [InlineData("train", "Required argument missing")]
    [InlineData("train x --dryrun", "argument '--dryrun': not understood. Did you mean '--dry-run'?")]
    [InlineData("jobs", "Required command was not provided")]
    [InlineData("predict m", "Option '--input' is required")]
    [InlineData("models show m:0", "'0' is neither a version")]
    [InlineData("models show /etc", "can't be the name of a model")]
    public async Task What_is_not_understood_is_refused_with_a_hint(string line, string message)
    {
        using var cli = new Cli();
        Assert.Equal(2, await cli.RunAsync(line.Split(' ')));
        Assert.Contains(message, cli.Error, StringComparison.Ordinal);
        Assert.Empty(cli.Output);
        Assert.Equal(0, cli.ClustersStarted);
    }

    [Fact]
    public async Task What_is_not_understood_under_json_is_a_document()
    {
        using var cli = new Cli();
        Assert.Equal(2, await cli.RunAsync("jobs", "--json", "lits"));
        Assert.Equal("list", Assert.Single(cli.Document.GetProperty("error").GetProperty("faults").EnumerateArray()).GetProperty("suggestion").GetString());
        Assert.Empty(cli.Error);
    }

    [Fact]
    public async Task A_data_directory_that_is_a_file_is_refused()
    {
        using var cli = new Cli();
        Assert.Equal(2, await cli.RunAsync("jobs", "list", "--data-dir", cli.Folder.File("file", "")));
        Assert.Contains("is a file; give a folder", cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Jobs_are_listed_shown_and_cancelled()
    {
        using var cli = new Cli();
        cli.Cluster.Add(cli.Cluster.Details(new JobId("old-1"), _spec, JobStatus.Completed, 3));
        cli.Cluster.Add(cli.Cluster.Details(new JobId("old-2"), _spec, JobStatus.Interrupted, 1));
        Assert.Equal(0, await cli.RunAsync("jobs", "list"));
        Assert.Matches(@"old-1\s+completed\s+30 of 30\s.*old:1", cli.Output);
        Assert.Matches(@"old-2\s+interrupted\s+10 of 30", cli.Output);
        Assert.Equal(0, await cli.RunAsync("jobs", "show", "old-2"));
        Assert.Contains("clusternet resume old-2", cli.Output, StringComparison.Ordinal);
        Assert.Equal(0, await cli.RunAsync("jobs", "cancel", "old-2"));
        Assert.Contains("cancel old-2", cli.Cluster.Calls);
        Assert.Equal(2, await cli.RunAsync("jobs", "show", "new-1"));
    }

    [Fact]
    public async Task Jobs_under_json_are_documents()
    {
        using var list = new Cli();
        list.Cluster.Add(list.Cluster.Details(new JobId("old-1"), _spec, JobStatus.Completed, 3));
        Assert.Equal(0, await list.RunAsync("jobs", "list", "--json"));
        Assert.Equal("old-1", Assert.Single(list.Document.GetProperty("jobs").EnumerateArray()).GetProperty("job").GetString());
        using var show = new Cli { Cluster = list.Cluster };
        Assert.Equal(0, await show.RunAsync("jobs", "show", "old-1", "--json"));
        Assert.Equal(3, show.Document.GetProperty("history").GetArrayLength());
        Assert.Equal("mlp", show.Document.GetProperty("spec").GetProperty("model").GetProperty("kind").GetString());
    }

    [Fact]
    public async Task An_empty_store_says_what_to_do_next()
    {
        using var cli = new Cli();
        Assert.Equal(0, await cli.RunAsync("jobs", "list"));
        Assert.Equal(0, await cli.RunAsync("models", "list"));
        Assert.Contains("No jobs yet", cli.Output, StringComparison.Ordinal);
        Assert.Contains("No models yet", cli.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Models_are_listed_and_shown()
    {
        using var cli = new Cli();
        cli.Cluster.Add(FakeCluster.Version("m", 1));
        Assert.Equal(0, await cli.RunAsync("models", "list"));
        Assert.Matches(@"m:1\s+mlp\s+m-1\s+test accuracy 0\.9765", cli.Output);
        Assert.Equal(0, await cli.RunAsync("models", "show", "m"));
        Assert.Contains("no, yes", cli.Output, StringComparison.Ordinal);
        Assert.Equal(2, await cli.RunAsync("models", "show", "n"));
    }

    [Fact]
    public async Task Traffic_is_shown_and_set_as_a_whole()
    {
        using var cli = new Cli();
        cli.Cluster.Add(FakeCluster.Version("m", 1));
        cli.Cluster.Add(FakeCluster.Version("m", 2));
        Assert.Equal(0, await cli.RunAsync("models", "traffic", "m"));
        Assert.Matches(@"m:2\s+100 %", cli.Output);
        Assert.Equal(0, await cli.RunAsync("models", "traffic", "m", "--arm", "1=9", "--arm", "2=1", "--shadow", "2"));
        Assert.Matches(@"m:1\s+90 %\s+m:2\s+10 %\s+Shadows: 2", cli.Output.ReplaceLineEndings(" "));
        Assert.Equal(2, await cli.RunAsync("models", "traffic", "m", "--arm", "7=1"));
        Assert.Equal(2, await cli.RunAsync("models", "traffic", "m", "--arm", "1"));
        Assert.Contains("'1' is not VERSION=WEIGHT", cli.Error, StringComparison.Ordinal);
        Assert.Equal(2, await cli.RunAsync("models", "traffic", "n"));
        Assert.Equal(2, await cli.RunAsync("models", "traffic", "m", "--arm", "1=1", "--reset"));
        Assert.Equal(0, await cli.RunAsync("models", "traffic", "m", "--reset"));
        Assert.EndsWith("100 %", cli.Output.TrimEnd(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--url", "nowhere")]
    [InlineData("--url", "ftp://host")]
    [InlineData("--interval", "0")]
    [InlineData("--tls-authorities", "/there/is/no/such/file")]
    public async Task Top_says_what_can_not_be_before_it_asks_anybody(string option, string value)
    {
        using var cli = new Cli();
        Assert.Equal(2, await cli.RunAsync("top", option, value));
        Assert.Contains(option, cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_version_is_deleted_but_several_only_on_request()
    {
        using var cli = new Cli();
        cli.Cluster.Add(FakeCluster.Version("m", 1));
        cli.Cluster.Add(FakeCluster.Version("m", 2));
        Assert.Equal(0, await cli.RunAsync("models", "promote", "m:1"));
        Assert.Contains("m:1 has the label production", cli.Output, StringComparison.Ordinal);
        Assert.Equal(0, await cli.RunAsync("models", "show", "m:production"));
        Assert.Contains("label m production 1", cli.Cluster.Calls);
        Assert.Equal(0, await cli.RunAsync("models", "label", "m:1", "production", "--remove"));
        Assert.Equal(2, await cli.RunAsync("models", "label", "m:1", "production", "--remove"));
        Assert.Equal(2, await cli.RunAsync("models", "label", "m:1", "7"));
        Assert.Equal(2, await cli.RunAsync("models", "show", "m:production"));
        Assert.Equal(2, await cli.RunAsync("models", "delete", "m"));
        Assert.Contains("'m' has 2 versions (m:1, m:2): name one, or add --all", cli.Error, StringComparison.Ordinal);
        Assert.Equal(0, await cli.RunAsync("models", "delete", "m:2"));
        Assert.Contains("Deleted m:2.", cli.Output, StringComparison.Ordinal);
        Assert.Equal(0, await cli.RunAsync("models", "delete", "m", "--all"));
        Assert.Contains("Deleted m:1.", cli.Output, StringComparison.Ordinal);
    }
}
