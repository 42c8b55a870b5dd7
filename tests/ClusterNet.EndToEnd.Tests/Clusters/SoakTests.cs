using System.Globalization;
using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>
/// Job after job under random kills, standstills, joins, leaves and restarts. Runs for as many minutes as <c>CLUSTERNET_TEST_SOAK</c> says, and not at all without it; <c>CLUSTERNET_TEST_SEED</c> draws the same disturbances again. What it measures goes to
/// its output as the table that RESULTS.md keeps.
/// </summary>
[Collection(ProcessClusters.Name)]
[Trait("Category", "Soak")]
public sealed class SoakTests(ITestOutputHelper output)
{
    private const string Minutes = "CLUSTERNET_TEST_SOAK", Seed = "CLUSTERNET_TEST_SEED";

    private static readonly (string File, int Steps)[] _jobs = [("breast-cancer.yaml", 3000), ("digits-cnn.yaml", 800), ("digits-gru.yaml", 600)];

    [SkippableFact]
    public async Task Every_job_ends_as_if_nothing_had_happened()
    {
        Skip.IfNot(double.TryParse(Environment.GetEnvironmentVariable(Minutes), CultureInfo.InvariantCulture, out var minutes), $"{Minutes} says for how many minutes");
        var seed = int.TryParse(Environment.GetEnvironmentVariable(Seed), CultureInfo.InvariantCulture, out var given) ? given : Random.Shared.Next();
        output.WriteLine($"{Seed}={seed}");
        var end = DateTime.UtcNow.AddMinutes(minutes);
        var figures = new SoakFigures();
        await using var cluster = await ProcessCluster.StartAsync(
            output, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Worker, ProcessCluster.Worker, ProcessCluster.Worker);
        var random = new Random(seed);
        try
        {
            for (var i = 0; DateTime.UtcNow < end; i++)
                await RunJobAsync(cluster, _jobs[i % _jobs.Length], random, figures);
        }
        finally
        {
            output.WriteLine(figures.ToString());
        }
    }

    private static async Task RunJobAsync(ProcessCluster cluster, (string File, int Steps) kind, Random random, SoakFigures figures)
    {
        var job = await cluster.SubmitAsync(kind.File, [.. SameHash.Settings(kind.Steps), $"training.workers={random.Next(2, 5)}", $"training.shards={random.Next(1, 4)}"]);
        await using var watch = JobWatch.Start(() => cluster.Nodes, job);
        for (var disturbance = 1; disturbance <= 3; disturbance++)
        {
            await watch.UntilAsync(random.Next((disturbance * kind.Steps / 4) - (kind.Steps / 8), disturbance * kind.Steps / 4));
            if (watch.IsOver)
                break;
            await DisturbAsync(cluster, random, figures, watch);
        }
        await SameHash.RequireAsync(kind.File, kind.Steps, await cluster.EndOfAsync(job));
        figures.Ended(kind.File, await watch.EndAsync());
    }

    private static async Task DisturbAsync(ProcessCluster cluster, Random random, SoakFigures figures, JobWatch watch)
    {
        var workers = cluster.Nodes.Where(node => node.Roles == ProcessCluster.Worker).ToArray();
        var stateful = cluster.Nodes.Where(node => node.Roles == ProcessCluster.Stateful).ToArray();
        switch (random.Next(6))
        {
            case 0 or 1:
                await KillAsync(cluster, workers[random.Next(workers.Length)], "worker killed", figures, watch);
                break;
            case 2:
                await KillAsync(cluster, stateful[random.Next(stateful.Length)], "stateful node killed", figures, watch);
                break;
            case 3:
                var leaving = workers[random.Next(workers.Length)];
                figures.Disturbed("worker left in order", watch.Mark());
                await cluster.LeaveAsync(leaving);
                await cluster.RestartAsync(leaving);
                break;
            case 4:
                // from what others take note of to what they do not wait for
                figures.Disturbed("node stood still", watch.Mark());
                await cluster.StandStillAsync(cluster.Nodes[random.Next(cluster.Nodes.Count)], TimeSpan.FromSeconds(5 + (10 * random.NextDouble())));
                break;
            default:
                // a newcomer takes the place of one that leaves, so that the machine has as much to do as before
                figures.Disturbed("worker joined, another left", watch.Mark());
                await cluster.AddAsync(ProcessCluster.Worker);
                await cluster.LeaveAsync(workers[0]);
                break;
        }
    }

    private static async Task KillAsync(ProcessCluster cluster, ClusterMember node, string what, SoakFigures figures, JobWatch watch)
    {
        // the mark is taken just before: what is measured includes the end of the process
        figures.Disturbed(what, watch.Mark());
        await cluster.KillAsync(node);
        await watch.UntilNewGenerationStepsAsync();
        await cluster.RestartAsync(node);
    }
}
