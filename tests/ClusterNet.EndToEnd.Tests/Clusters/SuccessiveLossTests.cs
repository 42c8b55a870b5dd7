using System.Globalization;
using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>Nodes are lost one after the other, each before it is decided of the last: what is left of the cluster goes on.</summary>
[Collection(ProcessClusters.Name)]
public sealed class SuccessiveLossTests(ITestOutputHelper output)
{
    /// <summary>Less than <c>stable-after</c>, and so much that two of them and it are more than the time after which Akka takes a cluster for unstable.</summary>
    private static readonly TimeSpan _apart = TimeSpan.FromSeconds(4.8);

    [SkippableFact]
    public async Task The_others_go_on_and_let_them_in_again()
    {
        await using var cluster = await ProcessCluster.StartAsync(
            output, ProcessCluster.Stateful, ProcessCluster.Worker, ProcessCluster.Worker, ProcessCluster.Worker, ProcessCluster.Worker, ProcessCluster.Worker, ProcessCluster.Worker);
        ClusterMember[] lost = [cluster.Nodes[4], cluster.Nodes[5], cluster.Nodes[6]];
        using (var next = new PeriodicTimer(_apart))
        {
            foreach (var node in lost)
            {
                await cluster.KillAsync(node);
                await next.WaitForNextTickAsync();
            }
        }
        foreach (var node in lost)
            await cluster.UntilLoggedAsync(string.Create(CultureInfo.InvariantCulture, $"Node {node.Host}:{node.Port} was lost"), cluster.Nodes[0]);
        await cluster.RestartAsync(lost);
        Assert.All(cluster.Nodes, node => Assert.True(node.Process.IsRunning, $"{node.Name} has ended: {node.Process}"));
        Assert.Equal(7, cluster.Nodes.Count);
    }
}
