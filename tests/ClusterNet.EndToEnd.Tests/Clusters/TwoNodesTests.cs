using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>Two nodes are not enough for one to go on in any case: which of them ends is certain, said beforehand, and costs nothing that was committed.</summary>
[Collection(ProcessClusters.Name)]
public sealed class TwoNodesTests(ITestOutputHelper output)
{
    private const string File = "breast-cancer.yaml", Both = $"{ProcessCluster.Stateful},{ProcessCluster.Worker}";
    private const int Steps = 800;

    [SkippableFact]
    public async Task The_second_ends_with_the_first_and_the_job_goes_on_when_they_are_back()
    {
        await using var cluster = await ProcessCluster.StartAsync(output, Both, Both);
        var job = await cluster.SubmitAsync(File, [.. SameHash.Settings(Steps), "training.workers=2", "training.shards=2"]);
        await cluster.UntilCheckpointAsync(job, 40);
        var (first, second) = cluster.Nodes.OrderBy(node => node.Port).ToArray() is [var one, var other] ? (one, other) : default;
        await cluster.KillAsync(first);
        Assert.Equal(1, await cluster.EndOfAsync(second));
        Assert.Contains("it was cut off from most of the cluster", second.Process.ToString(), StringComparison.Ordinal);
        await cluster.RestartAsync(first, second);
        await SameHash.RequireAsync(File, Steps, await cluster.EndOfAsync(job));
    }

    [SkippableFact]
    public async Task The_first_goes_on_without_the_second()
    {
        await using var cluster = await ProcessCluster.StartAsync(output, Both, Both);
        var job = await cluster.SubmitAsync(File, [.. SameHash.Settings(Steps), "training.workers=2", "training.shards=2"]);
        await cluster.UntilCheckpointAsync(job, 40);
        await cluster.KillAsync(cluster.Nodes.MaxBy(node => node.Port)!);
        await SameHash.RequireAsync(File, Steps, await cluster.EndOfAsync(job));
    }
}
