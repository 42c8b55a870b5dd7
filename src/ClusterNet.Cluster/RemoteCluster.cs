using ClusterNet.Cluster.Access;
using ClusterNet.Cluster.Hosting;

namespace ClusterNet.Cluster;

/// <summary>A cluster that runs elsewhere, asked through any of its nodes. The files that a job names are read by the nodes, not here.</summary>
public sealed class RemoteCluster : ActorCluster
{
    private readonly RemoteRoad _road;

    private RemoteCluster(RemoteRoad road)
        : base(road) => _road = road;

    /// <summary>Connects to a cluster.</summary>
    /// <param name="address">any node's, as its ready line says</param>
    /// <param name="tls">this client's certificate and the cluster's authorities; null where the cluster has no TLS</param>
    /// <param name="cancel">gives up</param>
    /// <exception cref="ClusterException">nobody is there, or it is no cluster, or TLS does not fit</exception>
    public static async Task<RemoteCluster> ConnectAsync(NodeAddress address, TlsSettings? tls = null, CancellationToken cancel = default) =>
        new(await RemoteRoad.ConnectAsync(address, tls, cancel).ConfigureAwait(false));

    /// <summary>Lets go of the cluster; what runs there goes on.</summary>
    public override async ValueTask DisposeAsync()
    {
        await _road.DisposeAsync().ConfigureAwait(false);
        await base.DisposeAsync().ConfigureAwait(false);
    }
}
