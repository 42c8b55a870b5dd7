using Akka.Actor;
using Akka.Remote.Transport;

namespace ClusterNet.Cluster.Remoting;

/// <summary>
/// Has two nodes meet on one connection when one of them was killed and is back while the other still tries to reach it. Each connects to the other then, and Akka.Remote in the one that stayed drops what it was connecting with as soon as it hears of
/// the other's new incarnation; but that connection comes about all the same, the newcomer takes it for the one to listen on, and hears nothing any more: the two take each other for dead, and both leave the cluster.
/// So of the two connections one has its turn after the other: an attempt that has said nothing yet gives way to a newcomer, and a newcomer waits for one that has.
/// </summary>
internal sealed class Encounters(TimeProvider time)
{
    /// <summary>Until Akka.Remote has certainly taken note of who a peer is now. Short to what a handshake may take.</summary>
    public static readonly TimeSpan Margin = TimeSpan.FromMilliseconds(500);

    private const int MostPeers = 4096;

    private readonly TimeProvider _time = time;
    private readonly Lock _lock = new();
    private readonly Dictionary<(string System, string? Host, int? Port), Peer> _peers = [];

    /// <summary>How many addresses it knows something of.</summary>
    internal int Known => _peers.Count;

    /// <summary>This node is about to connect.</summary>
    /// <exception cref="InvalidAssociationException">that node has just done so</exception>
    public Attempt Begin(Address remote)
    {
        lock (_lock)
        {
            var peer = PeerOf(remote);
            if (peer.CameAt is { } came && _time.GetElapsedTime(came) < Margin)
                throw GivesWay(remote);
            var attempt = new Attempt(this, peer);
            peer.Attempts.Add(attempt);
            return attempt;
        }
    }

    /// <summary>A node has connected to this one.</summary>
    /// <returns>when Akka.Remote may hear of it</returns>
    public async Task ArriveAsync(Handshake who)
    {
        while (true)
        {
            Task turn;
            lock (_lock)
            {
                var peer = PeerOf(who.Origin);
                if (peer.Attempts.FirstOrDefault(attempt => attempt.IsBefore(who.Uid)) is not { } rival)
                {
                    peer.Come(who.Uid, _time.GetTimestamp());
                    return;
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
            foreach (var idle in _peers.Where(pair => pair.Value.Attempts.Count == 0).Select(pair => pair.Key).ToArray())
                _peers.Remove(idle);
        }
        return _peers[key] = new Peer();
    }

    /// <summary>An address, and the process that has it as far as this node knows.</summary>
    internal sealed class Peer
    {
        public List<Attempt> Attempts { get; } = [];

        public ulong? Uid { get; set; }

        public long? CameAt { get; private set; }

        public void Come(ulong uid, long now)
        {
            if (Uid is { } known && known != uid)
            {
                CameAt = now;
                foreach (var attempt in Attempts)
                    attempt.GiveWay();
            }
            Uid = uid;
        }
    }

    /// <summary>A connection that this node makes.</summary>
    internal sealed class Attempt(Encounters all, Peer peer)
    {
        private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private bool _hasSpoken;
        private bool _hasSettled;
        private volatile bool _isOpen;

        /// <summary>Done when a newcomer need not wait for it any more.</summary>
        public Task Over => _over.Task;

        /// <summary>Whether it has given way to a newcomer.</summary>
        public bool HasGivenWay { get; private set; }

        /// <summary>It is about to say something; false where it must not any more.</summary>
        public bool TrySpeak()
        {
            if (_isOpen)
                return true;
            lock (all._lock)
            {
                if (HasGivenWay)
                    return false;
                return _isOpen = _hasSpoken = true;
            }
        }

        /// <summary>The other side has said who it is.</summary>
        public void Settle(ulong uid)
        {
            lock (all._lock)
            {
                var isNews = peer.Uid is { } known && known != uid;
                (peer.Uid, _hasSettled) = (uid, true);
                if (!isNews)
                {
                    _over.TrySetResult();
                    return;
                }
            }
            _ = SettleAsync();
        }

        /// <summary>It is closed.</summary>
        public void End()
        {
            lock (all._lock)
                peer.Attempts.Remove(this);
            _over.TrySetResult();
        }

        /// <summary>Whether a process that arrives has to wait for it: what this node knows of the address is of another process, or has been until a moment ago.</summary>
        internal bool IsBefore(ulong uid) => _hasSpoken && !_over.Task.IsCompleted && (_hasSettled || (peer.Uid is { } known && known != uid));

        internal void GiveWay() => HasGivenWay |= !_hasSpoken;

        private async Task SettleAsync()
        {
            await Task.Delay(Margin, all._time).ConfigureAwait(false);
            _over.TrySetResult();
        }
    }
}
