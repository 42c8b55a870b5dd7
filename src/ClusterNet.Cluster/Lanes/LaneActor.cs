using Akka.Actor;

namespace ClusterNet.Cluster.Lanes;

/// <summary>Says where the lane of its node is.</summary>
internal sealed class LaneActor : ReceiveActor
{
    public LaneActor(LaneProtocol.Replies.At at) => Receive<LaneProtocol.Queries.Where>(_ => Sender.Tell(at));

    public static Props PropsFor(LaneProtocol.Replies.At at) => Props.Create(() => new LaneActor(at));
}
