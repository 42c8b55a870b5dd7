using ClusterNet.Core.Jobs;
using Xunit.Abstractions;

namespace ClusterNet.Cluster.Tests.OneHash;

/// <summary>A job's weights are those of a plain loop, bit by bit, whoever shares its work and whatever happens to them.</summary>
[Collection(ClusterTests.Name)]
public sealed class OneHashTests(ClusterFixture cluster, ITestOutputHelper output)
{
    public static TheoryData<string> Names => [.. OneHashJobs.All.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Any_number_of_workers_and_shards_ends_with_the_weights_of_a_plain_loop(string name)
    {
        var spec = OneHashJobs.All[name];
        var plain = ClusterFixture.Plain(spec);
        foreach (var (workers, shards) in new (int, int?)[] { (1, 1), (2, 3), (3, null), (4, 3) })
        {
            var result = await cluster.TrainAsync(spec with { Training = spec.Training with { Workers = workers, Shards = shards } });
            output.WriteLine($"{workers} workers, shards {shards?.ToString() ?? "by size"}: {result.Steps} steps, {result.WeightsSha256}");
            Assert.Equal((plain.Steps, plain.SelectedSha256), (result.Steps, result.WeightsSha256));
        }
    }

    [Fact]
    public void The_jobs_do_what_they_are_there_for()
    {
        var stopped = OneHashJobs.All["mlp, stopped early, best epoch"];
        var plain = ClusterFixture.Plain(stopped);
        Assert.True(plain.Steps < stopped.Training.Epochs * 13, "it is not stopped early");
        Assert.NotEqual(plain.LastSha256, plain.SelectedSha256);
    }

    [Fact]
    public Task Interrupted_and_resumed_again_and_again() => Disturbed(4, (job, _) => cluster.Cluster.InterruptAsync(job));

    [Fact]
    public Task Workers_die_again_and_again() => Disturbed(8, (_, random) => Do(() => cluster.StopWorker(random)));

    [Fact]
    public Task Parameter_shards_die_again_and_again() => Disturbed(6, (_, random) => Do(() => cluster.StopShard(random)));

    [Fact]
    public Task The_coordinator_dies_again_and_again() => Disturbed(4, (job, _) => Do(() => cluster.StopCoordinator(job)));

    [Fact]
    public Task All_of_it_happens_in_one_job() => Disturbed(16, (job, random) => random.Next(6) switch
    {
        0 => cluster.Cluster.InterruptAsync(job),
        1 => Do(() => cluster.StopCoordinator(job)),
        2 or 3 => Do(() => cluster.StopShard(random)),
        _ => Do(() => cluster.StopWorker(random)),
    });

    [Fact]
    public Task All_of_it_happens_to_an_optimizer_that_exchanges_norms_twice() => Disturbed(
        12,
        (_, random) => Do(() =>
        {
            // at one moment, so that one is lost while the other's loss is still being dealt with
            cluster.StopWorker(random);
            cluster.StopShard(random);
        }),
        training => training with { Optimizer = new OptimizerSpec { Kind = OptimizerKind.Lamb, LearningRate = 0.01 } });

    [Fact]
    public Task All_of_it_happens_to_a_codec_that_keeps_what_it_lost() => Disturbed(
        12,
        (job, random) => random.Next(5) switch
        {
            0 or 1 => cluster.Cluster.InterruptAsync(job),
            2 => Do(() => cluster.StopCoordinator(job)),
            3 => Do(() => cluster.StopShard(random)),
            _ => Do(() => cluster.StopWorker(random)),
        },
        training => training with { Codec = GradientCodec.Int8, PullCodec = WeightCodec.Bf16 });

    [Fact]
    public Task Backup_workers_change_no_bit_whatever_happens() => Disturbed(
        8,
        (job, random) => random.Next(4) switch
        {
            0 => cluster.Cluster.InterruptAsync(job),
            1 => Do(() => cluster.StopShard(random)),
            _ => Do(() => cluster.StopWorker(random)),
        },
        training => training with { Workers = 2, BackupWorkers = 2 });

    private async Task Disturbed(int times, Func<JobId, Random, Task> disturb, Func<TrainingSpec, TrainingSpec>? change = null)
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("CLUSTERNET_TEST_SEED"), out var given) ? given : Random.Shared.Next();
        output.WriteLine($"CLUSTERNET_TEST_SEED={seed}");
        var random = new Random(seed);
        var spec = OneHashJobs.Long with { Training = (change ?? (same => same))(OneHashJobs.Long.Training) };
        var plain = ClusterFixture.Plain(spec);
        var result = await cluster.TrainAsync(spec, random, times, job => disturb(job, random));
        Assert.Equal((plain.Steps, plain.SelectedSha256), (result.Steps, result.WeightsSha256));
    }

    private static Task Do(Action action)
    {
        action();
        return Task.CompletedTask;
    }
}
