namespace ClusterNet.Node.Tests.Commands;

/// <summary>The commands work together on a cluster that is none of a test's making: what one stores, the next finds.</summary>
public sealed class RealClusterTests
{
    private static readonly string[] _short = ["--set", "training.epochs=2", "--set", "training.early-stopping=none"];

    [Fact]
    public async Task A_model_is_trained_measured_asked_and_deleted()
    {
        using var train = new Cli { IsReal = true };
        Assert.Equal(0, await train.RunAsync(["train", JobFile("breast-cancer.yaml"), "--json", .. _short]));
        Assert.Equal(26, train.Document.GetProperty("steps").GetInt32());
        Assert.Equal(64, train.Document.GetProperty("weights_sha256").GetString()!.Length);
        Assert.Equal(["training", "validation", "test"], train.Document.GetProperty("metrics").EnumerateObject().Where(part => part.Value.EnumerateObject().Any()).Select(part => part.Name));
        Assert.Empty(train.Error);

        // the same store, other commands, each with a cluster of its own
        async Task<string> Ask(int exitCode, params string[] args)
        {
            using var cli = new Cli { IsReal = true };
            Assert.Equal(exitCode, await cli.RunAsync([.. args, "--data-dir", train.DataDirectory]));
            return exitCode == 0 ? cli.Output : cli.Error;
        }

        Assert.Matches(@"breast-cancer-1\s+completed\s+26 of 26", await Ask(0, "jobs", "list"));
        Assert.Equal(570, (await Ask(0, "predict", "breast-cancer", "--input", "builtin:wdbc")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Matches(@"accuracy\s+0\.\d+", await Ask(0, "evaluate", "breast-cancer:1", "--data", "builtin:wdbc"));
        Assert.Contains("Deleted breast-cancer:1.", await Ask(0, "models", "delete", "breast-cancer"), StringComparison.Ordinal);
        Assert.Contains("No models yet", await Ask(0, "models", "list"), StringComparison.Ordinal);
        Assert.Contains("breast-cancer", await Ask(2, "predict", "breast-cancer", "--input", "builtin:wdbc"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bad_data_settings_are_told_with_their_place_and_nothing_is_stored()
    {
        using var cli = new Cli { IsReal = true };
        Assert.Equal(2, await cli.RunAsync("train", JobFile("breast-cancer.yaml"), "--set", "data.target=tagret"));
        Assert.StartsWith("--set data.target: no column 'tagret'", cli.Error, StringComparison.Ordinal);
        using var list = new Cli { IsReal = true };
        Assert.Equal(0, await list.RunAsync("jobs", "list", "--data-dir", cli.DataDirectory));
        Assert.Contains("No jobs yet", list.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("breast-cancer.yaml", "4,130 parameters")]
    [InlineData("xor.yaml", "9 parameters")]
    [InlineData("digits-cnn.yaml", "1 x 8 x 8")]
    [InlineData("digits-gru.yaml", "GRU")]
    public async Task Shipped_jobs_on_built_in_data_pass_a_dry_run(string file, string text)
    {
        using var cli = new Cli { IsReal = true };
        Assert.Equal(0, await cli.RunAsync("train", JobFile(file), "--dry-run"));
        Assert.Contains(text, cli.Output, StringComparison.Ordinal);
    }

    private static string JobFile(string name) => Path.Combine(Repository.Jobs, name);
}
