using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Faults;
using ClusterNet.Gateway.Access;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace ClusterNet.Gateway.Api;

/// <summary>Which versions answer, by HTTP: states, labels, traffic, loading.</summary>
internal static class TrafficEndpoints
{
    private const string Tag = "serving";
    private const double MostSeconds = 86_400;

    public static void MapTraffic(this IEndpointRouteBuilder api)
    {
        api.MapGet("/serving", async (IModelServing serving, CancellationToken cancel) => new ServedDocument([.. (await serving.VersionsAsync(null, cancel).ConfigureAwait(false)).Select(ServedVersionDocument.Of)]))
            .WithTags(Tag).WithSummary("What is served: states, shares of the traffic, labels, counts and times").Needs(Scopes.Predict);
        api.MapGet("/models/{model}/traffic", async (string model, IModelServing serving, CancellationToken cancel) => TrafficDocument.Of(await serving.TrafficAsync(model, cancel).ConfigureAwait(false)))
            .WithTags(Tag).WithSummary("Which versions answer for a model, and to what share").Needs(Scopes.Operate);
        api.MapPut("/models/{model}/traffic", async (string model, NewTrafficDocument wanted, IModelServing serving, CancellationToken cancel) =>
            {
                var old = await serving.TrafficAsync(model, cancel).ConfigureAwait(false);
                await serving.SetTrafficAsync(model, wanted.ToSpec(old.Traffic), cancel).ConfigureAwait(false);
                return TrafficDocument.Of(await serving.TrafficAsync(model, cancel).ConfigureAwait(false));
            })
            .WithTags(Tag).WithSummary("Set all of a model's traffic").WithDescription("Versions that are to answer are loaded before requests go there.").Act("models.traffic", Scopes.Operate);
        api.MapPut("/models/{model}/labels/{label}", async (string model, string label, LabelDocument wanted, IModelServing serving, CancellationToken cancel) =>
            {
                await serving.LabelAsync(model, label, wanted.Version, cancel).ConfigureAwait(false);
                return TrafficDocument.Of(await serving.TrafficAsync(model, cancel).ConfigureAwait(false));
            })
            .WithTags(Tag).WithSummary("Put a label on a version, off the one that had it").Act("models.label", Scopes.Operate);
        api.MapDelete("/models/{model}/labels/{label}", async (string model, string label, IModelServing serving, CancellationToken cancel) =>
            {
                await serving.LabelAsync(model, label, null, cancel).ConfigureAwait(false);
                return TrafficDocument.Of(await serving.TrafficAsync(model, cancel).ConfigureAwait(false));
            })
            .WithTags(Tag).WithSummary("Take a label off").Act("models.label", Scopes.Operate);
        api.MapPost("/models/{model}/promote", async (string model, LabelDocument wanted, IModelServing serving, CancellationToken cancel) =>
            {
                await serving.LabelAsync(model, ModelLabels.Production, wanted.Version, cancel).ConfigureAwait(false);
                return TrafficDocument.Of(await serving.TrafficAsync(model, cancel).ConfigureAwait(false));
            })
            .WithTags(Tag).WithSummary("Make a version the one in production").Act("models.promote", Scopes.Operate);
        api.MapPost("/models/{model}/load", async (string model, IModelServing serving, CancellationToken cancel) =>
            {
                await serving.LoadAsync(model, cancel).ConfigureAwait(false);
                return TrafficDocument.Of(await serving.TrafficAsync(model, cancel).ConfigureAwait(false));
            })
            .WithTags(Tag).WithSummary("Load a model and warm it up").Act("models.load", Scopes.Operate);
        api.MapPost("/models/{model}/unload", async (string model, IModelServing serving, CancellationToken cancel) =>
            {
                await serving.UnloadAsync(model, cancel).ConfigureAwait(false);
                return TrafficDocument.Of(await serving.TrafficAsync(model, cancel).ConfigureAwait(false));
            })
            .WithTags(Tag).WithSummary("Answer what waits, then let a model go").Act("models.unload", Scopes.Operate);
    }

    private static TrafficSpec ToSpec(this NewTrafficDocument wanted, TrafficSpec old)
    {
        var faults = new List<Fault>();
        if (wanted.Rollback is { } rule)
        {
            if (string.IsNullOrEmpty(rule.Canary))
                faults.Add(new Fault("rollback.canary", "missing: the target of the arm that is watched"));
            if (rule.MaxLatencyMilliseconds is { } latency && latency is not (> 0 and <= MostSeconds * 1000))
                faults.Add(new Fault("rollback.max_latency_milliseconds", FormattableString.Invariant($"{latency} is not within 0 to {MostSeconds * 1000}")));
            if (rule.WindowSeconds is not (> 0 and <= MostSeconds))
                faults.Add(new Fault("rollback.window_seconds", FormattableString.Invariant($"{rule.WindowSeconds} is not within 0 to {MostSeconds}")));
        }
        if (wanted.Arms?.Any(arm => arm?.Target is null) == true)
            faults.Add(new Fault("arms", "an arm without a target: give a version's number or a label"));
        if (faults.Count > 0)
            throw new InputException(faults);
        return new TrafficSpec([.. (wanted.Arms ?? []).Select(arm => new TrafficArm(arm.Target, arm.Weight))])
        {
            Shadows = wanted.Shadows ?? [],
            IsUnloaded = old.IsUnloaded,
            Rollback = wanted.Rollback is { } given
                ? new RollbackRule(given.Canary)
                {
                    MaxErrorRate = given.MaxErrorRate,
                    MaxLatency = given.MaxLatencyMilliseconds is { } milliseconds ? TimeSpan.FromMilliseconds(milliseconds) : null,
                    Window = TimeSpan.FromSeconds(given.WindowSeconds),
                    LeastRequests = given.LeastRequests,
                }
                : null,
        };
    }
}

/// <summary>A share of a model's traffic.</summary>
/// <param name="Target">a version's number, or a label</param>
/// <param name="Weight">divided by the sum of all arms'</param>
public sealed record ArmDocument(string Target, double Weight);

/// <summary>Takes an arm out by itself when it fails or is slow.</summary>
public sealed record RollbackDocument(string Canary, double MaxErrorRate = 1, double? MaxLatencyMilliseconds = null, double WindowSeconds = 60, int LeastRequests = 20);

/// <summary>All of a model's traffic, as it is to be.</summary>
/// <param name="Arms">empty: the label production, or the newest version where none has it</param>
/// <param name="Shadows">versions or labels that compute every request, too, without answering</param>
/// <param name="Rollback">null for never</param>
public sealed record NewTrafficDocument(IReadOnlyList<ArmDocument>? Arms, IReadOnlyList<string>? Shadows = null, RollbackDocument? Rollback = null);

/// <summary>A version that is to have a label.</summary>
public sealed record LabelDocument(int Version);

/// <summary>Which versions answer for a model.</summary>
/// <param name="Model">its name</param>
/// <param name="Arms">as they were set</param>
/// <param name="Shadows">as they were set</param>
/// <param name="Rollback">null for never</param>
/// <param name="Unloaded">whether requests are refused until it is loaded again</param>
/// <param name="Labels">version by label</param>
/// <param name="Shares">what it comes to: share by version, together 1</param>
/// <param name="Differences">by shadow version: how what it says differs from what was answered, of the requests to this node</param>
public sealed record TrafficDocument(
    string Model, IReadOnlyList<ArmDocument> Arms, IReadOnlyList<string> Shadows, RollbackDocument? Rollback, bool Unloaded, IReadOnlyDictionary<string, int> Labels, IReadOnlyDictionary<string, double> Shares,
    IReadOnlyDictionary<string, ShadowDocument> Differences)
{
    internal static TrafficDocument Of(ModelTraffic traffic) => new(
        traffic.Model,
        [.. traffic.Traffic.Arms.Select(arm => new ArmDocument(arm.Target, arm.Weight))],
        traffic.Traffic.Shadows,
        traffic.Traffic.Rollback is { } rule ? new RollbackDocument(rule.Canary, rule.MaxErrorRate, rule.MaxLatency?.TotalMilliseconds, rule.Window.TotalSeconds, rule.LeastRequests) : null,
        traffic.Traffic.IsUnloaded,
        traffic.Labels,
        traffic.Shares.ToDictionary(share => share.Key.ToString(System.Globalization.CultureInfo.InvariantCulture), share => share.Value),
        traffic.Shadows.ToDictionary(
            shadow => shadow.Key.ToString(System.Globalization.CultureInfo.InvariantCulture),
            shadow => new ShadowDocument(shadow.Value.Compared, shadow.Value.Differing, shadow.Value.MaxDifference, shadow.Value.Failed)));
}

/// <summary>How what a shadow says differs from what was answered.</summary>
public sealed record ShadowDocument(long Compared, long Differing, double MaxDifference, long Failed);

/// <summary>A version as it is served.</summary>
/// <param name="Model">its name</param>
/// <param name="Version">its number</param>
/// <param name="State">unloaded, loading, ready, draining, failed</param>
/// <param name="Reason">why it does not answer, for people</param>
/// <param name="Share">of the model's traffic</param>
/// <param name="Labels">that lead to it</param>
/// <param name="Requests">answered with a prediction</param>
/// <param name="Failures">by kind</param>
/// <param name="Samples">predicted</param>
/// <param name="Batches">computed</param>
/// <param name="QueuedSeconds">sum over the requests</param>
/// <param name="ComputedSeconds">sum over the batches</param>
/// <param name="Last">when the last request came</param>
/// <param name="Waiting">requests that wait</param>
/// <param name="LatencyMilliseconds">of the requests of the last one to two minutes, from their arrival at the version to their answer; null where there were none</param>
public sealed record ServedVersionDocument(
    string Model, int Version, string State, string? Reason, double Share, IReadOnlyList<string> Labels,
    long Requests, IReadOnlyDictionary<string, long> Failures, long Samples, long Batches, double QueuedSeconds, double ComputedSeconds, DateTimeOffset? Last, int Waiting, LatencyDocument? LatencyMilliseconds)
{
    internal static ServedVersionDocument Of(ServedVersion version)
    {
        var statistics = version.Statistics;
        return new ServedVersionDocument(
            version.Id.Model, version.Id.Version, version.State.ToString().ToLowerInvariant(), version.Reason, version.Share, version.Labels,
            statistics.Requests, statistics.Failures.ToDictionary(pair => pair.Key.ToString(), pair => pair.Value), statistics.Samples, statistics.Batches,
            statistics.Queued.TotalSeconds, statistics.Computed.TotalSeconds, statistics.Last, statistics.Waiting, LatencyDocument.Of(statistics));
    }
}

/// <summary>Percentiles, in milliseconds.</summary>
public sealed record LatencyDocument(double P50, double P90, double P99)
{
    internal static LatencyDocument? Of(ServingStatistics statistics) =>
        statistics.Latency(0.5) is { } half && statistics.Latency(0.9) is { } most && statistics.Latency(0.99) is { } nearlyAll
            ? new LatencyDocument(half.TotalMilliseconds, most.TotalMilliseconds, nearlyAll.TotalMilliseconds)
            : null;
}

/// <summary>Versions as they are served.</summary>
public sealed record ServedDocument(IReadOnlyList<ServedVersionDocument> Versions);
