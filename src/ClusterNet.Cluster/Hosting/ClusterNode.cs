using Akka.Actor;
using Akka.Cluster;
using Akka.Cluster.Hosting;
using Akka.Event;
using Akka.Hosting;
using Akka.Hosting.Logging;
using Akka.Remote.Hosting;
using ClusterNet.Cluster.Access;
using ClusterNet.Cluster.Lanes;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Cluster.Training;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Faults;
using ClusterNet.Learning.Models;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Cluster.Hosting;

/// <summary>One node of a cluster: an actor system with what its roles need. Disposing of it leaves the cluster in order.</summary>
public sealed class ClusterNode : IAsyncDisposable
{
    private static readonly TimeSpan JoinPatience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan JoinReminder = TimeSpan.FromSeconds(30);

    private readonly IHost _host;
    private readonly INodeStore _store;
    private bool _isLeaving;

    private ClusterNode(IHost host, INodeStore store, NodeOptions options)
    {
        _host = host;
        _store = store;
        Options = options;
        System = host.Services.GetRequiredService<ActorSystem>();
        var actors = host.Services.GetRequiredService<ActorRegistry>();
        var access = actors.Get<ClusterAccess>();
        Serving = new ModelServing(actors.Get<ServingRouter>(), actors.Get<ModelRegistry>(), options.Serving);
        Road = new LocalRoad(System, access, options.Seeds.Count == 0 && options.Postgres is null ? "this data directory" : "this cluster", options.Roles.Contains(Roles.Inference));
        Cluster = new View(Road);
    }

    /// <summary>What it was told.</summary>
    public NodeOptions Options { get; }

    /// <summary>The node's actor system.</summary>
    public ActorSystem System { get; }

    /// <summary>What this process can ask of the cluster. Disposing of it changes nothing.</summary>
    public ICluster Cluster { get; }

    /// <summary>The models that the cluster serves, asked through this node.</summary>
    public IModelServing Serving { get; }

    /// <summary>What others reach it by.</summary>
    public NodeAddress Address => NodeAddress.Of(Akka.Cluster.Cluster.Get(System).SelfAddress);

    /// <summary>Where its jobs and weights are kept, for people; without secrets.</summary>
    public string Store => _store.Description;

    /// <summary>Done when the node has ended by itself, with the reason: it was on the smaller side of a split, or was told to leave.</summary>
    public Task<string> Ended => EndedAsync();

    internal IClusterRoad Road { get; }

    internal IServiceProvider Services => _host.Services;

    /// <summary>Starts a node, and waits until it is a member that is up.</summary>
    /// <param name="options">what it is told</param>
    /// <param name="catalog">the models that jobs may name; the same on all nodes</param>
    /// <param name="logging">where its log goes; nowhere where null</param>
    /// <param name="cancel">gives up</param>
    /// <exception cref="InputException">settings that can't be used, all of them</exception>
    /// <exception cref="ClusterException">the store can't be used, a port is taken, or the cluster has another store</exception>
    public static async Task<ClusterNode> StartAsync(NodeOptions options, ModelCatalog catalog, Action<ILoggingBuilder>? logging = null, CancellationToken cancel = default) =>
        await JoinedAsync(await BeginAsync(options, catalog, logging, cancel).ConfigureAwait(false), cancel).ConfigureAwait(false);

    /// <summary>The same with a store that is open already.</summary>
    internal static async Task<ClusterNode> StartAsync(NodeOptions options, INodeStore store, ModelCatalog catalog, Action<ILoggingBuilder>? logging, CancellationToken cancel) =>
        await JoinedAsync(await BeginAsync(options, store, catalog, logging, cancel).ConfigureAwait(false), cancel).ConfigureAwait(false);

    /// <summary>Starts a node that joins once <see cref="JoinAsync"/> is called, so that it can be asked how it is meanwhile.</summary>
    /// <param name="options">what it is told</param>
    /// <param name="catalog">the models that jobs may name; the same on all nodes</param>
    /// <param name="logging">where its log goes; nowhere where null</param>
    /// <param name="cancel">gives up</param>
    /// <exception cref="InputException">settings that can't be used, all of them</exception>
    /// <exception cref="ClusterException">the store can't be used, or a port is taken</exception>
    public static async Task<ClusterNode> BeginAsync(NodeOptions options, ModelCatalog catalog, Action<ILoggingBuilder>? logging = null, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Validate() is { Count: > 0 } faults)
            throw new InputException(faults);
        return await BeginAsync(options, await OpenStoreAsync(options, cancel).ConfigureAwait(false), catalog, logging, cancel).ConfigureAwait(false);
    }

    private static async Task<ClusterNode> BeginAsync(NodeOptions options, INodeStore store, ModelCatalog catalog, Action<ILoggingBuilder>? logging, CancellationToken cancel)
    {
        IHost? host = null;
        try
        {
            host = Build(options, store, catalog, logging);
            await StartAsync(host, options, cancel).ConfigureAwait(false);
            return new ClusterNode(host, store, options);
        }
        catch
        {
            await StopAsync(host, store).ConfigureAwait(false);
            throw;
        }
    }

    private static async Task<ClusterNode> JoinedAsync(ClusterNode node, CancellationToken cancel)
    {
        try
        {
            await node.JoinAsync(cancel).ConfigureAwait(false);
            return node;
        }
        catch
        {
            await node.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Leaves the cluster in order: others take its shards and jobs over, its workers finish their slice, its inference actors what they hold.</summary>
    public async ValueTask DisposeAsync()
    {
        _isLeaving = true;
        await StopAsync(_host, _store).ConfigureAwait(false);
    }

    private static async Task<INodeStore> OpenStoreAsync(NodeOptions options, CancellationToken cancel) => options switch
    {
        { NeedsStore: false } => new NoStore(),
        { Postgres: { } connectionString } => await PostgresStore.OpenAsync(connectionString, cancel).ConfigureAwait(false),
        _ => SqliteStore.Open(options.DataDirectory),
    };

    private static IHost Build(NodeOptions options, INodeStore store, ModelCatalog catalog, Action<ILoggingBuilder>? logging)
    {
        var tls = options.Tls is null ? null : TlsSettings.Load(options.Tls);
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Logging.ClearProviders();
        logging?.Invoke(builder.Logging);
        builder.Services.AddSingleton<IHostLifetime, ProgramLifetime>();
        builder.Services.AddSingleton(TimeProvider.System).AddHostedService<IdleMemory>();
        // a node leaves within the bounds of Akka's coordinated shutdown
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = Timeout.InfiniteTimeSpan);
        builder.Services.AddAkka(NodeConfiguration.SystemName, (akka, services) =>
        {
            akka
                .AddHocon(NodeConfiguration.Cluster, HoconAddMode.Prepend)
                .AddHocon(SerializationConfiguration.Config, HoconAddMode.Prepend)
                .AddHocon(store.Configuration, HoconAddMode.Append)
                .AddHocon(options.Hocon, HoconAddMode.Prepend)
                .ConfigureLoggers(loggers =>
                {
                    loggers.ClearLoggers();
                    loggers.LogLevel = Akka.Event.LogLevel.InfoLevel;
                    loggers.AddLogger<NodeLogger>();
                })
                .AddSetup(new LoggerFactorySetup(services.GetRequiredService<ILoggerFactory>()))
                .WithRemoting(new RemoteOptions { HostName = options.Host, Port = options.Port, PublicHostName = options.ReachableHost, EnableSsl = tls is not null })
                .AddSetup(new LaneSetup(new LaneSettings { Host = options.Host, Port = options.LanePort, PublicHost = options.PublicHost, Tls = tls }))
                .WithClustering(new ClusterOptions { Roles = [.. options.Roles, .. StoreCheck.RolesOf(store), NodeNameRole.For(options.Name)] });
            if (tls is not null)
                akka.AddSetup(RemoteTls.Setup(tls));
            AddRoles(akka, options, catalog);
        });
        return builder.Build();
    }

    /// <summary>What a node does not have itself it has a proxy of, so that every node can be asked everything.</summary>
    private static void AddRoles(AkkaConfigurationBuilder akka, NodeOptions options, ModelCatalog catalog)
    {
        var roles = options.Roles.ToHashSet();
        if (roles.Contains(Roles.Parameters))
            akka.AddParameters();
        else
            akka.AddParametersProxy();
        if (roles.Contains(Roles.Coordinator))
            akka.AddModelRegistry(Roles.Coordinator).AddTraining(TimeProvider.System, options.ResumesJobs);
        else
            akka.AddModelRegistryProxy(Roles.Coordinator).AddTrainingProxy();
        if (roles.Contains(Roles.Worker))
            akka.AddWorkers(catalog, options.Workers, options.ThreadsPerWorker, new DataFolders(options.DataFolders));
        if (roles.Contains(Roles.Inference))
            akka.AddServing(catalog, options.Serving);
        akka.AddServingRouter(options.Serving);
        akka.AddAccess().AddTelemetry().AddStartup((system, registry) => Draining.Plan(system, registry));
    }

    private static async Task StartAsync(IHost host, NodeOptions options, CancellationToken cancel)
    {
        try
        {
            await host.StartAsync(cancel).ConfigureAwait(false);
        }
        catch (Exception exception) when (BindFault(exception) is { } reason)
        {
            throw new ClusterException($"the node can't listen on {options.Host}:{options.Port}: {reason}; give another 'port', or 'host', or end what uses it");
        }
    }

    private static string? BindFault(Exception exception)
    {
        for (var cause = exception; cause is not null; cause = cause is AggregateException { InnerExceptions: [var first, ..] } ? first : cause.InnerException)
        {
            if (cause is global::System.Net.Sockets.SocketException socket)
                return socket.Message;
        }
        return null;
    }

    /// <summary>Joins the cluster that the seeds are of, and waits until the node is a member that is up. As long as no seed answers it goes on asking, and says so from time to time.</summary>
    /// <param name="cancel">gives up</param>
    /// <exception cref="ClusterException">the cluster has another store, or the node has ended by itself meanwhile</exception>
    public async Task JoinAsync(CancellationToken cancel = default)
    {
        var log = Logging.GetLogger(System, typeof(ClusterNode));
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var joined = JoinSeedsAsync(log, end.Token);
        var waited = TimeSpan.Zero;
        // who is taken for dead before it is up is not told by Akka: its system ends
        while (await Task.WhenAny(joined, System.WhenTerminated, Task.Delay(JoinReminder, end.Token)).ConfigureAwait(false) is var first && first != joined)
        {
            if (System.WhenTerminated.IsCompleted)
            {
                await end.CancelAsync().ConfigureAwait(false);
                throw await EndedBeforeAsync().ConfigureAwait(false);
            }
            cancel.ThrowIfCancellationRequested();
            waited += JoinReminder;
            log.Warning("The node is not a member that is up after {Seconds} seconds: {Reason}", waited.TotalSeconds, WhyNotUp());
        }
        await joined.ConfigureAwait(false);
    }

    private async Task JoinSeedsAsync(ILoggingAdapter log, CancellationToken cancel)
    {
        var cluster = Akka.Cluster.Cluster.Get(System);
        if (Options.Seeds.Count == 0)
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            patience.CancelAfter(JoinPatience);
            await cluster.JoinAsync(cluster.SelfAddress, patience.Token).ConfigureAwait(false);
            await SeeItselfAsync(cluster, patience.Token).ConfigureAwait(false);
            return;
        }
        var seeds = Options.Seeds.Select(seed => NodeAddress.TryParse(seed, out var address) ? address.ToAkka(cluster.SelfAddress.Protocol) : throw new InputException("seeds", seed));
        log.Info("The node asks {Seeds} until one of them takes it in", string.Join(", ", Options.Seeds));
        try
        {
            await cluster.JoinSeedNodesAsync(seeds, cancel).ConfigureAwait(false);
        }
        catch (ClusterJoinFailedException exception)
        {
            cancel.ThrowIfCancellationRequested();
            if (CoordinatedShutdown.Get(System).ShutdownReason is not null)
                throw await EndedBeforeAsync().ConfigureAwait(false);
            throw new ClusterException($"the node could not join the cluster of {string.Join(", ", Options.Seeds)}: {exception.Message}; its log says more", exception);
        }
        await SeeItselfAsync(cluster, cancel).ConfigureAwait(false);
        if (StoreCheck.Fault(cluster.State, cluster.SelfMember) is { } fault)
            throw new ClusterException(fault);
    }

    private async Task<ClusterException> EndedBeforeAsync() => new($"the node {Options.Name} has ended before it was up: {await Ended.ConfigureAwait(false)}");

    private string WhyNotUp()
    {
        var cluster = Akka.Cluster.Cluster.Get(System);
        if (Options.Seeds.Count > 0 && !cluster.State.Members.Any(member => member.UniqueAddress.Equals(cluster.SelfUniqueAddress)))
            return $"none of {string.Join(", ", Options.Seeds)} has let it in. See that they run, belong to one cluster, and reach {Address}; it goes on asking";
        var silent = cluster.State.Unreachable.Select(member => NodeAddress.Of(member.Address).ToString()).ToArray();
        return silent.Length > 0
            ? $"{string.Join(", ", silent)} {(silent.Length == 1 ? "does" : "do")} not answer, and until they do or the others give them up nobody is taken in"
            : "not all members know of it yet";
    }

    /// <summary>Joining is over a moment before the cluster's state, which requests are passed on by, says so.</summary>
    private static async Task SeeItselfAsync(Akka.Cluster.Cluster cluster, CancellationToken cancel)
    {
        using var looks = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!cluster.State.Members.Any(member => member.UniqueAddress.Equals(cluster.SelfUniqueAddress) && member.Status == Akka.Cluster.MemberStatus.Up))
            await looks.WaitForNextTickAsync(cancel).ConfigureAwait(false);
    }

    private async Task<string> EndedAsync()
    {
        await System.WhenTerminated.ConfigureAwait(false);
        if (_isLeaving)
            return "it was stopped";
        return CoordinatedShutdown.Get(System).ShutdownReason switch
        {
            CoordinatedShutdown.ClusterDowningReason => "it was cut off from most of the cluster, or the others took it for dead; it gives up what it holds, and they go on. Start it again to have it join them",
            CoordinatedShutdown.ClusterLeavingReason => "it was asked to leave the cluster",
            _ => "its actor system stopped",
        };
    }

    private static async Task StopAsync(IHost? host, INodeStore store)
    {
        if (host is not null)
        {
            await host.StopAsync().ConfigureAwait(false);
            host.Dispose();
        }
        store.Dispose();
    }

    private sealed class View(IClusterRoad road) : ActorCluster(road);
}
