using System.Globalization;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Training;
using ClusterNet.Data;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Native;
using TorchSharp;

namespace ClusterNet.Benchmarks.Local;

/// <summary>How it is measured.</summary>
/// <param name="Duration">of one measurement, about</param>
/// <param name="Rounds">pairs of measurements of each workload</param>
/// <param name="Slices">of the cluster's batch</param>
/// <param name="Shards">of the cluster's weights; null for what a job has that does not say</param>
internal sealed record LocalSettings(TimeSpan Duration, int Rounds, int Slices, int? Shards);

/// <summary>What was measured of one workload, round by round.</summary>
internal sealed record Comparison(Workload Workload, LocalSettings Settings, IReadOnlyList<(Measurement Plain, Measurement Cluster)> Rounds)
{
    public const double Goal = 0.97;

    /// <summary>The cluster over the plain loop in each round.</summary>
    public IReadOnlyList<double> Ratios => [.. Rounds.Select(round => round.Cluster.SamplesPerSecond / round.Plain.SamplesPerSecond)];

    /// <summary>With slices or shards in its name where they are not what the goal is for.</summary>
    public string Name => string.Concat(
        Workload.Name,
        Settings.Slices == 1 ? "" : string.Create(CultureInfo.InvariantCulture, $"-slices{Settings.Slices}"),
        Settings.Shards is { } shards ? string.Create(CultureInfo.InvariantCulture, $"-shards{shards}") : "");

    public Figure ToFigure() => new($"local.{Name}", Figure.Median(Ratios), Goal, Better.Higher, "ratio", Ratios);
}

/// <summary>Trains with a cluster and with a plain loop in turn, so that whatever else the machine does meets both.</summary>
internal static class LocalBenchmark
{
    private const int WarmUpSteps = 100;

    // on a busy machine a second holds a handful of steps, and a job's first ones cost more than the rest
    private const int LeastSteps = 100;

    public static async Task<IReadOnlyList<Comparison>> RunAsync(IReadOnlyList<Workload> workloads, LocalSettings settings, TextWriter progress, CancellationToken cancel)
    {
        TorchLoader.EnsureLoaded();
        var folder = Directory.CreateTempSubdirectory("clusternet-benchmarks-").FullName;
        try
        {
            var images = SyntheticImages.Draw();
            var dataFile = Path.Combine(folder, "images.npz");
            images.WriteNpz(dataFile);
            var catalog = new ModelCatalog(ModelCatalog.BuiltIn);
            foreach (var workload in workloads)
                RequireSameLayers(workload, dataFile, settings, catalog);
            using var plain = new PlainLoop(images);
            await using var cluster = await LocalCluster.StartAsync(Path.Combine(folder, "store"), catalog, cancel: cancel);
            var comparisons = new List<Comparison>();
            foreach (var workload in workloads)
                comparisons.Add(await CompareAsync(workload));
            return comparisons;

            async Task<Comparison> CompareAsync(Workload workload)
            {
                Task<Measurement> Plain(long steps) => plain.RunAsync(workload, steps);
                Task<Measurement> Cluster(long steps) => TrainAsync(cluster, workload, dataFile, steps, settings, cancel);

                long StepsFor(Measurement measured) => Math.Max(LeastSteps, (long)(measured.SamplesPerSecond * settings.Duration.TotalSeconds / Workload.BatchSize));

                // the first measurements warm up, compile, and find out how many steps a round takes; they do not count
                var warm = StepsFor(await Plain(WarmUpSteps));
                await Cluster(WarmUpSteps);
                var steps = StepsFor(await Plain(warm));
                await Cluster(steps);
                var rounds = new List<(Measurement, Measurement)>();
                for (var round = 0; round < settings.Rounds; round++)
                {
                    cancel.ThrowIfCancellationRequested();
                    // who goes first changes, so that a machine that grows slower or faster favours neither
                    var before = round % 2 == 0 ? await Plain(steps) : default;
                    var cluster = await Cluster(steps);
                    var plain = round % 2 == 0 ? before : await Plain(steps);
                    rounds.Add((plain, cluster));
                    await progress.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
                        $"{workload.Name} {round + 1}/{settings.Rounds}: plain {plain.SamplesPerSecond:0}/s, cluster {cluster.SamplesPerSecond:0}/s, ratio {cluster.SamplesPerSecond / plain.SamplesPerSecond:0.000}; "
                        + $"{steps} steps, losses {plain.Loss:0.0000} and {cluster.Loss:0.0000}"));
                }
                return new Comparison(workload, settings, rounds);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<Measurement> TrainAsync(LocalCluster cluster, Workload workload, string dataFile, long steps, LocalSettings settings, CancellationToken cancel)
    {
        var job = await cluster.SubmitAsync(workload.Job(dataFile, steps, settings), cancel);
        var status = JobStatus.Preparing;
        await foreach (var moment in cluster.WatchAsync(job, cancel))
            status = moment.Status;
        var details = await cluster.JobAsync(job, cancel);
        if (details.Result is not { } result)
            throw new InvalidOperationException($"{workload.Name}: the job ended {status}: {details.Progress.Failure}");
        await cluster.DeleteModelAsync(result.Version.Model, result.Version.Version, cancel);
        return new Measurement(result.SamplesPerSecond, details.Losses[^1].Loss);
    }

    /// <summary>A comparison of two different networks would mean nothing.</summary>
    private static void RequireSameLayers(Workload workload, string dataFile, LocalSettings settings, ModelCatalog catalog)
    {
        var job = workload.Job(dataFile, 1, settings);
        using var model = catalog.Build(job.Model, job.Training.Loss, DataPipeline.Load(job.Data, job.Training.Seed).Preparation.Signature, job.Training.Seed, 1);
        using var scope = torch.NewDisposeScope();
        using var module = workload.PlainModel();
        var ours = model.Layout.Entries.Select(entry => string.Join('x', entry.Shape));
        var theirs = module.parameters().Select(parameter => string.Join('x', parameter.shape));
        if (!ours.SequenceEqual(theirs))
            throw new InvalidOperationException($"{workload.Name}: the cluster's model has parameters {string.Join(", ", ours)}, the plain one {string.Join(", ", theirs)}");
    }
}
