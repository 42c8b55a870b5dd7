using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using ClusterNet.Cluster.Lanes;
using ClusterNet.Core.Jobs;
using Google.Protobuf;
using Wire = ClusterNet.Cluster.Serialization.Wire;

namespace ClusterNet.Cluster.Tests.Lanes;

/// <summary>Somebody who connects to a lane and may say anything.</summary>
internal sealed class Stranger : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Socket _socket;
    private SharedRing? _ring;

    public Stranger(int port)
        : this(new TcpClient("127.0.0.1", port).Client)
    {
    }

    /// <param name="local">the name of a local socket</param>
    public Stranger(string local)
        : this(Connected(local))
    {
    }

    private Stranger(Socket socket)
    {
        _socket = socket;
        Stream = new LaneStream(_socket);
        Stream.SetPatience(Patience);
        _socket.SendTimeout = (int)Patience.TotalMilliseconds;
    }

    public LaneStream Stream { get; }

    /// <summary>Whether it takes the memory that a node of this machine offers.</summary>
    public bool TakesMemory { get; init; }

    // unlike a node it waits until there is room
    private static Socket Connected(string local)
    {
        var socket = LocalSocket.Make();
        socket.Connect(LocalSocket.At(local));
        return socket;
    }

    /// <summary>Says that it is a node of the cluster, as anybody may where there is no TLS.</summary>
    public Stranger Introduce(LaneTestNode to, int? uid = null, string cluster = LaneTestNode.Cluster, string from = "akka.tcp://lanes@10.0.0.1:1")
    {
        var (_, sharesMemory) = LaneHandshake.Introduce(
            Stream, new LaneNode(cluster, Akka.Actor.Address.Parse(from), 77), new LaneNode(cluster, to.Address, uid ?? to.Uid), TakesMemory);
        Assert.Equal(TakesMemory, sharesMemory);
        if (sharesMemory)
            _ring = new SharedRing(SealedMemory.Receive(_socket, SharedRing.FileBytes));
        return this;
    }

    /// <summary>Writes what it can: the other side may have closed already.</summary>
    public void Say(ReadOnlySpan<byte> bytes)
    {
        if (_ring is not null)
        {
            Assert.Equal(bytes.Length, _ring.Write(bytes));
            if (_ring.WakesReader())
                Call();
            return;
        }
        try
        {
            Stream.Write(bytes);
        }
        catch (IOException)
        {
            // it was refused before it had ended
        }
    }

    /// <summary>Writes somewhere into the memory, past all rules.</summary>
    public void Scribble(int offset, long value) => RandomAccess.Write(_ring!.Memory, BitConverter.GetBytes(value), offset);

    /// <summary>Wakes who reads the memory.</summary>
    public void Call()
    {
        try
        {
            Stream.Write([0]);
        }
        catch (IOException)
        {
            // it is closed already
        }
    }

    /// <summary>Says that nothing more will come, as a process that dies in between does.</summary>
    public void Stop()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // it is closed already
        }
    }

    /// <summary>Waits until the other side closes, whatever it says before.</summary>
    public void AwaitEnd()
    {
        try
        {
            while (Stream.ReadByte() >= 0)
            {
            }
        }
        catch (IOException exception) when (exception.InnerException is SocketException { SocketErrorCode: not SocketError.TimedOut })
        {
            // closed with what was sent unread
        }
    }

    public void Dispose()
    {
        Stream.Dispose();
        _ring?.Dispose();
    }

    /// <summary>A frame, with all its numbers as they should be unless they are given.</summary>
    public static byte[] Frame(
        string recipient, string manifest = "P:push", byte[]? head = null, uint[]? lengths = null, int words = 3, string sender = "", int? headLength = null, int? tensors = null)
    {
        head ??= Push(words);
        lengths ??= [(uint)words];
        using var bytes = new MemoryStream();
        Span<byte> number = stackalloc byte[sizeof(uint)];
        foreach (var value in new[] { recipient.Length, sender.Length, manifest.Length, tensors ?? lengths.Length })
        {
            BinaryPrimitives.WriteUInt16LittleEndian(number, (ushort)value);
            bytes.Write(number[..2]);
        }
        foreach (var value in lengths.Prepend((uint)(headLength ?? head.Length)))
        {
            BinaryPrimitives.WriteUInt32LittleEndian(number, value);
            bytes.Write(number);
        }
        bytes.Write(Encoding.UTF8.GetBytes(recipient + sender + manifest));
        bytes.Write(head);
        bytes.Write(new byte[words * sizeof(float)]);
        return bytes.ToArray();
    }

    /// <summary>A frame whose words lie in a place of the shared memory.</summary>
    public static byte[] Placed(string recipient, byte slot, int words = 3)
    {
        var frame = Frame(recipient, head: Push(words), lengths: [(uint)words], words: 0);
        // the highest bit of the number of tensors
        frame[7] |= 0x80;
        return [.. frame, slot];
    }

    public static byte[] Push(int length) => new Wire.ShardPush
    {
        Shard = new Wire.Shard { Job = "job", Index = 0 },
        Generation = Generation.None.Number,
        Step = 1,
        Node = new Wire.Node { Level = 0, Index = 0 },
        GradientLength = length,
        Statistics = new Wire.Statistics { Weight = 1, Loss = 1 },
    }.ToByteArray();
}
