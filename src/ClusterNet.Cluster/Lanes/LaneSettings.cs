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

    /// <summary>What peers connect to; null for <see cref="Host"/>.</summary>
    public string? PublicHost { get; init; }

    /// <summary>The certificates of both sides; null for no encryption.</summary>
    public TlsSettings? Tls { get; init; }
}

/// <summary>Gives a system the settings of its lane.</summary>
/// <param name="settings">the settings</param>
public sealed class LaneSetup(LaneSettings settings) : Setup
{
    /// <summary>The settings.</summary>
    public LaneSettings Settings { get; } = settings;
}
