using System.Diagnostics;
using ClusterNet.Benchmarks.Local;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Serving;
using ClusterNet.Gateway;
using ClusterNet.Gateway.Store;
using ClusterNet.Learning.Models;
using TorchSharp;

namespace ClusterNet.Benchmarks.Serving;

/// <summary>Serving by message, HTTP and gRPC, over what a program does that calls the module itself. Each round measures all sides of a comparison one after the other; who begins changes.</summary>
internal sealed class ServingBenchmark : IAsyncDisposable
{
    public const string Batching = "batching";
    public const string Gateway = "gateway";
    public const string Messages = "messages";
    public const string Lone = "lone";
    public const string Overload = "overload";

    private const int Clients = 32;

    /// <summary>Rounds that do not count: a profile showed the JIT compiler at work for half a minute.</summary>
    private const int WarmUpRounds = 3;

    private readonly string _folder = Directory.CreateTempSubdirectory("clusternet-benchmarks-").FullName;
    private readonly int _rounds;
    private readonly TimeSpan _duration;
    private readonly TextWriter _progress;
    private readonly CancellationToken _cancel;
    private readonly List<Figure> _figures = [];
    private ClusterNode _node = null!;

    private ServingBenchmark(int rounds, TimeSpan duration, TextWriter progress, CancellationToken cancel) => (_rounds, _duration, _progress, _cancel) = (rounds, duration, progress, cancel);

    public static IReadOnlyList<string> Parts { get; } = [Batching, Gateway, Messages, Lone, Overload];

    private string DataFile => Path.Combine(_folder, "images.npz");

    public static async Task<IReadOnlyList<Figure>> RunAsync(IReadOnlyCollection<string> parts, int rounds, TimeSpan duration, TextWriter progress, CancellationToken cancel)
    {
        await using var benchmark = new ServingBenchmark(rounds, duration, progress, cancel);
        SyntheticImages.Draw().WriteNpz(benchmark.DataFile);
        benchmark._node = await ServingNode.StartAsync(Path.Combine(benchmark._folder, "on"), benchmark.DataFile, new ServingSettings(), cancel);
        if (parts.Contains(Batching))
            await benchmark.MeasureBatchingAsync();
        if (parts.Contains(Gateway) || parts.Contains(Lone))
            await benchmark.MeasureGatewayAsync(parts);
        if (parts.Contains(Messages))
            await benchmark.MeasureMessagesAsync();
        if (parts.Contains(Overload))
            await benchmark.MeasureOverloadAsync();
        return benchmark._figures;
    }

    public async ValueTask DisposeAsync()
    {
        if (_node is not null)
            await _node.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>The same node twice, one that merges what waits and one that takes request by request.</summary>
    private async Task MeasureBatchingAsync()
    {
        await using var single = await ServingNode.StartAsync(Path.Combine(_folder, "off"), DataFile, new ServingSettings { MaxBatchSamples = 1 }, _cancel);
        foreach (var workload in ServedWorkload.All)
        {
            var rounds = await RoundsAsync(
                $"batching {workload.Name}",
                ("on", () => ClosedLoop.RunAsync(Clients, _duration, number => _node.Serving.PredictAsync(workload.Request(number), _cancel))),
                ("off", () => ClosedLoop.RunAsync(Clients, _duration, number => single.Serving.PredictAsync(workload.Request(number), _cancel))));
            Compare($"serving.batching.{workload.Name}", rounds, "on", "off", 4, 1);
        }
    }

    private async Task MeasureGatewayAsync(IReadOnlyCollection<string> parts)
    {
        using var store = GatewayStore.Open(Path.Combine(_folder, "on"), null);
        await using var gateway = await StartGatewayAsync(store, isAudited: true);
        // to see what the audit log costs: the minimal API keeps none
        await using var silent = await StartGatewayAsync(store, isAudited: false);
        await using var minimal = await MinimalApi.StartAsync();
        using var clients = new ServingClients(gateway, minimal);
        using var silentClients = new ServingClients(silent, minimal);
        foreach (var workload in ServedWorkload.All)
        {
            if (parts.Contains(Gateway))
            {
                var rounds = await RoundsAsync(
                    $"gateway {workload.Name}",
                    ("http", () => ClosedLoop.RunAsync(Clients, _duration, number => clients.HttpAsync(workload, number))),
                    ("grpc", () => ClosedLoop.RunAsync(Clients, _duration, number => clients.GrpcAsync(workload, number))),
                    ("http-unaudited", () => ClosedLoop.RunAsync(Clients, _duration, number => silentClients.HttpAsync(workload, number))),
                    ("grpc-unaudited", () => ClosedLoop.RunAsync(Clients, _duration, number => silentClients.GrpcAsync(workload, number))),
                    ("minimal", () => ClosedLoop.RunAsync(Clients, _duration, number => clients.MinimalAsync(workload, number))));
                foreach (var protocol in new[] { "http", "grpc" })
                {
                    Compare($"serving.gateway.{workload.Name}.{protocol}", rounds, protocol, "minimal", 3, double.NaN);
                    Add($"serving.gateway.{workload.Name}.{protocol}-unaudited.throughput", "ratio", double.NaN, Better.Higher, rounds.Select(round => round[$"{protocol}-unaudited"].PerSecond / round["minimal"].PerSecond));
                }
            }
            if (parts.Contains(Lone))
            {
                using var direct = new DirectModel(workload);
                var rounds = await RoundsAsync(
                    $"lone {workload.Name}",
                    ("direct", () => OnThread(() => Direct(direct))),
                    ("message", () => ClosedLoop.RunAsync(1, _duration / 2, number => _node.Serving.PredictAsync(workload.Request(number), _cancel))),
                    ("http", () => ClosedLoop.RunAsync(1, _duration / 2, number => clients.HttpAsync(workload, number))),
                    ("http-unaudited", () => ClosedLoop.RunAsync(1, _duration / 2, number => silentClients.HttpAsync(workload, number))),
                    ("minimal", () => ClosedLoop.RunAsync(1, _duration / 2, number => clients.MinimalAsync(workload, number))));
                Add($"serving.lone.{workload.Name}.message", "ratio", 1.5, Better.Lower, rounds.Select(round => round["message"].P50 / round["direct"].P50));
                Add($"serving.lone.{workload.Name}.http", "ratio", 1.1, Better.Lower, rounds.Select(round => round["http"].P50 / round["minimal"].P50));
                foreach (var side in new[] { "direct", "message", "http", "http-unaudited", "minimal" })
                    Add($"serving.lone.{workload.Name}.{side}.p50", "ms", double.NaN, Better.Lower, rounds.Select(round => round[side].P50));
            }
        }
    }

    private Task<GatewayServer> StartGatewayAsync(GatewayStore store, bool isAudited) => GatewayServer.StartAsync(
        new GatewaySettings { Port = 0, GrpcPort = 0, IsAuthenticationRequired = false, IsAudited = isAudited },
        new GatewayParts(_node.System, _node.Cluster, _node.Serving, store, (_, source) => throw new NotSupportedException(source)),
        cancel: _cancel);

    /// <summary>From a node without models to one in another process that has them: what messages between nodes cost.</summary>
    private async Task MeasureMessagesAsync()
    {
        var (process, address) = await ServingNode.LaunchAsync(Path.Combine(_folder, "other"), DataFile, _cancel);
        try
        {
            var options = new NodeOptions { Name = "asking", Roles = [Roles.Gateway], Seeds = [address], DataDirectory = Path.Combine(_folder, "asking") };
            await using var asking = await ClusterNode.StartAsync(options, new ModelCatalog(ModelCatalog.BuiltIn), cancel: _cancel);
            var workload = ServedWorkload.All[0];
            foreach (var clients in new[] { 1, Clients, 8 * Clients })
            {
                var rounds = await RoundsAsync($"messages {clients} clients", ("messages", () => ClosedLoop.RunAsync(clients, _duration, number => asking.Serving.PredictAsync(workload.Request(number), _cancel))));
                Add($"serving.messages.{clients}-clients", "1/s", double.NaN, Better.Higher, rounds.Select(round => round["messages"].PerSecond));
                Add($"serving.messages.{clients}-clients.p99", "ms", double.NaN, Better.Lower, rounds.Select(round => round["messages"].P99));
            }
        }
        finally
        {
            process.StandardInput.Close();
            if (!process.WaitForExit(TimeSpan.FromSeconds(30)))
                process.Kill();
            process.Dispose();
        }
    }

    /// <summary>Three times as many requests as can be answered, each with a deadline: what is answered in time, and how soon the others are refused.</summary>
    private async Task MeasureOverloadAsync()
    {
        var deadline = TimeSpan.FromMilliseconds(100);
        var workload = ServedWorkload.All[^1];
        var goodput = new List<double>();
        var overloads = new List<OverloadResult>();
        for (var round = -1; round < _rounds; round++)
        {
            var capacity = await ClosedLoop.RunAsync(2 * Clients, _duration, number => _node.Serving.PredictAsync(workload.Request(number), _cancel));
            var overload = await OpenLoop.RunAsync(3 * capacity.PerSecond, _duration, deadline, number => _node.Serving.PredictAsync(workload.Request(number, deadline), _cancel));
            await _progress.WriteLineAsync(FormattableString.Invariant(
                $"overload {round + 1}/{_rounds}: capacity {capacity.PerSecond:0}/s; offered {overload.Offered:0}/s, in time {overload.Served:0}/s, late {overload.Late:0.0000}, p99 {overload.P99:0.0} ms, refusals' p99 {overload.ShedP99:0.0} ms"));
            if (round < 0)
                continue; // warms up
            goodput.Add(overload.Served / capacity.PerSecond);
            overloads.Add(overload);
        }
        Add("serving.overload.goodput", "ratio", 0.95, Better.Higher, goodput);
        Add("serving.overload.p99-over-deadline", "ratio", 1, Better.Lower, overloads.Select(overload => overload.P99 / deadline.TotalMilliseconds));
        Add("serving.overload.late", "ratio", double.NaN, Better.Lower, overloads.Select(overload => overload.Late));
        Add("serving.overload.refused.p99", "ms", double.NaN, Better.Lower, overloads.Select(overload => overload.ShedP99));
        Add("serving.overload.offered", "1/s", double.NaN, Better.Higher, overloads.Select(overload => overload.Offered));
    }

    private LoadResult Direct(DirectModel model)
    {
        torch.set_num_threads(1);
        var milliseconds = new List<double>();
        var watch = Stopwatch.StartNew();
        for (var i = 0; watch.Elapsed < _duration / 2; i++)
        {
            var started = Stopwatch.GetTimestamp();
            model.Predict(ServedWorkload.Picture(i));
            milliseconds.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }
        return LoadResult.Of(milliseconds, watch.Elapsed);
    }

    private static Task<LoadResult> OnThread(Func<LoadResult> measure)
    {
        var done = new TaskCompletionSource<LoadResult>(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() => done.SetResult(measure())).Start();
        return done.Task;
    }

    private async Task<IReadOnlyList<Dictionary<string, LoadResult>>> RoundsAsync(string name, params (string Side, Func<Task<LoadResult>> Measure)[] sides)
    {
        var rounds = new List<Dictionary<string, LoadResult>>();
        for (var round = -WarmUpRounds; round < _rounds; round++)
        {
            _cancel.ThrowIfCancellationRequested();
            var results = new Dictionary<string, LoadResult>();
            // who begins changes, so that a machine that grows slower or faster favours nobody
            foreach (var (side, measure) in round % 2 == 0 ? sides : sides.Reverse())
                results[side] = await measure();
            if (round < 0)
                continue; // warms up
            rounds.Add(results);
            await _progress.WriteLineAsync($"{name} {round + 1}/{_rounds}: {string.Join("; ", sides.Select(side => $"{side.Side} {results[side.Side]}"))}");
        }
        return rounds;
    }

    private void Compare(string name, IReadOnlyList<Dictionary<string, LoadResult>> rounds, string side, string reference, double throughputGoal, double p99Goal)
    {
        Add($"{name}.throughput", "ratio", throughputGoal, Better.Higher, rounds.Select(round => round[side].PerSecond / round[reference].PerSecond));
        Add($"{name}.p50", "ratio", double.NaN, Better.Lower, rounds.Select(round => round[side].P50 / round[reference].P50));
        Add($"{name}.p99", "ratio", p99Goal, Better.Lower, rounds.Select(round => round[side].P99 / round[reference].P99));
        Add($"{name}.{side}", "1/s", double.NaN, Better.Higher, rounds.Select(round => round[side].PerSecond));
        Add($"{name}.{reference}", "1/s", double.NaN, Better.Higher, rounds.Select(round => round[reference].PerSecond));
    }

    private void Add(string name, string unit, double goal, Better better, IEnumerable<double> samples)
    {
        double[] all = [.. samples];
        _figures.Add(new Figure(name, Figure.Median(all), goal, better, unit, all));
    }
}
