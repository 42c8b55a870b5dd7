using System.Net;
using System.Net.Sockets;
using Akka.Actor;
using Akka.Event;

namespace ClusterNet.Cluster.Lanes;

/// <summary>The port that peers connect to. Each connection has a thread; whoever does not show in time who it is, or says what no node says, loses its connection, and nothing else happens.</summary>
internal sealed class LaneListener : IDisposable
{
    private static readonly TimeSpan LogInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan EndPatience = TimeSpan.FromSeconds(5);

    private readonly LaneNodeContext _lane;
    private readonly Socket _socket;
    private readonly Socket? _local;
    private readonly object _gate = new();
    private readonly HashSet<LaneStream> _strangers = [];
    private readonly Dictionary<Address, Guest> _guests = [];
    private readonly ManualResetEventSlim _isClosed = new();
    private long _nextLog;
    private long _nextRefusalLog;
    private int _untold;

    private LaneListener(LaneNodeContext lane, Socket socket)
    {
        _lane = lane;
        _socket = socket;
        Port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        if (!lane.Settings.HasLocalSocket || !LocalSocket.IsSupported)
            return;
        try
        {
            (_local, Local) = LocalSocket.Listen(lane.Settings.MaxStrangers);
        }
        catch (SocketException exception)
        {
            lane.Log.Info("lane: no local socket, nodes of this machine connect by TCP: {Reason}", exception.Message);
        }
    }

    public int Port { get; }

    /// <summary>The name of the socket for nodes of this machine; null where there is none.</summary>
    public string? Local { get; }

    /// <summary>Peers that memory is shared with.</summary>
    public int SharedMemories
    {
        get
        {
            lock (_gate)
                return _guests.Values.Count(guest => guest.Stream.SharesMemory);
        }
    }

    /// <exception cref="ClusterException">the address can't be listened on</exception>
    public static LaneListener Start(LaneNodeContext lane)
    {
        var settings = lane.Settings;
        try
        {
            var host = IPAddress.TryParse(settings.Host, out var address) ? address : Dns.GetHostAddresses(settings.Host)[0];
            var socket = new Socket(host.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Bind(new IPEndPoint(host, settings.Port));
                socket.Listen(settings.MaxStrangers);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
            var listener = new LaneListener(lane, socket);
            LaneThread.Start("lane, listening", () => listener.Accept(socket));
            if (listener._local is { } local)
                LaneThread.Start("lane, listening", () => listener.Accept(local));
            return listener;
        }
        catch (SocketException exception)
        {
            throw new ClusterException($"the lane can't listen on {settings.Host}:{settings.Port}: {exception.Message}; give it another host or port", exception);
        }
    }

    public void Dispose()
    {
        LaneStream[] streams;
        lock (_gate)
        {
            _isClosed.Set();
            streams = [.. _strangers, .. _guests.Values.Select(guest => guest.Stream)];
        }
        _socket.Dispose();
        _local?.Dispose();
        foreach (var stream in streams)
            stream.Close();
        _lane.Memory.Wake();
    }

    private void Accept(Socket socket)
    {
        while (!_isClosed.IsSet)
        {
            try
            {
                Welcome(socket.Accept());
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                if (_isClosed.IsSet)
                    return;
                // out of file handles, or the like: later there may be some
                LogSometimes(exception.Message);
                _isClosed.Wait(100);
            }
        }
    }

    private void Welcome(Socket socket)
    {
        LaneStream? stream = null;
        try
        {
            stream = new LaneStream(socket);
        }
        catch (SocketException)
        {
            // it is gone already
            socket.Dispose();
            return;
        }
        lock (_gate)
        {
            if (!_isClosed.IsSet && _strangers.Count < _lane.Settings.MaxStrangers && _guests.Count < _lane.Settings.MaxPeers)
            {
                _strangers.Add(stream);
                LaneThread.Start("lane, receiving", () => Serve(stream, NameOf(socket)));
                return;
            }
        }
        stream.Dispose();
        _lane.Counters.Refused();
        LogSometimes("too many connections");
    }

    private static string NameOf(Socket socket) => socket.AddressFamily == AddressFamily.Unix ? "this machine" : socket.RemoteEndPoint?.ToString() ?? "someone";

    private void Serve(LaneStream stream, string from)
    {
        Guest? guest = null;
        try
        {
            using (stream)
            {
                guest = Admit(stream);
                new LaneReader(stream, _lane.System, _lane.Settings, _lane.Memory, _lane.Counters, LogWaiting).Run();
            }
        }
#pragma warning disable CA1031 // whatever a connection does, it ends that connection and nothing else
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Report(exception, guest, stream, from);
        }
        Forget(stream, guest);
    }

    private Guest Admit(LaneStream stream)
    {
        using var deadline = new Timer(_ => stream.Close(), null, _lane.Settings.HandshakeTimeout, Timeout.InfiniteTimeSpan);
        if (_lane.Settings.Tls is { } tls)
            stream.AuthenticateAsServer(tls.ServerOptions());
        var (peer, takesMemory) = LaneHandshake.Hear(stream, _lane.Self);
        var guest = new Guest(peer, stream);
        Replace(guest);
        if (takesMemory)
            ShareMemory(stream);
        LaneHandshake.Accept(stream, _lane.Settings.MaxFrameBytes);
        _lane.Log.Debug("lane: {Address} is connected", guest.Node.Address);
        return guest;
    }

    private void ShareMemory(LaneStream stream)
    {
        if (!stream.MayShareMemory || SharedMemories >= _lane.Settings.MaxSharedMemories)
            return;
        try
        {
            stream.MakeRing();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or NotSupportedException or EntryPointNotFoundException)
        {
            _lane.Log.Info("lane: no memory is shared with a node of this machine, its messages come by the socket: {Reason}", exception.Message);
        }
    }

    /// <summary>A peer that comes again has given up its last connection: what still lies there is not to be told after what comes now.</summary>
    private void Replace(Guest guest)
    {
        while (true)
        {
            Guest? last;
            lock (_gate)
            {
                if (!_guests.TryGetValue(guest.Node.Address, out last))
                {
                    _strangers.Remove(guest.Stream);
                    _guests.Add(guest.Node.Address, guest);
                    return;
                }
                last.IsReplaced = last.Node == guest.Node;
            }
            last.Stream.Close();
            _lane.Memory.Wake();
            if (!last.Ended.Wait(EndPatience))
                throw new LaneViolationException("its last connection does not end");
        }
    }

    private void Report(Exception exception, Guest? guest, LaneStream stream, string from)
    {
        if (_isClosed.IsSet || guest?.IsReplaced == true)
            return;
        if (guest is not null && exception is not LaneViolationException)
        {
            _lane.Log.Info("lane: the connection from {From} ended: {Reason}", guest.Node.Address, exception.Message);
            return;
        }
        _lane.Counters.Refused();
        LogRefusal(
            guest?.Node.Address.ToString() ?? from,
            stream.IsClosed && exception is ObjectDisposedException or IOException ? $"it did not show in time who it is, or left ({exception.Message})" : exception.Message);
    }

    /// <summary>Strangers must not be able to fill the log.</summary>
    private void LogRefusal(string from, string reason)
    {
        int untold;
        lock (_gate)
        {
            if (Environment.TickCount64 < _nextRefusalLog)
            {
                _untold++;
                return;
            }
            _nextRefusalLog = Environment.TickCount64 + (long)LogInterval.TotalMilliseconds;
            (untold, _untold) = (_untold, 0);
        }
        _lane.Log.Warning("lane: a connection from {From} was closed, and {Untold} before it that were not told: {Reason}", from, untold, reason);
    }

    private void Forget(LaneStream stream, Guest? guest)
    {
        lock (_gate)
        {
            _strangers.Remove(stream);
            if (guest is not null && _guests.TryGetValue(guest.Node.Address, out var known) && ReferenceEquals(known, guest))
                _guests.Remove(guest.Node.Address);
        }
        if (guest is null)
            return;
        guest.Ended.Set();
        if (!_isClosed.IsSet && !guest.IsReplaced)
            _lane.System.EventStream.Publish(new LaneDisconnected(guest.Node.Address, guest.Node.Uid));
    }

    private void LogWaiting() => LogSometimes($"{_lane.Memory.Out} bytes were received and not released yet; nothing more is read until they are");

    private void LogSometimes(string what)
    {
        lock (_gate)
        {
            if (_isClosed.IsSet || Environment.TickCount64 < _nextLog)
                return;
            _nextLog = Environment.TickCount64 + (long)LogInterval.TotalMilliseconds;
        }
        _lane.Log.Warning("lane: {What}", what);
    }

    private sealed class Guest(LaneNode node, LaneStream stream)
    {
        public LaneNode Node { get; } = node;

        public LaneStream Stream { get; } = stream;

        public ManualResetEventSlim Ended { get; } = new();

        public volatile bool IsReplaced;
    }
}
