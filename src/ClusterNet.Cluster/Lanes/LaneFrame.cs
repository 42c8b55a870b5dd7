using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Runtime.Serialization;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Serialization;
using Google.Protobuf;

namespace ClusterNet.Cluster.Lanes;

/// <summary>A peer sent what no node of this cluster sends: its connection is closed.</summary>
/// <param name="message">what it was</param>
internal sealed class LaneViolationException(string message) : Exception(message);

/// <summary>
/// The start of every frame, all numbers little-endian: bytes of the recipient's path, of the sender's, of the manifest, tensors (each 16 bits), bytes of the head (32 bits); then for each tensor the number
/// of its 4-byte words (32 bits); then paths, manifest and head; then the words of the tensors. What the words mean stands in the head. Where the highest bit of the number of tensors is set, there is one, and in
/// place of its words a byte tells where they lie in the memory that both sides share.
/// </summary>
internal readonly record struct FrameStart(int Recipient, int Sender, int Manifest, int Tensors, int Head, bool IsPlaced = false)
{
    public const int Bytes = 12;

    /// <summary>The most bytes of all but the words.</summary>
    public const int MaxHead = 1 << 20;

    /// <summary>The most bytes of a path.</summary>
    public const int MaxPath = 4096;

    /// <summary>The most tensors.</summary>
    public const int MaxTensors = 256;

    private const int MaxManifest = 64;
    private const ushort Placed = 0x8000;

    /// <summary>Bytes up to the first word, without this.</summary>
    public int Rest => (Tensors * sizeof(int)) + Recipient + Sender + Manifest + Head;

    /// <exception cref="LaneViolationException">beyond a bound</exception>
    public static FrameStart Read(ReadOnlySpan<byte> bytes)
    {
        var head = BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]);
        var tensors = BinaryPrimitives.ReadUInt16LittleEndian(bytes[6..]);
        var start = new FrameStart(
            BinaryPrimitives.ReadUInt16LittleEndian(bytes),
            BinaryPrimitives.ReadUInt16LittleEndian(bytes[2..]),
            BinaryPrimitives.ReadUInt16LittleEndian(bytes[4..]),
            tensors & ~Placed,
            (int)Math.Min(head, int.MaxValue),
            (tensors & Placed) != 0);
        if (start.Head > MaxHead || start.Recipient is 0 or > MaxPath || start.Sender > MaxPath || start.Manifest is 0 or > MaxManifest || start.Tensors > MaxTensors || (start.IsPlaced && start.Tensors != 1))
            throw new LaneViolationException($"{start} is beyond what a frame may have");
        return start;
    }

    /// <exception cref="SerializationException">beyond a bound</exception>
    public void Write(Span<byte> bytes)
    {
        if (Head > MaxHead || Recipient > MaxPath || Sender > MaxPath || Manifest > MaxManifest || Tensors > MaxTensors)
            throw new SerializationException($"{this} is beyond what a frame may have");
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)Recipient);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[2..], (ushort)Sender);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[4..], (ushort)Manifest);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[6..], (ushort)(Tensors | (IsPlaced ? Placed : 0)));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[8..], (uint)Head);
    }
}

/// <summary>A message on its way out: what precedes its words as bytes, and the buffers that hold the words. Has the message's holds until <see cref="Release"/>.</summary>
internal sealed class LaneFrame
{
    /// <summary>The most bytes of a frame whose words are written with the rest of it: up to here one write costs less than the copy into it.</summary>
    public const int SmallBytes = 16 << 10;

    private readonly byte[] _start;
    private readonly FrameStart _counts;
    private readonly IReadOnlyList<TensorPayload> _tensors;
    private int _startLength;
    private int _segments;
    private int _segment;
    private int _offset;

    private LaneFrame(FrameStart counts, byte[] start, int startLength, IReadOnlyList<TensorPayload> tensors, bool isGathered, long tensorBytes)
    {
        _counts = counts;
        _start = start;
        _startLength = startLength;
        _tensors = tensors;
        _segments = isGathered ? 1 : 1 + tensors.Count;
        TensorBytes = tensorBytes;
        Bytes = startLength + (isGathered ? 0 : tensorBytes);
    }

    /// <summary>Bytes of its words.</summary>
    public long TensorBytes { get; }

    /// <summary>All its bytes.</summary>
    public long Bytes { get; }

    /// <exception cref="SerializationException">it can't be written, or is too large; the holds are still the caller's</exception>
    public static LaneFrame Of(LaneCodec codec, object message, byte[] recipient, byte[] sender, long maxTensorBytes)
    {
        var (head, tensors) = Parts(codec, message);
        var tensorBytes = 0L;
        foreach (var tensor in tensors)
            tensorBytes += tensor.Length * (long)sizeof(float);
        if (tensorBytes > maxTensorBytes)
            throw new SerializationException($"{codec.Type.Name} carries {tensorBytes} bytes of tensors, the most is {maxTensorBytes}: use more shards");
        var start = new FrameStart(recipient.Length, sender.Length, codec.Manifest.Length, tensors.Count, head.CalculateSize());
        var length = checked(FrameStart.Bytes + start.Rest);
        var isGathered = length + tensorBytes <= SmallBytes;
        if (isGathered)
            length += (int)tensorBytes;
        // and one that tells where its words lie
        var bytes = ArrayPool<byte>.Shared.Rent(length + 1);
        start.Write(bytes);
        var rest = bytes.AsSpan(FrameStart.Bytes, length - FrameStart.Bytes);
        foreach (var tensor in tensors)
        {
            BinaryPrimitives.WriteInt32LittleEndian(rest, tensor.Length);
            rest = rest[sizeof(int)..];
        }
        recipient.CopyTo(rest);
        sender.CopyTo(rest[recipient.Length..]);
        rest = rest[(recipient.Length + sender.Length)..];
        System.Text.Encoding.ASCII.GetBytes(codec.Manifest, rest);
        rest = rest[codec.Manifest.Length..];
        head.WriteTo(rest[..start.Head]);
        rest = rest[start.Head..];
        if (isGathered)
        {
            foreach (var tensor in tensors)
            {
                var words = MemoryMarshal.AsBytes(tensor.Span);
                words.CopyTo(rest);
                rest = rest[words.Length..];
            }
        }
        return new LaneFrame(start, bytes, length, tensors, isGathered, tensorBytes);
    }

    /// <summary>Writes what is left of it.</summary>
    /// <param name="stream">where to</param>
    /// <param name="most">after how many bytes to stop</param>
    /// <param name="mayWait">whether to wait while the peer takes nothing</param>
    /// <returns>whether all of it is written</returns>
    public bool Write(LaneStream stream, long most, bool mayWait)
    {
        if (_segment == 0 && _offset == 0 && stream.Ring is { } ring)
            Place(ring);
        while (_segment < _segments)
        {
            var segment = _segment == 0 ? _start.AsSpan(0, _startLength) : MemoryMarshal.AsBytes(_tensors[_segment - 1].Span);
            var rest = segment[_offset..];
            var part = rest[..(int)Math.Min(rest.Length, most)];
            if (part.Length == 0 && rest.Length > 0)
                return false;
            var written = stream.Write(part, mayWait);
            _offset += written;
            most -= written;
            if (_offset == segment.Length)
                (_segment, _offset) = (_segment + 1, 0);
            else if (written < part.Length)
                return false;
        }
        return true;
    }

    /// <summary>Puts its words where the peer reads them, if there is such a place.</summary>
    private void Place(SharedRing ring)
    {
        // words that are with the rest already need none, and what has found a place has it
        if (_segments != 2 || ring.Place(MemoryMarshal.AsBytes(_tensors[0].Span)) is not { } slot)
            return;
        (_counts with { IsPlaced = true }).Write(_start);
        _start[_startLength++] = (byte)slot;
        _segments = 1;
    }

    /// <summary>Gives the message's holds back. Once.</summary>
    public void Release()
    {
        foreach (var tensor in _tensors)
            tensor.Release();
        ArrayPool<byte>.Shared.Return(_start);
    }

    private static (IMessage Head, IReadOnlyList<TensorPayload> Tensors) Parts(LaneCodec codec, object message)
    {
        try
        {
            var parts = (codec.Head(message), codec.Tensors(message));
            foreach (var tensor in parts.Item2)
                _ = tensor.Span;
            return parts;
        }
        catch (Exception e) when (e is not (SerializationException or OutOfMemoryException))
        {
            throw new SerializationException($"{codec.Type.Name} ({codec.Manifest}) can't be written: {e.Message}", e);
        }
    }
}
