using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>The store stops: that is loud, and the job ends with the same weights.</summary>
[Collection(ProcessClusters.Name)]
public sealed class StoreFailureTests(ITestOutputHelper output)
{
    private const string File = "digits-cnn.yaml";
    private const int Steps = 300;

    private static readonly TimeSpan _outage = TimeSpan.FromSeconds(30);

    [SkippableFact]
    public async Task The_store_is_gone_for_half_a_minute()
    {
        await using var server = await PostgresServer.StartAsync();
        await using var cluster = await ProcessCluster.StartAsync(output, server, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Worker);
        var job = await cluster.SubmitAsync(File, [.. SameHash.Settings(Steps), "training.workers=2", "training.shards=2"]);
        await cluster.UntilCheckpointAsync(job, 40);
        await server.CrashAsync();
        using (var over = new PeriodicTimer(_outage))
        {
            await cluster.UntilLoggedAsync(" ERR ");
            await over.WaitForNextTickAsync();
        }
        Assert.All(cluster.Nodes, node => Assert.True(node.Process.IsRunning, $"{node.Name} has ended: {node.Process}"));
        await server.StartAgainAsync();
        await SameHash.RequireAsync(File, Steps, await cluster.EndOfAsync(job));
    }
}
