using System.Net.Sockets;
using Akka.Actor;
using Akka.Event;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Lanes;

/// <summary>
/// The way to one address: a queue, and while there is something to send or a connection, a thread that connects and writes. When the connection ends, whatever waits is dropped: it was meant for the incarnation of the
/// peer that was connected, and who sent it sends it again.
/// </summary>
/// <param name="lane">whose</param>
/// <param name="address">of the peer</param>
internal sealed class LanePeer(LaneNodeContext lane, Address address)
{
    private const long BeginBytes = 2 << 20;

    private static readonly TimeSpan LogInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan AskAgainAfter = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(3);

    private readonly object _gate = new();
    private readonly Queue<LaneFrame> _queue = new();
    private LaneStream? _stream;

    // where frames may be begun by those who offer them
    private LaneStream? _ready;
    private LaneFrame? _begun;
    private bool _isWriting;
    private bool _takesMemory = lane.Settings.MaxSharedMemories > 0;
    private long _mostBytes;
    private long _queuedBytes;
    private bool _isRunning;
    private bool _isBroken;
    private bool _isClosed;
    private int _failures;
    private long _notBefore;
    private long _nextLog;
    private long _unreported;

    /// <summary>
    /// Takes a frame with its holds: it is written, or dropped. Where nothing waits, as much as the connection takes at once is written here and now, up to a bound: waking another thread takes longer where the cores
    /// are busy, and while it wakes the peer reads already.
    /// </summary>
    public void Offer(LaneFrame frame)
    {
        LaneStream? free = null;
        lock (_gate)
        {
            if (MayQueue(frame))
            {
                _queuedBytes += frame.Bytes;
                lane.Counters.Queued(frame.Bytes);
                if (_ready is null || _isWriting || _queue.Count > 0 || _isBroken || frame.TensorBytes > _mostBytes)
                {
                    _queue.Enqueue(frame);
                    if (_isRunning)
                        Monitor.Pulse(_gate);
                    else
                        StartWriting();
                    return;
                }
                _isWriting = true;
                free = _ready;
            }
        }
        if (free is null)
            Drop(frame);
        else
            Begin(frame, free);
    }

    /// <summary>Places in the peer's memory that are rented.</summary>
    public int Rented
    {
        get
        {
            lock (_gate)
                return _ready?.Ring?.Rented ?? 0;
        }
    }

    /// <summary>Memory that the peer reads where it lies, for words that will be sent to it; null where it has none to spare.</summary>
    /// <param name="length">in values</param>
    public TensorBuffer? Rent(int length)
    {
        if (length <= LaneFrame.SmallBytes / sizeof(float))
            return null;
        SharedRing? ring;
        lock (_gate)
            ring = _ready?.Ring;
        try
        {
            return ring?.Rent(length) is { } place ? new TensorBuffer(place.Memory, place) : null;
        }
        catch (ObjectDisposedException)
        {
            // the connection has just ended
            return null;
        }
    }

    /// <summary>Ends for good.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _isClosed = true;
            _stream?.Close();
            Monitor.PulseAll(_gate);
        }
    }

    private bool MayQueue(LaneFrame frame) =>
        !_isClosed
        && (_isRunning || Environment.TickCount64 >= _notBefore)
        && (_queuedBytes == 0 || _queuedBytes + frame.Bytes <= lane.Settings.SendQueueBytes);

    private void StartWriting()
    {
        _isRunning = true;
        _isBroken = false;
        LaneThread.Start($"lane to {address.Host}:{address.Port}", Run);
    }

    private void Begin(LaneFrame frame, LaneStream stream)
    {
        var isWritten = false;
        var isOver = false;
        try
        {
            isWritten = frame.Write(stream, BeginBytes, mayWait: false);
        }
        catch (Exception exception) when (exception is IOException or SocketException or ObjectDisposedException or LaneViolationException)
        {
            isOver = true;
            stream.Close();
        }
        lock (_gate)
        {
            // the connection may have ended, and another one begun, in the meantime
            if (!isOver && !isWritten && ReferenceEquals(_ready, stream))
            {
                _begun = frame;
                Monitor.Pulse(_gate);
                return;
            }
            if (ReferenceEquals(_ready, stream))
            {
                _isWriting = false;
                _isBroken |= isOver;
                if (_isBroken || _queue.Count > 0)
                    Monitor.Pulse(_gate);
            }
        }
        Finish(frame, isWritten);
    }

    private void Run()
    {
        LaneNode? connected = null;
        Exception? failure = null;
        try
        {
            var peer = Locate(out var at);
            using var stream = Connect(at);
            _mostBytes = Introduce(stream, peer, at);
            connected = peer;
            lane.Log.Debug("lane: connected to {Address} at {Where}", address, stream.SharesMemory ? "memory that it shares" : stream.IsLocal ? "its local socket" : $"{at.Host}:{at.Port}");
            stream.BeginWriting();
            LaneThread.Start($"lane to {address.Host}:{address.Port}, its end", () => AwaitEnd(stream));
            lock (_gate)
                _ready = stream.MayNotWait ? stream : null;
            while (Next(stream) is { } frame)
                Write(frame, stream);
        }
#pragma warning disable CA1031 // whatever ends a connection, the next message makes another
        catch (Exception exception)
#pragma warning restore CA1031
        {
            failure = exception;
        }
        End(connected, failure);
    }

    /// <summary>
    /// Asks the peer where its lane is. It is the incarnation that answers which everything that waits is for. A question can be lost, with an incarnation that has just ended, and what waits for its successor must not wait for that.
    /// </summary>
    private LaneNode Locate(out LaneProtocol.Replies.At at)
    {
        var actor = lane.System.ActorSelection(new RootActorPath(address) / "user" / LaneProtocol.ActorName);
        var asked = new List<Task<LaneProtocol.Replies.At>>();
        var answered = -1;
        while (answered < 0)
        {
            asked.Add(actor.Ask<LaneProtocol.Replies.At>(new LaneProtocol.Queries.Where(), lane.Settings.HandshakeTimeout));
            answered = Task.WaitAny([.. asked], AskAgainAfter);
        }
        at = asked[answered].GetAwaiter().GetResult();
        return new LaneNode(lane.Self.Cluster, address, at.Uid);
    }

    private LaneStream Connect(LaneProtocol.Replies.At at)
    {
        var local = lane.Settings.HasLocalSocket && LocalSocket.IsSupported && at.Local is { } name ? LocalSocket.Connect(name) : null;
        var socket = local ?? new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            using var deadline = new Timer(_ => socket.Dispose(), null, lane.Settings.HandshakeTimeout, Timeout.InfiniteTimeSpan);
            if (local is null)
                socket.Connect(at.Host, at.Port);
            var stream = new LaneStream(socket);
            lock (_gate)
            {
                _stream = stream;
                if (_isClosed)
                    stream.Close();
            }
            return stream;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private long Introduce(LaneStream stream, LaneNode peer, LaneProtocol.Replies.At at)
    {
        using var deadline = new Timer(_ => stream.Close(), null, lane.Settings.HandshakeTimeout, Timeout.InfiniteTimeSpan);
        if (lane.Settings.Tls is { } tls)
            stream.AuthenticateAsClient(tls.ClientOptions(at.Host));
        var (most, sharesMemory) = LaneHandshake.Introduce(stream, lane.Self, peer, _takesMemory && stream.MayShareMemory);
        if (sharesMemory)
            TakeMemory(stream);
        return most;
    }

    private void TakeMemory(LaneStream stream)
    {
        try
        {
            stream.ReceiveRing();
        }
        catch
        {
            // the next connection does without
            _takesMemory = false;
            throw;
        }
    }

    // nothing comes back on this connection but its end
    private void AwaitEnd(LaneStream stream)
    {
        try
        {
            stream.AwaitEnd();
        }
        catch (Exception exception) when (exception is IOException or SocketException or ObjectDisposedException or InvalidOperationException)
        {
            lane.Log.Debug("lane: the connection to {Address} ended: {Reason}", address, exception.Message);
        }
        stream.Close();
        lock (_gate)
        {
            if (ReferenceEquals(_stream, stream))
                _isBroken = true;
            Monitor.PulseAll(_gate);
        }
    }

    private LaneFrame? Next(LaneStream stream)
    {
        lock (_gate)
        {
            while (true)
            {
                if (_isBroken || _isClosed)
                    return null;
                if (_begun is { } begun)
                {
                    _begun = null;
                    return begun;
                }
                if (!_isWriting && _queue.TryDequeue(out var frame))
                {
                    _isWriting = true;
                    return frame;
                }
                Monitor.Wait(_gate);
                stream.Rested();
            }
        }
    }

    private void Write(LaneFrame frame, LaneStream stream)
    {
        var isWritten = false;
        try
        {
            if (frame.TensorBytes <= _mostBytes)
                isWritten = frame.Write(stream, long.MaxValue, mayWait: true);
            else
                lane.Log.Error("lane: {Address} takes at most {Most} bytes of tensors in a message, one of {Bytes} is dropped: give all nodes the same limits", address, _mostBytes, frame.TensorBytes);
        }
        finally
        {
            lock (_gate)
                _isWriting = false;
            Finish(frame, isWritten);
        }
    }

    private void Finish(LaneFrame frame, bool isWritten)
    {
        lock (_gate)
            _queuedBytes -= frame.Bytes;
        lane.Counters.Queued(-frame.Bytes);
        if (isWritten)
            lane.Counters.Sent(frame.Bytes);
        else
            lane.Counters.Dropped(1);
        frame.Release();
    }

    private void End(LaneNode? connected, Exception? failure)
    {
        LaneFrame[] left;
        lock (_gate)
        {
            left = _begun is { } begun ? [begun, .. _queue] : [.. _queue];
            _queue.Clear();
            (_stream, _ready, _begun, _isWriting) = (null, null, null, false);
            _failures = connected is null ? Math.Min(_failures + 1, 10) : 0;
            var pause = Math.Min(FirstPause.TotalMilliseconds * (1 << _failures), LongestPause.TotalMilliseconds);
            _notBefore = Environment.TickCount64 + (connected is null ? (long)pause : 0);
            _isRunning = false;
            if (_isClosed)
                failure = null;
        }
        foreach (var frame in left)
            Finish(frame, isWritten: false);
        if (failure is not null && connected is null)
            lane.Log.Warning("lane: no connection to {Address}, {Count} messages dropped: {Reason}", address, left.Length, failure.Message);
        else if (!_isClosed)
            lane.Log.Warning("lane: the connection to {Address} ended, {Count} messages dropped", address, left.Length);
        if (connected is not null)
            lane.System.EventStream.Publish(new LaneDisconnected(address, connected.Uid));
    }

    private void Drop(LaneFrame frame)
    {
        frame.Release();
        lane.Counters.Dropped(1);
        lock (_gate)
        {
            _unreported++;
            if (_isClosed || Environment.TickCount64 < _nextLog)
                return;
            _nextLog = Environment.TickCount64 + (long)LogInterval.TotalMilliseconds;
        }
        lane.Log.Warning(
            "lane: {Count} messages to {Address} dropped, {Queued} bytes wait to be written; they are sent again by whoever needs an answer", Interlocked.Exchange(ref _unreported, 0), address, _queuedBytes);
    }
}
