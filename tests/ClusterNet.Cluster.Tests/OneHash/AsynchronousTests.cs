using ClusterNet.Cluster.Training;
using ClusterNet.Core.Jobs;
using Xunit.Abstractions;

namespace ClusterNet.Cluster.Tests.OneHash;

/// <summary>Workers that do not wait for each other: no gradient is staler than the bound, no sample is lost or seen twice, whoever dies, and something is learnt.</summary>
[Collection(ClusterTests.Name)]
public sealed class AsynchronousTests(ClusterFixture cluster, ITestOutputHelper output)
{
    [Theory]
    [InlineData(ConsistencyMode.Ssp, 0, 4, 3)]
    [InlineData(ConsistencyMode.Ssp, 2, 4, 1)]
    [InlineData(ConsistencyMode.Ssp, 3, 3, 3)]
    [InlineData(ConsistencyMode.Asp, 3, 4, 3)]
    public async Task No_gradient_is_staler_than_the_bound_and_every_sample_is_seen_once(ConsistencyMode mode, int staleness, int workers, int shards)
    {
        var job = await cluster.Cluster.SubmitAsync(Spec(training => training with { Consistency = mode, Staleness = staleness, Workers = workers, Shards = shards }));
        var result = await cluster.EndAsync(job);
        output.WriteLine($"{mode} {staleness}: at most {result.MaxStaleness} steps behind, accuracy {result.Metrics["test"]["accuracy"]:f3}");
        Assert.Equal(60, result.Steps);
        Assert.InRange(result.MaxStaleness!.Value, 0, mode == ConsistencyMode.Ssp ? staleness : long.MaxValue);
        Assert.True(result.Metrics["test"]["accuracy"] > 0.85);
        await AssertEverySampleWasSeenOnceAsync(job);
    }

    [Fact]
    public Task It_goes_on_from_a_checkpoint_whoever_dies() => DisturbedAsync(training => training with { Consistency = ConsistencyMode.Ssp, Staleness = 2, PullCodec = WeightCodec.Bf16 });

    [Fact]
    public Task The_same_without_a_bound() => DisturbedAsync(training => training with { Consistency = ConsistencyMode.Asp });

    private static JobSpec Spec(Func<TrainingSpec, TrainingSpec> change) => TestJobs.Wdbc(
        "mlp", training => change(training with { Steps = 60, Epochs = null, Checkpoint = new CheckpointSpec(7, 2), Optimizer = new OptimizerSpec { LearningRate = 0.005 } }), ("hidden", ["64", "32"]));

    private async Task DisturbedAsync(Func<TrainingSpec, TrainingSpec> change)
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("CLUSTERNET_TEST_SEED"), out var given) ? given : Random.Shared.Next();
        output.WriteLine($"CLUSTERNET_TEST_SEED={seed}");
        var random = new Random(seed);
        JobId? disturbed = null;
        var spec = Spec(training => change(training with { Steps = 400, Workers = 4, Shards = 3 }));
        var result = await cluster.TrainAsync(spec, random, 8, async job =>
        {
            disturbed = job;
            switch (random.Next(5))
            {
                case 0 or 1:
                    await cluster.Cluster.InterruptAsync(job);
                    break;
                case 2:
                    cluster.StopShard(random);
                    break;
                case 3:
                    cluster.StopCoordinator(job);
                    break;
                default:
                    cluster.StopWorker(random);
                    break;
            }
        });
        Assert.Equal(400, result.Steps);
        Assert.True(spec.Training.Consistency == ConsistencyMode.Asp || result.MaxStaleness <= spec.Training.Staleness, $"{result.MaxStaleness?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "unknown"} steps behind");
        await AssertEverySampleWasSeenOnceAsync(disturbed!.Value);
    }

    private async Task AssertEverySampleWasSeenOnceAsync(JobId job)
    {
        var ledger = (await cluster.Cluster.JobAsync(job)).Ledger;
        Assert.NotEmpty(ledger);
        Assert.All(ledger, (EpochVisits epoch) => Assert.True(epoch.IsEqual, $"{epoch}"));
    }
}
