using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>Nodes are killed one after the other, and each is back at once, as with a service manager: nobody else leaves, whatever the others were about to say to it.</summary>
[Collection(ProcessClusters.Name)]
public sealed class RestartTests(ITestOutputHelper output)
{
    private const int Times = 12;

    [SkippableFact]
    public async Task Only_who_is_killed_is_lost()
    {
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Worker, ProcessCluster.Worker);
        for (var time = 0; time < Times; time++)
        {
            // who was killed last is the last of them; the two workers stay
            var node = cluster.Nodes.First(node => node.Roles == ProcessCluster.Stateful);
            await cluster.KillAsync(node);
            await cluster.RestartAsync(node);
            Assert.All(cluster.Nodes, other => Assert.True(other.Process.IsRunning, $"{other.Name} has ended too: {other.Process}"));
        }
    }
}
