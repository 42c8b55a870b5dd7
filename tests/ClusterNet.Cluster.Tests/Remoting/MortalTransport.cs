using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Configuration;
using Akka.Remote.Transport;
using ClusterNet.Cluster.Remoting;

namespace ClusterNet.Cluster.Tests.Remoting;

/// <summary>
/// A node's transport that can end as if its process were killed: its connections break, and no last word of the node goes out. A node that has just started may be slow to take who connects to it.
/// </summary>
internal sealed class MortalTransport : Transport
{
    private static readonly ConcurrentDictionary<ActorSystem, MortalTransport> _all = new();

    private readonly PieceTransport _transport;
    private readonly ConcurrentBag<AssociationHandle> _connections = [];
    private readonly TaskCompletionSource _isSought = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _isQuick = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _isDead;

    /// <summary>By Akka.Remote, from its configuration.</summary>
    public MortalTransport(ActorSystem system, Config config)
    {
        (System, Config, _transport) = (system, config, new PieceTransport(system, config));
        _all[system] = this;
    }

    public override string SchemeIdentifier => _transport.SchemeIdentifier;

    public override long MaximumPayloadBytes => _transport.MaximumPayloadBytes;

    /// <summary>When somebody has connected to a node.</summary>
    public static Task SoughtAsync(ActorSystem system) => _all[system]._isSought.Task;

    /// <summary>From now on a node takes who has connected to it, and who does.</summary>
    public static void Open(ActorSystem system) => _all[system]._isQuick.SetResult();

    /// <summary>Kills a node.</summary>
    public static async Task KillAsync(ActorSystem system)
    {
        Assert.True(_all.TryRemove(system, out var transport));
        transport._isDead = true;
        await transport._transport.Shutdown();
        foreach (var connection in transport._connections)
            connection.Disassociate("killed", system.Log);
        await system.Terminate();
    }

    public override async Task<(Address, TaskCompletionSource<IAssociationEventListener>)> Listen()
    {
        var (address, below) = await _transport.Listen();
        var above = new TaskCompletionSource<IAssociationEventListener>();
        _ = above.Task.ContinueWith(listener => below.TrySetResult(new Listener(this, listener.Result)), TaskScheduler.Default);
        return (address, above);
    }

    public override bool IsResponsibleFor(Address remote) => _transport.IsResponsibleFor(remote);

    public override async Task<AssociationHandle> Associate(Address remoteAddress)
    {
        if (_isDead)
            throw new InvalidAssociationException("dead");
        var connection = await _transport.Associate(remoteAddress);
        _connections.Add(connection);
        return connection;
    }

    public override Task<bool> Shutdown() => _transport.Shutdown();

    private sealed class Listener(MortalTransport transport, IAssociationEventListener above) : IAssociationEventListener
    {
        public void Notify(IAssociationEvent ev)
        {
            if (ev is InboundAssociation inbound)
                transport._connections.Add(inbound.Association);
            _ = transport._isQuick.Task.ContinueWith(_ => above.Notify(ev), TaskScheduler.Default);
            transport._isSought.TrySetResult();
        }
    }
}
