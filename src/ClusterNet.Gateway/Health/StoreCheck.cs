using Akka.Actor;
using Akka.Configuration;
using Akka.Persistence;
using ClusterNet.Cluster.Hosting;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ClusterNet.Gateway.Health;

/// <summary>
/// The store answers a query: the snapshot store is asked for what is never there, by the same plugin, connections and credentials that checkpoints go by. A node without a store is as it should be: its
/// roles need none.
/// </summary>
internal sealed class StoreCheck(ActorSystem system, IReadOnlyList<string> roles, TimeSpan timeout) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (system.WhenTerminated.IsCompleted)
            return HealthCheckResult.Unhealthy("the actor system has ended");
        if (!Roles.NeedStore(roles))
            return HealthCheckResult.Healthy("the node's roles need no store");
        try
        {
            var store = Persistence.Instance.Apply(system).SnapshotStoreFor(string.Empty);
            var answer = await store.Ask<object>(new LoadSnapshot("health", SnapshotSelectionCriteria.Latest, long.MaxValue), timeout, cancellationToken).ConfigureAwait(false);
            return answer switch
            {
                LoadSnapshotResult => HealthCheckResult.Healthy("the store answers"),
                // what exactly it says may hold hosts and accounts: that is for the log
                LoadSnapshotFailed failed => HealthCheckResult.Unhealthy($"the store refuses: {failed.Cause.GetType().Name}"),
                _ => HealthCheckResult.Unhealthy("the store answers something else"),
            };
        }
        catch (AskTimeoutException)
        {
            return HealthCheckResult.Unhealthy(FormattableString.Invariant($"the store did not answer within {timeout.TotalSeconds:0.#} s"));
        }
        catch (ConfigurationException exception)
        {
            return HealthCheckResult.Unhealthy($"the store's settings can't be used: {exception.GetType().Name}");
        }
    }
}
