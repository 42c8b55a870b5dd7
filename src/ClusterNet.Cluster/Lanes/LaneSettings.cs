using Akka.Actor.Setup;
using ClusterNet.Cluster.Hosting;

namespace ClusterNet.Cluster.Lanes;

/// <summary>Where a node's lane listens and what it lets others cost. A system is given them as a <see cref="LaneSetup"/>; without one it listens on loopback.</summary>
public sealed record LaneSettings
{
    /// <summary>The address to listen on: an IP address, or a host name that resolves to one.</summary>
    public string Host { get; init; } = "127.0.0.1";

    /// <summary>The port to listen on; 0 for any. Peers ask for it over Akka.Remote.</summary>
    public int Port { get; init; }

    /// <summary>What peers connect to; null for <see cref="Host"/>, or where that is all addresses of the machine, for the host of Akka.Remote.</summary>
    public string? PublicHost { get; init; }

    /// <summary>Whether nodes on the same machine connect by a <see cref="LocalSocket"/>, where the system has them.</summary>
    public bool HasLocalSocket { get; init; } = true;

    /// <summary>The most peers of the same machine that memory is shared with (<see cref="SharedRing.FileBytes"/> bytes each); what others send comes by the socket.</summary>
    public int MaxSharedMemories { get; init; } = 64;

    /// <summary>The certificates of both sides; null for no encryption.</summary>
    public TlsSettings? Tls { get; init; }

    /// <summary>The most bytes of tensors in one message. A shard of 268 million parameters: larger ones are better cut into more shards.</summary>
    public long MaxFrameBytes { get; init; } = 1L << 30;

    /// <summary>
    /// The most bytes that wait to be written to one peer, beside a first message of any size; what comes then is dropped. They are no copies but buffers that their senders shared, so the bound may be wide: a
    /// worker's whole gradient should fit, or it is sent in as many rounds of repetition as it takes.
    /// </summary>
    public long SendQueueBytes { get; init; } = 2L << 30;

    /// <summary>
    /// The most bytes of tensors that were received by this node and that nobody has released yet, beside a first message of any size. Where it is reached nothing is read any more until something is released.
    /// Shards hold what they need for a step, so too small a bound would let a large model's step wait for ever: half of the memory of the machine or container.
    /// </summary>
    public long ReceiveBytes { get; init; } = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 2;

    /// <summary>The most bytes of buffers that are kept for the next messages.</summary>
    public long PooledBytes { get; init; } = 512L << 20;

    /// <summary>How long a connection may take until both sides know each other.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a peer may be silent in the middle of a message.</summary>
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The most connections that have not shown yet who they are.</summary>
    public int MaxStrangers { get; init; } = 64;

    /// <summary>The most peers that may be connected.</summary>
    public int MaxPeers { get; init; } = 1024;
}

/// <summary>Gives a system the settings of its lane.</summary>
/// <param name="settings">the settings</param>
public sealed class LaneSetup(LaneSettings settings) : Setup
{
    /// <summary>The settings.</summary>
    public LaneSettings Settings { get; } = settings;
}
