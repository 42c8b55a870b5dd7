using System.Net.Security;
using System.Net.Sockets;

namespace ClusterNet.Cluster.Lanes;

/// <summary>
/// A connection, plain or TLS, read and written by blocking calls on threads of its own: libtorch keeps all cores and the thread pool busy, and a thread that the kernel wakes is not behind them in any queue.
/// Where it has a <see cref="SharedRing"/> all that follows the handshake goes through that, and the socket carries no more than a byte for who waits, and the end.
/// </summary>
internal sealed class LaneStream : ILaneSource, IDisposable
{
    // the most bytes of one call to the kernel, and how many calls may follow each other before others get a turn
    private const int TurnBytes = 256 << 10;
    private const int FreeTurns = 16;
    private const int LocalBufferBytes = 4 << 20;

    // who waits is called by a byte, and seldom by more before it comes to take them
    private const int Calls = 16;

    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);

    private readonly Socket _socket;
    private readonly AutoResetEvent _room = new(false);
    private Stream _stream;
    private bool _isAtEnd;
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

    /// <summary>Whether memory may be shared with the peer: it is of this machine, and nothing is encrypted.</summary>
    public bool MayShareMemory => IsLocal && _stream is not SslStream;

    /// <summary>Whether it is.</summary>
    public bool SharesMemory => Ring is not null;

    /// <summary>What all goes through after the handshake; null for the connection itself.</summary>
    public SharedRing? Ring { get; private set; }

    /// <summary>Makes memory that the peer can write to.</summary>
    /// <exception cref="IOException">the system has none</exception>
    public void MakeRing() => Ring = new SharedRing(SealedMemory.Create(SharedRing.FileBytes));

    /// <summary>Gives it to the peer: it is read from here on.</summary>
    /// <exception cref="IOException">the connection broke</exception>
    public void SendRing() => SealedMemory.Send(_socket, Ring!.Memory);

    /// <summary>Takes the memory that the peer has made: it is written to from here on.</summary>
    /// <exception cref="LaneViolationException">it is none that can be trusted</exception>
    /// <exception cref="IOException">it can't be mapped, or the connection broke</exception>
    public void ReceiveRing() => Ring = new SharedRing(SealedMemory.Receive(_socket, SharedRing.FileBytes));

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
            var part = rest[..Math.Min(rest.Length, TurnBytes)];
            var taken = Ring is null ? Send(part) : Put(part);
            written += taken;
            if (taken > 0 && mayWait)
                TakeTurns();
            else if (taken == 0 && !mayWait)
                break;
            else if (taken == 0)
                AwaitRoom();
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
        while (!_isClosed)
        {
            if (!_socket.Poll(Tick, SelectMode.SelectRead))
                continue;
            if (Ring is null || !TakeCalls())
                return;
            _room.Set();
        }
    }

    /// <summary>Fills <paramref name="bytes"/>.</summary>
    /// <exception cref="EndOfStreamException">the peer closed before</exception>
    public void Read(Span<byte> bytes)
    {
        while (bytes.Length > TurnBytes)
        {
            ReadPart(bytes[..TurnBytes]);
            bytes = bytes[TurnBytes..];
            TakeTurns();
        }
        ReadPart(bytes);
    }

    /// <summary>Waits for the next byte, however long that takes.</summary>
    /// <returns>-1 where the peer closed</returns>
    public int ReadByte()
    {
        Span<byte> one = stackalloc byte[1];
        return ReadSome(one) == 0 ? -1 : one[0];
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
        _room.Set();
    }

    private int Send(ReadOnlySpan<byte> bytes)
    {
        var sent = _socket.Send(bytes, SocketFlags.None, out var error);
        return error switch
        {
            SocketError.Success => sent,
            SocketError.WouldBlock => 0,
            _ => throw new IOException(new SocketException((int)error).Message),
        };
    }

    private int Put(ReadOnlySpan<byte> bytes)
    {
        ObjectDisposedException.ThrowIf(_isClosed, this);
        var put = Ring!.Write(bytes);
        if (put > 0 && Ring.WakesReader())
            Call();
        return put;
    }

    private void AwaitRoom()
    {
        if (Ring is null)
            _socket.Poll(Tick, SelectMode.SelectWrite);
        else if (Ring.WriterMustWait())
            _room.WaitOne(Tick);
        ObjectDisposedException.ThrowIf(_isClosed, this);
    }

    private void ReadPart(Span<byte> bytes)
    {
        if (Ring is null)
        {
            _stream.ReadExactly(bytes);
            return;
        }
        while (bytes.Length > 0)
        {
            var read = ReadSome(bytes);
            if (read == 0)
                throw new EndOfStreamException();
            bytes = bytes[read..];
        }
    }

    private int ReadSome(Span<byte> bytes)
    {
        if (Ring is null)
            return _stream.Read(bytes);
        while (true)
        {
            ObjectDisposedException.ThrowIf(_isClosed, this);
            var taken = Ring.Take(bytes);
            if (taken > 0)
            {
                if (Ring.WakesWriter())
                    Call();
                return taken;
            }
            // what was written before the end is still to be read
            if (_isAtEnd)
                return 0;
            if (Ring.ReaderMustWait())
                _isAtEnd = !AwaitCall();
        }
    }

    // who is not blocking and finds no room for a byte has told the peer often enough
    private void Call() => Send([0]);

    private bool AwaitCall() => _stream.Read(stackalloc byte[Calls]) > 0;

    private bool TakeCalls()
    {
        var read = _socket.Receive(stackalloc byte[Calls], SocketFlags.None, out var error);
        return error == SocketError.WouldBlock || (error == SocketError.Success && read > 0);
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
        Ring?.Dispose();
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
