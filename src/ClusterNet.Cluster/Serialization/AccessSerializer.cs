using Akka.Actor;
using ClusterNet.Cluster.Access;
using ClusterNet.Cluster.Hosting;
using Google.Protobuf;
using static ClusterNet.Cluster.Access.AccessProtocol;

namespace ClusterNet.Cluster.Serialization;

/// <summary>What access actors say themselves. See access.proto.</summary>
/// <param name="system">resolves actor references</param>
internal sealed class AccessSerializer(ExtendedActorSystem system) : ProtocolSerializer(system, Table, Id)
{
    /// <summary>Never changes.</summary>
    public const int Id = 7110;

    /// <summary>The messages.</summary>
    public static readonly CodecTable Table = new CodecTable("access")
        .Add<Queries.GetMembers, Wire.AccessNothing>("A:get-members", _ => new Wire.AccessNothing(), _ => new Queries.GetMembers())
        .Add<Replies.Members, Wire.AccessMembers>(
            "A:members",
            m => new Wire.AccessMembers { Members = { m.Nodes.Select(ToWire) } },
            w => new Replies.Members([.. w.Members.Select(FromWire)]))
        .Add<Commands.Piece, Wire.AccessPiece>(
            "A:piece",
            m => new Wire.AccessPiece { Request = m.Request, Index = m.Index, Count = m.Count, Serializer = m.Serializer, Manifest = m.Manifest, Bytes = UnsafeByteOperations.UnsafeWrap(m.Bytes) },
            w => new Commands.Piece(w.Request, w.Index, w.Count, w.Serializer, w.Manifest, w.Bytes.Memory))
        .Add<Replies.PieceTaken, Wire.AccessPieceTaken>(
            "A:piece-taken",
            m => new Wire.AccessPieceTaken { Request = m.Request, Index = m.Index },
            w => new Replies.PieceTaken(w.Request, w.Index))
        .Add<Replies.AtWork, Wire.AccessNothing>("A:at-work", _ => new Wire.AccessNothing(), _ => new Replies.AtWork())
        .Add<Replies.Unavailable, Wire.AccessUnavailable>(
            "A:unavailable",
            m => new Wire.AccessUnavailable { Reason = m.Reason },
            w => new Replies.Unavailable(w.Reason));

    private static Wire.AccessMembers.Types.Member ToWire(NodeStatus node) =>
        new() { Host = node.Address.Host, Port = node.Address.Port, Status = node.Status, Reachable = node.Reachable, Roles = { node.Roles } };

    private static NodeStatus FromWire(Wire.AccessMembers.Types.Member member) =>
        new(new NodeAddress(member.Host, member.Port), member.Status, member.Reachable, [.. member.Roles]);
}
