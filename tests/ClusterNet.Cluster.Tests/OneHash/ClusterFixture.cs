using Akka.Actor;
using Akka.Hosting;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Training;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Tests;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Cluster.Tests.OneHash;

/// <summary>The tests that share one cluster.</summary>
[CollectionDefinition(Name)]
public sealed class ClusterTests : ICollectionFixture<ClusterFixture>
{
    public const string Name = "one local cluster";
}

/// <summary>A cluster in this process with a store of its own, and hands to hurt it with.</summary>
#pragma warning disable CA1001 // xunit disposes of it by IAsyncLifetime
public sealed class ClusterFixture : IAsyncLifetime
#pragma warning restore CA1001
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("clusternet-onehash-");
    private readonly MemoryLog _log = new();
    private LocalCluster _cluster = null!;

    internal LocalCluster Cluster => _cluster;

    public async Task InitializeAsync() => _cluster = await LocalCluster.StartAsync(_folder.FullName, new ModelCatalog(ModelCatalog.BuiltIn), logging => logging.AddProvider(_log), string.Empty, default);

    public async Task DisposeAsync()
    {
        await _cluster.DisposeAsync();
        _folder.Delete(true);
        _log.Dispose();
    }

    /// <summary>What the job must end with: computed by one loop, without an actor.</summary>
    internal static PlainResult Plain(JobSpec spec) => PlainLoop.Train(spec, DataPipeline.Load(spec.Data, spec.Training.Seed));

    /// <summary>Runs a job to its end.</summary>
    internal async Task<JobResult> TrainAsync(JobSpec spec)
    {
        using var patience = new CancellationTokenSource(Patience);
        return await EndAsync(await _cluster.SubmitAsync(spec, patience.Token), patience.Token);
    }

    /// <summary>Waits for a job's end.</summary>
    internal async Task<JobResult> EndAsync(JobId job)
    {
        using var patience = new CancellationTokenSource(Patience);
        return await EndAsync(job, patience.Token);
    }

    /// <summary>Runs a job to its end and does something to it at random moments; whenever it is interrupted, it is resumed.</summary>
    internal async Task<JobResult> TrainAsync(JobSpec spec, Random random, int times, Func<JobId, Task> disturb)
    {
        using var patience = new CancellationTokenSource(Patience);
        var job = await _cluster.SubmitAsync(spec, patience.Token);
        var done = 0;
        try
        {
            using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
            for (; done < times; done++)
            {
                for (var looks = random.Next(1, 40); looks > 0; looks--)
                {
                    await pace.WaitForNextTickAsync(patience.Token);
                    while (await ProgressAsync(job, patience.Token) is { Status: not JobStatus.Training } progress)
                    {
                        if (progress.Status is JobStatus.Completed or JobStatus.Failed)
                            return await EndAsync(job, patience.Token);
                        if (progress.Status == JobStatus.Interrupted)
                            await _cluster.ResumeAsync(job, patience.Token);
                        await pace.WaitForNextTickAsync(patience.Token);
                    }
                }
                await disturb(job);
            }
            return await EndAsync(job, patience.Token);
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested)
        {
            var details = await _cluster.JobAsync(job);
            throw new TimeoutException($"job {job} stands still after {done} disturbances: {details.Progress}, checkpoints {string.Join(' ', details.CommittedCheckpoints)}\n{_log}");
        }
        finally
        {
            Assert.NotEqual(0, done);
        }
    }

    /// <summary>Stops one of the workers, whatever it is doing.</summary>
    internal void StopWorker(Random random) => StopOne(random, Children(ActorRegistry.For(_cluster.System).Get<WorkerHost>()));

    /// <summary>Stops one of the parameter shards.</summary>
    internal void StopShard(Random random) => StopOne(random, Children(ActorRegistry.For(_cluster.System).Get<ParameterRegion>()).SelectMany(Children));

    /// <summary>Stops the job's coordinator.</summary>
    internal void StopCoordinator(JobId job) => StopOne(
        new Random(0),
        Children(ActorRegistry.For(_cluster.System).Get<JobRegion>()).SelectMany(Children).Where(entity => entity.Path.Name == job.Value));

    private static IEnumerable<IActorRef> Children(IActorRef parent) => parent is ActorRefWithCell { IsTerminated: false } actor ? actor.Children : [];

    private static void StopOne(Random random, IEnumerable<IActorRef> actors)
    {
        var all = actors.ToArray();
        if (all.Length > 0)
            all[random.Next(all.Length)].Tell(PoisonPill.Instance);
    }

    private async Task<JobProgress> ProgressAsync(JobId job, CancellationToken cancel)
    {
        await foreach (var progress in _cluster.WatchAsync(job, cancel))
            return progress;
        throw new InvalidOperationException("a watch without an item");
    }

    internal static void AssertEverySampleWasVisitedOnce(JobDetails details)
    {
        Assert.Equal(Enumerable.Range(1, (int)details.Result!.Epochs), details.Ledger.Select(visits => (int)visits.Epoch));
        Assert.All(details.Ledger, visits => Assert.True(visits.IsEqual && visits.Samples == visits.Expected, visits.ToString()));
        Assert.Equal(details.Result.Steps, details.Ledger[^1].Step);
    }

    private async Task<JobResult> EndAsync(JobId job, CancellationToken cancel)
    {
        while (true)
        {
            await foreach (var progress in _cluster.WatchAsync(job, cancel))
                Assert.True(progress.Status is not JobStatus.Failed, progress.Failure);
            var details = await _cluster.JobAsync(job, cancel);
            if (details.Result is { } result)
            {
                AssertEverySampleWasVisitedOnce(details);
                return result;
            }
            await _cluster.ResumeAsync(job, cancel);
        }
    }
}
