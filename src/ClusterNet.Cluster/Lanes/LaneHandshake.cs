using System.Buffers.Binary;
using System.Runtime.Serialization;
using Akka.Actor;
using ClusterNet.Cluster.Serialization;
using Google.Protobuf;
using Wire = ClusterNet.Cluster.Serialization.Wire;

namespace ClusterNet.Cluster.Lanes;

/// <summary>One incarnation of a node.</summary>
/// <param name="Cluster">the actor system's name</param>
/// <param name="Address">as Akka.Remote has it</param>
/// <param name="Uid">another one after each start</param>
internal sealed record LaneNode(string Cluster, Address Address, int Uid);

/// <summary>
/// How the two sides of a connection get to know each other: the one that connects says who it is and whom it means, the other one whether it is that. Eight bytes of magic, two of version, two with a length,
/// then a message. Where both can share memory, the answer is followed by a byte that brings it.
/// </summary>
internal static class LaneHandshake
{
    private const ushort Version = 1;
    private const int StartBytes = 12;
    private const int MaxBytes = 4096;

    private static ReadOnlySpan<byte> Magic => "CNetLane"u8;

    /// <summary>The connecting side.</summary>
    /// <returns>the most bytes of tensors that the peer takes in one message, and whether it sends memory now</returns>
    /// <exception cref="LaneViolationException">the peer is no lane, or not the one that is meant</exception>
    public static (long MaxFrameBytes, bool SharesMemory) Introduce(LaneStream stream, LaneNode self, LaneNode peer, bool takesMemory)
    {
        Write(stream, new Wire.LaneHello
        {
            Cluster = self.Cluster,
            FromAddress = self.Address.ToString(),
            FromUid = self.Uid,
            ToAddress = peer.Address.ToString(),
            ToUid = peer.Uid,
            TakesMemory = takesMemory,
        });
        var answer = Read<Wire.LaneAnswer>(stream, out _);
        return answer.Verdict == Wire.LaneAnswer.Types.Verdict.Accepted
            ? (answer.MaxFrameBytes, takesMemory && answer.SharesMemory)
            : throw new LaneViolationException($"the peer refuses: {answer.Verdict}");
    }

    /// <summary>The listening side, its first half: hears who the peer is, and refuses it where it means another node.</summary>
    /// <returns>who the peer is, and whether it could write to memory</returns>
    /// <exception cref="LaneViolationException">the peer is no lane, or means another node</exception>
    public static (LaneNode Peer, bool TakesMemory) Hear(LaneStream stream, LaneNode self)
    {
        var hello = Read<Wire.LaneHello>(stream, out var version);
        var verdict = Judge(hello, version, self, out var from);
        if (verdict == Wire.LaneAnswer.Types.Verdict.Accepted)
            return (from!, hello.TakesMemory);
        Write(stream, new Wire.LaneAnswer { Verdict = verdict, MaxFrameBytes = 0 });
        throw new LaneViolationException($"it is refused: {verdict}");
    }

    /// <summary>The listening side, its second half: from here on the peer sends frames.</summary>
    public static void Accept(LaneStream stream, long maxFrameBytes)
    {
        Write(stream, new Wire.LaneAnswer { Verdict = Wire.LaneAnswer.Types.Verdict.Accepted, MaxFrameBytes = maxFrameBytes, SharesMemory = stream.SharesMemory });
        if (stream.SharesMemory)
            stream.SendRing();
    }

    private static Wire.LaneAnswer.Types.Verdict Judge(Wire.LaneHello hello, ushort version, LaneNode self, out LaneNode? from)
    {
        from = null;
        if (version != Version)
            return Wire.LaneAnswer.Types.Verdict.OtherVersion;
        if (hello.Cluster != self.Cluster)
            return Wire.LaneAnswer.Types.Verdict.OtherCluster;
        if (hello.ToUid != self.Uid || AddressOf(hello.ToAddress) != self.Address)
            return Wire.LaneAnswer.Types.Verdict.OtherNode;
        if (hello.FromUid is < int.MinValue or > int.MaxValue)
            throw new LaneViolationException("no node has such a uid");
        from = new LaneNode(hello.Cluster, AddressOf(hello.FromAddress), (int)hello.FromUid);
        return Wire.LaneAnswer.Types.Verdict.Accepted;
    }

    private static Address AddressOf(string text)
    {
        try
        {
            return Address.Parse(text);
        }
        catch (Exception e) when (e is FormatException or UriFormatException or ArgumentException)
        {
            throw new LaneViolationException("what it says is no node's address");
        }
    }

    private static void Write(LaneStream stream, IMessage message)
    {
        var bytes = new byte[StartBytes + message.CalculateSize()];
        if (bytes.Length - StartBytes > MaxBytes)
            throw new LaneViolationException("the addresses are too long");
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(8), Version);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(10), (ushort)(bytes.Length - StartBytes));
        message.WriteTo(bytes.AsSpan(StartBytes));
        stream.Write(bytes);
    }

    private static T Read<T>(LaneStream stream, out ushort version)
        where T : IMessage<T>, new()
    {
        Span<byte> start = stackalloc byte[StartBytes];
        stream.Read(start);
        var length = BinaryPrimitives.ReadUInt16LittleEndian(start[10..]);
        version = BinaryPrimitives.ReadUInt16LittleEndian(start[8..]);
        if (!start.StartsWith(Magic) || length > MaxBytes)
            throw new LaneViolationException("it does not speak as a lane does");
        var bytes = new byte[length];
        stream.Read(bytes);
        try
        {
            return WireMessage.Read<T>(bytes);
        }
        catch (Exception e) when (e is SerializationException or InvalidProtocolBufferException)
        {
            throw new LaneViolationException("it does not speak as a lane does");
        }
    }
}
