using System.Diagnostics;
using System.Net;
using System.Net.Security;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Hosting;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Gateway;

/// <summary>How a node listens: addresses that stand behind a name, limits on what comes before anybody is known, TLS.</summary>
internal static partial class ListenAddresses
{
    private const int BeingRefused = 16;

    /// <summary>The addresses behind a host.</summary>
    /// <exception cref="ClusterException">there are none</exception>
    public static async Task<IPAddress[]> FindAsync(string host, CancellationToken cancel)
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

    /// <summary>Limits that hold on every port, and answers to what breaks them. Once for each server.</summary>
    /// <param name="kestrel">the server</param>
    /// <param name="connections">the most on each port, where the process may have so many files open</param>
    /// <param name="ports">it listens on, on all its addresses</param>
    /// <param name="bodyBytes">the most of a request</param>
    public static void Bound(KestrelServerOptions kestrel, int connections, int ports, long bodyBytes)
    {
        var wanted = connections;
        connections = MostOpen(wanted, ports);
        if (connections < wanted)
            LogBounded(kestrel.ApplicationServices.GetRequiredService<ILogger<NodeEndpoints>>(), connections, wanted, OpenFileLimit.Most);
        RejectedRequests.Follow(kestrel.ApplicationServices.GetRequiredService<DiagnosticListener>());
        kestrel.AddServerHeader = false;
        kestrel.AllowSynchronousIO = false;
        var limits = kestrel.Limits;
        limits.MaxConcurrentConnections = connections;
        limits.MaxRequestBodySize = bodyBytes;
        limits.MaxRequestLineSize = 4 * 1024;
        limits.MaxRequestHeaderCount = 64;
        limits.MaxRequestHeadersTotalSize = 16 * 1024;
        limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
        limits.KeepAliveTimeout = TimeSpan.FromSeconds(60);
    }

    /// <summary>Has no more connections accepted, on each port, than may be open and a few that are being refused.</summary>
    public static void HoldConnections(this IServiceCollection services, int connections, int ports) =>
        services.AddSingleton<IConnectionListenerFactory>(provider => new HeldConnections(ActivatorUtilities.CreateInstance<SocketTransportFactory>(provider), MostOpen(connections, ports) + BeingRefused));

    private static int MostOpen(int wanted, int ports) => OpenFileLimit.Connections(wanted, ports, OpenFileLimit.Most);

    [LoggerMessage(LogLevel.Warning, "At most {Connections} connections are taken on each port, not {Wanted} (http.max-connections), since the process may have only {Most} files open (ulimit -n)")]
    private static partial void LogBounded(ILogger log, int connections, int wanted, int? most);

    /// <summary>Listens on one port of every address.</summary>
    /// <param name="kestrel">the server</param>
    /// <param name="addresses">of this machine</param>
    /// <param name="port">0 for any free one</param>
    /// <param name="protocols">what is spoken there</param>
    /// <param name="tls">for each connection; null for none</param>
    public static void Listen(KestrelServerOptions kestrel, IPAddress[] addresses, int port, HttpProtocols protocols, Func<SslServerAuthenticationOptions>? tls)
    {
        foreach (var address in addresses)
        {
            kestrel.Listen(address, port, listen =>
            {
                listen.Protocols = protocols;
                if (tls is null)
                {
                    listen.Use(RejectedRequests.Answer);
                    return;
                }
                // before TLS and after it: who comes to the first alone was refused
                var refusals = new RefusedConnections(kestrel.ApplicationServices.GetRequiredService<ILogger<NodeEndpoints>>());
                listen.Use(refusals.Outside);
                listen.UseHttps(new TlsHandshakeCallbackOptions
                {
                    HandshakeTimeout = TimeSpan.FromSeconds(10),
                    OnConnection = _ => ValueTask.FromResult(tls()),
                });
                listen.Use(RefusedConnections.Inside);
                listen.Use(RejectedRequests.Answer);
            });
        }
    }

    /// <summary>Where a server that has started listens, in the order that it was told.</summary>
    public static IReadOnlyList<Uri> Of(IServiceProvider services) =>
        [.. services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(address => new Uri(address))];
}

/// <summary>Signals are the program's affair.</summary>
internal sealed class NoSignals : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
