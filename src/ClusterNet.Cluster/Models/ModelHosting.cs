using Akka.Actor;
using Akka.Cluster.Hosting;
using Akka.Hosting;
using Akka.Pattern;

namespace ClusterNet.Cluster.Models;

/// <summary>The key under which Akka.Hosting's actor registry knows the cluster's registry of models: <c>IRequiredActor&lt;ModelRegistry&gt;</c>. Understands <see cref="ModelProtocol"/>.</summary>
public sealed class ModelRegistry
{
    private ModelRegistry()
    {
    }
}

/// <summary>Adds the registry of models to a node.</summary>
public static class ModelHosting
{
    private const string Name = "models";

    /// <summary>
    /// Makes this node one of those that the registry, a cluster singleton, can run on, and adds a proxy to it under the key <see cref="ModelRegistry"/>. Needs a journal and a snapshot store.
    /// </summary>
    /// <param name="builder">of the actor system</param>
    /// <param name="role">the role of all nodes that it can run on, this one among them; null for all nodes</param>
    public static AkkaConfigurationBuilder AddModelRegistry(this AkkaConfigurationBuilder builder, string? role = null) =>
        builder.WithSingleton<ModelRegistry>(Name, SupervisedProps(), new ClusterSingletonOptions { Role = role });

    /// <summary>Adds only the proxy, on a node that the registry can't run on.</summary>
    /// <param name="builder">of the actor system</param>
    /// <param name="role">the role of the nodes that it can run on; null for all nodes</param>
    public static AkkaConfigurationBuilder AddModelRegistryProxy(this AkkaConfigurationBuilder builder, string? role = null) =>
        builder.WithSingletonProxy<ModelRegistry>(Name, new ClusterSingletonOptions { Role = role });

    /// <summary>The registry with what starts it again. A singleton that stops stays gone for the life of its node, and the registry stops whenever its journal fails.</summary>
    internal static Props SupervisedProps(TimeSpan? minBackoff = null) =>
        BackoffSupervisor.Props(
            Backoff.OnStop(ModelRegistryActor.PropsFor(), "registry", minBackoff ?? TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30), 0.2, -1)
                .WithReplyWhileStopped(new Status.Failure(new ClusterException("the registry of models is starting again after its store failed: try again in a moment"))));
}
