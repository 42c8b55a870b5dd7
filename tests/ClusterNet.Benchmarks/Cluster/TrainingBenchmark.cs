using System.Diagnostics;
using System.Globalization;
using ClusterNet.Benchmarks.Local;
using ClusterNet.Cluster;
using ClusterNet.Core.Jobs;
using ClusterNet.Learning.Native;

namespace ClusterNet.Benchmarks.Cluster;

/// <summary>
/// Synchronous training of the MLP 784-512-512-10 by two processes, each with one worker of one thread and one of two shards, over twice the plain loop with as many samples a step as a worker has. Beside it
/// two plain loops in processes of their own, which exchange nothing: what two cores can do at most; and PyTorch's DistributedDataParallel over twice its own plain loop, where it is installed. All sides of a comparison are measured in turn in each round.
/// </summary>
internal sealed class TrainingBenchmark : IAsyncDisposable
{
    public const string Training = "training";

    private const int Nodes = 2;
    private const int FirstSteps = 60;

    // while code that is new to a node runs, it is compiled anew, on the cores that are measured
    private static readonly TimeSpan _warmUp = TimeSpan.FromSeconds(20);

    /// <summary>All that it measures.</summary>
    public static IReadOnlyList<string> Parts { get; } = [Training];

    private static readonly Setting[] _settings =
    [
        new(Named("mlp-sgd"), 128, IsBf16: false, 0.75),
        new(Named("mlp-sgd"), 128, IsBf16: true, 0.85),
        new(Named("mlp-sgd"), 512, IsBf16: false, 0.90),
        new(Named("mlp-adam"), 128, IsBf16: false, 0.75),
    ];

    private readonly string _folder = Directory.CreateTempSubdirectory("clusternet-training-").FullName;
    private readonly List<TrainingNode> _nodes = [];
    private readonly TextWriter _progress;
    private readonly CancellationToken _cancel;
    private RemoteCluster? _cluster;

    private TrainingBenchmark(TextWriter progress, CancellationToken cancel) => (_progress, _cancel) = (progress, cancel);

    /// <summary>Samples of a step in each process.</summary>
    private sealed record Setting(Workload Workload, int Batch, bool IsBf16, double Goal)
    {
        public string Name => string.Create(CultureInfo.InvariantCulture, $"{Workload.Name}-batch{Batch}-{(IsBf16 ? "bf16" : "fp32")}");

        // about eight seconds of each side: what sets up a job is compiled in the first two
        public long Steps => Batch >= 512 ? 400 : 1200;
    }

    private static Workload Named(string name) => Workload.All.First(workload => workload.Name == name);

    private string DataFile => Path.Combine(_folder, "images.npz");

    public static async Task<IReadOnlyList<Figure>> RunAsync(int rounds, TextWriter progress, CancellationToken cancel)
    {
        TorchLoader.EnsureLoaded();
        await using var benchmark = new TrainingBenchmark(progress, cancel);
        var images = SyntheticImages.Draw();
        images.WriteNpz(benchmark.DataFile);
        var database = Path.Combine(benchmark._folder, "nodes.db");
        for (var i = 0; i < Nodes; i++)
            benchmark._nodes.Add(await TrainingNode.StartAsync(database, i == 0 ? null : benchmark._nodes[0].Address, cancel));
        benchmark._cluster = await RemoteCluster.ConnectAsync(benchmark._nodes[0].Address, cancel: cancel);
        using var plain = new PlainLoop(images);
        var figures = new List<Figure>();
        await benchmark.WarmUpAsync();
        using var other = PlainPeer.Start();
        foreach (var setting in _settings)
            figures.Add(await benchmark.MeasureAsync(setting, plain, rounds));
        foreach (var setting in _settings.Where(setting => !setting.IsBf16))
            figures.Add(await benchmark.MeasureTwoAsync(setting, plain, other, rounds));
        if (await TorchPeer.IsInstalledAsync(cancel))
        {
            foreach (var batch in _settings.Select(setting => setting.Batch).Distinct())
                figures.Add(await benchmark.MeasurePeerAsync(batch, rounds));
        }
        else
        {
            await progress.WriteLineAsync("python3-torch is not installed: no DistributedDataParallel to compare with");
        }
        return figures;
    }

    public async ValueTask DisposeAsync()
    {
        if (_cluster is not null)
            await _cluster.DisposeAsync();
        foreach (var node in Enumerable.Reverse(_nodes))
            await node.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task WarmUpAsync()
    {
        var time = Stopwatch.StartNew();
        while (time.Elapsed < _warmUp)
        {
            foreach (var setting in _settings)
                await TrainAsync(setting, FirstSteps);
        }
    }

    private async Task<Figure> MeasureAsync(Setting setting, PlainLoop plain, int rounds)
    {
        async Task<double> Plain(long steps) => (await plain.RunAsync(setting.Workload, steps, setting.Batch)).SamplesPerSecond;
        await Plain(FirstSteps);
        await TrainAsync(setting, FirstSteps);
        return await RatiosAsync($"training.{setting.Name}-over-twice-plain", setting.Goal, rounds, () => Plain(setting.Steps), () => TrainAsync(setting, setting.Steps));
    }

    private async Task<Figure> MeasureTwoAsync(Setting setting, PlainLoop plain, PlainPeer other, int rounds)
    {
        async Task<double> Plain(long steps) => (await plain.RunAsync(setting.Workload, steps, setting.Batch)).SamplesPerSecond;
        async Task<double> Both(long steps) => (await Task.WhenAll(Plain(steps), other.RunAsync(setting.Workload, steps, setting.Batch, _cancel))).Sum();
        await Both(FirstSteps);
        return await RatiosAsync($"training.two-{setting.Workload.Name}-batch{setting.Batch}-that-exchange-nothing-over-twice-plain", double.NaN, rounds, () => Plain(setting.Steps), () => Both(setting.Steps));
    }

    private async Task<Figure> MeasurePeerAsync(int batch, int rounds)
    {
        // without an optimized BLAS it is many times slower: as many steps as take two seconds
        var steps = Math.Clamp((long)(2 * await TorchPeer.RateAsync(1, batch, 10, _cancel) / batch), 20, 300);
        return await RatiosAsync($"training.ddp-sgd-batch{batch}-over-twice-its-plain", double.NaN, rounds, () => TorchPeer.RateAsync(1, batch, steps, _cancel), () => TorchPeer.RateAsync(Nodes, batch, steps, _cancel));
    }

    private async Task<Figure> RatiosAsync(string name, double goal, int rounds, Func<Task<double>> one, Func<Task<double>> two)
    {
        var ratios = new List<double>();
        for (var round = 0; round < rounds; round++)
        {
            _cancel.ThrowIfCancellationRequested();
            // who goes first changes, so that a machine that grows slower or faster favours neither
            var first = await (round % 2 == 0 ? one : two)();
            var second = await (round % 2 == 0 ? two : one)();
            var (single, both) = round % 2 == 0 ? (first, second) : (second, first);
            ratios.Add(both / (Nodes * single));
            await _progress.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{name} {round + 1}/{rounds}: one {single:0}/s, two {both:0}/s, ratio {ratios[^1]:0.000}"));
        }
        return new Figure(name, Figure.Median(ratios), goal, Better.Higher, "ratio", ratios);
    }

    private async Task<double> TrainAsync(Setting setting, long steps)
    {
        var spec = setting.Workload.Job(DataFile, steps, new LocalSettings(TimeSpan.Zero, 1, Nodes, Nodes));
        var training = spec.Training with { BatchSize = Nodes * setting.Batch, Workers = Nodes };
        if (setting.IsBf16)
            training = training with { Codec = GradientCodec.Bf16, PullCodec = WeightCodec.Bf16 };
        var job = await _cluster!.SubmitAsync(spec with { Training = training }, _cancel);
        await foreach (var moment in _cluster.WatchAsync(job, _cancel))
            _ = moment;
        var details = await _cluster.JobAsync(job, _cancel);
        if (details.Result is not { } result)
            throw new InvalidOperationException($"the job ended {details.Summary.Status}: {details.Progress.Failure}");
        await _cluster.DeleteModelAsync(result.Version.Model, result.Version.Version, _cancel);
        return result.SamplesPerSecond;
    }
}
