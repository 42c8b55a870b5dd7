using System.Diagnostics;
using System.Globalization;
using Akka.Actor;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Benchmarks.Cluster;

/// <summary>The lane between two processes, by TCP as between machines and by shared memory as on one, against a plain socket and against Akka.Remote.</summary>
internal sealed class LaneBenchmark : IAsyncDisposable
{
    private const int Kilo = 1 << 10;
    private const int Mega = 1 << 20;
    private const int RoundBytes = 4 * Mega;
    private const long FloodBytes = 2L << 30;
    private const int Warmup = 2;

    /// <summary>What can be measured by itself.</summary>
    public static readonly string[] Parts = ["lane-rounds", "lane-goodput", "lane-pings"];

    private static readonly int[] Sizes = [64 * Kilo, 256 * Kilo, Mega, 4 * Mega, 16 * Mega];
    private static readonly TimeSpan PingPause = TimeSpan.FromMilliseconds(1);

    private readonly LanePeer _peer;
    private readonly TextWriter _progress;
    private readonly CancellationToken _cancel;
    private readonly bool _isLocal;
    private readonly Road _lane;
    private readonly Road _remote = Road.Remote();

    private LaneBenchmark(LanePeer peer, bool isLocal, TextWriter progress, CancellationToken cancel)
    {
        (_peer, _isLocal, _progress, _cancel) = (peer, isLocal, progress, cancel);
        _lane = Road.Lane(isLocal);
    }

    private string LaneName => _isLocal ? "lane by shared memory" : "lane";

    /// <summary>Runs all of it.</summary>
    /// <param name="parts">some of <see cref="Parts"/></param>
    /// <param name="rounds">measurements of each figure</param>
    /// <param name="progress">is told of each</param>
    /// <param name="cancel">gives up</param>
    public static async Task<IReadOnlyList<Figure>> RunAsync(IReadOnlyCollection<string> parts, int rounds, TextWriter progress, CancellationToken cancel)
    {
        var figures = new List<Figure>();
        foreach (var isLocal in new[] { false, true })
            figures.AddRange(await RunAsync(parts, isLocal, rounds, progress, cancel));
        return figures;
    }

    private static async Task<IReadOnlyList<Figure>> RunAsync(IReadOnlyCollection<string> parts, bool isLocal, int rounds, TextWriter progress, CancellationToken cancel)
    {
        using var peer = await LanePeer.StartAsync(isLocal, cancel);
        await using var benchmark = new LaneBenchmark(peer, isLocal, progress, cancel);
        var figures = new List<Figure>();
        if (parts.Contains("lane-rounds"))
            figures.AddRange(await benchmark.PushAndPullAsync(rounds));
        // the peers go by TCP, too
        if (parts.Contains("lane-goodput") && !isLocal)
            figures.AddRange(await benchmark.GoodputAsync(rounds));
        if (parts.Contains("lane-pings"))
            figures.AddRange(await benchmark.PingsAsync(rounds));
        return figures;
    }

    public async ValueTask DisposeAsync()
    {
        await _lane.System.Terminate();
        await _remote.System.Terminate();
    }

    private static TensorBuffer Tensor(int bytes)
    {
        var buffer = new TensorBufferPool(bytes / sizeof(float)).Rent();
        buffer.Span.Fill(1);
        return buffer;
    }

    private static Props Pinned<T>(params object[] arguments)
        where T : ActorBase => Props.Create<T>(arguments).WithDispatcher("compute-dispatcher");

    /// <summary>A push of 4 MiB answered by 4 MiB, over the same bytes there and back on a plain socket.</summary>
    private async Task<IReadOnlyList<Figure>> PushAndPullAsync(int rounds)
    {
        const int Repetitions = 100;
        using var raw = new RawEcho(_peer.RawPort, RoundBytes);
        var gradient = Tensor(RoundBytes);
        var actor = _lane.System.ActorOf(Pinned<RoundsActor>(_lane, await _lane.FindAsync(_peer.LanePort, "echo", _cancel)));
        var (ratios, lanes, raws) = (new List<double>(), new List<double>(), new List<double>());
        for (var round = -Warmup; round < rounds; round++)
        {
            double laneTime = 0, rawTime = 0;
            // interleaved, and who goes first changes
            for (var turn = 0; turn < 2; turn++)
            {
                var start = Stopwatch.GetTimestamp();
                if ((turn + round) % 2 == 0)
                {
                    var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                    actor.Tell(new RoundsActor.Run(gradient, Repetitions, done));
                    await done.Task.WaitAsync(_cancel);
                    laneTime = Stopwatch.GetElapsedTime(start).TotalMilliseconds / Repetitions;
                }
                else
                {
                    for (var i = 0; i < Repetitions; i++)
                        raw.Round();
                    rawTime = Stopwatch.GetElapsedTime(start).TotalMilliseconds / Repetitions;
                }
            }
            if (round < 0)
                continue;
            ratios.Add(rawTime / laneTime);
            lanes.Add(laneTime);
            raws.Add(rawTime);
            Say($"push + pull of 4 MiB: {LaneName} {laneTime:0.00} ms, socket {rawTime:0.00} ms");
        }
        return
        [
            Of($"{LaneName}: push + pull of 4 MiB over a socket's echo", 0.9, Better.Higher, "ratio", ratios),
            Of($"{LaneName}: push + pull of 4 MiB", double.NaN, Better.Lower, "ms", lanes),
            Of("socket: echo of 4 MiB", double.NaN, Better.Lower, "ms", raws),
        ];
    }

    private async Task<IReadOnlyList<Figure>> GoodputAsync(int rounds)
    {
        var figures = new List<Figure>();
        var lane = await FlooderAsync(_lane, _peer.LanePort);
        var remote = await FlooderAsync(_remote, _peer.RemotePort);
        foreach (var size in Sizes)
        {
            var gradient = Tensor(size);
            var (ratios, lanes, remotes) = (new List<double>(), new List<double>(), new List<double>());
            var (laneAllocated, remoteAllocated) = (new List<double>(), new List<double>());
            for (var round = -Warmup; round < rounds; round++)
            {
                var first = await FloodAsync(lane, gradient, 256L * Mega);
                var second = await FloodAsync(remote, gradient, 64L * Mega);
                if (round < 0)
                    continue;
                ratios.Add(first.Rate / second.Rate);
                lanes.Add(first.Rate);
                remotes.Add(second.Rate);
                laneAllocated.Add(first.Allocated);
                remoteAllocated.Add(second.Allocated);
                Say($"{Name(size)}: lane {first.Rate:0} MB/s and {first.Allocated:0} bytes allocated a message, Akka.Remote {second.Rate:0} MB/s and {second.Allocated:0}");
            }
            figures.Add(Of($"lane: goodput at {Name(size)} over Akka.Remote's", size == Mega ? 8 : double.NaN, Better.Higher, "ratio", ratios));
            figures.Add(Of($"lane: goodput at {Name(size)}", double.NaN, Better.Higher, "MB/s", lanes));
            figures.Add(Of($"Akka.Remote: goodput at {Name(size)}", double.NaN, Better.Higher, "MB/s", remotes));
            figures.Add(Of($"lane: allocated on both sides for a message of {Name(size)}", double.NaN, Better.Lower, "bytes", laneAllocated));
            figures.Add(Of($"Akka.Remote: allocated on both sides for a message of {Name(size)}", double.NaN, Better.Lower, "bytes", remoteAllocated));
        }
        return figures;
    }

    /// <summary>Pings over Akka.Remote while nothing else happens, while tensors pass by the lane, and while they pass by Akka.Remote itself.</summary>
    private async Task<IReadOnlyList<Figure>> PingsAsync(int rounds)
    {
        var gradient = Tensor(4 * Mega);
        var lane = await FlooderAsync(_lane, _peer.LanePort);
        var remote = await FlooderAsync(_remote, _peer.RemotePort);
        var (ratios, idles, busies, reference) = (new List<double>(), new List<double>(), new List<double>(), new List<double>());
        for (var round = -Warmup; round < rounds; round++)
        {
            using var idleTime = new CancellationTokenSource(TimeSpan.FromSeconds(2));
            var idle = await PingAsync(lane, idleTime.Token);
            var (busy, _) = await PingDuringAsync(lane, FloodAsync(lane, gradient, FloodBytes));
            var (slow, _) = await PingDuringAsync(remote, FloodAsync(remote, gradient, FloodBytes / 8));
            if (round < 0)
                continue;
            ratios.Add(busy / idle);
            idles.Add(idle);
            busies.Add(busy);
            reference.Add(slow);
            Say($"p99 of a ping: idle {idle:0.00} ms, beside 2 GB by the {LaneName} {busy:0.00} ms, beside Akka.Remote's 256 MB {slow:0.00} ms");
        }
        return
        [
            Of($"{LaneName}: p99 of a ping while 2 GB pass over its p99 when idle", 3, Better.Lower, "ratio", ratios),
            Of($"{LaneName}: p99 of a ping when idle", double.NaN, Better.Lower, "ms", idles),
            Of($"{LaneName}: p99 of a ping while 2 GB pass", double.NaN, Better.Lower, "ms", busies),
            Of($"{LaneName}: p99 of a ping while 256 MB pass by Akka.Remote", double.NaN, Better.Lower, "ms", reference),
        ];
    }

    private async Task<(double P99, double Rate)> PingDuringAsync(Flooder flooder, Task<(double Rate, double Allocated)> flood)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(_cancel);
        var pings = PingAsync(flooder, end.Token);
        var (rate, _) = await flood;
        await end.CancelAsync();
        return (await pings, rate);
    }

    private static async Task<double> PingAsync(Flooder flooder, CancellationToken end)
    {
        var times = new List<double>();
        while (!end.IsCancellationRequested)
        {
            var start = Stopwatch.GetTimestamp();
            await flooder.Control.Ask<BenchmarkMessages.Pong>(new BenchmarkMessages.Ping(times.Count), TimeSpan.FromSeconds(60), CancellationToken.None);
            times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            await Task.Delay(PingPause, CancellationToken.None);
        }
        times.Sort();
        return times[(int)(0.99 * (times.Count - 1))];
    }

    private async Task<Flooder> FlooderAsync(Road road, int port)
    {
        var sink = await road.FindAsync(port, "sink", _cancel);
        return new Flooder(road.System.ActorOf(Pinned<FloodActor>(road, sink)), await road.FindAsync(port, "control", _cancel));
    }

    private async Task<(double Rate, double Allocated)> FloodAsync(Flooder flooder, TensorBuffer gradient, long bytes)
    {
        var size = gradient.Length * (long)sizeof(float);
        var window = Math.Max(4, 16L * Mega / size / 4 * 4);
        var messages = bytes / size / window * window;
        var before = await AllocatedAsync(flooder);
        var start = Stopwatch.GetTimestamp();
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        flooder.Actor.Tell(new FloodActor.Run(gradient, messages, window, done));
        await done.Task.WaitAsync(_cancel);
        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        var allocated = await AllocatedAsync(flooder) - before;
        return (messages * size / 1e6 / seconds, (double)allocated / messages);
    }

    private async Task<long> AllocatedAsync(Flooder flooder)
    {
        var theirs = await flooder.Control.Ask<BenchmarkMessages.Allocated>(new BenchmarkMessages.GetAllocated(), TimeSpan.FromSeconds(60), _cancel);
        return theirs.Bytes + GC.GetTotalAllocatedBytes(precise: true);
    }

    private static Figure Of(string name, double goal, Better better, string unit, List<double> samples) => new(name, Figure.Median(samples), goal, better, unit, samples);

    private static string Name(int bytes) => bytes < Mega ? $"{bytes / Kilo} KiB" : $"{bytes / Mega} MiB";

    private void Say(FormattableString what) => _progress.WriteLine(what.ToString(CultureInfo.InvariantCulture));

    private sealed record Flooder(IActorRef Actor, IActorRef Control);
}
