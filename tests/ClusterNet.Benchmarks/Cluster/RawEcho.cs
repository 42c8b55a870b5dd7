using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace ClusterNet.Benchmarks.Cluster;

/// <summary>The reference: as many bytes there and back over a plain .NET socket, each way read to the end before the answer is written.</summary>
internal sealed class RawEcho : IDisposable
{
    private readonly Socket _socket;
    private readonly byte[] _outgoing;
    private readonly byte[] _incoming;

    public RawEcho(int port, int bytes)
    {
        _socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        _socket.Connect(IPAddress.Loopback, port);
        _outgoing = GC.AllocateUninitializedArray<byte>(bytes, pinned: true);
        _incoming = GC.AllocateUninitializedArray<byte>(bytes, pinned: true);
        var length = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(length, bytes);
        _socket.Send(length);
    }

    /// <summary>Listens in a thread of its own until the process ends.</summary>
    public static int Listen()
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        new Thread(() =>
        {
            while (true)
            {
                var socket = listener.Accept();
                new Thread(() => Serve(socket)) { IsBackground = true }.Start();
            }
        })
        { IsBackground = true }.Start();
        return ((IPEndPoint)listener.LocalEndPoint!).Port;
    }

    public void Round()
    {
        _socket.Send(_outgoing);
        Receive(_socket, _incoming);
    }

    public void Dispose() => _socket.Dispose();

    private static void Serve(Socket socket)
    {
        using (socket)
        {
            socket.NoDelay = true;
            var length = new byte[sizeof(int)];
            Receive(socket, length);
            var bytes = BinaryPrimitives.ReadInt32LittleEndian(length);
            var incoming = GC.AllocateUninitializedArray<byte>(bytes, pinned: true);
            var outgoing = GC.AllocateUninitializedArray<byte>(bytes, pinned: true);
            while (Receive(socket, incoming))
                socket.Send(outgoing);
        }
    }

    private static bool Receive(Socket socket, Span<byte> into)
    {
        while (into.Length > 0)
        {
            var read = socket.Receive(into);
            if (read == 0)
                return false;
            into = into[read..];
        }
        return true;
    }
}
