using Akka.Actor;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Faults;
using ClusterNet.Gateway.Access;
using ClusterNet.Gateway.Api;
using ClusterNet.Gateway.Audit;
using ClusterNet.Gateway.Dashboard;
using ClusterNet.Gateway.Health;
using ClusterNet.Gateway.Inference;
using ClusterNet.Gateway.Store;
using ClusterNet.Gateway.Telemetry;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Gateway;

/// <summary>What a gateway stands in front of.</summary>
/// <param name="System">the node</param>
/// <param name="Cluster">what it asks of the cluster</param>
/// <param name="Serving">what it asks of the models</param>
/// <param name="Store">keys and the audit log; the caller's to close, after the gateway</param>
/// <param name="ReadJob">reads a job file</param>
public sealed record GatewayParts(ActorSystem System, ICluster Cluster, IModelServing Serving, GatewayStore Store, JobFileReader ReadJob);

/// <summary>
/// A gateway: health, metrics, the Open Inference Protocol by REST and gRPC, and <c>/api</c>. Whatever is wrong with a request, the answer is <c>{"error": "..."}</c>. Stopping it, it takes no new requests and finishes those it
/// holds; then the audit log is written out.
/// </summary>
public sealed class GatewayServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly AuditLog? _audit;
    private readonly IActorRef _events;
    private readonly TimeSpan _patience;
    private readonly TimeSpan _farewell;
    private int _isStopped;

    private GatewayServer(WebApplication app, AuditLog? audit, IActorRef events, GatewaySettings settings, bool isAuthenticated, int addresses)
    {
        (_app, _audit, _events, _patience, _farewell) = (app, audit, events, settings.StopPatience, settings.Farewell < settings.StopPatience ? settings.Farewell : settings.StopPatience);
        IsAuthenticated = isAuthenticated;
        var all = ListenAddresses.Of(app.Services);
        Address = all[0];
        GrpcAddress = settings.GrpcPort is not null ? all[addresses] : settings.Tls is not null ? Address : null;
    }

    /// <summary>Where it listens; the host is an address even where the settings have a name.</summary>
    public Uri Address { get; }

    /// <summary>Where gRPC is spoken; null where it is not: without TLS it needs a port of its own.</summary>
    public Uri? GrpcAddress { get; }

    /// <summary>Whether callers must say who they are.</summary>
    public bool IsAuthenticated { get; }

    /// <summary>All that can be asked of it, with what each asks of its caller.</summary>
    internal IReadOnlyList<Endpoint> Endpoints => [.. ((IEndpointRouteBuilder)_app).DataSources.SelectMany(source => source.Endpoints)];

    /// <summary>Listens.</summary>
    /// <param name="settings">what it is told</param>
    /// <param name="parts">what it stands in front of</param>
    /// <param name="logging">where the log goes; nowhere where null</param>
    /// <param name="cancel">gives up</param>
    /// <exception cref="InputException">settings that can't be used, or that would let strangers in</exception>
    /// <exception cref="ClusterException">the address can't be listened on, or the store can't be used</exception>
    public static async Task<GatewayServer> StartAsync(GatewaySettings settings, GatewayParts parts, Action<ILoggingBuilder>? logging = null, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(settings);
        ArgumentNullException.ThrowIfNull(parts);
        if (settings.Validate() is { Count: > 0 } faults)
            throw new InputException(faults);
        var clock = TimeProvider.System;
        var keys = new ApiKeyStore(parts.Store, clock);
        var now = clock.GetUtcNow();
        settings = settings with { Access = settings.Access with { IsRequired = settings.DecideAuthentication(keys.List().Any(key => key.IsGoodAt(now))) } };
        var addresses = await ListenAddresses.FindAsync(settings.Host, cancel).ConfigureAwait(false);
        var builder = BuilderOf(settings, addresses, logging);
        var feed = new EventFeed(clock);
        Register(builder.Services, settings, parts, keys, feed);
        var audit = settings.IsAudited ? new AuditLog(parts.Store, settings.Node, LoggerFactory.Create(log => logging?.Invoke(log)).CreateLogger<AuditLog>()) : null;
        if (audit is not null)
            builder.Services.AddSingleton<IPredictionObserver>(new PredictionAudit(audit, settings.StoresInput, TimeProvider.System));
        var app = builder.Build();
        try
        {
            Map(app, settings, audit, feed, clock);
            await app.StartAsync(cancel).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            await app.DisposeAsync().ConfigureAwait(false);
            audit?.Dispose();
            if (exception is IOException)
                throw new ClusterException($"HTTP can't listen on {settings.Host}, port {settings.Port}{(settings.GrpcPort is { } grpc ? $" and {grpc}" : "")}: {exception.Message}; give other ports (http.port, grpc.port)", exception);
            throw;
        }
        return new GatewayServer(app, audit, ApiHosting.FollowCluster(parts.System, feed), settings, settings.Access.IsRequired, addresses.Length);
    }

    /// <summary>Takes nothing new, finishes what it holds within its patience, and writes the audit log out.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isStopped, 1) != 0)
            return;
        if (_farewell > TimeSpan.Zero)
            await _app.Services.GetRequiredService<Farewell>().SayAsync(_app.Services, _farewell).ConfigureAwait(false);
        using var patience = new CancellationTokenSource(_patience);
        await _app.StopAsync(patience.Token).ConfigureAwait(false);
        await _app.DisposeAsync().ConfigureAwait(false);
        _events.Tell(PoisonPill.Instance);
        _audit?.Dispose();
    }

    private static WebApplicationBuilder BuilderOf(GatewaySettings settings, System.Net.IPAddress[] addresses, Action<ILoggingBuilder>? logging)
    {
        // the empty builder takes no settings from files, environment or command line, and prints nothing
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = typeof(GatewayServer).Assembly.GetName().Name });
        builder.Logging.ClearProviders();
        logging?.Invoke(builder.Logging);
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning).AddFilter("System", LogLevel.Warning).AddFilter("Grpc", LogLevel.Warning);
        // tokens that are refused are no fault of this program, and what stands in them is nobody's business
        builder.Logging.AddFilter("Microsoft.AspNetCore.Authentication", LogLevel.None).AddFilter("Microsoft.IdentityModel", LogLevel.None);
        var ports = addresses.Length * (settings.GrpcPort is null ? 1 : 2);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            ListenAddresses.Bound(kestrel, settings.MaxConnections, ports, settings.MaxBodyBytes);
            kestrel.Limits.KeepAliveTimeout = settings.KeepAlive;
            kestrel.Limits.Http2.MaxStreamsPerConnection = settings.MaxStreams;
            kestrel.Limits.Http2.KeepAlivePingDelay = settings.KeepAlive;
            Func<System.Net.Security.SslServerAuthenticationOptions>? tls = settings.Tls is null ? null : settings.Tls.ServerOptions;
            ListenAddresses.Listen(kestrel, addresses, settings.Port, tls is null ? HttpProtocols.Http1 : HttpProtocols.Http1AndHttp2, tls);
            if (settings.GrpcPort is { } grpc)
                ListenAddresses.Listen(kestrel, addresses, grpc, HttpProtocols.Http2, tls);
        });
        if (settings.Tls is not null)
            builder.WebHost.UseKestrelHttpsConfiguration();
        builder.Services.HoldConnections(settings.MaxConnections, ports);
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = settings.StopPatience);
        builder.Services.AddSingleton<IHostLifetime, NoSignals>();
        builder.Services.AddSingleton<Farewell>();
        return builder;
    }

    private static void Register(IServiceCollection services, GatewaySettings settings, GatewayParts parts, ApiKeyStore keys, EventFeed feed)
    {
        var endpoint = new EndpointSettings { Host = settings.Host, Port = settings.Port, Node = settings.Node, Roles = settings.Roles, Otlp = settings.Otlp, CheckTimeout = settings.CheckTimeout };
        services.AddRouting();
        services.AddNodeHealth(endpoint, parts.System);
        if (settings.IsAudited || settings.Access.IsRequired)
            services.AddHealthChecks().Add(new HealthCheckRegistration(GatewayStoreCheck.Name, new GatewayStoreCheck(parts.Store, settings.CheckTimeout), HealthStatus.Unhealthy, [ServingCheck.ReadyTag]));
        services.AddNodeTelemetry(endpoint);
        services.AddSingleton(settings).AddSingleton(parts.System).AddSingleton(parts.Cluster).AddSingleton(parts.Store).AddSingleton(parts.ReadJob);
        services.AddAccess(settings.Access, keys);
        services.AddApi(feed);
        services.AddInference(
            parts.Serving,
            new InferenceSettings { MaxBodyBytes = (int)Math.Min(int.MaxValue - (1 << 20), settings.MaxBodyBytes), IsRequired = settings.IsRequired, HasExamples = settings.HasExamples, HasSharedMemory = settings.HasSharedMemory || settings.HasExamples });
    }

    private static void Map(WebApplication app, GatewaySettings settings, AuditLog? audit, EventFeed feed, TimeProvider clock)
    {
        app.Use(app.Services.GetRequiredService<Farewell>().InvokeAsync);
        app.UseMiddleware<ErrorDocuments>();
        if (!settings.Access.IsRequired)
            app.UseMiddleware<BrowserGuard>();
        app.UseRouting();
        app.UseAccess();
        if (audit is not null)
            app.Use(AuditedActs.OfProtocol(audit, feed, clock));
        app.MapNodeHealth();
        app.MapPrometheusScrapingEndpoint().WithMetadata(new RequiredScopeAttribute(Scopes.Operate));
        app.MapApi(audit, feed, clock);
        app.MapInference();
        app.MapDashboard();
    }
}
