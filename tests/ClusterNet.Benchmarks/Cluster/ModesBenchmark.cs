using System.Diagnostics;
using System.Globalization;
using ClusterNet.Benchmarks.Local;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Codecs;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Native;

namespace ClusterNet.Benchmarks.Cluster;

/// <summary>
/// What checkpoints cost, what a slow worker costs under each way of training, and how many bytes each codec takes to the same loss: jobs of the MLP 784-512-512-10 on one node, each in turn with its reference.
/// </summary>
internal sealed class ModesBenchmark : IAsyncDisposable
{
    public const string Checkpoints = "checkpoints", SlowWorker = "slow-worker", Codecs = "codecs";

    /// <summary>All that it measures.</summary>
    public static IReadOnlyList<string> Parts { get; } = [Checkpoints, SlowWorker, Codecs];

    private const int FirstSteps = 60;
    private const int LossWindow = 20;
    private const string SlowVariable = "CLUSTERNET_TEST_SLOW_WORKER";

    // while code that is new to a process runs, it is compiled anew, on the cores that are measured
    private static readonly TimeSpan _warmUp = TimeSpan.FromSeconds(15);

    private readonly string _folder = Directory.CreateTempSubdirectory("clusternet-modes-").FullName;
    private readonly TextWriter _progress;
    private readonly CancellationToken _cancel;
    private LocalCluster _cluster = null!;

    private ModesBenchmark(TextWriter progress, CancellationToken cancel) => (_progress, _cancel) = (progress, cancel);

    private string DataFile => Path.Combine(_folder, "images.npz");

    /// <summary>Measures the parts asked for.</summary>
    public static async Task<IReadOnlyList<Figure>> RunAsync(IReadOnlyCollection<string> parts, int rounds, TextWriter progress, CancellationToken cancel)
    {
        TorchLoader.EnsureLoaded();
        var figures = new List<Figure>();
        await using var benchmark = new ModesBenchmark(progress, cancel);
        SyntheticImages.Draw().WriteNpz(benchmark.DataFile);
        benchmark._cluster = await LocalCluster.StartAsync(Path.Combine(benchmark._folder, "store"), new ModelCatalog(ModelCatalog.BuiltIn), cancel: cancel);
        if (parts.Contains(Checkpoints))
            figures.Add(await benchmark.CheckpointsAsync(rounds));
        if (parts.Contains(SlowWorker))
            figures.AddRange(await benchmark.SlowWorkerAsync(rounds));
        if (parts.Contains(Codecs))
            figures.AddRange(await benchmark.CodecsAsync());
        return figures;
    }

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task<Figure> CheckpointsAsync(int rounds)
    {
        const int Steps = 400;
        TrainingSpec Training(TrainingSpec training, int every) => training with { Steps = Steps, Checkpoint = new CheckpointSpec(every, 2) };
        var ratios = await RatiosAsync("checkpoint-every-20", rounds, training => Training(training, 0), training => Training(training, 20));
        return new Figure("checkpoint.every-20-over-none", Figure.Median(ratios), 0.98, Better.Higher, "ratio", ratios);
    }

    private async Task<IReadOnlyList<Figure>> SlowWorkerAsync(int rounds)
    {
        var before = Environment.GetEnvironmentVariable(SlowVariable);
        Environment.SetEnvironmentVariable(SlowVariable, "1:4");
        try
        {
            TrainingSpec Bsp(TrainingSpec training) => training with { Steps = 150, Workers = 2, Slices = 2 };
            var figures = new List<Figure>();
            foreach (var (name, change) in new (string, Func<TrainingSpec, TrainingSpec>)[]
            {
                ("backup", training => Bsp(training) with { BackupWorkers = 1 }),
                ("ssp-4", training => Bsp(training) with { Consistency = ConsistencyMode.Ssp, Staleness = 4 }),
                ("asp", training => Bsp(training) with { Consistency = ConsistencyMode.Asp }),
            })
            {
                var ratios = await RatiosAsync($"slow-worker {name}", rounds, Bsp, change);
                figures.Add(new Figure($"slow-worker.{name}-over-bsp", Figure.Median(ratios), 1.5, Better.Higher, "ratio", ratios));
            }
            return figures;
        }
        finally
        {
            Environment.SetEnvironmentVariable(SlowVariable, before);
        }
    }

    /// <summary>Bytes that gradients and weights take until the loss is what float32 ends with, over those that float32 takes.</summary>
    private async Task<IReadOnlyList<Figure>> CodecsAsync()
    {
        const int Steps = 150;
        const int Patience = 2;
        TrainingSpec Base(TrainingSpec training) => training with { Steps = Steps, Workers = 2, Slices = 2, Shards = 2 };
        // Adam's second moment takes the bursts of a sparse gradient for its size: SGD shows what the codecs lose
        var workload = Workload.All.First(workload => workload.Name == "mlp-sgd");
        var reference = await TrainAsync(Base, workload);
        var target = Smoothed(reference.Losses).Last().Loss * 1.02;
        var expected = Smoothed(reference.Losses).First(point => point.Loss <= target).Step;
        var (_, whole) = BytesPerStep(reference);
        var figures = new List<Figure>();
        foreach (var (name, change) in new (string, Func<TrainingSpec, TrainingSpec>)[]
        {
            ("bf16", training => training with { Codec = GradientCodec.Bf16, PullCodec = WeightCodec.Bf16 }),
            ("int8", training => training with { Codec = GradientCodec.Int8, PullCodec = WeightCodec.Bf16 }),
            ("top-k", training => training with { Codec = GradientCodec.TopK, TopK = 0.05, PullCodec = WeightCodec.Bf16 }),
        })
        {
            var details = await TrainAsync(training => change(Base(training) with { Steps = Patience * Steps }), workload);
            var (pushed, all) = BytesPerStep(details);
            // what is not reached counts as if it were at the very end, and is said to be so: the true figure is higher
            var reached = Smoothed(details.Losses).FirstOrDefault(point => point.Loss <= target).Step;
            var step = reached == 0 ? Patience * Steps : reached;
            await _progress.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
                $"{name}: {pushed} bytes pushed a step, {all} in all (fp32 {whole}); loss {target:0.0000} {(reached == 0 ? "not reached in" : "after")} {step} steps where fp32 takes {expected}"));
            figures.Add(new Figure($"codec.{name}.bytes-a-step-over-fp32", (double)all / whole, 0.5, Better.Lower, "ratio", [(double)all / whole]));
            var bytes = (double)all * step / ((double)whole * expected);
            figures.Add(new Figure($"codec.{name}.bytes-to-equal-loss-over-fp32{(reached == 0 ? " (not reached)" : "")}", bytes, 1, Better.Lower, "ratio", [bytes]));
        }
        return figures;
    }

    private static (long Pushed, long All) BytesPerStep(JobDetails job)
    {
        var training = job.Spec.Training;
        var ranges = new ShardPlan(Parameters, training.Shards).Ranges;
        var codec = GradientCodecs.Of(training);
        // a lossless gradient travels as one tree node for each worker, a lossy one slice by slice
        var pushes = codec is null ? training.Workers : training.Slices;
        var pushed = ranges.Sum(range => (long)pushes * sizeof(float) * (codec?.Words(range.Length) ?? range.Length));
        var pulled = ranges.Sum(range => (long)training.Workers * sizeof(float) * (training.PullCodec == WeightCodec.Bf16 ? Bf16.Words(range.Length) : range.Length));
        return (pushed, pushed + pulled);
    }

    private const int Parameters = (784 * 512) + 512 + (512 * 512) + 512 + (512 * 10) + 10;

    private static IEnumerable<LossPoint> Smoothed(IReadOnlyList<LossPoint> losses) =>
        Enumerable.Range(LossWindow, Math.Max(0, losses.Count - LossWindow + 1)).Select(end => new LossPoint(losses[end - 1].Step, losses.Skip(end - LossWindow).Take(LossWindow).Average(point => point.Loss)));

    private async Task<IReadOnlyList<double>> RatiosAsync(string name, int rounds, Func<TrainingSpec, TrainingSpec> reference, Func<TrainingSpec, TrainingSpec> measured)
    {
        var time = Stopwatch.StartNew();
        while (time.Elapsed < _warmUp)
        {
            foreach (var change in new[] { reference, measured })
                await TrainAsync(training => change(training) with { Steps = FirstSteps });
        }
        var ratios = new List<double>();
        for (var round = 0; round < rounds; round++)
        {
            // who goes first changes, so that a machine that grows slower or faster favours neither
            var first = await RateAsync(round % 2 == 0 ? reference : measured);
            var second = await RateAsync(round % 2 == 0 ? measured : reference);
            var (old, now) = round % 2 == 0 ? (first, second) : (second, first);
            ratios.Add(now / old);
            await _progress.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{name} {round + 1}/{rounds}: reference {old:0}/s, measured {now:0}/s, ratio {now / old:0.000}"));
        }
        return ratios;
    }

    private async Task<double> RateAsync(Func<TrainingSpec, TrainingSpec> change) => (await TrainAsync(change)).Result!.SamplesPerSecond;

    private async Task<JobDetails> TrainAsync(Func<TrainingSpec, TrainingSpec> change, Workload? workload = null)
    {
        _cancel.ThrowIfCancellationRequested();
        var spec = (workload ?? Workload.All[0]).Job(DataFile, 1, new LocalSettings(TimeSpan.Zero, 1, 1, 1));
        var job = await _cluster.SubmitAsync(spec with { Training = change(spec.Training) }, _cancel);
        await foreach (var moment in _cluster.WatchAsync(job, _cancel))
            _ = moment;
        var details = await _cluster.JobAsync(job, _cancel);
        if (details.Result is not { } result)
            throw new InvalidOperationException($"the job ended {details.Summary.Status}: {details.Progress.Failure}");
        await _cluster.DeleteModelAsync(result.Version.Model, result.Version.Version, _cancel);
        return details;
    }
}
