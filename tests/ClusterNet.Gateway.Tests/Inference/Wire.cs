using Google.Protobuf;

namespace ClusterNet.Gateway.Tests.Inference;

/// <summary>Protobuf by hand: field numbers stand in the tests, so that a wrong one in the gateway's own file is seen.</summary>
internal sealed class Wire
{
    public byte[] Bytes { get; private set; } = [];

    public Wire Field(int number, string text) => Write(number, WireFormat.WireType.LengthDelimited, output => output.WriteString(text));

    public Wire Field(int number, byte[] bytes) => Write(number, WireFormat.WireType.LengthDelimited, output => output.WriteBytes(ByteString.CopyFrom(bytes)));

    public Wire Field(int number, Wire message) => Field(number, message.Bytes);

    public Wire Field(int number, ulong value) => Write(number, WireFormat.WireType.Varint, output => output.WriteUInt64(value));

    /// <summary>Packed, as proto3 has numbers.</summary>
    public Wire Packed(int number, params ulong[] values)
    {
        using var packed = new MemoryStream();
        using (var output = new CodedOutputStream(packed, leaveOpen: true))
        {
            foreach (var value in values)
                output.WriteUInt64(value);
        }
        return Field(number, packed.ToArray());
    }

    private Wire Write(int number, WireFormat.WireType type, Action<CodedOutputStream> write)
    {
        using var field = new MemoryStream();
        using (var output = new CodedOutputStream(field, leaveOpen: true))
        {
            output.WriteTag(number, type);
            write(output);
        }
        Bytes = [.. Bytes, .. field.ToArray()];
        return this;
    }
}
