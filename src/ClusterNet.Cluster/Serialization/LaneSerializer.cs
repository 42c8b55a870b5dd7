using Akka.Actor;
using ClusterNet.Cluster.Lanes;

namespace ClusterNet.Cluster.Serialization;

/// <summary>How nodes find each other's lanes. See lane.proto. What travels by the lane stands in the protocols it belongs to.</summary>
/// <param name="system">resolves actor references</param>
internal sealed class LaneSerializer(ExtendedActorSystem system) : ProtocolSerializer(system, Table, Id)
{
    /// <summary>Never changes.</summary>
    public const int Id = 7120;

    /// <summary>The messages.</summary>
    public static readonly CodecTable Table = new CodecTable("lane")
        .Add<LaneProtocol.Queries.Where, Wire.LaneWhere>("L:where", _ => new Wire.LaneWhere(), _ => new LaneProtocol.Queries.Where())
        .Add<LaneProtocol.Replies.At, Wire.LaneAt>(
            "L:at",
            m => new Wire.LaneAt { Host = m.Host, Port = m.Port, Uid = m.Uid },
            w => w.Port is > 0 and <= 65_535 ? new LaneProtocol.Replies.At(w.Host, w.Port, checked((int)w.Uid)) : throw new FormatException($"{w.Port} is not a port"));
}
