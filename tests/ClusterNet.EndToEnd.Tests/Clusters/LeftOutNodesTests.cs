using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>A node that has not the data that a job was handed in with, or does not compute the same bits, costs the job nothing but this node.</summary>
[Collection(ProcessClusters.Name)]
public sealed class LeftOutNodesTests(ITestOutputHelper output)
{
    private const string File = "breast-cancer.yaml";
    private const string Portable = "CLUSTERNET_PORTABLE";

    [SkippableFact]
    public async Task A_node_comes_back_to_data_that_have_changed()
    {
        using var own = new DataDirectory();
        var data = own.File("samples.csv");
        System.IO.File.Copy(Repository.Wdbc, data);
        string[] settings = ["training.epochs=", "training.steps=6000", "training.checkpoint.every=200", $"data.source={data}"];
        var undisturbed = await own.RunAsync(["train", Repository.Job(File), "--json", .. settings.SelectMany(setting => new[] { "--set", setting })]);

        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Worker, ProcessCluster.Worker);
        var job = await cluster.SubmitAsync(File, [.. settings, "training.workers=2"]);
        await cluster.UntilCheckpointAsync(job, 200);
        var node = cluster.Nodes[2];
        await cluster.KillAsync(node);
        var lines = await System.IO.File.ReadAllLinesAsync(data);
        await System.IO.File.WriteAllLinesAsync(data, [.. lines, lines[^1]]);
        await cluster.RestartAsync(node);
        await cluster.UntilLoggedAsync("can't have its workers and is left out");
        var leftOut = Assert.Single((await cluster.RunAsync("jobs", "show", job, "--json")).Expect(0).Document["left_out"]!.AsArray())!;
        Assert.Equal(string.Create(CultureInfo.InvariantCulture, $"{node.Host}:{node.Port}"), leftOut["node"]!.GetValue<string>());
        Assert.Contains("is not what it was", leftOut["reason"]!.GetValue<string>(), StringComparison.Ordinal);

        var done = await cluster.EndOfAsync(job);
        Assert.Equal(undisturbed.Expect(0).Document["weights_sha256"]!.GetValue<string>(), done["weights_sha256"]!.GetValue<string>());
    }

    /// <summary>Whichever of them is asked first, when the job is handed in and when it is trained.</summary>
    [SkippableFact]
    public async Task A_node_that_may_not_read_the_data_leaves_the_job_to_those_that_may()
    {
        using var own = new DataDirectory();
        var data = own.File("samples.csv");
        System.IO.File.Copy(Repository.Wdbc, data);
        string[] settings = ["training.epochs=3", $"data.source={data}"];
        var undisturbed = await own.RunAsync(["train", Repository.Job(File), "--json", .. settings.SelectMany(setting => new[] { "--set", setting })]);

        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Worker);
        var without = await cluster.AddAsync(ProcessCluster.Worker, ("CLUSTERNET__DATA_FOLDERS", own.File("another")));
        for (var i = 0; i < 3; i++)
        {
            var done = await cluster.EndOfAsync(await cluster.SubmitAsync(File, [.. settings, "training.workers=2"]));
            Assert.Equal(undisturbed.Expect(0).Document["weights_sha256"]!.GetValue<string>(), done["weights_sha256"]!.GetValue<string>());
        }
        await cluster.UntilLoggedAsync(string.Create(CultureInfo.InvariantCulture, $"{without.Host}:{without.Port} can't have its workers and is left out"));
        var refused = await cluster.RunAsync("train", Repository.Job(File), "--set", "data.source=/nowhere/samples.csv");
        foreach (var node in cluster.Nodes.Where(node => node.Roles.Contains("worker", StringComparison.Ordinal)))
            Assert.True(refused.Expect(2).Error.Contains(string.Create(CultureInfo.InvariantCulture, $"(on {node.Host}:{node.Port})"), StringComparison.Ordinal), refused.Error);
    }

    [SkippableTheory]
    [InlineData("digits-cnn.yaml")]
    [InlineData("digits-gru.yaml")]
    public async Task A_node_joins_whose_processor_rounds_otherwise(string file)
    {
        // as another processor would; the job is long enough for the node to come in time
        const int Steps = 1500;
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Worker);
        var job = await cluster.SubmitAsync(file, [.. SameHash.Settings(Steps), "training.workers=2"]);
        var node = await cluster.AddAsync(ProcessCluster.Worker, (Portable, "1"));
        await cluster.UntilLoggedAsync("compute other bits than the job began with");
        var leftOut = Assert.Single((await cluster.RunAsync("jobs", "show", job, "--json")).Expect(0).Document["left_out"]!.AsArray())!;
        Assert.Equal(string.Create(CultureInfo.InvariantCulture, $"{node.Host}:{node.Port}"), leftOut["node"]!.GetValue<string>());
        await SameHash.RequireAsync(file, Steps, await cluster.EndOfAsync(job));
    }

    /// <summary>What is computed by kernels of our own alone is trained by nodes whose libraries round otherwise, too: in the end by such a one alone, and in portable processes from the start.</summary>
    [SkippableFact]
    public async Task An_mlp_is_trained_to_the_same_weights_on_nodes_that_round_otherwise()
    {
        const int Steps = 6000;
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Worker);
        var job = await cluster.SubmitAsync(File, [.. SameHash.Settings(Steps), "training.workers=2"]);
        await cluster.UntilCheckpointAsync(job, 100);
        await cluster.AddAsync(ProcessCluster.Worker, (Portable, "1"));
        await cluster.KillAsync(cluster.Nodes[1]);
        await SameHash.RequireAsync(File, Steps, await cluster.EndOfAsync(job));
        Assert.Empty((await cluster.RunAsync("jobs", "show", job, "--json")).Expect(0).Document["left_out"]!.AsArray());

        using var one = new DataDirectory();
        var pinned = await one.RunAsync([(Portable, "1")], ["train", Repository.Job(File), "--json", .. SameHash.Settings(Steps).SelectMany(setting => new[] { "--set", setting })]);
        Assert.Equal(await SameHash.UndisturbedAsync(File, Steps), pinned.Expect(0).Document["weights_sha256"]!.GetValue<string>());
    }

    /// <summary>Whoever is asked first: the job is one of the kind that most workers are of, and has that kind's weights.</summary>
    [SkippableFact]
    public async Task The_odd_node_of_a_cluster_does_not_decide_what_a_job_comes_to()
    {
        const int Steps = 300;
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful);
        var odd = await cluster.AddAsync(ProcessCluster.Worker, (Portable, "1"));
        await cluster.AddAsync(ProcessCluster.Worker);
        await cluster.AddAsync(ProcessCluster.Worker);
        for (var i = 0; i < 3; i++)
            await SameHash.RequireAsync("digits-gru.yaml", Steps, await cluster.EndOfAsync(await cluster.SubmitAsync("digits-gru.yaml", [.. SameHash.Settings(Steps), "training.workers=2"])));
        await cluster.UntilLoggedAsync(string.Create(CultureInfo.InvariantCulture, $"{odd.Host}:{odd.Port} can't have its workers and is left out"));
    }

    /// <summary>Whoever asks the same is told the same, whichever node is asked; and is told something where only the other one is left.</summary>
    [SkippableFact]
    public async Task A_node_that_rounds_otherwise_stands_back_from_predictions()
    {
        await using var cluster = await ProcessCluster.StartAsync(output, $"{ProcessCluster.Stateful},worker", "inference");
        await cluster.EndOfAsync(await cluster.SubmitAsync("digits-gru.yaml", "training.epochs=1"));
        using var directory = new DataDirectory();
        var rows = await RowsAsync(directory, Repository.Digits);
        var first = await AskAsync(cluster.Nodes[1], "digits-gru", rows);
        var other = await cluster.AddAsync("inference", (Portable, "1"));
        for (var i = 0; i < 5; i++)
            Assert.Equal(first, await AskAsync(other, "digits-gru", rows));
        await cluster.UntilLoggedAsync("comes to other bits here", other);
        await cluster.KillAsync(cluster.Nodes[1]);
        Assert.Equal(first.Split('\n').Length, (await AskAsync(other, "digits-gru", rows)).Split('\n').Length);
    }

    /// <summary>What is computed by kernels of our own alone is answered with the same bits by nodes whose libraries round otherwise.</summary>
    [SkippableFact]
    public async Task An_mlp_says_the_same_on_nodes_that_round_otherwise()
    {
        await using var cluster = await ProcessCluster.StartAsync(output, $"{ProcessCluster.Stateful},worker", "inference");
        await cluster.EndOfAsync(await cluster.SubmitAsync(File, "training.epochs=2"));
        using var directory = new DataDirectory();
        var rows = await RowsAsync(directory, Repository.Wdbc);
        var first = await AskAsync(cluster.Nodes[1], "breast-cancer", rows);
        var other = await cluster.AddAsync("inference", (Portable, "1"));
        await cluster.KillAsync(cluster.Nodes[1]);
        Assert.Equal(first, await AskAsync(other, "breast-cancer", rows));
        Assert.DoesNotContain("comes to other bits", cluster.LogOf(other), StringComparison.Ordinal);
    }

    /// <summary>The first samples of a built-in table, without their targets.</summary>
    private static async Task<string> RowsAsync(DataDirectory directory, string table)
    {
        await using Stream file = System.IO.File.OpenRead(table);
        using var reader = new StreamReader(table.EndsWith(".gz", StringComparison.Ordinal) ? new GZipStream(file, CompressionMode.Decompress) : file);
        var lines = new List<string>();
        while (lines.Count < 20 && await reader.ReadLineAsync() is { } line)
            lines.Add(line[..line.LastIndexOf(',')]);
        await System.IO.File.WriteAllLinesAsync(directory.File("rows.csv"), lines);
        return directory.File("rows.csv");
    }

    private static async Task<string> AskAsync(ClusterMember node, string model, string rows)
    {
        var address = string.Create(CultureInfo.InvariantCulture, $"{node.Host}:{node.Port}");
        using var asking = Process.Start(new ProcessStartInfo("dotnet", [Repository.ClientSample, "message", address, model, rows]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (answer, error) = (asking.StandardOutput.ReadToEndAsync(), asking.StandardError.ReadToEndAsync());
        await asking.WaitForExitAsync();
        Assert.True(asking.ExitCode == 0, await error);
        return await answer;
    }

    [SkippableFact]
    public async Task Nodes_that_are_all_pinned_compute_what_one_pinned_process_does()
    {
        const int Steps = 300;
        string[] settings = [.. SameHash.Settings(Steps), "training.workers=2"];
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful);
        await cluster.AddAsync(ProcessCluster.Worker, (Portable, "1"));
        await cluster.AddAsync(ProcessCluster.Worker, (Portable, "1"));
        var done = await cluster.EndOfAsync(await cluster.SubmitAsync("digits-cnn.yaml", settings));
        using var one = new DataDirectory();
        var pinned = await one.RunAsync([(Portable, "1")], ["train", Repository.Job("digits-cnn.yaml"), "--json", .. settings.SelectMany(setting => new[] { "--set", setting })]);
        Assert.Equal(pinned.Expect(0).Document["weights_sha256"]!.GetValue<string>(), done["weights_sha256"]!.GetValue<string>());
        Assert.NotEqual(await SameHash.UndisturbedAsync("digits-cnn.yaml", Steps), done["weights_sha256"]!.GetValue<string>());
    }

    [SkippableFact]
    public async Task A_job_that_began_elsewhere_is_gone_on_with_where_that_is_wanted()
    {
        using var directory = new DataDirectory();
        string[] settings = ["--set", "training.epochs=", "--set", "training.steps=1000", "--set", "training.checkpoint.every=100"];
        var training = directory.Start(["train", Repository.Job("digits-gru.yaml"), "--json", .. settings]);
        await training.UntilCheckpointAsync(100);
        await training.KillAsync();
        var job = (await directory.RunAsync("jobs", "list", "--json")).Expect(0).Document["jobs"]!.AsArray().Single()!["job"]!.GetValue<string>();
        var refused = await directory.RunAsync([(Portable, "1")], ["resume", job]);
        Assert.Contains("compute other bits than the job began with", refused.Expect(1).Error, StringComparison.Ordinal);
        (await directory.RunAsync([(Portable, "1"), ("CLUSTERNET_OTHER_ARITHMETIC", "1")], ["resume", job])).Expect(0);
        Assert.Contains("go on all the same", directory.Log, StringComparison.Ordinal);
    }
}
