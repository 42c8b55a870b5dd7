using Akka.Actor;
using Google.Protobuf;

namespace ClusterNet.Cluster.Remoting;

/// <summary>Who is at the other end of a connection, as the first message of each side says it to Akka.Remote on the other.</summary>
/// <param name="Origin">the address at which it can be reached</param>
/// <param name="Uid">another one for each process that ever had the address</param>
internal readonly record struct Handshake(Address Origin, ulong Uid)
{
    // fields of Akka.Remote's messages: a message is an instruction or a payload, an instruction has a kind and what a handshake says, and that begins with an address
    private const int Instruction = 2, Said = 2, From = 1, Incarnation = 2, SystemName = 1, Host = 2, Port = 3, Protocol = 4;

    // names of hosts have at most 255 characters: what a stranger says is kept
    private const int MostBytes = 1024;

    /// <summary>What a message says of its sender; null where it is no handshake.</summary>
    public static Handshake? Of(ByteString message)
    {
        if (message.Length > MostBytes)
            return null;
        try
        {
            if (BytesOf(message, Instruction) is not { } instruction || BytesOf(instruction, Said) is not { } said || BytesOf(said, From) is not { } origin)
                return null;
            if (TextOf(origin, Protocol) is not { } protocol || TextOf(origin, SystemName) is not { } system || TextOf(origin, Host) is not { } host)
                return null;
            return NumberOf(origin, Port) is > 0 and <= ushort.MaxValue and var port && NumberOf(said, Incarnation) is { } uid ? new Handshake(new Address(protocol, system, host, (int)port), uid) : null;
        }
        catch (InvalidProtocolBufferException)
        {
            // Akka.Remote has the last word on it
            return null;
        }
    }

    private static ByteString? BytesOf(ByteString message, int field) => Find(message, field, WireFormat.WireType.LengthDelimited, static input => input.ReadBytes());

    private static string? TextOf(ByteString message, int field) => BytesOf(message, field)?.ToStringUtf8();

    private static ulong? NumberOf(ByteString message, int field)
    {
        var input = message.CreateCodedInput();
        for (uint tag; (tag = input.ReadTag()) != 0; input.SkipLastField())
        {
            if (tag == WireFormat.MakeTag(field, WireFormat.WireType.Varint))
                return input.ReadUInt64();
            if (tag == WireFormat.MakeTag(field, WireFormat.WireType.Fixed64))
                return input.ReadFixed64();
        }
        return null;
    }

    private static T? Find<T>(ByteString message, int field, WireFormat.WireType type, Func<CodedInputStream, T> read)
        where T : class
    {
        var input = message.CreateCodedInput();
        for (uint tag; (tag = input.ReadTag()) != 0; input.SkipLastField())
        {
            if (tag == WireFormat.MakeTag(field, type))
                return read(input);
        }
        return null;
    }
}
