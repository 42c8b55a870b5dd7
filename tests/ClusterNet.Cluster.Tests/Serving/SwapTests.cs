using System.Collections.Concurrent;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Tests.Clusters;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;

namespace ClusterNet.Cluster.Tests.Serving;

/// <summary>Under load, versions follow one another and an inference node dies: no request fails, and each answer is that of the version it names, to the last bit.</summary>
public sealed class SwapTests
{
    private const int Clients = 6;
    private const int Swaps = 8;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    private static readonly RawSamples.Array Samples = new([30], TestJobs.Values(30 * 3, 11), []);

    [Fact]
    public async Task No_request_fails_while_versions_are_swapped_back_to_back_and_a_node_is_killed()
    {
        await using var cluster = new FailingCluster();
        var door = await cluster.StartAsync(Roles.Coordinator, Roles.Parameters, Roles.Worker, Roles.Gateway);
        await cluster.StartAsync(Roles.Inference);
        var victim = await cluster.StartAsync(Roles.Inference);
        using var patience = new CancellationTokenSource(Patience);
        var expected = new Dictionary<ModelVersionId, int[]>();
        for (var seed = 1; seed <= 2; seed++)
        {
            var version = await TrainAsync(door.Cluster, seed, patience.Token);
            expected.Add(version, Bits(await door.Cluster.PredictAsync(version, Samples, patience.Token)));
        }
        Assert.NotEqual(expected.Values.First(), expected.Values.Last());
        await door.Serving.LabelAsync("swapped", ModelLabels.Production, 1, patience.Token);

        using var stop = new CancellationTokenSource();
        var wrong = new ConcurrentQueue<string>();
        var served = new ConcurrentDictionary<int, int>();
        var clients = Enumerable.Range(0, Clients).Select(_ => Task.Run(
            async () =>
            {
                while (!stop.IsCancellationRequested)
                {
                    try
                    {
                        var answer = (await door.Serving.PredictAsync(new PredictRequest("swapped", new ModelInput.Raw(Samples)), patience.Token)).Prediction;
                        if (!expected[answer.Version].AsSpan().SequenceEqual(Bits(answer)))
                            wrong.Enqueue($"{answer.Version} answered with other bits");
                        served.AddOrUpdate(answer.Version.Version, 1, (_, count) => count + 1);
                    }
                    catch (Exception error) when (error is PredictionException or OperationCanceledException)
                    {
                        wrong.Enqueue(error.ToString());
                    }
                }
            },
            patience.Token)).ToArray();
        try
        {
            for (var swap = 1; swap <= Swaps; swap++)
            {
                var next = 1 + (swap % 2);
                await door.Serving.LabelAsync("swapped", ModelLabels.Production, next, patience.Token);
                var before = served.GetValueOrDefault(next);
                using var looks = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
                while (served.GetValueOrDefault(next) < before + Clients)
                    await looks.WaitForNextTickAsync(patience.Token);
                if (swap == Swaps / 2)
                    await cluster.KillAsync(victim);
            }
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"no swap within {Patience}: {string.Join("; ", served)} {string.Join("; ", wrong.Take(3))}\n{cluster}");
        }
        finally
        {
            await stop.CancelAsync();
            await Task.WhenAll(clients);
        }
        Assert.True(wrong.IsEmpty, $"{wrong.Count} of {served.Values.Sum()}: {string.Join('\n', wrong.Take(3))}\n{cluster}");
    }

    private static int[] Bits(Prediction prediction) => [.. prediction.Outputs.ToArray().Select(BitConverter.SingleToInt32Bits)];

    private static async Task<ModelVersionId> TrainAsync(ICluster cluster, int seed, CancellationToken cancel)
    {
        var job = await cluster.SubmitAsync(TestJobs.Wdbc("mlp", training => training with { Epochs = 1, Seed = seed }, ("hidden", ["8"])) with { Name = "swapped" }, cancel);
        await foreach (var progress in cluster.WatchAsync(job, cancel))
            Assert.True(progress.Status is not JobStatus.Failed, progress.Failure);
        return (await cluster.JobAsync(job, cancel)).Result!.Version;
    }
}
