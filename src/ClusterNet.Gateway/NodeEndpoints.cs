using Akka.Actor;
using ClusterNet.Cluster;
using ClusterNet.Gateway.Health;
using ClusterNet.Gateway.Telemetry;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Gateway;

/// <summary>
/// A node's HTTP side: <c>/health/live</c>, <c>/health/ready</c>, <c>/metrics</c>. It has a host of its own beside the node's: it answers while the node starts, struggles or ends. Whatever is wrong with a
/// request, the answer is JSON: <c>{"error": "..."}</c>.
/// </summary>
public sealed class NodeEndpoints : IAsyncDisposable
{
    private const int MaxConnections = 512;
    private readonly WebApplication _app;

    private NodeEndpoints(WebApplication app, Uri address)
    {
        _app = app;
        Address = address;
    }

    /// <summary>Where it listens; the host is an address even where the settings have a name.</summary>
    public Uri Address { get; }

    /// <summary>Listens.</summary>
    /// <param name="settings">where, and for whom</param>
    /// <param name="system">the node</param>
    /// <param name="logging">where the log goes; nowhere where null</param>
    /// <param name="cancel">gives up</param>
    /// <exception cref="ClusterException">the address can't be listened on</exception>
    public static async Task<NodeEndpoints> StartAsync(EndpointSettings settings, ActorSystem system, Action<ILoggingBuilder>? logging = null, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(settings);
        ArgumentNullException.ThrowIfNull(system);
        // the empty builder takes no settings from files, environment or command line, and prints nothing
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = typeof(NodeEndpoints).Assembly.GetName().Name });
        builder.Logging.ClearProviders();
        logging?.Invoke(builder.Logging);
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning).AddFilter("System", LogLevel.Warning);
        var addresses = await ListenAddresses.FindAsync(settings.Host, cancel).ConfigureAwait(false);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            ListenAddresses.Bound(kestrel, MaxConnections, addresses.Length, bodyBytes: 16 * 1024);
            ListenAddresses.Listen(kestrel, addresses, settings.Port, HttpProtocols.Http1, settings.Tls is null ? null : settings.Tls.ServerOptions);
        });
        if (settings.Tls is not null)
            builder.WebHost.UseKestrelHttpsConfiguration();
        builder.Services.HoldConnections(MaxConnections, addresses.Length);
        builder.Services.AddRoutingCore();
        builder.Services.AddNodeHealth(settings, system);
        builder.Services.AddNodeTelemetry(settings);
        builder.Services.AddSingleton<Microsoft.Extensions.Hosting.IHostLifetime, NoSignals>();
        var app = builder.Build();
        try
        {
            app.UseMiddleware<ErrorDocuments>();
            app.UseRouting();
            app.MapNodeHealth();
            app.MapPrometheusScrapingEndpoint();
            await app.StartAsync(cancel).ConfigureAwait(false);
            return new NodeEndpoints(app, ListenAddresses.Of(app.Services)[0]);
        }
        catch (IOException exception)
        {
            await app.DisposeAsync().ConfigureAwait(false);
            throw new ClusterException($"HTTP can't listen on {settings.Host}:{settings.Port}: {exception.Message}; give another port (http.port)", exception);
        }
        catch
        {
            await app.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Finishes what is being answered, for a few seconds at most, and stops.</summary>
    public async ValueTask DisposeAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await _app.StopAsync(patience.Token).ConfigureAwait(false);
        await _app.DisposeAsync().ConfigureAwait(false);
    }
}
