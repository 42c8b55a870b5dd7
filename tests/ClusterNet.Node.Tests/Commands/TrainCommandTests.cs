using System.Text.Json;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Jobs;
using Microsoft.Extensions.Time.Testing;

namespace ClusterNet.Node.Tests.Commands;

/// <summary>Training from the command line tells what happens, in words or as one document, and its exit code can be relied on.</summary>
public sealed class TrainCommandTests
{
    [Fact]
    public async Task A_completed_job_shows_its_metrics_and_its_model()
    {
        using var cli = new Cli();
        Assert.Equal(0, await cli.RunAsync("train", cli.JobFile()));
        Assert.Contains("epoch 3/3", cli.Output, StringComparison.Ordinal);
        Assert.Contains("job-1 completed: 3 epochs, 30 steps", cli.Output, StringComparison.Ordinal);
        Assert.Matches(@"roc-auc\s+0\.9951\s+0\.9951\s+0\.9951", cli.Output);
        Assert.DoesNotContain("f1-macro", cli.Output, StringComparison.Ordinal);
        Assert.Contains("Model job:1 holds the weights of epoch 3", cli.Output, StringComparison.Ordinal);
        Assert.Empty(cli.Error);
        Assert.True(cli.Cluster.IsDisposed);
    }

    [Fact]
    public async Task A_terminal_gets_live_progress_and_the_same_end()
    {
        using var cli = new Cli { IsTerminal = true };
        Assert.Equal(0, await cli.RunAsync("train", cli.JobFile()));
        Assert.Contains("samples/s", cli.Output, StringComparison.Ordinal);
        Assert.Contains("job-1 completed", cli.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task While_a_large_data_set_is_read_it_says_for_how_long_already_and_counts_that_time()
    {
        var clock = new FakeTimeProvider();
        using var cli = new Cli { Clock = clock, Cluster = new FakeCluster { Preparing = Task.Delay(TimeSpan.FromMinutes(10), clock) } };
        var running = cli.RunAsync("train", cli.JobFile());
        while (!running.IsCompleted)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }
        Assert.Equal(0, await running);
        Assert.Matches(@"Reading and checking the data: [\d:]+( s)? so far", cli.Error);
        Assert.Matches(@"completed: 3 epochs, 30 steps, 12,346 samples/s, [\d:]+:\d\d in all", cli.Output);
    }

    [Fact]
    public async Task Under_json_one_document_is_all_of_standard_output()
    {
        using var cli = new Cli();
        Assert.Equal(0, await cli.RunAsync("train", cli.JobFile(), "--json", "--set", "training.epochs=5"));
        var document = cli.Document;
        Assert.Equal(
            ["job", "status", "steps", "epochs", "samples_per_second", "weights_sha256", "model", "version", "selected_step", "metrics"],
            document.EnumerateObject().Select(property => property.Name));
        Assert.Equal(("job-1", "completed", 30, 3), (Text(document, "job"), Text(document, "status"), Number(document, "steps"), Number(document, "epochs")));
        Assert.Equal(["training", "validation", "test"], document.GetProperty("metrics").EnumerateObject().Select(property => property.Name));
        Assert.Equal(0.9951, document.GetProperty("metrics").GetProperty("test").GetProperty("roc-auc").GetDouble());
        Assert.Empty(cli.Error);
    }

    [Fact]
    public async Task All_faults_of_file_overrides_model_and_plot_come_at_once_and_no_cluster_is_started()
    {
        using var cli = new Cli();
        var file = cli.JobFile("  optimizer: adm\n  batch-size: -1");
        Assert.Equal(2, await cli.RunAsync("train", file, "--set", "model.wrong=1", "--set", "oops", "--plot", "x.jpg"));
        Assert.Equal(0, cli.ClustersStarted);
        var lines = cli.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(5, lines.Length);
        Assert.Contains($"{file}:9 training.optimizer.kind: 'adm' is not one of sgd, adam, adamw, adagrad, rmsprop, lamb. Did you mean 'adam'?", lines);
        Assert.Contains(lines, line => line.StartsWith($"{file}:10 training.batch-size: -1 is out of range", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("--set model.wrong: no setting", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("--set oops: not of the form", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("--plot: 'x.jpg'", StringComparison.Ordinal));
        Assert.Empty(cli.Output);
    }

    [Fact]
    public async Task Faults_under_json_are_one_document_on_standard_output()
    {
        using var cli = new Cli();
        Assert.Equal(2, await cli.RunAsync("train", cli.JobFile("  optimizer: adm"), "--json"));
        var fault = Assert.Single(cli.Document.GetProperty("error").GetProperty("faults").EnumerateArray());
        Assert.EndsWith("job.yaml:9 training.optimizer.kind", Text(fault, "place"), StringComparison.Ordinal);
        Assert.Equal("adam", Text(fault, "suggestion"));
        Assert.Empty(cli.Error);
    }

    [Fact]
    public async Task A_fault_that_the_cluster_finds_gets_its_line_too()
    {
        using var cli = new Cli();
        Assert.Equal(2, await cli.RunAsync("train", cli.JobFile(), "--set", "model.wrong=1"));
        Assert.Equal("--set model.wrong: no setting of this name", cli.Error.Trim());
    }

    [Fact]
    public async Task Ctrl_c_checkpoints_and_tells_how_to_go_on()
    {
        Cli? cli = null;
        FakeCluster cluster = null!;
        cluster = new FakeCluster
        {
            Epochs = 100,
            BeforeEach = async progress =>
            {
                if (progress.Epoch != 4)
                    return;
                await cli!.Interrupt.CancelAsync();
                await cluster.Interrupted.Task;
            },
        };
        using (cli = new Cli { Cluster = cluster })
        {
            Assert.Equal(130, await cli.RunAsync("train", cli.JobFile()));
            Assert.Contains("interrupt job-1", cluster.Calls);
            Assert.Contains("with a checkpoint", cli.Output, StringComparison.Ordinal);
            Assert.Contains("job-1 interrupted after 50 of 1,000 steps", cli.Output, StringComparison.Ordinal);
            Assert.Contains("clusternet resume job-1", cli.Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task An_interrupted_job_can_be_resumed()
    {
        using var cli = new Cli();
        cli.Cluster.Add(cli.Cluster.Details(new JobId("job-7"), Spec(), JobStatus.Interrupted, 1));
        Assert.Equal(0, await cli.RunAsync("resume", "job-7", "--json"));
        Assert.Equal("completed", Text(cli.Document, "status"));
        Assert.Contains("resume job-7", cli.Cluster.Calls);
    }

    [Theory]
    [InlineData("job-9", "no job 'job-9'")]
    [InlineData("../x", "can't be the name of a job")]
    public async Task A_job_that_is_not_there_can_not_be_resumed(string job, string message)
    {
        using var cli = new Cli();
        Assert.Equal(2, await cli.RunAsync("resume", job));
        Assert.Contains(message, cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failed_job_says_why_and_exits_with_1()
    {
        using var cli = new Cli { Cluster = new FakeCluster { Failure = "the loss is not a number" } };
        Assert.Equal(1, await cli.RunAsync("train", cli.JobFile()));
        Assert.Contains("job-1 failed: the loss is not a number", cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failed_job_under_json_has_status_and_error()
    {
        using var cli = new Cli { Cluster = new FakeCluster { Failure = "the loss is not a number" } };
        Assert.Equal(1, await cli.RunAsync("train", cli.JobFile(), "--json"));
        Assert.Equal("failed", Text(cli.Document, "status"));
        Assert.Equal("the loss is not a number", Text(cli.Document.GetProperty("error"), "message"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_unexpected_error_is_one_line_and_a_log(bool json)
    {
        using var cli = new Cli { Cluster = new FakeCluster { Broken = new InvalidOperationException("boom\nat secret place") } };
        Assert.Equal(1, await cli.RunAsync(json ? ["train", cli.JobFile(), "--json"] : ["train", cli.JobFile()]));
        var log = Assert.Single(Directory.GetFiles(Path.Combine(cli.DataDirectory, "logs")));
        Assert.Contains("at secret place", await File.ReadAllTextAsync(log), StringComparison.Ordinal);
        var shown = json ? cli.Output : cli.Error;
        Assert.Contains("boom", shown, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", shown, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", shown, StringComparison.Ordinal);
        if (json)
            Assert.Equal(log, Text(cli.Document.GetProperty("error"), "details"));
    }

    [Fact]
    public async Task What_the_cluster_could_not_do_exits_with_1()
    {
        using var cli = new Cli { Cluster = new FakeCluster { Broken = new ClusterException("the store is locked by another process") } };
        Assert.Equal(1, await cli.RunAsync("jobs", "list"));
        Assert.Equal("clusternet: the store is locked by another process", cli.Error.Trim());
    }

    [Fact]
    public async Task A_dry_run_shows_job_data_model_and_shards_without_a_cluster()
    {
        using var cli = new Cli();
        Assert.Equal(0, await cli.RunAsync("train", cli.JobFile("  shards: 2"), "--dry-run"));
        Assert.Equal(0, cli.ClustersStarted);
        foreach (var text in new[] { "batch-size: 32", "hidden: [4]", "400 samples", "steps in an epoch", "dense1", "3,124 parameters", "Shards (2)" })
            Assert.Contains(text, cli.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_dry_run_under_json_is_one_document()
    {
        using var cli = new Cli();
        Assert.Equal(0, await cli.RunAsync("train", cli.JobFile(), "--dry-run", "--json"));
        Assert.Equal(13, Number(cli.Document, "steps_per_epoch"));
        Assert.Equal(3124, Number(cli.Document.GetProperty("model"), "parameters"));
        Assert.Equal(400, Number(cli.Document.GetProperty("data").GetProperty("samples"), "training"));
    }

    [Fact]
    public async Task What_a_dry_run_prints_is_a_job_file_again()
    {
        using var cli = new Cli();
        Assert.Equal(0, await cli.RunAsync("train", cli.JobFile(), "--dry-run"));
        var text = cli.Output[(cli.Output.IndexOf('\n', StringComparison.Ordinal) + 1)..cli.Output.IndexOf("\nData", StringComparison.Ordinal)];
        var again = Node.Jobs.JobFile.Load(cli.Folder.File("again.yaml", text), []).Spec;
        Assert.Equal(JobSpecJson.Serialize(Node.Jobs.JobFile.Load(cli.JobFile(), []).Spec), JobSpecJson.Serialize(again));
    }

    [Theory]
    [InlineData("loss.png")]
    [InlineData("loss.svg")]
    public async Task The_loss_curve_is_drawn_whole(string name)
    {
        using var cli = new Cli { Cluster = new FakeCluster { Epochs = 30 } };
        var path = Path.Combine(cli.Folder.Path, name);
        Assert.Equal(0, await cli.RunAsync("train", cli.JobFile(), "--plot", path));
        var bytes = await File.ReadAllBytesAsync(path);
        if (name.EndsWith(".png", StringComparison.Ordinal))
            Assert.Equal([0x89, 0x50, 0x4E, 0x47], bytes[..4]);
        else
            Assert.Contains("best epoch", System.Text.Encoding.UTF8.GetString(bytes), StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(cli.Folder.Path, "*.tmp"));
    }

    [Fact]
    public async Task A_picture_without_a_folder_is_refused_before_anything_is_trained()
    {
        using var cli = new Cli();
        Assert.Equal(2, await cli.RunAsync("train", cli.JobFile(), "--plot", Path.Combine(cli.Folder.Path, "no", "loss.png")));
        Assert.Contains("--plot: there is no folder", cli.Error, StringComparison.Ordinal);
        Assert.Equal(0, cli.ClustersStarted);
    }

    private static JobSpec Spec() => new(
        "job",
        new DataSpec("builtin:wdbc", DataFormat.Csv, LearningTask.Classification),
        new ModelSpec("mlp", new Dictionary<string, SettingValue>(), new InitialisationSpec()),
        new TrainingSpec { Epochs = 3 });

    private static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();

    private static int Number(JsonElement element, string name) => element.GetProperty(name).GetInt32();
}
