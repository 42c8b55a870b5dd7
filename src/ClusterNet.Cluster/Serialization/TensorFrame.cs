using System.Buffers.Binary;
using System.Runtime.Serialization;
using System.Security.Cryptography;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Core.Parameters;
using Google.Protobuf;

namespace ClusterNet.Cluster.Serialization;

/// <summary>The tensors of a message that is read, in the order they were written.</summary>
internal interface ITensors
{
    /// <summary>The next tensor, in a buffer with one hold, the receiver's.</summary>
    /// <param name="length">as the head has it, in values</param>
    /// <exception cref="SerializationException">there is none, or it has another length</exception>
    TensorPayload Payload(int length);
}

/// <summary>
/// What is stored with tensors: 4 bytes little-endian with the length of its head, the head (a protobuf message), the tensors one after the other as little-endian float32, and the SHA-256 of all that.
/// Tensors are copied once on the way out, from the buffer into the frame, and once on the way in; as a field of a protobuf message they would be copied once more.
/// </summary>
internal sealed class TensorFrame : ITensors
{
    private const int LengthBytes = sizeof(int);

    private readonly byte[] _bytes;
    private readonly int _end;
    private int _position;

    private TensorFrame(byte[] bytes, int position, int end)
    {
        _bytes = bytes;
        _position = position;
        _end = end;
    }

    /// <summary>The frame of a head and its tensors.</summary>
    /// <exception cref="SerializationException">it would be larger than an array can be, or the head larger than a message may be</exception>
    public static byte[] Write(IMessage head, IReadOnlyList<ReadOnlyMemory<float>> tensors)
    {
        var headLength = head.CalculateSize();
        WireMessage.CheckSize(head.Descriptor, headLength);
        var length = (long)LengthBytes + headLength + tensors.Sum(tensor => (long)tensor.Length * sizeof(float)) + SHA256.HashSizeInBytes;
        if (length > Array.MaxLength)
            throw new SerializationException($"{head.Descriptor.Name} would take {length} bytes, the most is {Array.MaxLength}: use more shards");

        var bytes = GC.AllocateUninitializedArray<byte>((int)length);
        BinaryPrimitives.WriteInt32LittleEndian(bytes, headLength);
        head.WriteTo(bytes.AsSpan(LengthBytes, headLength));
        var position = LengthBytes + headLength;
        foreach (var tensor in tensors)
        {
            LittleEndian.Write(tensor.Span, bytes.AsSpan(position));
            position += tensor.Length * sizeof(float);
        }
        SHA256.HashData(bytes.AsSpan(0, position), bytes.AsSpan(position));
        return bytes;
    }

    /// <summary>The message that a frame holds.</summary>
    /// <param name="bytes">the frame</param>
    /// <param name="read">takes the tensors that the head tells of, all of them</param>
    /// <param name="damaged">names what the frame is</param>
    /// <exception cref="SerializationException">cut short, of wrong lengths, or the checksum does not agree</exception>
    public static T Read<T, TWire>(byte[] bytes, Func<TWire, TensorFrame, T> read, Func<TWire, string> damaged)
        where TWire : IMessage<TWire>, new()
    {
        var end = bytes.Length - SHA256.HashSizeInBytes;
        if (end < 0 || !SHA256.HashData(bytes.AsSpan(0, end)).AsSpan().SequenceEqual(bytes.AsSpan(end)))
            throw new SerializationException($"{NameOf(bytes, end, damaged)} is damaged: its checksum does not agree with its content");
        var head = Head<TWire>(bytes, end, out var position);
        var frame = new TensorFrame(bytes, position, end);
        var message = read(head, frame);
        if (frame._position != end)
            throw new SerializationException($"{head.Descriptor.Name} tells of {frame._position - position} bytes of tensors and {end - position} are there");
        return message;
    }

    /// <inheritdoc/>
    public TensorPayload Payload(int length)
    {
        var values = Next(length);
        // it is read once and kept for as long as a job or model lives: no pool is to hold on to arrays of its length
        var buffer = new TensorBufferPool(length).Rent();
        LittleEndian.Read(values, buffer.Span);
        return new TensorPayload(buffer, 0, length);
    }

    private ReadOnlySpan<byte> Next(int length)
    {
        if (length < 0 || (long)length * sizeof(float) > _end - _position)
            throw new SerializationException($"a tensor of {length} values is told of where {_end - _position} bytes are left");
        var values = _bytes.AsSpan(_position, length * sizeof(float));
        _position += values.Length;
        return values;
    }

    private static TWire Head<TWire>(byte[] bytes, int end, out int position)
        where TWire : IMessage<TWire>, new()
    {
        if (end < LengthBytes)
            throw new SerializationException($"{bytes.Length} bytes are too few for a frame");
        var length = BinaryPrimitives.ReadInt32LittleEndian(bytes);
        if (length < 0 || length > end - LengthBytes)
            throw new SerializationException($"a head of {length} bytes is told of where {end - LengthBytes} bytes are left");
        position = LengthBytes + length;
        return WireMessage.Read<TWire>(bytes, LengthBytes, length);
    }

    private static string NameOf<TWire>(byte[] bytes, int end, Func<TWire, string> name)
        where TWire : IMessage<TWire>, new()
    {
        try
        {
            return name(Head<TWire>(bytes, end, out _));
        }
        catch (Exception e) when (e is SerializationException or InvalidProtocolBufferException or FormatException)
        {
            return $"{new TWire().Descriptor.Name} (its head can't be read either)";
        }
    }
}
