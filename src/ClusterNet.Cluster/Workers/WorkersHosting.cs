using Akka.Hosting;
using ClusterNet.Learning.Models;

namespace ClusterNet.Cluster.Workers;

/// <summary>The key of a node's worker host in the actor registry.</summary>
public sealed class WorkerHost
{
    private WorkerHost()
    {
    }
}

/// <summary>Adds workers to a node.</summary>
public static class WorkersHosting
{
    /// <summary>Makes this node compute gradients, with the models of <paramref name="catalog"/>.</summary>
    public static AkkaConfigurationBuilder AddWorkers(this AkkaConfigurationBuilder builder, ModelCatalog catalog) => builder.WithActors((system, registry) =>
        registry.Register<WorkerHost>(system.ActorOf(WorkerHostActor.PropsFor(catalog), WorkerHostActor.Name)));
}
