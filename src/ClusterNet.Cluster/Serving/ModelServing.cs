using System.Collections.Concurrent;
using System.Diagnostics;
using Akka.Actor;
using ClusterNet.Cluster.Access;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Serving;

/// <summary>What a program asks of the models, as messages to this node's router and to the registry.</summary>
/// <param name="router">this node's</param>
/// <param name="registry">of models</param>
/// <param name="options">of each model</param>
internal sealed class ModelServing(IActorRef router, IActorRef registry, ServingOptions options) : IModelServing
{
    /// <summary>What is beyond a request's own time and its router's: a router that does not answer by then is gone.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan MostTimeout = TimeSpan.FromDays(1);

    // the registry is on one node: where that one dies, it takes the questions along, and answers on another after some seconds
    private static readonly TimeSpan RegistryOnce = TimeSpan.FromSeconds(2);

    // where the router knows as well
    private static readonly TimeSpan RegistrySoon = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan RegistryTime = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan StatusTime = TimeSpan.FromSeconds(2);

    // with RegistrySoon less than a gateway's check of readiness takes: a node that stands still, and that nobody knows of yet, makes no other one unready
    private static readonly TimeSpan HostTime = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LoadTime = TimeSpan.FromMinutes(5);

    // of versions that nobody here has heard of
    private const int MostAskedAtOnce = 32;

    // versions never change
    private readonly ConcurrentDictionary<ModelVersionId, Known> _known = new();

    /// <inheritdoc/>
    public async Task<ServedPrediction> PredictAsync(PredictRequest request, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (Wrong(request) is { Count: > 0 } faults)
            throw new PredictionException(FailureKind.InvalidInput, faults);
        cancel.ThrowIfCancellationRequested();
        using var activity = Tracing.Serving.StartActivity(TelemetryNames.Activities.Predict)?.SetTag(TelemetryNames.Tags.Model, request.Model);
        if (activity?.Id is { } trace)
            request = request with { Trace = trace };
        return InputBatches.Fit(request.Input)
            ? await PredictOnceAsync(request, cancel).ConfigureAwait(false)
            : await PredictInPartsAsync(request, cancel).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<ServedVersion>> VersionsAsync(string? model = null, CancellationToken cancel = default)
    {
        var entries = await EntriesAsync(cancel).ConfigureAwait(false);
        if (model is not null)
            entries = [Require(entries, model)];
        var (view, statuses) = await StatusAsync(cancel).ConfigureAwait(false);
        var versions = new List<ServedVersion>();
        foreach (var entry in entries)
        {
            foreach (var numbers in entry.Versions.Chunk(MostAskedAtOnce))
            {
                var known = await Task.WhenAll(numbers.Select(number => KnownAsync(new ModelVersionId(entry.Model, number), cancel))).ConfigureAwait(false);
                versions.AddRange(known.OfType<Known>().Select(version => Served(version, entry, view, statuses)));
            }
        }
        return versions;
    }

    /// <inheritdoc/>
    public async Task<ServedVersion> VersionAsync(string model, string? version, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        var entry = Require(await EntriesAsync(cancel).ConfigureAwait(false), model);
        var number = version is null ? TrafficRules.Shares(entry).MaxBy(share => share.Share).Version : entry.NumberOf(version);
        if (number is null || await KnownAsync(new ModelVersionId(model, number.Value), cancel).ConfigureAwait(false) is not { } known)
            throw new PredictionException(FailureKind.UnknownModel, [new Fault("version", $"model '{model}' has no version or label '{version}'") { Found = version, Candidates = [.. entry.Labels.Keys] }]);
        var (view, statuses) = await StatusAsync(cancel).ConfigureAwait(false);
        return Served(known, entry, view, statuses);
    }

    /// <inheritdoc/>
    public async Task LoadAsync(string model, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        await SetUnloadedAsync(model, false, cancel).ConfigureAwait(false);
        var preloaded = await AskAsync<ServingRouterActor.Preloaded>(router, new ServingRouterActor.Preload(model), LoadTime, cancel).ConfigureAwait(false);
        if (preloaded.Faults.Count > 0)
            throw new PredictionException(FailureKind.LoadFailed, preloaded.Faults);
    }

    /// <inheritdoc/>
    public Task UnloadAsync(string model, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        return SetUnloadedAsync(model, true, cancel);
    }

    /// <inheritdoc/>
    public async Task<ModelTraffic> TrafficAsync(string model, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        var entry = Require(await EntriesAsync(cancel).ConfigureAwait(false), model);
        var view = await AskAsync<ServingRouterActor.View>(router, new ServingRouterActor.GetView(), StatusTime, cancel).ConfigureAwait(false);
        return new ModelTraffic(
            entry.Model,
            entry.Traffic,
            entry.Labels,
            TrafficRules.Shares(entry).ToDictionary(share => share.Version, share => share.Share),
            view.Shadows.Where(shadow => shadow.Key.Model == model).ToDictionary(shadow => shadow.Key.Version, shadow => shadow.Value));
    }

    /// <inheritdoc/>
    public async Task SetTrafficAsync(string model, TrafficSpec traffic, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(traffic);
        Done(await AskRegistryAsync<object>(new ModelProtocol.Commands.SetTraffic(model, traffic), cancel).ConfigureAwait(false));
    }

    /// <inheritdoc/>
    public async Task LabelAsync(string model, string label, int? version, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(label);
        Done(await AskRegistryAsync<object>(new ModelProtocol.Commands.SetLabel(model, label, version), cancel).ConfigureAwait(false));
    }

    private static List<Fault> Wrong(PredictRequest request)
    {
        var faults = new List<Fault>();
        if (request.Input.Count == 0)
            faults.Add(new Fault("samples", "there is none: a request has at least one"));
        if (request.Timeout is { } timeout && (timeout <= TimeSpan.Zero || timeout > MostTimeout))
            faults.Add(new Fault("timeout", $"{timeout} is not above 0 and at most {MostTimeout.TotalHours:0} h"));
        if (request.Priority is < PriorityLevels.Highest or > PriorityLevels.Lowest)
            faults.Add(new Fault("priority", $"{request.Priority} is not within {PriorityLevels.Highest} (the most urgent) to {PriorityLevels.Lowest}"));
        return faults;
    }

    private async Task<ServedPrediction> PredictOnceAsync(PredictRequest request, CancellationToken cancel)
    {
        var ticket = new object();
        var patience = (request.Timeout ?? options.Of(request.Model).DefaultTimeout) + Grace;
        try
        {
            return await router.Ask<object>(new ServingRouterActor.Serve(request, ticket), patience, cancel).ConfigureAwait(false) switch
            {
                ServedPrediction served => served,
                Replies.Refused refused => throw new PredictionException(refused.Kind, refused.Faults, refused.RetryAfter),
                var other => throw new InvalidOperationException($"unexpected answer {other.GetType().Name}"),
            };
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            router.Tell(new ServingRouterActor.Cancel(ticket));
            throw;
        }
        catch (Exception error) when (error is AskTimeoutException or OperationCanceledException)
        {
            throw new PredictionException(FailureKind.Unavailable, [new Fault(request.Model, "this node is stopping: ask another one")], TimeSpan.FromSeconds(1));
        }
    }

    /// <summary>What one message does not take. All parts go to the version that the first went to; what a model says of a sample does not depend on what it was asked with.</summary>
    private async Task<ServedPrediction> PredictInPartsAsync(PredictRequest request, CancellationToken cancel)
    {
        var begun = Stopwatch.GetTimestamp();
        var time = request.Timeout ?? options.Of(request.Model).DefaultTimeout;
        var outputs = new List<float>();
        ServedPrediction? whole = null;
        foreach (var (first, input) in InputBatches.Of(request.Input))
        {
            var left = time - Stopwatch.GetElapsedTime(begun);
            if (left <= TimeSpan.Zero)
                throw new PredictionException(FailureKind.DeadlineExceeded, [new Fault(request.Model, "the request was not answered within its time: give it more, or fewer samples")]);
            try
            {
                var part = await PredictOnceAsync(request with { Input = input, Timeout = left, Version = whole is null ? request.Version : whole.Prediction.Version.Version.ToString(System.Globalization.CultureInfo.InvariantCulture) }, cancel)
                    .ConfigureAwait(false);
                outputs.AddRange(part.Prediction.Outputs.Span);
                whole = whole is null ? part : whole with { Queued = whole.Queued + part.Queued, Computed = whole.Computed + part.Computed };
            }
            catch (PredictionException error) when (first > 0)
            {
                throw new PredictionException(error.Kind, [.. error.Faults.Select(fault => SampleBatches.Renumber(fault, first))], error.RetryAfter);
            }
        }
        return whole! with { Prediction = whole.Prediction with { Outputs = outputs.ToArray() } };
    }

    private async Task SetUnloadedAsync(string model, bool isUnloaded, CancellationToken cancel)
    {
        var entry = Require(await EntriesAsync(cancel).ConfigureAwait(false), model);
        if (entry.Traffic.IsUnloaded != isUnloaded)
            await SetTrafficAsync(model, entry.Traffic with { IsUnloaded = isUnloaded }, cancel).ConfigureAwait(false);
    }

    /// <summary>As the registry has them; while it does not answer as this node's router heard last, by which it serves meanwhile.</summary>
    private async Task<IReadOnlyList<ModelEntry>> EntriesAsync(CancellationToken cancel)
    {
        try
        {
            return (await AskAsync<ModelProtocol.Replies.Table>(registry, new ModelProtocol.Queries.GetTable(-1), RegistrySoon, cancel).ConfigureAwait(false)).Models!;
        }
        catch (PredictionException error) when (error.Kind == FailureKind.Unavailable)
        {
            var view = await AskAsync<ServingRouterActor.View>(router, new ServingRouterActor.GetView(), StatusTime, cancel).ConfigureAwait(false);
            return view.IsKnown ? view.Models : (await AskRegistryAsync<ModelProtocol.Replies.Table>(new ModelProtocol.Queries.GetTable(-1), cancel).ConfigureAwait(false)).Models!;
        }
    }

    private async Task<Known?> KnownAsync(ModelVersionId version, CancellationToken cancel)
    {
        if (_known.TryGetValue(version, out var known))
            return known;
        // deleted since: it is not there any more
        if (await AskRegistryAsync<object>(new ModelProtocol.Queries.Find(version.Model, version.Version), cancel).ConfigureAwait(false) is not ModelProtocol.Replies.Found { Stored: var stored })
            return null;
        return _known[version] = new Known(stored.Version, ModelSignatures.Of(stored));
    }

    private async Task<(ServingRouterActor.View View, ILookup<ModelVersionId, VersionStatus> Statuses)> StatusAsync(CancellationToken cancel)
    {
        var view = await AskAsync<ServingRouterActor.View>(router, new ServingRouterActor.GetView(), StatusTime, cancel).ConfigureAwait(false);
        var answers = await Task.WhenAll(view.Hosts.Select(async host =>
        {
            try
            {
                return (await host.Ask<Replies.Status>(new Queries.GetStatus(), HostTime, cancel).ConfigureAwait(false)).Versions;
            }
            catch (AskTimeoutException)
            {
                // a node that does not answer serves nothing
                return [];
            }
        })).ConfigureAwait(false);
        return (view, answers.SelectMany(answer => answer).ToLookup(status => status.Version));
    }

    private static ServedVersion Served(Known known, ModelEntry entry, ServingRouterActor.View view, ILookup<ModelVersionId, VersionStatus> statuses)
    {
        var (version, signatures) = known;
        var (state, reason, statistics) = StatusMerge.Of(statuses[version.Id]);
        if (entry.Traffic.IsUnloaded)
            (state, reason) = (ServingState.Unloaded, "it was unloaded");
        else if (state != ServingState.Ready && view.Failures.TryGetValue(version.Id, out var failure))
            (state, reason) = (ServingState.Failed, failure);
        var shares = view.Shares.GetValueOrDefault(entry.Model) ?? TrafficRules.Shares(entry);
        return new ServedVersion(
            version,
            signatures.Inputs,
            signatures.Outputs,
            [.. entry.Labels.Where(label => label.Value == version.Id.Version).Select(label => label.Key).Order(StringComparer.Ordinal)],
            state,
            reason,
            entry.Traffic.IsUnloaded ? 0 : shares.Where(share => share.Version == version.Id.Version).Sum(share => share.Share),
            statistics);
    }

    private static ModelEntry Require(IReadOnlyList<ModelEntry> entries, string model) =>
        entries.FirstOrDefault(entry => entry.Model == model) ?? throw new PredictionException(
            FailureKind.UnknownModel,
            [entries.Count == 0 ? new Fault("model", $"there is no model '{model}': no model is registered yet") : Fault.Unknown("model", model, [.. entries.Select(entry => entry.Model)])]);

    private static void Done(object answer)
    {
        switch (answer)
        {
            case ModelProtocol.Replies.Unknown unknown:
                throw new PredictionException(FailureKind.UnknownModel, [unknown.Fault]);
            case ModelProtocol.Replies.Refused refused:
                throw new PredictionException(FailureKind.InvalidInput, refused.Faults);
        }
    }

    /// <summary>Asks what asking twice does not change, again and again.</summary>
    private async Task<T> AskRegistryAsync<T>(object question, CancellationToken cancel)
    {
        for (var left = RegistryTime; ; left -= RegistryOnce)
        {
            try
            {
                return await AskAsync<T>(registry, question, RegistryOnce, cancel).ConfigureAwait(false);
            }
            catch (PredictionException error) when (error.InnerException is AskTimeoutException && left > RegistryOnce)
            {
                cancel.ThrowIfCancellationRequested();
            }
        }
    }

    private static async Task<T> AskAsync<T>(IActorRef actor, object question, TimeSpan patience, CancellationToken cancel)
    {
        try
        {
            return await actor.Ask<object>(question, patience, cancel).ConfigureAwait(false) switch
            {
                Status.Failure failure => throw new PredictionException(FailureKind.Unavailable, [new Fault("models", failure.Cause.Message)], TimeSpan.FromSeconds(1)),
                T answer => answer,
                var other => throw new InvalidOperationException($"unexpected answer {other.GetType().Name}"),
            };
        }
        catch (AskTimeoutException timeout)
        {
            throw new PredictionException(FailureKind.Unavailable, [new Fault("models", "no answer from the cluster in time: try again")], TimeSpan.FromSeconds(1), timeout);
        }
    }

    private sealed record Known(ModelVersion Version, ModelSignatures Signatures);
}
