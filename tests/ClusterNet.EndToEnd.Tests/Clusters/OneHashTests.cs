using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>The promise: whatever becomes of the processes, the weights are those of one process that nobody disturbed, and every sample was visited once an epoch.</summary>
[Collection(ProcessClusters.Name)]
public sealed class OneHashTests(ITestOutputHelper output)
{
    /// <summary>Long enough to be disturbed in the middle, short enough to wait for.</summary>
    public static TheoryData<string, int> Jobs => new()
    {
        { "breast-cancer.yaml", 1200 },
        { "digits-cnn.yaml", 200 },
        { "digits-gru.yaml", 200 },
    };

    [SkippableFact]
    public async Task Any_number_of_workers_and_shards_on_any_nodes()
    {
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Worker, ProcessCluster.Worker);
        foreach (var (file, steps) in Jobs.Select(row => ((string)row[0], (int)row[1])))
        {
            foreach (var (workers, shards) in new[] { (1, 3), (2, 1), (4, 3) })
            {
                var job = await cluster.SubmitAsync(file, [.. SameHash.Settings(steps), $"training.workers={workers}", $"training.shards={shards}"]);
                await SameHash.RequireAsync(file, steps, await cluster.EndOfAsync(job));
            }
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Jobs))]
    public async Task A_worker_is_killed_and_another_joins(string file, int steps)
    {
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Worker, ProcessCluster.Worker);
        var job = await cluster.SubmitAsync(file, [.. SameHash.Settings(steps), "training.workers=4", "training.shards=2"]);
        await cluster.UntilCheckpointAsync(job, RandomStep(1, steps / 2));
        await cluster.KillAsync(cluster.Nodes[Random.Shared.Next(1, 3)]);
        await cluster.AddAsync(ProcessCluster.Worker);
        await SameHash.RequireAsync(file, steps, await cluster.EndOfAsync(job));
    }

    [SkippableTheory]
    [MemberData(nameof(Jobs))]
    public async Task The_coordinators_and_parameter_nodes_are_killed_one_after_the_other(string file, int steps)
    {
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Worker, ProcessCluster.Worker);
        var job = await cluster.SubmitAsync(file, [.. SameHash.Settings(steps), "training.workers=2", "training.shards=3"]);
        foreach (var (node, i) in cluster.Nodes.Take(3).ToArray().Select((node, i) => (node, i)))
        {
            await cluster.UntilCheckpointAsync(job, RandomStep((i * steps / 4) + 1, (i + 1) * steps / 4));
            await cluster.KillAsync(node);
            await cluster.RestartAsync(node);
        }
        await SameHash.RequireAsync(file, steps, await cluster.EndOfAsync(job));
    }

    [SkippableTheory]
    [MemberData(nameof(Jobs))]
    public async Task All_are_killed_and_started_again(string file, int steps)
    {
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Worker);
        var job = await cluster.SubmitAsync(file, [.. SameHash.Settings(steps), "training.workers=2", "training.shards=3"]);
        await cluster.UntilCheckpointAsync(job, RandomStep(1, steps / 2));
        var nodes = cluster.Nodes.ToArray();
        await cluster.KillAllAsync();
        await cluster.RestartAsync(nodes);
        await SameHash.RequireAsync(file, steps, await cluster.EndOfAsync(job));
    }

    private long RandomStep(int least, int most)
    {
        var step = Random.Shared.Next(least, most);
        output.WriteLine($"to be disturbed after the first checkpoint from step {step}");
        return step;
    }
}
