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
            ToWire,
            FromWire);

    private static Wire.LaneAt ToWire(LaneProtocol.Replies.At at)
    {
        var wire = new Wire.LaneAt { Host = at.Host, Port = at.Port, Uid = at.Uid };
        if (at.Local is { } local)
            wire.Local = local;
        return wire;
    }

    private static LaneProtocol.Replies.At FromWire(Wire.LaneAt wire)
    {
        if (wire.Port is <= 0 or > 65_535)
            throw new FormatException($"{wire.Port} is not a port");
        if (wire.HasLocal && !LocalSocket.IsName(wire.Local))
            throw new FormatException("it names a socket that is no lane's");
        return new LaneProtocol.Replies.At(wire.Host, wire.Port, checked((int)wire.Uid)) { Local = wire.HasLocal ? wire.Local : null };
    }
}
