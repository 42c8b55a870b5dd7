using System.Security.Cryptography.X509Certificates;
using ClusterNet.Client.Grpc;
using ClusterNet.Client.Messages;

namespace ClusterNet.Client;

/// <summary>How a client reaches a cluster: by <see cref="UseGrpc"/> or by <see cref="UseCluster"/>.</summary>
public sealed class ClusterNetClientOptions
{
    private Func<ITransport>? _transport;

    /// <summary>How long a request may take, all tries together, where it says nothing itself.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>The first pause before a request is tried again; each further one is twice as long, up to <see cref="LongestPause"/>. Who is told when to come again waits at least so long.</summary>
    public TimeSpan FirstPause { get; set; } = TimeSpan.FromMilliseconds(50);

    /// <summary>The longest pause between two tries.</summary>
    public TimeSpan LongestPause { get; set; } = TimeSpan.FromSeconds(2);

    internal TimeProvider Clock { get; set; } = TimeProvider.System;

    /// <summary>By gRPC, to a gateway: one connection, from here to there, with a key and TLS. For programs outside the cluster's trust.</summary>
    /// <param name="gateway">http or https, host and gRPC's port</param>
    /// <param name="apiKey">with the scope <c>predict</c>; null where the gateway asks for none</param>
    /// <param name="configure">certificates and the like; null for the usual</param>
    public void UseGrpc(Uri gateway, string? apiKey = null, Action<SocketsHttpHandler>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(gateway);
        if (gateway.Scheme is not ("http" or "https"))
            throw new ArgumentException($"{gateway} is no address of a gateway: http://HOST:PORT, or https with TLS", nameof(gateway));
        _transport = () => new GrpcTransport(gateway, apiKey, configure);
    }

    /// <summary>By message, to the nodes of a cluster, which answer on a connection of their own: both sides must reach each other, and trust each other as nodes do. Goes on by another node when one is gone.</summary>
    /// <param name="nodes">HOST:PORT of some nodes, as their 'is ready at' line says</param>
    /// <param name="certificate">this program's own with its key, of the cluster's authorities; null where the cluster has no TLS</param>
    /// <param name="authorities">that nodes' certificates must come from</param>
    public void UseCluster(IReadOnlyList<string> nodes, X509Certificate2? certificate = null, X509Certificate2Collection? authorities = null)
    {
        ArgumentNullException.ThrowIfNull(nodes);
        if (nodes.Count == 0)
            throw new ArgumentException("no node is named", nameof(nodes));
        if (certificate is not null && (authorities is null || authorities.Count == 0))
            throw new ArgumentException("with TLS it must be said whose certificates are taken", nameof(authorities));
        var contacts = nodes.Select(Contact.Parse).ToArray();
        _transport = () => new ClusterTransport(contacts, certificate is null ? null : new ClientTls(certificate, authorities!), Silence);
    }

    /// <summary>By message only: after so long without an answer a request is sent again, since messages can be lost with a node.</summary>
    public TimeSpan Silence { get; set; } = TimeSpan.FromSeconds(5);

    internal void Use(ITransport transport) => _transport = () => transport;

    internal ITransport CreateTransport() =>
        _transport?.Invoke() ?? throw new InvalidOperationException("a ClusterNet client must be told how to reach the cluster: options.UseGrpc(...) or options.UseCluster(...)");
}
