using Akka.Actor;
using Akka.Cluster;
using Akka.Event;
using Akka.Remote;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Lanes;
using ClusterNet.Cluster.Workers;
using static ClusterNet.Cluster.Training.WorkerNodesProtocol;

namespace ClusterNet.Cluster.Training;

/// <summary>
/// Watches, for all coordinators of a node, which nodes can have workers: by what the cluster says of its members, and long before that by connections that are lost. A node whose connection is lost is asked whether it is there; where it does
/// not answer at once its workers are left out.
/// </summary>
internal sealed class WorkerNodesActor : ReceiveActor, IWithTimers
{
    public const string Name = "worker-nodes";

    private static readonly TimeSpan AnswerTime = TimeSpan.FromMilliseconds(500);

    private readonly Akka.Cluster.Cluster _cluster = Akka.Cluster.Cluster.Get(Context.System);
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private readonly WorkerNodes _nodes = new();
    private readonly HashSet<IActorRef> _subscribers = [];
    private IReadOnlyList<WorkerNode> _told = [];
    private long _questions;

    public WorkerNodesActor()
    {
        Receive<Subscribe>(_ => Add(Sender));
        Receive<Terminated>(terminated => _subscribers.Remove(terminated.ActorRef));
        Receive<ClusterEvent.MemberRemoved>(removed => Update(() => _nodes.Remove(removed.Member.UniqueAddress)));
        Receive<ClusterEvent.IMemberEvent>(changed => Update(() => Set(changed.Member)));
        Receive<ClusterEvent.UnreachableMember>(unreachable => Update(() => SetReachable(unreachable.Member, false)));
        Receive<ClusterEvent.ReachableMember>(reachable => Update(() => SetReachable(reachable.Member, true)));
        Receive<WorkerProtocol.Replies.Capacity>(capacity => Update(() => _nodes.Answered(AddressOf(Sender), capacity.Workers, capacity.ThreadsPerWorker)));
        Receive<DisassociatedEvent>(lost => AskWhetherItIsThere(lost.RemoteAddress));
        Receive<LaneDisconnected>(lost => AskWhetherItIsThere(lost.Address));
        Receive<Overdue>(overdue => Update(() =>
        {
            if (_nodes.IsSilent(overdue.Address, overdue.Question))
                _log.Warning("The connection to {Node} is lost and it does not answer: its workers are left out until it does", overdue.Address);
        }));
        Receive<Tick>(_ => AskUnknown());
    }

    private enum Tick
    {
        Ask,
    }

    /// <inheritdoc/>
    public ITimerScheduler Timers { get; set; } = null!;

    public static Props PropsFor() => Props.Create(() => new WorkerNodesActor());

    protected override void PreStart()
    {
        _cluster.Subscribe(
            Self,
            ClusterEvent.SubscriptionInitialStateMode.InitialStateAsEvents,
            typeof(ClusterEvent.IMemberEvent),
            typeof(ClusterEvent.IReachabilityEvent));
        // both are hints that a node may be gone, long before the failure detector says so
        Context.System.EventStream.Subscribe(Self, typeof(DisassociatedEvent));
        Context.System.EventStream.Subscribe(Self, typeof(LaneDisconnected));
        Timers.StartPeriodicTimer(Tick.Ask, Tick.Ask, AnswerTime);
    }

    protected override void PostStop() => _cluster.Unsubscribe(Self);

    private void Add(IActorRef subscriber)
    {
        if (_subscribers.Add(subscriber))
            Context.Watch(subscriber);
        subscriber.Tell(new Changed(_told));
    }

    private void Set(Member member) =>
        _nodes.Set(member.UniqueAddress, member.HasRole(Roles.Worker), member.Status is MemberStatus.Up or MemberStatus.WeaklyUp);

    private void SetReachable(Member member, bool isReachable)
    {
        Set(member);
        _nodes.SetReachable(member.UniqueAddress, isReachable);
    }

    private void Update(Action change)
    {
        var known = _nodes.Unknown;
        change();
        if (_nodes.Unknown.Except(known).Any())
            AskUnknown();
        var now = _nodes.Usable;
        if (now.SequenceEqual(_told))
            return;
        _told = now;
        foreach (var subscriber in _subscribers)
            subscriber.Tell(new Changed(now));
    }

    private void AskUnknown()
    {
        foreach (var address in _nodes.Unknown)
            Ask(address);
    }

    private void AskWhetherItIsThere(Address address)
    {
        var overdue = new Overdue(address, ++_questions);
        if (!_nodes.Ask(address, overdue.Question))
            return;
        Ask(address);
        Timers.StartSingleTimer(overdue, overdue, AnswerTime);
    }

    private void Ask(Address address) => Context.System.ActorSelection($"{address}/user/{WorkerHostActor.Name}").Tell(new WorkerProtocol.Queries.GetCapacity(), Self);

    private Address AddressOf(IActorRef actor) => actor.Path.Address.HasLocalScope ? _cluster.SelfAddress : actor.Path.Address;

    private sealed record Overdue(Address Address, long Question) : INoSerializationVerificationNeeded, INotInfluenceReceiveTimeout;
}
