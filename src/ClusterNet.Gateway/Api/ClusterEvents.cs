using Akka.Actor;
using Akka.Cluster;

namespace ClusterNet.Gateway.Api;

/// <summary>Tells the feed what becomes of the cluster's nodes.</summary>
internal sealed class ClusterEvents : ReceiveActor
{
    private readonly EventFeed _feed;
    private readonly Akka.Cluster.Cluster _cluster = Akka.Cluster.Cluster.Get(Context.System);

    public ClusterEvents(EventFeed feed)
    {
        _feed = feed;
        Receive<ClusterEvent.MemberUp>(change => Tell("node-up", change.Member, "has joined and is up"));
        Receive<ClusterEvent.MemberLeft>(change => Tell("node-leaving", change.Member, "leaves"));
        Receive<ClusterEvent.MemberDowned>(change => Tell("node-down", change.Member, "is taken for dead"));
        Receive<ClusterEvent.MemberRemoved>(change => Tell("node-removed", change.Member, "is gone"));
        Receive<ClusterEvent.UnreachableMember>(change => Tell("node-unreachable", change.Member, "does not answer"));
        Receive<ClusterEvent.ReachableMember>(change => Tell("node-reachable", change.Member, "answers again"));
    }

    public static Props PropsFor(EventFeed feed) => Props.Create(() => new ClusterEvents(feed));

    protected override void PreStart() => _cluster.Subscribe(Self, ClusterEvent.SubscriptionInitialStateMode.InitialStateAsEvents, typeof(ClusterEvent.IMemberEvent), typeof(ClusterEvent.IReachabilityEvent));

    protected override void PostStop() => _cluster.Unsubscribe(Self);

    private void Tell(string kind, Member member, string message)
    {
        var address = FormattableString.Invariant($"{member.Address.Host}:{member.Address.Port}");
        _feed.Add(kind, address, $"{address} {message}");
    }
}
