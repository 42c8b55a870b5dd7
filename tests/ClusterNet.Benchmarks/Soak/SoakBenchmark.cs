using System.Collections.Concurrent;
using System.Diagnostics;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Jobs;
using ClusterNet.Gateway;
using ClusterNet.Gateway.Grpc.Protocol;
using ClusterNet.Gateway.Store;
using ClusterNet.Learning.Models;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using static ClusterNet.Benchmarks.Soak.SoakCounts;
using static ClusterNet.Cluster.Serving.ServingProtocol;
using ModelInput = ClusterNet.Cluster.Serving.ModelInput;

namespace ClusterNet.Benchmarks.Soak;

/// <summary>
/// A cluster of three processes under mixed load for long: by message, HTTP and gRPC, with deadlines and priorities, while the version in production changes every second and a node that answers stands still, is killed and started again. Every answer is
/// compared, bit for bit, with what its version says of the sample.
/// </summary>
internal sealed class SoakBenchmark : IAsyncDisposable
{
    private const string Model = "soak";
    private const int Samples = 64;
    private const int Clients = 12;
    private static readonly TimeSpan _grace = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan[] _timeouts = [TimeSpan.FromMilliseconds(3), TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(30)];
    private static readonly TimeSpan[] _standStills = [TimeSpan.FromSeconds(0.7), TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(4)];
    private readonly string _folder = Directory.CreateTempSubdirectory("clusternet-soak-").FullName;
    private readonly TextWriter _progress;
    private readonly CancellationToken _cancel;
    private readonly ConcurrentDictionary<(int Version, int Sample), float[]> _expected = new();
    private readonly SoakCounts _counts = new();
    private readonly float[][] _samples = [.. Enumerable.Range(0, Samples).Select(sample => Enumerable.Range(0, 30).Select(i => ((((sample * 37) + (i * 11)) % 41) - 20) / 10f).ToArray())];
    private SoakNode _first = null!;
    private SoakNode _second = null!;
    private ClusterNode _asking = null!;
    private GatewayServer _gateway = null!;
    private GatewayStore _store = null!;
    private HttpClient _http = null!;
    private GrpcChannel _channel = null!;

    private SoakBenchmark(TextWriter progress, CancellationToken cancel) => (_progress, _cancel) = (progress, cancel);

    private string Database => Path.Combine(_folder, "nodes", "soak.db");

    public static async Task<IReadOnlyList<Figure>> RunAsync(TimeSpan duration, TextWriter progress, CancellationToken cancel)
    {
        await using var soak = new SoakBenchmark(progress, cancel);
        await soak.StartAsync();
        return await soak.LoadAsync(duration);
    }

    public async ValueTask DisposeAsync()
    {
        _http?.Dispose();
        _channel?.Dispose();
        if (_gateway is not null)
            await _gateway.DisposeAsync();
        _store?.Dispose();
        if (_asking is not null)
            await _asking.DisposeAsync();
        _second?.Dispose();
        _first?.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task StartAsync()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Database)!);
        _first = await SoakNode.StartAsync("first", Database, "", _cancel);
        _second = await SoakNode.StartAsync("second", Database, _first.Address, _cancel);
        _asking = await ClusterNode.StartAsync(new NodeOptions { Name = "asking", Roles = [Roles.Gateway], Seeds = [_first.Address], DataDirectory = Path.Combine(_folder, "asking") }, new ModelCatalog(ModelCatalog.BuiltIn), cancel: _cancel);
        foreach (var seed in new ulong[] { 1, 2 })
        {
            var spec = new JobSpec(
                Model,
                new DataSpec("builtin:wdbc", DataFormat.Csv, LearningTask.Classification) { Preparation = [new PreparationSpec(PreparationKind.Standardize, [])] },
                new ModelSpec("mlp", new Dictionary<string, SettingValue> { ["hidden"] = new SettingValue.List([new SettingValue.Scalar("64"), new SettingValue.Scalar("32")]) }, new InitialisationSpec()),
                new TrainingSpec { Epochs = 3, Seed = (long)seed, Checkpoint = new CheckpointSpec(0, 1) });
            var job = await _asking.Cluster.SubmitAsync(spec, _cancel);
            await foreach (var moment in _asking.Cluster.WatchAsync(job, _cancel))
            {
                if (moment.Failure is { } failure)
                    throw new InvalidOperationException(failure);
            }
        }
        for (var version = 1; version <= 2; version++)
        {
            for (var sample = 0; sample < Samples; sample++)
            {
                var answer = await _asking.Serving.PredictAsync(new PredictRequest(Model, new ModelInput.Prepared([30], _samples[sample])) { Version = version.ToString(System.Globalization.CultureInfo.InvariantCulture) }, _cancel);
                _expected[(version, sample)] = [.. answer.Prediction.Outputs.Span];
            }
        }
        if (_expected[(1, 0)].SequenceEqual(_expected[(2, 0)]))
            throw new InvalidOperationException("both versions say the same: a wrong answer would not be seen");
        _store = GatewayStore.Open(Path.Combine(_folder, "gateway"), null);
        _gateway = await GatewayServer.StartAsync(
            new GatewaySettings { Port = 0, GrpcPort = 0, Node = "soak" }, new GatewayParts(_asking.System, _asking.Cluster, _asking.Serving, _store, (_, source) => throw new NotSupportedException(source)), cancel: _cancel);
        _http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 64 }) { BaseAddress = _gateway.Address };
        _channel = GrpcChannel.ForAddress(_gateway.GrpcAddress!);
    }

    private async Task<IReadOnlyList<Figure>> LoadAsync(TimeSpan duration)
    {
        var watch = Stopwatch.StartNew();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(_cancel);
        over.CancelAfter(duration);
        var clients = Enumerable.Range(0, Clients).Select(client => Task.Run(() => ClientAsync(client, over.Token))).ToArray();
        var (swaps, disturbances) = (SwapAsync(over.Token), DisturbAsync(duration, over.Token));
        var (perSecond, memory) = (new List<double>(), new List<(long Asking, long First)>());
        var window = TimeSpan.FromTicks(Math.Max(TimeSpan.FromSeconds(5).Ticks, duration.Ticks / 20));
        for (var (last, at) = (0L, TimeSpan.Zero); watch.Elapsed + window <= duration + TimeSpan.FromSeconds(1);)
        {
            await Task.Delay(window, _cancel);
            var answered = _counts.Answered;
            perSecond.Add((answered - last) / (watch.Elapsed - at).TotalSeconds);
            (last, at) = (answered, watch.Elapsed);
            memory.Add((Environment.WorkingSet, _first.Memory));
            await _progress.WriteLineAsync(FormattableString.Invariant(
                $"{watch.Elapsed.TotalSeconds:0} s: {perSecond[^1]:0} answers/s; in all {answered} answered, {_counts.Wrong} wrong, {_counts.Unanswered} unanswered, {_counts.Late} late, {_counts.Shed} shed, {_counts.Failed} failed; memory {memory[^1].Asking >> 20} MB (gateway), {memory[^1].First >> 20} MB (node)"));
        }
        await Task.WhenAll(clients);
        var (kills, standStills) = await disturbances;
        if (_counts.FirstFailure is { } failure)
            await _progress.WriteLineAsync($"the first that failed was told: {failure}");
        // the first fifth warms up
        var (early, late) = (perSecond.Skip(perSecond.Count / 5).Take(Math.Max(1, perSecond.Count / 5)).ToArray(), perSecond.TakeLast(Math.Max(1, perSecond.Count / 5)).ToArray());
        return
        [
            One("soak.answers-per-second", Figure.Median(perSecond), double.NaN, "1/s", Better.Higher),
            One("soak.throughput.last-fifth-over-second", Figure.Median(late) / Figure.Median(early), 0.9, "ratio", Better.Higher),
            One("soak.memory.gateway.end-over-fifth", (double)memory[^1].Asking / memory[memory.Count / 5].Asking, 1.1, "ratio", Better.Lower),
            One("soak.memory.node.end-over-fifth", (double)memory[^1].First / memory[memory.Count / 5].First, 1.1, "ratio", Better.Lower),
            One("soak.swaps", await swaps, double.NaN, "times", Better.Higher),
            One("soak.kills", kills, double.NaN, "times", Better.Higher),
            One("soak.stand-stills", standStills, double.NaN, "times", Better.Higher),
            One("soak.answered", _counts.Answered, double.NaN, "requests", Better.Higher),
            One("soak.wrong", _counts.Wrong, 0, "requests", Better.Lower),
            One("soak.unanswered", _counts.Unanswered, 0, "requests", Better.Lower),
            One("soak.failed", _counts.Failed, 0, "requests", Better.Lower),
            One("soak.late-or-shed", _counts.Late + _counts.Shed, double.NaN, "requests", Better.Lower),
        ];

        static Figure One(string name, double value, double goal, string unit, Better better) => new(name, value, goal, better, unit, [value]);
    }

    /// <summary>The version in production changes every second.</summary>
    private async Task<int> SwapAsync(CancellationToken over)
    {
        var swaps = 0;
        while (!over.IsCancellationRequested)
        {
            try
            {
                await _asking.Cluster.LabelModelAsync(Model, ModelLabels.Production, (swaps % 2) + 1, over);
                swaps++;
                await Task.Delay(TimeSpan.FromSeconds(1), over);
            }
            catch (OperationCanceledException)
            {
                break;
            }
            catch (ClusterException exception)
            {
                await _progress.WriteLineAsync($"a swap failed: {exception.Message}");
            }
        }
        return swaps;
    }

    /// <summary>The second node stands still and goes on, is killed and back after a while, four times each.</summary>
    private async Task<(int Kills, int StandStills)> DisturbAsync(TimeSpan duration, CancellationToken over)
    {
        const int Times = 4;
        var (kills, standStills) = (0, 0);
        try
        {
            while (kills < Times)
            {
                var round = duration / (Times + 1);
                await Task.Delay(round * 0.3, over);
                // the others do not notice the first; they take the rest for unreachable, not for dead
                await _second.StandStillAsync(_standStills[standStills], over);
                standStills++;
                await Task.Delay((round * 0.4) - _standStills[standStills - 1], over);
                _second.Kill();
                kills++;
                await Task.Delay(round * 0.3, over);
                _second.Dispose();
                _second = await SoakNode.StartAsync($"second-{kills}", Database, _first.Address, over);
            }
        }
        catch (OperationCanceledException)
        {
            // the load is over
        }
        return (kills, standStills);
    }

    private async Task ClientAsync(int client, CancellationToken over)
    {
        var random = new Random(client);
        while (!over.IsCancellationRequested)
        {
            var sample = random.Next(Samples);
            var timeout = _timeouts[random.Next(_timeouts.Length)];
            var asked = (client % 3) switch
            {
                0 => MessageAsync(sample, timeout, random.Next(PriorityLevels.Highest, PriorityLevels.Lowest + 1)),
                1 => HttpAsync(sample, timeout),
                _ => GrpcAsync(sample, timeout),
            };
            if (await Task.WhenAny(asked, Task.Delay(timeout + _grace, CancellationToken.None)) != asked)
                _counts.Count(Outcome.Unanswered);
            await Task.WhenAny(asked);
        }
    }

    private async Task MessageAsync(int sample, TimeSpan timeout, int priority)
    {
        try
        {
            var answer = await _asking.Serving.PredictAsync(new PredictRequest(Model, new ModelInput.Prepared([30], _samples[sample])) { Timeout = timeout, Priority = priority }, CancellationToken.None);
            Compare(answer.Prediction.Version.Version, sample, answer.Prediction.Outputs.Span);
        }
        catch (PredictionException failure)
        {
            _counts.Count(OutcomeOf(failure.Kind), failure.Message);
        }
    }

    private async Task HttpAsync(int sample, TimeSpan timeout)
    {
        try
        {
            using var body = new StringContent(
                FormattableString.Invariant($"{{\"inputs\":[{{\"name\":\"prepared\",\"datatype\":\"FP32\",\"shape\":[1,30],\"data\":[{string.Join(',', _samples[sample].Select(value => value.ToString(System.Globalization.CultureInfo.InvariantCulture)))}]}}],\"outputs\":[{{\"name\":\"probabilities\"}}],\"parameters\":{{\"timeout\":{(long)timeout.TotalMicroseconds}}}}}"));
            using var response = await _http.PostAsync(new Uri($"/v2/models/{Model}/infer", UriKind.Relative), body, CancellationToken.None);
            var text = await response.Content.ReadAsStringAsync(CancellationToken.None);
            if (!response.IsSuccessStatusCode)
            {
                _counts.Count((int)response.StatusCode switch { 504 => Outcome.Late, 429 => Outcome.Shed, _ => Outcome.Failed }, text);
                return;
            }
            using var document = System.Text.Json.JsonDocument.Parse(text);
            Compare(
                int.Parse(document.RootElement.GetProperty("model_version").GetString()!, System.Globalization.CultureInfo.InvariantCulture),
                sample,
                [.. document.RootElement.GetProperty("outputs")[0].GetProperty("data").EnumerateArray().Select(value => value.GetSingle())]);
        }
        catch (HttpRequestException failure)
        {
            _counts.Count(Outcome.Failed, failure.Message);
        }
    }

    private async Task GrpcAsync(int sample, TimeSpan timeout)
    {
        var input = new ModelInferRequest.Types.InferInputTensor { Name = TensorSignature.PreparedName, Datatype = "FP32", Shape = { 1, 30 } };
        var request = new ModelInferRequest { ModelName = Model, Inputs = { input }, Outputs = { new ModelInferRequest.Types.InferRequestedOutputTensor { Name = TensorSignature.ProbabilitiesName } } };
        request.RawInputContents.Add(ByteString.CopyFrom(System.Runtime.InteropServices.MemoryMarshal.AsBytes(_samples[sample].AsSpan())));
        request.Parameters["timeout"] = new InferParameter { Int64Param = (long)timeout.TotalMicroseconds };
        try
        {
            var answer = await new GRPCInferenceService.GRPCInferenceServiceClient(_channel).ModelInferAsync(request, cancellationToken: CancellationToken.None);
            Compare(int.Parse(answer.ModelVersion, System.Globalization.CultureInfo.InvariantCulture), sample, System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(answer.RawOutputContents[0].Span));
        }
        catch (RpcException failure)
        {
            _counts.Count(failure.StatusCode switch { StatusCode.DeadlineExceeded => Outcome.Late, StatusCode.ResourceExhausted => Outcome.Shed, _ => Outcome.Failed }, failure.Status.Detail);
        }
    }

    private void Compare(int version, int sample, ReadOnlySpan<float> outputs)
    {
        var isRight = _expected.TryGetValue((version, sample), out var expected)
            && System.Runtime.InteropServices.MemoryMarshal.Cast<float, int>(expected).SequenceEqual(System.Runtime.InteropServices.MemoryMarshal.Cast<float, int>(outputs));
        _counts.Count(isRight ? Outcome.Answered : Outcome.Wrong);
    }

    private static Outcome OutcomeOf(FailureKind kind) => kind switch
    {
        FailureKind.DeadlineExceeded => Outcome.Late,
        FailureKind.Overloaded => Outcome.Shed,
        _ => Outcome.Failed,
    };
}
