using System.Net;
using Akka.Actor;
using ClusterNet.Cluster;
using ClusterNet.Gateway.Health;
using ClusterNet.Gateway.Telemetry;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Gateway;

/// <summary>
/// A node's HTTP side: <c>/health/live</c>, <c>/health/ready</c>, <c>/metrics</c>. It has a host of its own beside the node's: it answers while the node starts, struggles or ends. Whatever is wrong with a
/// request, the answer is JSON: <c>{"error": {"status", "message"}}</c>.
/// </summary>
public sealed class NodeEndpoints : IAsyncDisposable
{
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
        var addresses = await AddressesAsync(settings.Host, cancel).ConfigureAwait(false);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => Listen(kestrel, settings, addresses));
        if (settings.Tls is not null)
            builder.WebHost.UseKestrelHttpsConfiguration();
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
            return new NodeEndpoints(app, new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()));
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

    private static async Task<IPAddress[]> AddressesAsync(string host, CancellationToken cancel)
    {
        if (IPAddress.TryParse(host, out var address))
            return [address];
        try
        {
            return host == "localhost" ? [IPAddress.Loopback] : await Dns.GetHostAddressesAsync(host, cancel).ConfigureAwait(false);
        }
        catch (System.Net.Sockets.SocketException exception)
        {
            throw new ClusterException($"HTTP can't listen on '{host}': {exception.Message}; give an address of this machine (http.host)", exception);
        }
    }

    private static void Listen(KestrelServerOptions kestrel, EndpointSettings settings, IPAddress[] addresses)
    {
        kestrel.AddServerHeader = false;
        kestrel.AllowSynchronousIO = false;
        var limits = kestrel.Limits;
        limits.MaxConcurrentConnections = 512;
        limits.MaxRequestBodySize = 16 * 1024;
        limits.MaxRequestLineSize = 4 * 1024;
        limits.MaxRequestHeaderCount = 64;
        limits.MaxRequestHeadersTotalSize = 16 * 1024;
        limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
        limits.KeepAliveTimeout = TimeSpan.FromSeconds(60);
        foreach (var address in addresses)
        {
            kestrel.Listen(address, settings.Port, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                if (settings.Tls is { } tls)
                {
                    // before TLS and after it: who comes to the first alone was refused
                    var refusals = new RefusedConnections(kestrel.ApplicationServices.GetRequiredService<ILogger<NodeEndpoints>>());
                    listen.Use(refusals.Outside);
                    listen.UseHttps(new TlsHandshakeCallbackOptions
                    {
                        HandshakeTimeout = TimeSpan.FromSeconds(10),
                        OnConnection = _ => ValueTask.FromResult(tls.ServerOptions()),
                    });
                    listen.Use(RefusedConnections.Inside);
                }
            });
        }
    }

    /// <summary>Signals are the program's affair.</summary>
    private sealed class NoSignals : Microsoft.Extensions.Hosting.IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
