using Akka.Hosting;
using ClusterNet.Cluster.Models;
using ClusterNet.Learning.Models;

namespace ClusterNet.Cluster.Serving;

/// <summary>The key of a node's inference host in the actor registry: <c>IRequiredActor&lt;InferenceHost&gt;</c>. Understands <see cref="ServingProtocol.Queries"/>.</summary>
public sealed class InferenceHost
{
    private InferenceHost()
    {
    }
}

/// <summary>Adds serving to a node.</summary>
public static class ServingHosting
{
    /// <summary>
    /// Makes this node answer predictions and evaluations of registered versions. Comes after <see cref="ModelHosting.AddModelRegistry"/> or <see cref="ModelHosting.AddModelRegistryProxy"/>.
    /// </summary>
    /// <param name="builder">of the actor system, whose configuration has the dispatchers of <see cref="Hosting.Dispatchers"/></param>
    /// <param name="catalog">kinds of models that can be served here</param>
    /// <param name="settings">bounds; the defaults where null</param>
    public static AkkaConfigurationBuilder AddServing(this AkkaConfigurationBuilder builder, ModelCatalog catalog, ServingSettings? settings = null) =>
        builder.WithActors((system, registry) =>
        {
            var bounds = settings ?? new ServingSettings();
            var props = InferenceHostActor.PropsFor(registry.Get<ModelRegistry>(), ServedModel.LoaderFor(catalog, bounds.ThreadsPerModel), bounds);
            registry.Register<InferenceHost>(system.ActorOf(props, InferenceHostActor.Name));
        });
}
