using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>
/// The promise: whatever becomes of the processes, the weights are those of one process that nobody disturbed, and every sample was visited once an epoch. A cluster trains an MLP, a CNN and a GRU
/// at a time, so that what happens to a process happens to all that it has a part in.
/// </summary>
[Collection(ProcessClusters.Name)]
public sealed class OneHashTests(ITestOutputHelper output)
{
    // long enough to be disturbed in the middle, short enough to wait for
    private static readonly (string File, int Steps)[] _jobs = [("breast-cancer.yaml", 600), ("digits-cnn.yaml", 200), ("digits-gru.yaml", 120)];

    // of three kills each may spare a job that then has the machine to itself until the next: it must not come to its end by then
    private static readonly (string File, int Steps)[] _longJobs = [("breast-cancer.yaml", 1500), ("digits-cnn.yaml", 500), ("digits-gru.yaml", 300)];

    [SkippableFact]
    public async Task Any_number_of_workers_and_shards_on_any_nodes()
    {
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Worker, ProcessCluster.Worker);
        foreach (var (workers, shards) in new[] { (1, 3), (2, 1), (4, 3) })
            await RequireSameHashesAsync(cluster, await SubmitAsync(cluster, workers, shards));
    }

    [SkippableFact]
    public async Task A_worker_is_killed_and_another_joins()
    {
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Worker, ProcessCluster.Worker);
        var jobs = await SubmitAsync(cluster, workers: 4, shards: 2);
        await UntilAsync(cluster, jobs, 0, 0.5);
        await cluster.KillAsync(cluster.Nodes[Random.Shared.Next(1, 3)]);
        await cluster.AddAsync(ProcessCluster.Worker);
        await RequireSameHashesAsync(cluster, jobs);
    }

    [SkippableFact]
    public async Task The_coordinators_and_parameter_nodes_are_killed_one_after_the_other()
    {
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Worker, ProcessCluster.Worker);
        var jobs = await SubmitAsync(cluster, workers: 2, shards: 3, _longJobs);
        foreach (var (i, node) in cluster.Nodes.Take(3).ToArray().Index())
        {
            await UntilAsync(cluster, jobs, i * 0.1, (i + 1) * 0.1, _longJobs);
            await cluster.KillAsync(node);
            await cluster.RestartAsync(node);
        }
        await RequireSameHashesAsync(cluster, jobs, _longJobs);
    }

    [SkippableFact]
    public async Task All_are_killed_and_started_again()
    {
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Worker);
        var jobs = await SubmitAsync(cluster, workers: 2, shards: 3);
        await UntilAsync(cluster, jobs, 0, 0.5);
        var nodes = cluster.Nodes.ToArray();
        await cluster.KillAllAsync();
        await cluster.RestartAsync(nodes);
        await RequireSameHashesAsync(cluster, jobs);
    }

    private static Task<string[]> SubmitAsync(ProcessCluster cluster, int workers, int shards, (string File, int Steps)[]? kinds = null) =>
        Task.WhenAll((kinds ?? _jobs).Select(job => cluster.SubmitAsync(job.File, [.. SameHash.Settings(job.Steps), $"training.workers={workers}", $"training.shards={shards}"])));

    private static Task RequireSameHashesAsync(ProcessCluster cluster, string[] jobs, (string File, int Steps)[]? kinds = null) =>
        Task.WhenAll((kinds ?? _jobs).Zip(jobs, async (job, id) => await SameHash.RequireAsync(job.File, job.Steps, await cluster.EndOfAsync(id))));

    /// <summary>Waits until all jobs are under way and the first of them has come to a random part of its steps between these two; none of them is over then.</summary>
    private async Task UntilAsync(ProcessCluster cluster, string[] jobs, double least, double most, (string File, int Steps)[]? kinds = null)
    {
        kinds ??= _jobs;
        var part = least + (Random.Shared.NextDouble() * (most - least));
        output.WriteLine($"to be disturbed when the first job has a checkpoint behind {part:0.000} of its steps");
        await Task.WhenAll(jobs.Select(job => cluster.UntilCheckpointAsync(job, 1)));
        await cluster.UntilAnyCheckpointAsync([.. kinds.Zip(jobs, (job, id) => (id, 1 + (long)(part * job.Steps)))]);
        foreach (var ((_, steps), job) in kinds.Zip(jobs))
            Assert.True(await cluster.Store.LatestCheckpointAsync(job) < steps, $"{job} was over before it was disturbed: it needs more steps");
    }
}
