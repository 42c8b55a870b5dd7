using System.Collections.Concurrent;
using System.Net;
using System.Runtime.CompilerServices;
using System.Runtime.Serialization;
using System.Text;
using Akka;
using Akka.Actor;
using Akka.Event;
using Akka.Remote;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Lanes;

/// <summary>What the parts of a node's lane share.</summary>
internal sealed record LaneNodeContext(ExtendedActorSystem System, LaneSettings Settings, LaneNode Self, ReceiveMemory Memory, LaneCounters Counters, ILoggingAdapter Log);

/// <summary>
/// The road that messages with tensors take. To an actor of the same node that is a plain <see cref="ICanTell.Tell"/>, by reference; to another node a frame on a TCP or TLS connection. At most once, in order for
/// each pair of sender and receiver, within bounds: what exceeds them or finds no connection is dropped, counted and logged, and whoever needs an answer sends again.
/// </summary>
/// <remarks>
/// Who owns a tensor: the message carries one hold on its buffer, which passes to the lane with the call. Where the receiver is on the same node it gets that hold and gives it back once it has read the values;
/// until then nobody writes to the buffer, since its maker waits for the last hold. Where it is on another node the lane gives the hold back as soon as the bytes are written (or dropped), and the receiver gets a
/// hold on a buffer of its own.
/// </remarks>
public sealed class Lane : IExtension
{
    private readonly ConcurrentDictionary<Address, LanePeer> _peers = new();
    private readonly ConditionalWeakTable<IActorRef, byte[]> _paths = [];
    private readonly LaneNodeContext? _node;
    private readonly LaneListener? _listener;
    private volatile bool _isClosed;

    internal Lane(ExtendedActorSystem system)
    {
        // a system that has no address has no peers
        if (system.Provider is not IRemoteActorRefProvider)
            return;
        var settings = system.Settings.Setup.Get<LaneSetup>() is { HasValue: true } setup ? setup.Value.Settings : new LaneSettings();
        var self = new LaneNode(system.Name, system.Provider.DefaultAddress, AddressUidExtension.Uid(system));
        _node = new LaneNodeContext(system, settings, self, new ReceiveMemory(settings.ReceiveBytes, settings.PooledBytes), new LaneCounters(), Logging.GetLogger(system, typeof(Lane)));
        _listener = LaneListener.Start(_node);
        var at = new LaneProtocol.Replies.At(PublicHost(settings, self.Address), _listener.Port, self.Uid) { Local = _listener.Local };
        system.ActorOf(LaneActor.PropsFor(at), LaneProtocol.ActorName);
        CoordinatedShutdown.Get(system).AddTask(CoordinatedShutdown.PhaseBeforeActorSystemTerminate, "close-lane", () =>
        {
            Close();
            return Task.FromResult(Done.Instance);
        });
        system.RegisterOnTermination(Close);
    }

    /// <summary>The port that this node's lane listens on; 0 where the system has no address.</summary>
    public int Port => _listener?.Port ?? 0;

    /// <summary>The name of the socket for nodes of this machine; null where there is none.</summary>
    internal string? Local => _listener?.Local;

    /// <summary>Peers that write to memory of this node.</summary>
    internal int SharedMemories => _listener?.SharedMemories ?? 0;

    /// <summary>Buffers in other nodes' memory that have holders here.</summary>
    internal int Rented => _peers.Values.Sum(peer => peer.Rented);

    /// <summary>What it has done so far.</summary>
    public LaneStatistics Statistics => (_node?.Counters ?? new LaneCounters()).Read(_node?.Memory.Out ?? 0);

    /// <summary>The lane of a node.</summary>
    /// <exception cref="ClusterException">it can't listen where it should</exception>
    public static Lane Get(ActorSystem system)
    {
        ArgumentNullException.ThrowIfNull(system);
        return system.WithExtension<Lane, LaneExtension>();
    }

    /// <summary>Sends a message with tensors; never blocks.</summary>
    /// <param name="target">to whom</param>
    /// <param name="message">of a type that stands in a protocol as one with tensors; its holds pass to the lane</param>
    /// <param name="sender">from whom</param>
    /// <exception cref="SerializationException">it is not such a message, or larger than one may be; nothing was sent and the holds are still the caller's</exception>
    public void Tell(IActorRef target, object message, IActorRef sender)
    {
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(message);
        if (!SerializationConfiguration.LaneTypes.TryGetValue(message.GetType(), out var codec))
            throw new SerializationException($"{message.GetType().FullName} carries no tensors: tell it to the actor itself; only what a protocol's serializer adds with AddTensors travels by the lane");
        if (_node is null || target is IInternalActorRef { IsLocal: true })
        {
            target.Tell(message, sender);
            return;
        }
        var frame = LaneFrame.Of(codec, message, PathOf(target), sender is null or Nobody ? [] : PathOf(sender), _node.Settings.MaxFrameBytes);
        var peer = _peers.GetOrAdd(target.Path.Address, static (address, node) => new LanePeer(node, address), _node);
        if (_isClosed)
            peer.Close();
        peer.Offer(frame);
    }

    /// <summary>
    /// A buffer for values that will be sent to <paramref name="target"/>, of undefined content and with one holder, the caller: it lies in memory that both nodes share, and the lane only has to tell of it. To
    /// anybody else it is a buffer like others.
    /// </summary>
    /// <param name="target">who reads the values</param>
    /// <param name="length">how many, at the buffer's start and all of them in one message</param>
    /// <returns>null where there is no such memory, none free, or no use in it for so few values: any other buffer does as well</returns>
    public TensorBuffer? Rent(IActorRef target, int length)
    {
        ArgumentNullException.ThrowIfNull(target);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        return target is not IInternalActorRef { IsLocal: true } && _peers.TryGetValue(target.Path.Address, out var peer) ? peer.Rent(length) : null;
    }

    private static string PublicHost(LaneSettings settings, Address self)
    {
        if (settings.PublicHost is { } given)
            return given;
        var isAny = IPAddress.TryParse(settings.Host, out var address) && (address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any));
        return isAny ? self.Host ?? settings.Host : settings.Host;
    }

    private byte[] PathOf(IActorRef actor) =>
        _paths.GetValue(actor, known => Encoding.UTF8.GetBytes(known.Path.ToSerializationFormatWithAddress(_node!.Self.Address)));

    private void Close()
    {
        _isClosed = true;
        _listener!.Dispose();
        foreach (var peer in _peers.Values)
            peer.Close();
    }
}

/// <summary>Makes the lane of a node, once. Named in <c>akka.extensions</c>, so that a node can be found before it sends anything.</summary>
public sealed class LaneExtension : ExtensionIdProvider<Lane>
{
    /// <inheritdoc/>
    public override Lane CreateExtension(ExtendedActorSystem system) => new(system);
}
