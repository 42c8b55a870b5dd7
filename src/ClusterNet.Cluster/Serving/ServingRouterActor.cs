using Akka.Actor;
using Akka.Cluster;
using Akka.Event;
using Akka.Remote;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Lanes;
using ClusterNet.Cluster.Models;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Serving;

/// <summary>
/// One per node: sends each <see cref="PredictRequest"/> to a version of its model, on the inference node that has the least to do. A prediction changes nothing, so what a node did not answer goes to another one while there
/// is time. It knows who waits: whatever fails, every request is answered.
/// </summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001", Justification = "an actor disposes of what it owns in PostStop")]
internal sealed partial class ServingRouterActor : ReceiveActor, IWithTimers
{
    /// <summary>The actor's name on every node.</summary>
    public const string Name = "serving";

    private readonly IActorRef _registry;
    private readonly ServingOptions _options;
    private readonly Func<double> _draw;
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private readonly Akka.Cluster.Cluster _cluster = Akka.Cluster.Cluster.Get(Context.System);
    private readonly RouteBook _routes = new();
    private readonly Dictionary<Address, IActorRef> _hosts = [];
    private readonly ReplicaBook<IActorRef> _replicas;
    private readonly IActorRef? _own;
    private long _question;
    private long _answered;

    public ServingRouterActor(IActorRef registry, IActorRef? own, ServingOptions options, Func<double> draw)
    {
        (_registry, _own, _options, _draw) = (registry, own, options, draw);
        _replicas = new(own);
        ReceiveRequests();
        ReceivePreparations();
        ReceiveTraffic();
        Receive<ModelProtocol.Replies.Table>(OnTable);
        Receive<Tick>(tick => tick == Tick.Check, _ => Check());
        Receive<Status.Failure>(_ => { }); // a registry that is starting again: asked at the next check
        Receive<Replies.Status>(_ => SetUsable(Sender, true));
        Receive<ClusterEvent.MemberUp>(up => Add(up.Member));
        Receive<ClusterEvent.UnreachableMember>(lost => SetUsable(HostOf(lost.Member.Address), false));
        Receive<ClusterEvent.ReachableMember>(found => Add(found.Member));
        Receive<ClusterEvent.MemberRemoved>(removed => Remove(removed.Member.Address));
        Receive<ClusterEvent.IMemberEvent>(leaving => SetUsable(HostOf(leaving.Member.Address), leaving.Member.Status is MemberStatus.Up));
        Receive<DisassociatedEvent>(lost => Suspect(lost.RemoteAddress));
        Receive<LaneDisconnected>(lost => Suspect(lost.Address));
        Receive<ClusterEvent.IClusterDomainEvent>(_ => { });
    }

    private enum Tick
    {
        Check,
        Due,
    }

    /// <inheritdoc/>
    public ITimerScheduler Timers { get; set; } = null!;

    private static TimeSpan Now => Context.System.Scheduler.MonotonicClock;

    /// <param name="registry">of models</param>
    /// <param name="own">this node's inference host; null where it has none</param>
    /// <param name="options">of each model</param>
    /// <param name="draw">0 to below 1, by chance</param>
    public static Props PropsFor(IActorRef registry, IActorRef? own, ServingOptions options, Func<double>? draw = null) =>
        Props.Create(() => new ServingRouterActor(registry, own, options, draw ?? Random.Shared.NextDouble));

    /// <summary>How a model is served, as this router sees it. Answered by <see cref="View"/>.</summary>
    public sealed record GetView : INoSerializationVerificationNeeded;

    /// <summary>As it is now.</summary>
    /// <param name="IsKnown">whether the registry has ever answered</param>
    /// <param name="Models">the registry's last word on each</param>
    /// <param name="Shares">of versions, by model</param>
    /// <param name="Failures">why versions do not follow</param>
    /// <param name="Shadows">what was seen of each shadow</param>
    /// <param name="Hosts">of nodes that can be asked</param>
    /// <param name="Awaited">what was in use when this node joined and is to be in its memory, and is not yet</param>
    public sealed record View(
        bool IsKnown,
        IReadOnlyList<ModelEntry> Models,
        IReadOnlyDictionary<string, IReadOnlyList<(int Version, double Share)>> Shares,
        IReadOnlyDictionary<ModelVersionId, string> Failures,
        IReadOnlyDictionary<ModelVersionId, ShadowStatistics> Shadows,
        IReadOnlyList<IActorRef> Hosts,
        IReadOnlyList<ModelVersionId> Awaited) : INoSerializationVerificationNeeded;

    /// <inheritdoc/>
    protected override void PreStart()
    {
        _cluster.Subscribe(Self, ClusterEvent.SubscriptionInitialStateMode.InitialStateAsEvents, typeof(ClusterEvent.IMemberEvent), typeof(ClusterEvent.IReachabilityEvent));
        // hints that a node may be gone, long before the failure detector says so
        Context.System.EventStream.Subscribe(Self, typeof(DisassociatedEvent));
        Context.System.EventStream.Subscribe(Self, typeof(LaneDisconnected));
        AskTable();
        Timers.StartPeriodicTimer(Tick.Check, Tick.Check, _options.CheckInterval);
    }

    /// <inheritdoc/>
    protected override void PostStop()
    {
        _cluster.Unsubscribe(Self);
        RefuseAll();
        _due.Dispose();
    }

    private void Add(Member member)
    {
        if (member.Status is not MemberStatus.Up || !member.HasRole(Roles.Inference))
            return;
        var isOwn = member.UniqueAddress.Equals(_cluster.SelfUniqueAddress);
        if (isOwn && _own is null)
            return;
        var host = isOwn ? _own! : ((ExtendedActorSystem)Context.System).Provider.ResolveActorRef(new RootActorPath(member.Address) / "user" / InferenceHostActor.Name);
        _hosts[member.Address] = host;
        _replicas.Add(host, NodeNameRole.Of(member) ?? member.Address.HostPort(), member.Address.ToString());
        PrepareWhatIsWanted();
        KeepLoaded();
    }

    private IActorRef? HostOf(Address address) => _hosts.GetValueOrDefault(address);

    private void Remove(Address address)
    {
        if (!_hosts.Remove(address, out var host))
            return;
        _replicas.Remove(host);
        // who comes back at this address may be another machine
        foreach (var nodes in _standBack.Values)
            nodes.Remove(host);
        _warm.Forget(host);
        SendElsewhere(host);
        ForgetPreparations(host);
    }

    private void SetUsable(IActorRef? host, bool isUsable)
    {
        if (host is null || !_replicas.SetUsable(host, isUsable))
            return;
        if (isUsable)
        {
            PrepareWhatIsWanted();
            return;
        }
        SendElsewhere(host);
        ForgetPreparations(host);
    }

    /// <summary>A connection is lost: what the node has goes elsewhere, and it gets nothing new until it says that it is there.</summary>
    private void Suspect(Address address)
    {
        if (HostOf(address) is not { } host || host.Equals(_own) || !_replicas.IsUsable(host))
            return;
        _log.Info("The connection to {Node} is lost: requests go elsewhere until it answers", address);
        SetUsable(host, false);
        host.Tell(new Queries.GetStatus());
    }

    private void Check()
    {
        AskTable();
        foreach (var host in _hosts.Values.Where(host => !_replicas.IsUsable(host)))
            host.Tell(new Queries.GetStatus());
        PrepareWhatIsWanted();
        KeepLoaded();
        JudgeCanaries();
        RefuseParked();
    }

    private void AskTable()
    {
        _usedHere = _routes.Used(Now);
        _registry.Tell(new ModelProtocol.Queries.GetTable(_routes.Revision) { Question = ++_question, Used = [.. _usedHere.Union(KeptLoaded())] });
    }

    private void OnTable(ModelProtocol.Replies.Table table)
    {
        if (table.Models is { } models && table.Revision >= _routes.Revision)
        {
            var unloaded = models.Where(entry => entry.Traffic.IsUnloaded && _routes.EntryOf(entry.Model) is { Traffic.IsUnloaded: false }).ToArray();
            _routes.Update(table.Revision, models, Now);
            foreach (var gone in _standBack.Keys.Where(version => _routes.EntryOf(version.Model)?.Versions.Contains(version.Version) != true).ToArray())
                _standBack.Remove(gone);
            foreach (var entry in unloaded)
                Release(entry.Versions.Select(number => new ModelVersionId(entry.Model, number)));
            _warm.Keep(version => _routes.EntryOf(version.Model)?.Versions.Contains(version.Version) == true);
            ApplySettings();
            PrepareWhatIsWanted();
        }
        if (table.Question > 0)
        {
            _usedAnywhere = table.Used;
            if (!_hasCaughtUp)
                KeepLoaded();
        }
        _answered = Math.Max(_answered, table.Question);
        RouteParked();
    }
}
