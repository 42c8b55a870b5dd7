using Akka.Actor;
using Akka.Remote.Transport;
using Google.Protobuf;

namespace ClusterNet.Cluster.Remoting;

/// <summary>
/// The connections of this node with others, so that a node that was killed and is back at once is heard by those who still try to reach the one before it. Akka.Remote drops whatever it is just connecting with as soon as it hears of the other's new
/// incarnation, or gives up the old one. But the connection comes about all the same; the newcomer takes it for the one to listen on or to speak by, where nobody is at the other end: the two take each other for dead, and both leave the cluster. Two rules keep them together:
/// <list type="bullet">
/// <item>Where each connects to the other, one connection has its turn after the other: an attempt that has said nothing yet gives way to a newcomer, and a newcomer waits for one that has.</item>
/// <item>A connection that this node has made and says nothing by is one that Akka.Remote has dropped: all connections with that address end, and both begin anew.</item>
/// </list>
/// </summary>
internal sealed class Encounters(TimeProvider time)
{
    /// <summary>Until Akka.Remote has certainly taken note of who a peer is now. Short to what a handshake may take.</summary>
    public static readonly TimeSpan Margin = TimeSpan.FromMilliseconds(500);

    /// <summary>Until who has made a connection has said what it was made for. Soon enough that the others have not given either up.</summary>
    public static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(1500);

    private const int MostPeers = 4096;

    // the tag of an instruction, such as a handshake or a heartbeat of the connection itself: what is not, is from somebody to somebody
    private const byte Instruction = 0x12;

    private readonly TimeProvider _time = time;
    private readonly Lock _lock = new();
    private readonly Dictionary<(string System, string? Host, int? Port), Peer> _peers = [];

    /// <summary>How many addresses it knows something of.</summary>
    internal int Known => _peers.Count;

    /// <summary>This node is about to connect.</summary>
    /// <exception cref="InvalidAssociationException">that node has just done so</exception>
    public Connection Begin(Address remote)
    {
        lock (_lock)
        {
            var peer = PeerOf(remote);
            if (peer.CameAt is { } came && _time.GetElapsedTime(came) < Margin)
                throw GivesWay(remote);
            return new Connection(this, peer, isOwn: true);
        }
    }

    /// <summary>A node has connected to this one.</summary>
    /// <returns>when Akka.Remote may hear of it</returns>
    public async Task<Connection> ArriveAsync(Handshake who)
    {
        while (true)
        {
            Task turn;
            lock (_lock)
            {
                var peer = PeerOf(who.Origin);
                if (peer.Connections.FirstOrDefault(connection => connection.IsBefore(who.Uid)) is not { } rival)
                {
                    if (peer.Uid is { } known && known != who.Uid)
                    {
                        peer.CameAt = _time.GetTimestamp();
                        foreach (var connection in peer.Connections)
                            connection.GiveWay();
                    }
                    peer.Uid = who.Uid;
                    return new Connection(this, peer, isOwn: false);
                }
                turn = rival.Over;
            }
            await turn.ConfigureAwait(false);
        }
    }

    /// <summary>What an attempt ends with that has given way.</summary>
    public static InvalidAssociationException GivesWay(Address remote) => new($"{remote} has been started again and connects to this node itself");

    private Peer PeerOf(Address address)
    {
        var key = (address.System, address.Host, address.Port);
        if (_peers.TryGetValue(key, out var peer))
            return peer;
        if (_peers.Count >= MostPeers)
        {
            // clients come from another port each time
            foreach (var idle in _peers.Where(pair => pair.Value.Connections.Count == 0).Select(pair => pair.Key).ToArray())
                _peers.Remove(idle);
        }
        return _peers[key] = new Peer();
    }

    /// <summary>An address.</summary>
    internal sealed class Peer
    {
        public List<Connection> Connections { get; } = [];

        /// <summary>The process that has it, as far as this node knows.</summary>
        public ulong? Uid { get; set; }

        /// <summary>When it was last another one that connected to this node.</summary>
        public long? CameAt { get; set; }
    }

    /// <summary>One of them, from when this node begins to make it or the other has said who it is.</summary>
    internal sealed class Connection
    {
        private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly Encounters _all;
        private readonly Peer _peer;
        private bool _hasSpoken;
        private bool _hasSettled;
        private bool _hasGivenWay;
        private bool _hasEnded;
        private volatile bool _isInUse;

        internal Connection(Encounters all, Peer peer, bool isOwn)
        {
            (_all, _peer, _isInUse) = (all, peer, !isOwn);
            _peer.Connections.Add(this);
            if (!isOwn)
                _over.SetResult();
        }

        /// <summary>Closes it, told why.</summary>
        public Action<string>? Close { private get; set; }

        /// <summary>Done when a newcomer need not wait for it any more.</summary>
        public Task Over => _over.Task;

        /// <summary>Something is about to be said; false where that must not be any more.</summary>
        public bool TrySay(ByteString message)
        {
            if (_isInUse)
                return true;
            lock (_all._lock)
            {
                if (_hasGivenWay)
                    return false;
                _hasSpoken = true;
                _isInUse = !message.IsEmpty && message[0] != Instruction;
                return true;
            }
        }

        /// <summary>The other side has said who it is.</summary>
        public void Settle(ulong uid)
        {
            lock (_all._lock)
            {
                var isNews = _peer.Uid is { } known && known != uid;
                (_peer.Uid, _hasSettled) = (uid, true);
                if (!isNews)
                    _over.TrySetResult();
            }
            _ = WaitAsync();
            _ = ListenAsync();
        }

        /// <summary>It is closed.</summary>
        public void End()
        {
            lock (_all._lock)
            {
                _hasEnded = true;
                _peer.Connections.Remove(this);
            }
            _over.TrySetResult();
        }

        /// <summary>Whether a process that arrives has to wait for it: what this node knows of the address is of another process, or has been until a moment ago.</summary>
        internal bool IsBefore(ulong uid) => _hasSpoken && !_over.Task.IsCompleted && (_hasSettled || (_peer.Uid is { } known && known != uid));

        internal void GiveWay() => _hasGivenWay |= !_hasSpoken && !_over.Task.IsCompleted;

        private async Task WaitAsync()
        {
            await Task.Delay(Margin, _all._time).ConfigureAwait(false);
            _over.TrySetResult();
        }

        private async Task ListenAsync()
        {
            await Task.Delay(Silence, _all._time).ConfigureAwait(false);
            Connection[] all;
            lock (_all._lock)
            {
                if (_isInUse || _hasEnded)
                    return;
                all = [.. _peer.Connections];
            }
            foreach (var connection in all)
                connection.Close?.Invoke("nothing is said by a connection that this node has made; both begin anew");
        }
    }
}
