using ClusterNet.Cluster.Hosting;
using ClusterNet.Gateway;
using ClusterNet.Gateway.Store;
using ClusterNet.Node.Jobs;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Node.Hosting;

/// <summary>A gateway with its store, in front of a node of this process.</summary>
internal sealed class GatewayHost : IAsyncDisposable
{
    private readonly GatewayStore _store;

    private GatewayHost(GatewayServer server, GatewayStore store)
    {
        Server = server;
        _store = store;
    }

    /// <summary>The server.</summary>
    public GatewayServer Server { get; }

    /// <summary>Where keys and the audit log are, for people.</summary>
    public string Store => _store.Description;

    /// <summary>Starts it. Its keys and audit log are in the cluster's PostgreSQL, else in the node's data directory.</summary>
    public static async Task<GatewayHost> StartAsync(ClusterNode node, GatewaySettings settings, Action<ILoggingBuilder> logging, CancellationToken cancel)
    {
        var store = GatewayStore.Open(node.Options.DataDirectory, node.Options.Postgres);
        settings = settings with { IsRequired = model => node.Options.Serving.Of(model).Preload };
        try
        {
            return new GatewayHost(await GatewayServer.StartAsync(settings, new GatewayParts(node.System, node.Cluster, node.Serving, store, JobFile.Parse), logging, cancel), store);
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    /// <summary>What whoever started it should know of who may use it; null where there is nothing.</summary>
    public string? Warning(GatewaySettings settings)
    {
        if (!Server.IsAuthenticated)
            return "authentication is off: whoever is on this machine may use this gateway. 'clusternet keys create' makes the first key, and from the next start on callers must show one.";
        return Server.Address.Scheme == Uri.UriSchemeHttp && !NodeOptions.IsLoopback(settings.Host)
            ? "WARNING: without TLS, keys and predictions can be read on their way. Give it http.tls.certificate and http.tls.key, or put it behind something that does TLS."
            : null;
    }

    /// <summary>Finishes what it holds and closes the store.</summary>
    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        _store.Dispose();
    }
}
