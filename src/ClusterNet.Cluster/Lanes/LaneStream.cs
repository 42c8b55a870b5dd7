using System.Net.Security;
using System.Net.Sockets;

namespace ClusterNet.Cluster.Lanes;

/// <summary>
/// A connection, plain or TLS, read and written by blocking calls on threads of its own: libtorch keeps all cores and the thread pool busy, and a thread that the kernel wakes is not behind them in any queue.
/// </summary>
internal sealed class LaneStream : ILaneSource, IDisposable
{
    // the most bytes of one call to the kernel, and how many calls may follow each other before others get a turn
    private const int TurnBytes = 256 << 10;
    private const int FreeTurns = 16;
    private const int LocalBufferBytes = 4 << 20;

    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);

    private readonly Socket _socket;
    private Stream _stream;
    private volatile bool _isClosed;
    private int _turns;

    public LaneStream(Socket socket)
    {
        _socket = socket;
        if (IsLocal)
        {
            // it does not grow by itself as that of TCP does; the system takes what it allows
            socket.SendBufferSize = LocalBufferBytes;
        }
        else
        {
            socket.NoDelay = true;
            // a machine that is gone without a word is noticed
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 5);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 2);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
        }
        _stream = new NetworkStream(socket);
    }

    /// <summary>Whether it is a <see cref="LocalSocket"/>.</summary>
    public bool IsLocal => _socket.AddressFamily == AddressFamily.Unix;

    /// <summary>Whether <see cref="Close"/> was called.</summary>
    public bool IsClosed => _isClosed;

    public void AuthenticateAsServer(SslServerAuthenticationOptions options)
    {
        var encrypted = new SslStream(_stream);
        _stream = encrypted;
        encrypted.AuthenticateAsServer(options);
    }

    public void AuthenticateAsClient(SslClientAuthenticationOptions options)
    {
        var encrypted = new SslStream(_stream);
        _stream = encrypted;
        encrypted.AuthenticateAsClient(options);
    }

    /// <summary>Whether <see cref="Write(ReadOnlySpan{byte}, bool)"/> can do without waiting: TLS can't.</summary>
    public bool MayNotWait { get; private set; }

    /// <summary>From here on a write may be told not to wait, and only <see cref="AwaitEnd"/> reads.</summary>
    public void BeginWriting()
    {
        if (_stream is SslStream)
            return;
        _socket.Blocking = false;
        MayNotWait = true;
    }

    public void Write(ReadOnlySpan<byte> bytes) => _stream.Write(bytes);

    /// <summary>Writes all of it, or without waiting as much as the connection takes now.</summary>
    /// <returns>bytes written</returns>
    public int Write(ReadOnlySpan<byte> bytes, bool mayWait)
    {
        if (!MayNotWait)
        {
            _stream.Write(bytes);
            return bytes.Length;
        }
        var written = 0;
        while (written < bytes.Length)
        {
            var rest = bytes[written..];
            written += _socket.Send(rest[..Math.Min(rest.Length, TurnBytes)], SocketFlags.None, out var error);
            if (error == SocketError.WouldBlock)
            {
                if (!mayWait)
                    break;
                _socket.Poll(Tick, SelectMode.SelectWrite);
                ObjectDisposedException.ThrowIf(_isClosed, this);
            }
            else if (error != SocketError.Success)
            {
                throw new IOException(new SocketException((int)error).Message);
            }
            else if (mayWait)
            {
                TakeTurns();
            }
        }
        return written;
    }

    /// <summary>Waits until the peer closes, or says something that it should not.</summary>
    public void AwaitEnd()
    {
        if (!MayNotWait)
        {
            ReadByte();
            return;
        }
        while (!_isClosed && !_socket.Poll(Tick, SelectMode.SelectRead))
        {
        }
    }

    /// <summary>Fills <paramref name="bytes"/>.</summary>
    /// <exception cref="EndOfStreamException">the peer closed before</exception>
    public void Read(Span<byte> bytes)
    {
        while (bytes.Length > TurnBytes)
        {
            _stream.ReadExactly(bytes[..TurnBytes]);
            bytes = bytes[TurnBytes..];
            TakeTurns();
        }
        _stream.ReadExactly(bytes);
    }

    /// <summary>Waits for the next byte, however long that takes.</summary>
    /// <returns>-1 where the peer closed</returns>
    public int ReadByte()
    {
        Span<byte> one = stackalloc byte[1];
        return _stream.Read(one) == 0 ? -1 : one[0];
    }

    /// <summary>Nothing was there to read or write for a while.</summary>
    public void Rested() => _turns = 0;

    /// <summary>How long a read may get nothing; zero for ever.</summary>
    public void SetPatience(TimeSpan patience) => _socket.ReceiveTimeout = (int)patience.TotalMilliseconds;

    /// <summary>Ends every read and write, on whatever thread.</summary>
    public void Close()
    {
        _isClosed = true;
        _socket.Dispose();
    }

    // A long stream of tensors would keep heartbeats and questions waiting for a core, for many milliseconds each; a single message must not wait behind computations.
    private void TakeTurns()
    {
        if (++_turns > FreeTurns)
            Thread.Yield();
    }

    /// <summary>For the thread that owns it.</summary>
    public void Dispose()
    {
        Close();
        _stream.Dispose();
    }
}

/// <summary>Starts threads that wait in the kernel most of the time.</summary>
internal static class LaneThread
{
    private const int StackBytes = 512 << 10;

    public static Thread Start(string name, Action work)
    {
        var thread = new Thread(() => work(), StackBytes) { IsBackground = true, Name = name };
        thread.UnsafeStart();
        return thread;
    }
}
