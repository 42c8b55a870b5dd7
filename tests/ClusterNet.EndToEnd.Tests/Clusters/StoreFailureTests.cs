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

    [SkippableFact]
    public async Task The_store_takes_connections_and_never_answers()
    {
        await using var store = new SilentStore();
        await using var cluster = await ProcessCluster.StartAsync(output, store, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Worker);
        var job = await cluster.SubmitAsync(File, [.. SameHash.Settings(Steps), "training.workers=2", "training.shards=2"]);
        await cluster.UntilCheckpointAsync(job, 40);
        store.Freeze();
        // within the bound that its connection string gives, not when TCP gives up: a shard's checkpoint or the coordinator's commit, whichever was on its way
        await cluster.UntilLoggedAsync(" ERR ");
        Assert.All(cluster.Nodes, node => Assert.True(node.Process.IsRunning, $"{node.Name} has ended: {node.Process}"));
        store.Thaw();
        await SameHash.RequireAsync(File, Steps, await cluster.EndOfAsync(job));
        Assert.Empty(await cluster.Store.JournalFaultsAsync());
    }

    [SkippableFact]
    public async Task The_disk_of_the_store_is_full()
    {
        await using var server = await PostgresServer.StartAsync(megabytes: 160);
        await using var cluster = await ProcessCluster.StartAsync(output, server, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Worker);
        var job = await cluster.SubmitAsync(File, [.. SameHash.Settings(Steps), "training.workers=2", "training.shards=2"]);
        await cluster.UntilCheckpointAsync(job, 40);
        server.Disk.Fill();
        using (var over = new PeriodicTimer(_outage))
        {
            await cluster.UntilLoggedAsync("No space left on device");
            await over.WaitForNextTickAsync();
        }
        Assert.All(cluster.Nodes, node => Assert.True(node.Process.IsRunning, $"{node.Name} has ended: {node.Process}"));
        server.Disk.Free();
        await server.StartAgainIfEndedAsync();
        await SameHash.RequireAsync(File, Steps, await cluster.EndOfAsync(job));
        Assert.Empty(await cluster.Store.JournalFaultsAsync());
    }

    [SkippableFact]
    public async Task A_checkpoint_is_damaged_in_PostgreSQL()
    {
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Worker);
        var job = await cluster.SubmitAsync(File, [.. SameHash.Settings(Steps), "training.shards=2", "training.checkpoint.keep=4"]);
        await cluster.UntilCheckpointAsync(job, 120);
        var nodes = cluster.Nodes.ToArray();
        await cluster.KillAllAsync();
        // the latest may have been saved and not committed
        var damaged = await cluster.Store.DamageCheckpointsAsync(job, shard: 1, count: 2);
        await cluster.RestartAsync(nodes);
        var done = await cluster.EndOfAsync(job);
        await SameHash.RequireAsync(File, Steps, done);
        await cluster.UntilLoggedAsync($"checkpoint of step {damaged[1]} can't be read");
        Assert.Contains(done["generations"]!.AsArray(), generation =>
            generation!["reason"]!.GetValue<string>().Contains("damaged", StringComparison.Ordinal) && generation["restore_step"]!.GetValue<long>() is > 0 and var step && step < damaged[1]);
    }
}
