using System.Collections.Concurrent;
using System.Diagnostics;
using System.Security.Claims;
using ClusterNet.Cluster.Serving;
using ClusterNet.Gateway.Inference.Examples;
using ClusterNet.Gateway.Inference.SharedMemory;

namespace ClusterNet.Gateway.Inference;

/// <summary>Who asks, and from where.</summary>
/// <param name="User">as the host's authentication knows the caller</param>
/// <param name="Client">address; null where there is none</param>
/// <param name="Protocol">REST or gRPC</param>
/// <param name="Received">when the request came</param>
internal sealed record Caller(ClaimsPrincipal User, string? Client, string Protocol, DateTimeOffset Received);

/// <summary>What REST and gRPC share: plans of versions, the call to the cluster, and those who are told of it.</summary>
/// <param name="models">that are registered</param>
/// <param name="examples">they, and the examples; null where there are none</param>
/// <param name="settings">bounds</param>
/// <param name="observers">told before an answer goes out</param>
/// <param name="time">the clock</param>
internal sealed class InferenceGateway(IModelServing models, ExampleModels? examples, InferenceSettings settings, IEnumerable<IPredictionObserver> observers, TimeProvider time) : IDisposable
{
    // a model has few names; callers may spell a number in many ways
    private const int MaxRemembered = 4096;

    private readonly ConcurrentDictionary<(string Model, string? Version), Remembered> _plans = new();
    private readonly IPredictionObserver[] _observers = [.. observers];
    private int _computing;

    /// <summary>The models.</summary>
    public IModelServing Serving { get; } = examples ?? models;

    /// <summary>The examples; null where there are none.</summary>
    public ExampleModels? Examples => examples;

    /// <summary>Bounds.</summary>
    public InferenceSettings Settings => settings;

    /// <summary>Shared memory of callers on this machine.</summary>
    public SharedRegions Memory { get; } = new(settings.HasSharedMemory);

    /// <summary>The time.</summary>
    public DateTimeOffset Now => time.GetUtcNow();

    /// <summary>How requests to a version are read. One that is remembered for long is looked up again, and serves until that has answered: no request waits for it.</summary>
    /// <param name="model">its name</param>
    /// <param name="version">number or label; null where traffic decides</param>
    /// <param name="isAskedAnew">whether what is remembered does not count</param>
    /// <param name="cancel">gives up</param>
    /// <returns>the plan, and whether it was remembered: what does not fit such a one may fit the model as it is now</returns>
    /// <exception cref="PredictionException">there is no such version</exception>
    public ValueTask<(InputPlan Plan, bool IsRemembered)> PlanAsync(string model, string? version, bool isAskedAnew, CancellationToken cancel)
    {
        if (isAskedAnew || !_plans.TryGetValue((model, version), out var known))
            return AskAsync(model, version, cancel);
        if (time.GetElapsedTime(known.Since) >= settings.RememberFor && known.ClaimRenewal())
            _ = RenewAsync(model, version, known.Plan);
        return new ValueTask<(InputPlan, bool)>((known.Plan, true));
    }

    /// <summary>The most samples of a request to a version; 0 where its tensors have no batch axis.</summary>
    public int MaxBatchOf(ServedVersion version) => examples?.Find(version)?.MaxBatch ?? settings.MaxSamples;

    /// <summary>Loads a model.</summary>
    /// <param name="model">its name</param>
    /// <param name="config">the caller's own, as JSON; null for none</param>
    /// <param name="cancel">gives up</param>
    /// <exception cref="PredictionException">it can't be loaded, or not so</exception>
    public Task LoadAsync(string model, string? config, CancellationToken cancel) =>
        config is null ? Serving.LoadAsync(model, cancel) : examples?.LoadAsync(model, config, cancel) ?? throw RepositoryEndpoints.OtherConfig();

    /// <summary>The answer to a request, after all observers know of it.</summary>
    /// <param name="caller">who asks</param>
    /// <param name="id">the caller's own; null where it gave none</param>
    /// <param name="request">what is asked</param>
    /// <param name="step">which of a sequence it is; null where it is none</param>
    /// <param name="cancel">gives up</param>
    /// <exception cref="PredictionException">there is none</exception>
    public async Task<ServedPrediction> PredictAsync(Caller caller, string? id, PredictRequest request, SequenceStep? step, CancellationToken cancel)
    {
        ServedPrediction answer;
        try
        {
            answer = await ComputeAsync(request, step, cancel).ConfigureAwait(false);
        }
        catch (PredictionException failure)
        {
            await TellAsync(caller, id, request, null, failure, cancel).ConfigureAwait(false);
            throw;
        }
        // an example is no prediction: it has no weights, and nothing could compute it again
        if (answer is not ExamplePrediction)
            await TellAsync(caller, id, request, answer, null, cancel).ConfigureAwait(false);
        return answer;
    }

    /// <inheritdoc/>
    public void Dispose() => Memory.Dispose();

    private async Task<ServedPrediction> ComputeAsync(PredictRequest request, SequenceStep? step, CancellationToken cancel)
    {
        Interlocked.Increment(ref _computing);
        try
        {
            return await (examples is null ? models.PredictAsync(request, cancel) : examples.PredictAsync(request, step, cancel)).ConfigureAwait(false);
        }
        finally
        {
            Interlocked.Decrement(ref _computing);
        }
    }

    private async ValueTask<(InputPlan Plan, bool IsRemembered)> AskAsync(string model, string? version, CancellationToken cancel)
    {
        var found = await Serving.VersionAsync(model, version, cancel).ConfigureAwait(false);
        if (examples?.Find(found) is RepeatExample repeat)
            throw repeat.OneAnswer();
        var plan = InputPlan.Of(found);
        if (_plans.Count >= MaxRemembered)
            _plans.Clear();
        _plans[(model, version)] = new Remembered(plan, time.GetTimestamp());
        return (plan, false);
    }

    private async Task RenewAsync(string model, string? version, InputPlan plan)
    {
        try
        {
            await AskAsync(model, version, CancellationToken.None).ConfigureAwait(false);
        }
        catch (PredictionException failure) when (failure.Kind == ServingProtocol.FailureKind.Unavailable)
        {
            // who knows of changes does not answer; as long as that is so, requests are read as they were
            _plans[(model, version)] = new Remembered(plan, time.GetTimestamp());
        }
#pragma warning disable CA1031 // nobody waits for it: the next request asks itself, and is told what is wrong
        catch (Exception)
#pragma warning restore CA1031
        {
            _plans.TryRemove((model, version), out _);
        }
    }

    private async ValueTask TellAsync(Caller caller, string? id, PredictRequest request, ServedPrediction? answer, PredictionException? failure, CancellationToken cancel)
    {
        if (_observers.Length == 0)
            return;
        var trace = ActivityContext.TryParse(request.Trace, null, out var context) ? context.TraceId.ToHexString() : null;
        var observed = new ObservedPrediction(caller.User, caller.Client, caller.Protocol, id, trace, caller.Received, request, answer, failure) { Others = Volatile.Read(ref _computing) };
        foreach (var observer in _observers)
            await observer.ObserveAsync(observed, cancel).ConfigureAwait(false);
    }

    private sealed class Remembered(InputPlan plan, long since)
    {
        private int _isRenewed;

        public InputPlan Plan => plan;

        public long Since => since;

        public bool ClaimRenewal() => Interlocked.Exchange(ref _isRenewed, 1) == 0;
    }
}
