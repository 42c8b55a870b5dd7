using Akka.Actor;
using ClusterNet.Cluster.Remoting;
using CsCheck;
using Google.Protobuf;

namespace ClusterNet.Cluster.Tests.Remoting;

/// <summary>The first words of a connection, which may be a stranger's.</summary>
public sealed class HandshakeTests
{
    [Fact]
    public void It_says_who_is_there()
    {
        Assert.Equal(new Handshake(new Address("akka.tcp", "clusternet", "node-1", 4053), ulong.MaxValue), Handshake.Of(Message("node-1", 4053)));
        // a payload, and a heartbeat
        Assert.Null(Handshake.Of(Field(1, ByteString.CopyFromUtf8("payload"))));
        Assert.Null(Handshake.Of(Field(2, ByteString.CopyFrom(0x08, 3))));
        Assert.Null(Handshake.Of(ByteString.Empty));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(65536)]
    [InlineData(uint.MaxValue)]
    public void A_port_that_there_is_not_is_none(uint port) => Assert.Null(Handshake.Of(Message("node-1", port)));

    [Fact]
    public void A_name_that_no_host_has_is_not_kept() => Assert.Null(Handshake.Of(Message(new string('a', 2000), 4053)));

    [Fact]
    public void Whatever_comes_is_a_handshake_or_none()
    {
        var whole = Message("node-1", 4053).ToByteArray();
        Gen.Select(Gen.Int[0, whole.Length], Gen.Byte.Array[0, 64]).Sample((kept, rest) =>
            _ = Handshake.Of(ByteString.CopyFrom([.. whole[..kept], .. rest])));
        Gen.Select(Gen.Int[0, whole.Length - 1], Gen.Byte).Sample((at, value) =>
        {
            var damaged = whole.ToArray();
            damaged[at] = value;
            _ = Handshake.Of(ByteString.CopyFrom(damaged));
        });
    }

    private static ByteString Message(string host, uint port)
    {
        var origin = Written(output =>
        {
            output.WriteTag(1, WireFormat.WireType.LengthDelimited);
            output.WriteString("clusternet");
            output.WriteTag(2, WireFormat.WireType.LengthDelimited);
            output.WriteString(host);
            output.WriteTag(3, WireFormat.WireType.Varint);
            output.WriteUInt32(port);
            output.WriteTag(4, WireFormat.WireType.LengthDelimited);
            output.WriteString("akka.tcp");
        });
        var said = Written(output =>
        {
            output.WriteTag(1, WireFormat.WireType.LengthDelimited);
            output.WriteBytes(origin);
            output.WriteTag(2, WireFormat.WireType.Fixed64);
            output.WriteFixed64(ulong.MaxValue);
        });
        return Field(2, Written(output =>
        {
            output.WriteTag(1, WireFormat.WireType.Varint);
            output.WriteInt32(1);
            output.WriteTag(2, WireFormat.WireType.LengthDelimited);
            output.WriteBytes(said);
        }));
    }

    private static ByteString Field(int number, ByteString bytes) => Written(output =>
    {
        output.WriteTag(number, WireFormat.WireType.LengthDelimited);
        output.WriteBytes(bytes);
    });

    private static ByteString Written(Action<CodedOutputStream> write)
    {
        using var bytes = new MemoryStream();
        using (var output = new CodedOutputStream(bytes, leaveOpen: true))
            write(output);
        return ByteString.CopyFrom(bytes.ToArray());
    }
}
