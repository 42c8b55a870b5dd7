using System.Data.Common;
using ClusterNet.Gateway.Store;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ClusterNet.Gateway.Health;

/// <summary>Keys and audit log can be read: without the one nobody is let in, without the other nothing is answered. A store that does not answer is not asked again until it does.</summary>
internal sealed class GatewayStoreCheck(GatewayStore store, TimeSpan timeout) : IHealthCheck
{
    /// <summary>Its name among the checks.</summary>
    public const string Name = "gateway-store";

    private readonly Lock _gate = new();
    private Task? _asking;

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        Task asking;
        lock (_gate)
            asking = _asking is { IsCompleted: false } running ? running : _asking = Task.Run(Ask, CancellationToken.None);
        try
        {
            await asking.WaitAsync(timeout, cancellationToken).ConfigureAwait(false);
            return HealthCheckResult.Healthy("the store of keys and audit log answers");
        }
        catch (TimeoutException)
        {
            return HealthCheckResult.Unhealthy(FormattableString.Invariant($"the store of keys and audit log did not answer within {timeout.TotalSeconds:0.#} s"));
        }
        catch (Exception failure) when (failure is DbException or InvalidOperationException)
        {
            // what exactly it says may hold hosts and accounts: that is for the log
            return HealthCheckResult.Unhealthy($"the store of keys and audit log refuses: {failure.GetType().Name}");
        }
    }

    private void Ask()
    {
        using var connection = store.Connect();
        using var command = GatewayStore.Command(connection, "SELECT count(*) FROM (SELECT 1 FROM gateway_keys LIMIT 1) AS keys, (SELECT 1 FROM audit_heads LIMIT 1) AS heads");
        // an answer that got lost with the network is not waited for when it is there again
        command.CommandTimeout = (int)Math.Ceiling(timeout.TotalSeconds);
        command.ExecuteScalar();
    }
}
