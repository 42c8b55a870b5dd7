using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Tests.OneHash;
using ClusterNet.Core.Jobs;
using Xunit.Abstractions;

namespace ClusterNet.Cluster.Tests.Clusters;

/// <summary>Whatever node dies, leaves or joins while a job runs, the job ends by itself with the weights of a plain loop, and every epoch has visited every sample once.</summary>
#pragma warning disable CA1001 // xunit disposes of it by IAsyncLifetime
public sealed class FailureTests(ITestOutputHelper output) : IAsyncLifetime
#pragma warning restore CA1001
{
    private static readonly string[] Keepers = [Roles.Coordinator, Roles.Parameters, Roles.Inference];
    private static readonly string[] All = [Roles.Coordinator, Roles.Parameters, Roles.Worker, Roles.Inference];
    private readonly FailingCluster _cluster = new();

    private static JobSpec Job => OneHashJobs.Long with { Training = OneHashJobs.Long.Training with { Epochs = 30, Checkpoint = new CheckpointSpec(20, 2) } };

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _cluster.DisposeAsync();

    [Fact]
    public async Task A_worker_node_is_killed()
    {
        await _cluster.StartAsync(Keepers);
        await _cluster.StartAsync(Roles.Worker);
        var victim = await _cluster.StartAsync(Roles.Worker);
        var job = await RunningAsync();
        await _cluster.KillAsync(victim);
        await EndAsync(job);
    }

    [Fact]
    public async Task A_worker_node_joins_in_the_middle()
    {
        await _cluster.StartAsync(Keepers);
        await _cluster.StartAsync(Roles.Worker);
        var job = await RunningAsync();
        await _cluster.StartAsync(Roles.Worker);
        await EndAsync(job);
    }

    [Fact]
    public async Task A_worker_node_leaves_in_order()
    {
        await _cluster.StartAsync(Keepers);
        await _cluster.StartAsync(Roles.Worker);
        var leaving = await _cluster.StartAsync(Roles.Worker);
        var job = await RunningAsync();
        await _cluster.LeaveAsync(leaving);
        await EndAsync(job);
    }

    [Fact]
    public async Task A_parameter_node_is_killed()
    {
        await _cluster.StartAsync([.. Keepers, Roles.Worker]);
        await _cluster.StartAsync(Roles.Worker);
        var victim = await _cluster.StartAsync(Roles.Parameters);
        var job = await RunningAsync();
        await _cluster.KillAsync(victim);
        await EndAsync(job);
    }

    [Fact]
    public async Task A_parameter_node_leaves_in_order()
    {
        await _cluster.StartAsync([.. Keepers, Roles.Worker]);
        await _cluster.StartAsync(Roles.Worker);
        var leaving = await _cluster.StartAsync(Roles.Parameters);
        var job = await RunningAsync();
        await _cluster.LeaveAsync(leaving);
        await EndAsync(job);
    }

    [Fact]
    public async Task The_coordinators_node_is_killed()
    {
        for (var i = 0; i < 3; i++)
            await _cluster.StartAsync(All);
        var job = await RunningAsync();
        await _cluster.KillAsync(await _cluster.CoordinatorOfAsync(job));
        await EndAsync(job);
    }

    [Fact]
    public async Task The_coordinators_node_leaves_in_order()
    {
        for (var i = 0; i < 3; i++)
            await _cluster.StartAsync(All);
        var job = await RunningAsync();
        await _cluster.LeaveAsync(await _cluster.CoordinatorOfAsync(job));
        await EndAsync(job);
    }

    [Fact]
    public async Task All_nodes_are_killed_and_started_again()
    {
        await _cluster.StartAsync([.. Keepers, Roles.Worker]);
        await _cluster.StartAsync(All);
        var job = await RunningAsync();
        await _cluster.KillAsync([.. _cluster.Nodes]);
        await _cluster.StartAsync(All);
        await EndAsync(job);
    }

    [Fact]
    public async Task The_store_stops_until_checkpoints_and_journal_have_failed()
    {
        await _cluster.StartAsync(All);
        var job = await RunningAsync();
        await _cluster.StopStoreAsync(until: "was not saved");
        await EndAsync(job);
    }

    private async Task<JobId> RunningAsync()
    {
        var job = await _cluster.SubmitAsync(Job);
        await _cluster.TrainedAsync(job, 50);
        return job;
    }

    private async Task EndAsync(JobId job)
    {
        var details = await _cluster.EndsAsPlainAsync(job, Job);
        foreach (var generation in details.Generations)
            output.WriteLine($"{generation.At:HH:mm:ss.fff} generation {generation.Generation}: {generation.Reason}, back to {generation.RestoreStep?.ToString() ?? "-"}");
    }
}
