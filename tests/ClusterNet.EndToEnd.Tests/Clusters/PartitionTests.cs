using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>The network splits in mid-training: the larger side goes on, the smaller one gives up by itself, and one history results, that of an undisturbed process.</summary>
[Collection(ProcessClusters.Name)]
public sealed class PartitionTests(ITestOutputHelper output)
{
    [SkippableFact]
    public Task The_coordinators_node_and_a_worker_lose_their_cables() => SplitAsync("digits-cnn.yaml", 400, isCoordinators: true, isUnplugged: true);

    [SkippableFact]
    public Task The_coordinators_node_is_cut_off_and_still_reaches_the_store() => SplitAsync("breast-cancer.yaml", 1200, isCoordinators: true, isUnplugged: false);

    [SkippableFact]
    public Task The_coordinators_side_is_the_larger() => SplitAsync("digits-gru.yaml", 400, isCoordinators: false, isUnplugged: false);

    /// <summary>Neither can be told from the one that is at fault: both end by themselves, and the others go on.</summary>
    [SkippableFact]
    public async Task Two_nodes_lose_each_other_and_reach_the_others()
    {
        const string File = "digits-cnn.yaml";
        const int Steps = 600;
        await using var network = await NetworkNamespaces.CreateAsync(5);
        await using var cluster = await ProcessCluster.StartAsync(output, network, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Worker, ProcessCluster.Worker);
        var job = await cluster.SubmitAsync(File, [.. SameHash.Settings(Steps), "training.workers=2", "training.shards=3"]);
        await cluster.UntilCheckpointAsync(job, Steps / 10);
        var coordinators = await cluster.UntilLoggedAsync($"Job {job}: generation 1 opens");
        ClusterMember[] two = [coordinators, cluster.Nodes.First(node => node != coordinators)];
        var others = cluster.Nodes.Except(two).ToArray();
        await network.CutAsync([ProcessCluster.IndexOf(two[0])], [ProcessCluster.IndexOf(two[1])]);
        Assert.True(await cluster.Store.LatestCheckpointAsync(job) < Steps, $"{job} was over before the two lost each other: it needs more steps");
        foreach (var node in two)
            Assert.NotEqual(0, await cluster.EndOfAsync(node));
        await cluster.UntilCheckpointAsync(job, Steps);
        Assert.All(others, node => Assert.True(node.Process.IsRunning, $"{node.Name} has ended too: {node.Process}"));
        await network.HealAsync();
        await cluster.RestartAsync(two);
        await SameHash.RequireAsync(File, Steps, await cluster.EndOfAsync(job));
        Assert.Empty(await cluster.Store.JournalFaultsAsync());
    }

    private async Task SplitAsync(string file, int steps, bool isCoordinators, bool isUnplugged)
    {
        await using var network = await NetworkNamespaces.CreateAsync(5);
        await using var cluster = await ProcessCluster.StartAsync(output, network, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Worker, ProcessCluster.Worker);
        var job = await cluster.SubmitAsync(file, [.. SameHash.Settings(steps), "training.workers=2", "training.shards=3"]);
        await cluster.UntilCheckpointAsync(job, steps / 10);

        var coordinators = await cluster.UntilLoggedAsync($"Job {job}: generation 1 opens");
        var smaller = new[] { cluster.Nodes.Take(3).First(node => (node == coordinators) == isCoordinators), cluster.Nodes[^1] };
        var larger = cluster.Nodes.Except(smaller).ToArray();
        output.WriteLine($"{string.Join(", ", smaller.Select(node => node.Name))} are cut off; the coordinator is on {coordinators.Name}");
        if (isUnplugged)
            await network.UnplugAsync([.. smaller.Select(ProcessCluster.IndexOf)]);
        else
            await network.CutAsync([.. smaller.Select(ProcessCluster.IndexOf)], [.. larger.Select(ProcessCluster.IndexOf)]);

        var reached = await cluster.Store.LatestCheckpointAsync(job);
        Assert.True(reached < steps, $"{job} was over before the network split: it needs more steps to be cut off in the middle");

        // as long as the cut lasts: the smaller side ends, the larger gets further, to the job's end even
        foreach (var node in smaller)
        {
            Assert.NotEqual(0, await cluster.EndOfAsync(node));
            Assert.Contains("it was cut off from most of the cluster", node.Process.ToString(), StringComparison.Ordinal);
        }
        Assert.All(larger, node => Assert.True(node.Process.IsRunning, $"{node.Name} has ended too: {node.Process}"));
        await cluster.UntilCheckpointAsync(job, Math.Min(reached + (2 * SameHash.Every), steps));

        if (!isUnplugged)
            await network.RequireNoLongConnectingAsync([.. larger.Select(ProcessCluster.IndexOf)]);

        await network.HealAsync();
        await cluster.RestartAsync(smaller);
        await SameHash.RequireAsync(file, steps, await cluster.EndOfAsync(job));
        var models = (await cluster.RunAsync("models", "list", "--json")).Expect(0).Document["models"]!.AsArray();
        Assert.Equal(job, Assert.Single(models)!["job"]!.GetValue<string>());
        Assert.Empty(await cluster.Store.JournalFaultsAsync());
    }
}
