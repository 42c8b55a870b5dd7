using Akka.Actor;
using Akka.Cluster;
using Akka.Event;
using ClusterNet.Cluster.Hosting;

namespace ClusterNet.Cluster.Telemetry;

/// <summary>Says in the log of a node, for people, who joins and who is gone, and that two nodes are too few to survive the loss of any one.</summary>
internal sealed class MembershipLogActor : ReceiveActor, IWithTimers
{
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private readonly Akka.Cluster.Cluster _cluster = Akka.Cluster.Cluster.Get(Context.System);
    private readonly TimeSpan _patience;
    private readonly SortedSet<Address> _up = new(Member.AddressOrdering);

    public MembershipLogActor(TimeSpan patience)
    {
        _patience = patience;
        Receive<ClusterEvent.CurrentClusterState>(state =>
        {
            _up.UnionWith(state.Members.Where(member => member.Status == MemberStatus.Up).Select(member => member.Address));
            LookAtCount();
        });
        Receive<ClusterEvent.MemberUp>(up =>
        {
            // who was there before this node is no news
            if (_up.Add(up.Member.Address) && _up.Contains(_cluster.SelfAddress) && !IsSelf(up.Member))
                _log.Info("Node {Node} has joined: {Roles}; nodes that are up: {Count}", Name(up.Member.Address), RolesOf(up.Member), _up.Count);
            LookAtCount();
        });
        Receive<ClusterEvent.UnreachableMember>(lost => _log.Warning("Node {Node} does not answer", Name(lost.Member.Address)));
        Receive<ClusterEvent.ReachableMember>(back => _log.Info("Node {Node} answers again", Name(back.Member.Address)));
        Receive<ClusterEvent.MemberRemoved>(Removed);
        Receive<ClusterEvent.IMemberEvent>(_ => { });
        Receive<Tick>(_ => WarnOfTwo());
    }

    private enum Tick
    {
        Two,
    }

    /// <inheritdoc/>
    public ITimerScheduler Timers { get; set; } = null!;

    /// <param name="patience">how long a cluster may have two nodes before that is said: others may be about to join, or one of the two to leave</param>
    public static Props PropsFor(TimeSpan patience) => Props.Create(() => new MembershipLogActor(patience));

    protected override void PreStart() =>
        _cluster.Subscribe(Self, ClusterEvent.SubscriptionInitialStateMode.InitialStateAsSnapshot, typeof(ClusterEvent.IMemberEvent), typeof(ClusterEvent.IReachabilityEvent));

    protected override void PostStop() => _cluster.Unsubscribe(Self);

    private void Removed(ClusterEvent.MemberRemoved removed)
    {
        _up.Remove(removed.Member.Address);
        if (!IsSelf(removed.Member))
        {
            if (removed.PreviousStatus == MemberStatus.Down)
                _log.Warning("Node {Node} was lost: the cluster goes on without it; nodes that are up: {Count}", Name(removed.Member.Address), _up.Count);
            else
                _log.Info("Node {Node} has left; nodes that are up: {Count}", Name(removed.Member.Address), _up.Count);
        }
        LookAtCount();
    }

    private void LookAtCount()
    {
        if (_up.Count == 2)
            Timers.StartSingleTimer(Tick.Two, Tick.Two, _patience);
        else
            Timers.Cancel(Tick.Two);
    }

    private void WarnOfTwo() => _log.Warning(
        "The cluster has two nodes, {First} and {Second}. When the first is lost, or they lose sight of each other, the second ends too: it can't know which of them was cut off. With three nodes, of any roles, the loss of any one is survived",
        Name(_up.Min!), Name(_up.Max!));

    private bool IsSelf(Member member) => member.UniqueAddress.Equals(_cluster.SelfUniqueAddress);

    private static string Name(Address address) => NodeAddress.Of(address).ToString();

    private static string RolesOf(Member member) => string.Join(", ", member.Roles.Where(Roles.All.Contains).Order(StringComparer.Ordinal));
}
