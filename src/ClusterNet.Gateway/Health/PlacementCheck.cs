using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Cluster.Sharding;
using Akka.Hosting;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Training;
using ClusterNet.Cluster.Workers;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ClusterNet.Gateway.Health;

/// <summary>
/// What the node's roles say must run here does: worker host, inference host, and the regions of jobs and parameter shards, which have found who places their shards (the answer to the question where regions
/// are comes from there). An inference node has in memory what was in use when it joined. A region that has found its coordinator is not asked again: when the coordinator's node dies another one places shards
/// after some seconds, and in these every node of the cluster would say that it is not ready, though what is placed goes on and predictions are answered.
/// </summary>
internal sealed class PlacementCheck(ActorSystem system, IReadOnlyList<string> roles, TimeSpan timeout) : IHealthCheck
{
    private readonly ConcurrentDictionary<string, bool> _placed = new(StringComparer.Ordinal);

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (system.WhenTerminated.IsCompleted)
            return HealthCheckResult.Unhealthy("the actor system has ended");
        var actors = ActorRegistry.For(system);
        var faults = await Task.WhenAll(
            RegionAsync<JobRegion>(actors, Roles.Coordinator, "jobs", cancellationToken),
            RegionAsync<ParameterRegion>(actors, Roles.Parameters, "parameter shards", cancellationToken),
            HostAsync<WorkerHost>(actors, Roles.Worker, "workers", cancellationToken),
            HostAsync<InferenceHost>(actors, Roles.Inference, "inference", cancellationToken),
            ServingAsync(actors, cancellationToken)).ConfigureAwait(false);
        var wrong = faults.OfType<string>().ToArray();
        return wrong.Length == 0
            ? HealthCheckResult.Healthy(roles.Count == 0 ? "the node has no role" : $"started: {string.Join(", ", roles)}")
            : HealthCheckResult.Unhealthy(string.Join("; ", wrong));
    }

    private async Task<string?> RegionAsync<T>(ActorRegistry actors, string role, string what, CancellationToken cancel)
    {
        if (!roles.Contains(role))
            return null;
        if (!actors.TryGet<T>(out var region))
            return $"the region of {what} is not started";
        if (_placed.ContainsKey(role))
            return null;
        try
        {
            await region.Ask<CurrentRegions>(GetCurrentRegions.Instance, timeout, cancel).ConfigureAwait(false);
            _placed[role] = true;
            return null;
        }
        catch (AskTimeoutException)
        {
            return $"{what} are not placed yet: their coordinator does not answer";
        }
    }

    /// <summary>Whether the node has in memory what was in use when it joined: who asks it from then on waits for no model.</summary>
    private async Task<string?> ServingAsync(ActorRegistry actors, CancellationToken cancel)
    {
        if (!roles.Contains(Roles.Inference))
            return null;
        if (!actors.TryGet<ServingRouter>(out var router))
            return "the router of predictions is not started";
        try
        {
            var view = await router.Ask<ServingRouterActor.View>(new ServingRouterActor.GetView(), timeout, cancel).ConfigureAwait(false);
            if (!view.IsKnown)
                return "the registry of models has not answered yet";
            return view.Awaited.Count == 0 ? null : $"models that are in use are being loaded: {string.Join(", ", view.Awaited)}";
        }
        catch (AskTimeoutException)
        {
            return "the router of predictions does not answer";
        }
    }

    private async Task<string?> HostAsync<T>(ActorRegistry actors, string role, string what, CancellationToken cancel)
    {
        if (!roles.Contains(role))
            return null;
        if (!actors.TryGet<T>(out var host))
            return $"the host of {what} is not started";
        try
        {
            await host.Ask<ActorIdentity>(new Identify(null), timeout, cancel).ConfigureAwait(false);
            return null;
        }
        catch (AskTimeoutException)
        {
            return $"the host of {what} does not answer";
        }
    }
}
