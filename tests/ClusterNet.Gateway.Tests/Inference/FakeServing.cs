using System.Collections.Concurrent;
using System.Globalization;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Data;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;

namespace ClusterNet.Gateway.Tests.Inference;

/// <summary>Two models without a cluster: <c>simple</c> takes arrays, <c>patients</c> takes columns. They answer with what they were given, so that a test sees what arrived.</summary>
internal sealed class FakeServing : IModelServing
{
    public const string Arrays = "simple", Columns = "patients";

    private static readonly string[] _classes = ["benign", "malign, \"ü\""];

    private readonly ConcurrentDictionary<string, ServingState> _states = new() { [Arrays] = ServingState.Ready, [Columns] = ServingState.Ready };

    public ConcurrentQueue<PredictRequest> Requests { get; } = new();

    /// <summary>In place of an answer; null for the usual one.</summary>
    public Func<PredictRequest, CancellationToken, Task<ServedPrediction>>? Answer { get; set; }

    /// <summary>What becomes of a question for a version; null for the usual answer.</summary>
    public Exception? Lookup { get; set; }

    public static ServedVersion Version(string model, ServingState state = ServingState.Ready)
    {
        var isArray = model == Arrays;
        var signature = new DataSignature(LearningTask.Classification, isArray ? ["INPUT0"] : ["age", "sex"], isArray ? [2, 3] : [3], _classes, "diagnosis");
        IReadOnlyList<TensorSignature> inputs = isArray
            ? [new TensorSignature("INPUT0", "FP32", [-1, 2, 3])]
            : [new TensorSignature("age", "FP32", [-1, 1]), new TensorSignature("sex", "BYTES", [-1, 1], ["f", "m"])];
        var version = new ModelVersion(
            new ModelVersionId(model, 3), new JobId("job-1"), 10, 1, new ModelSpec("mlp", new Dictionary<string, SettingValue>(), new InitialisationSpec()), signature, "data", 100, new string('a', 64),
            new Dictionary<string, IReadOnlyDictionary<string, double>>(), DateTimeOffset.UnixEpoch);
        return new ServedVersion(
            version,
            inputs,
            [new TensorSignature(TensorSignature.ProbabilitiesName, "FP32", [-1, 2]), new TensorSignature(TensorSignature.ClassName, "BYTES", [-1])],
            ["production"],
            state,
            state == ServingState.Ready ? null : "unloaded by a test",
            1,
            new ServingStatistics(
                5, new Dictionary<ServingProtocol.FailureKind, long> { [ServingProtocol.FailureKind.Overloaded] = 2 }, 9, 4, TimeSpan.FromMilliseconds(3), TimeSpan.FromMilliseconds(20), DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_123)));
    }

    /// <summary>Each sample's probabilities are its first number and that number's complement.</summary>
    public static ServedPrediction AnswerTo(PredictRequest request)
    {
        var outputs = new float[request.Input.Count * 2];
        for (var i = 0; i < request.Input.Count; i++)
        {
            var first = request.Input switch
            {
                ModelInput.Prepared prepared => prepared.Values.Span[i * (prepared.Values.Length / prepared.Count)],
                ModelInput.Raw { Samples: RawSamples.Array array } => array.Values.Span[i * (array.Values.Length / array.Count)],
                ModelInput.Raw { Samples: RawSamples.Table table } => float.TryParse(table.Rows[i][0], CultureInfo.InvariantCulture, out var age) ? age : -1,
                _ => 0,
            };
            // a missing value is NaN, and no probability
            first = float.IsNaN(first) ? -1 : first;
            (outputs[2 * i], outputs[(2 * i) + 1]) = (first, 1 - first);
        }
        return new ServedPrediction(new Prediction(new ModelVersionId(request.Model, 3), _classes, outputs), new string('a', 64), TimeSpan.Zero, TimeSpan.Zero);
    }

    public Task<ServedPrediction> PredictAsync(PredictRequest request, CancellationToken cancel = default)
    {
        Requests.Enqueue(request);
        return Answer is { } answer ? answer(request, cancel) : Task.FromResult(AnswerTo(request));
    }

    public Task<IReadOnlyList<ServedVersion>> VersionsAsync(string? model = null, CancellationToken cancel = default) =>
        Task.FromResult<IReadOnlyList<ServedVersion>>(model is null ? [.. _states.Select(known => Version(known.Key, known.Value)).OrderBy(version => version.Id.Model, StringComparer.Ordinal)] : [Find(model, null)]);

    public Task<ServedVersion> VersionAsync(string model, string? version, CancellationToken cancel = default) =>
        Lookup is { } failure ? Task.FromException<ServedVersion>(failure) : Task.FromResult(Find(model, version));

    public Task LoadAsync(string model, CancellationToken cancel = default) => SetAsync(model, ServingState.Ready);

    public Task UnloadAsync(string model, CancellationToken cancel = default) => SetAsync(model, ServingState.Unloaded);

    public Task<ModelTraffic> TrafficAsync(string model, CancellationToken cancel = default) =>
        Task.FromResult(new ModelTraffic(Find(model, null).Id.Model, TrafficSpec.Default, new Dictionary<string, int> { ["production"] = 3 }, new Dictionary<int, double> { [3] = 1 }, new Dictionary<int, ShadowStatistics>()));

    public Task SetTrafficAsync(string model, TrafficSpec traffic, CancellationToken cancel = default) => Task.FromResult(Find(model, null));

    public Task LabelAsync(string model, string label, int? version, CancellationToken cancel = default) => Task.FromResult(Find(model, null));

    private Task SetAsync(string model, ServingState state)
    {
        _states[Find(model, null).Id.Model] = state;
        return Task.CompletedTask;
    }

    private ServedVersion Find(string model, string? version) =>
        _states.TryGetValue(model, out var state) && version is null or "3" or "production"
            ? Version(model, state)
            : throw new PredictionException(ServingProtocol.FailureKind.UnknownModel, [new Fault("model", $"there is no {model} {version}")]);
}
