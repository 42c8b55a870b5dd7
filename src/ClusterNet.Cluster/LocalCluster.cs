using Akka.Actor;
using ClusterNet.Cluster.Access;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Serving;
using ClusterNet.Learning.Models;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Cluster;

/// <summary>A whole cluster in this process: one node on loopback with every role, its store a SQLite file in a data directory.</summary>
public sealed class LocalCluster : ActorCluster
{
    private readonly ClusterNode _node;

    private LocalCluster(ClusterNode node)
        : base(node.Road) => _node = node;

    /// <summary>The node's actor system.</summary>
    public ActorSystem System => _node.System;

    /// <summary>The models of this cluster.</summary>
    public IModelServing Serving => _node.Serving;

    /// <summary>Starts the node and waits until it is up.</summary>
    /// <param name="dataDirectory">where the store is; made if it is not there</param>
    /// <param name="catalog">the models that jobs may name</param>
    /// <param name="logging">where the node's log goes; nowhere where null</param>
    /// <param name="cancel">gives up</param>
    /// <exception cref="ClusterException">the data directory is in use or can't be used</exception>
    public static async Task<LocalCluster> StartAsync(
        string dataDirectory, ModelCatalog catalog, Action<ILoggingBuilder>? logging = null, CancellationToken cancel = default) =>
        await StartAsync(dataDirectory, catalog, logging, string.Empty, cancel).ConfigureAwait(false);

    /// <summary>The same, with HOCON that goes before all that is generated.</summary>
    internal static async Task<LocalCluster> StartAsync(
        string dataDirectory, ModelCatalog catalog, Action<ILoggingBuilder>? logging, string overrides, CancellationToken cancel)
    {
        var options = new NodeOptions
        {
            Name = "local",
            DataDirectory = dataDirectory,
            Hocon = overrides,
            // a job says what it wants, and who is in front of the machine decides when it goes on
            Workers = NodeOptions.MaxWorkers,
            ThreadsPerWorker = NodeOptions.MaxWorkers,
            ResumesJobs = false,
        };
        return new LocalCluster(await ClusterNode.StartAsync(options, catalog, logging, cancel).ConfigureAwait(false));
    }

    /// <summary>Stops the node.</summary>
    public override async ValueTask DisposeAsync()
    {
        await _node.DisposeAsync().ConfigureAwait(false);
        await base.DisposeAsync().ConfigureAwait(false);
    }
}
