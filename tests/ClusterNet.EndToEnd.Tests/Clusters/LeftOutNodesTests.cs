using System.Globalization;
using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>A node that has not the data that a job was handed in with costs the job nothing but this node.</summary>
[Collection(ProcessClusters.Name)]
public sealed class LeftOutNodesTests(ITestOutputHelper output)
{
    private const string File = "breast-cancer.yaml";

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
}
