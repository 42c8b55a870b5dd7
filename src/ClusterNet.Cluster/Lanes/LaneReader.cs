using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Runtime.Serialization;
using System.Text;
using Akka.Actor;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Core.Parameters;
using Google.Protobuf;

namespace ClusterNet.Cluster.Lanes;

/// <summary>
/// Reads frames and tells their messages to actors of this node. Everything a frame says is checked before anything is allocated for it; words go from the socket into the buffer that the actor gets.
/// </summary>
internal sealed class LaneReader(ILaneSource stream, ExtendedActorSystem system, LaneSettings settings, ReceiveMemory memory, LaneCounters counters, Action waits)
{
    private static readonly TimeSpan Rest = TimeSpan.FromMicroseconds(100);

    private readonly ActorCache _actors = new(system);
    private byte[] _rest = new byte[4096];
    private int[] _lengths = new int[4];

    /// <summary>Reads until the peer closes or the connection is closed.</summary>
    /// <exception cref="LaneViolationException">the peer sent what no node of this cluster sends</exception>
    /// <exception cref="IOException">the connection broke</exception>
    public void Run()
    {
        Span<byte> start = stackalloc byte[FrameStart.Bytes];
        while (true)
        {
            stream.SetPatience(TimeSpan.Zero);
            var asked = Stopwatch.GetTimestamp();
            var first = stream.ReadByte();
            if (first < 0)
                return;
            if (Stopwatch.GetElapsedTime(asked) > Rest)
                stream.Rested();
            stream.SetPatience(settings.StallTimeout);
            start[0] = (byte)first;
            stream.Read(start[1..]);
            if (!ReadMessage(FrameStart.Read(start)))
                return;
        }
    }

    private bool ReadMessage(FrameStart start)
    {
        if (_rest.Length < start.Rest)
            _rest = new byte[Math.Max(start.Rest, 2 * _rest.Length)];
        stream.Read(_rest.AsSpan(0, start.Rest));
        var words = ReadLengths(start);
        var at = start.Tensors * sizeof(int);
        var recipient = _actors.Find(_rest.AsSpan(at, start.Recipient));
        var sender = start.Sender == 0 ? ActorRefs.NoSender : _actors.Find(_rest.AsSpan(at + start.Recipient, start.Sender));
        at += start.Recipient + start.Sender;
        var manifest = Encoding.ASCII.GetString(_rest, at, start.Manifest);
        if (!SerializationConfiguration.LaneManifests.TryGetValue(manifest, out var codec))
            throw new LaneViolationException("it sends a kind of message that does not travel by the lane, or is of a newer version");
        if (recipient is not IInternalActorRef { IsLocal: true })
            throw new LaneViolationException("it sends a message for an actor of another node");
        if (!ActorCache.IsAlive(recipient))
        {
            if (start.IsPlaced)
                Lend().Dispose();
            else
                Skip(words * sizeof(float));
            counters.NobodyThere();
            return true;
        }
        var buffers = start.IsPlaced ? Borrow() : memory.Take(_lengths.AsSpan(0, start.Tensors), () => stream.IsClosed, waits);
        if (buffers is null)
            return false;
        var message = Receive(codec, at + start.Manifest, start.Head, buffers, start.IsPlaced);
        counters.Received(FrameStart.Bytes + start.Rest + (words * sizeof(float)));
        recipient.Tell(message, sender);
        return true;
    }

    private long ReadLengths(FrameStart start)
    {
        if (_lengths.Length < start.Tensors)
            _lengths = new int[start.Tensors];
        var words = 0L;
        for (var i = 0; i < start.Tensors; i++)
        {
            var length = BinaryPrimitives.ReadUInt32LittleEndian(_rest.AsSpan(i * sizeof(int)));
            words += length;
            // at most 256 times 4 billion: the sum can't overflow before it is found too large
            if (words * sizeof(float) > settings.MaxFrameBytes || length > Array.MaxLength / sizeof(float))
                throw new LaneViolationException($"it tells of more than {settings.MaxFrameBytes} bytes of tensors");
            _lengths[i] = (int)length;
        }
        return words;
    }

    private TensorBuffer[]? Borrow() => memory.Borrow(_lengths[0], Lend, () => stream.IsClosed, waits) is { } buffer ? [buffer] : null;

    /// <summary>The words that lie in shared memory.</summary>
    private IMemoryOwner<float> Lend()
    {
        Span<byte> slot = stackalloc byte[1];
        stream.Read(slot);
        return stream.Ring is { } ring ? ring.Lend(slot[0], _lengths[0]) : throw new LaneViolationException("it tells of words in memory, and shares none");
    }

    private object Receive(LaneCodec codec, int headOffset, int headLength, TensorBuffer[] buffers, bool arePlaced)
    {
        var tensors = new Received(buffers);
        try
        {
            foreach (var buffer in arePlaced ? [] : buffers)
                stream.Read(MemoryMarshal.AsBytes(buffer.Span));
            var message = codec.Read(_rest, headOffset, headLength, tensors);
            tensors.CheckAllTaken();
            return message;
        }
        catch (Exception exception)
        {
            tensors.Release();
            // protobuf's complaint is an IOException too, but not one of the connection
            if (exception is not InvalidProtocolBufferException and (IOException or ObjectDisposedException or OutOfMemoryException))
                throw;
            // what else a head may do wrong comes from many places: typed ids, plans
            throw new LaneViolationException($"its {codec.Type.Name} can't be read: {(exception is SerializationException or InvalidProtocolBufferException or FormatException ? exception.Message : exception.GetType().Name)}");
        }
    }

    private void Skip(long bytes)
    {
        var sink = ArrayPool<byte>.Shared.Rent(64 << 10);
        try
        {
            for (var left = bytes; left > 0;)
            {
                var part = sink.AsSpan(0, (int)Math.Min(left, sink.Length));
                stream.Read(part);
                left -= part.Length;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(sink);
        }
    }

    private sealed class Received(TensorBuffer[] buffers) : ITensors
    {
        private int _taken;

        public TensorPayload Payload(int length)
        {
            if (_taken == buffers.Length || buffers[_taken].Length != length)
                throw new SerializationException($"its head tells of a tensor of {length} values where {(_taken == buffers.Length ? "there is none" : $"one of {buffers[_taken].Length} is")}");
            return new TensorPayload(buffers[_taken++], 0, length);
        }

        public void CheckAllTaken()
        {
            if (_taken != buffers.Length)
                throw new SerializationException($"its head tells of {_taken} tensors and {buffers.Length} are there");
        }

        public void Release()
        {
            foreach (var buffer in buffers)
                buffer.Release();
        }
    }
}

/// <summary>Actors by their paths as bytes: a job has few, and each message names two.</summary>
/// <param name="system">resolves them</param>
internal sealed class ActorCache(ExtendedActorSystem system)
{
    private const int Slots = 64;

    private readonly (byte[] Path, IActorRef Actor)[] _slots = new (byte[], IActorRef)[Slots];

    /// <summary>Whether a message to an actor of this node would reach one.</summary>
    public static bool IsAlive(IActorRef actor) => actor is not (EmptyLocalActorRef or Nobody) && (actor is not ActorRefWithCell cell || !cell.Underlying.IsTerminated);

    /// <exception cref="LaneViolationException">it is no path</exception>
    public IActorRef Find(ReadOnlySpan<byte> path)
    {
        var hash = default(HashCode);
        hash.AddBytes(path);
        ref var slot = ref _slots[(uint)hash.ToHashCode() % Slots];
        // a path without an incarnation may lead to another actor later
        if (slot.Path is { } known && path.SequenceEqual(known) && IsAlive(slot.Actor))
            return slot.Actor;
        var text = Encoding.UTF8.GetString(path);
        IActorRef actor;
        try
        {
            if (!ActorPath.TryParse(text, out _))
                throw new LaneViolationException("it names what is no actor's path");
            actor = system.Provider.ResolveActorRef(text);
        }
        catch (Exception exception) when (exception is FormatException or OverflowException or ArgumentException)
        {
            // Akka does not only say no: an incarnation that is no number throws
            throw new LaneViolationException("it names what is no actor's path");
        }
        slot = (path.ToArray(), actor);
        return actor;
    }
}
