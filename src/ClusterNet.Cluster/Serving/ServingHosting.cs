using Akka.Cluster.Tools.Client;
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

/// <summary>The key of a node's router in the actor registry. Understands <see cref="PredictRequest"/>, answered by <see cref="ServedPrediction"/> or <see cref="ServingProtocol.Replies.Refused"/>.</summary>
public sealed class ServingRouter
{
    private ServingRouter()
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
    /// <param name="options">bounds of each model; the defaults where null</param>
    public static AkkaConfigurationBuilder AddServing(this AkkaConfigurationBuilder builder, ModelCatalog catalog, ServingOptions? options = null) =>
        builder.WithActors((system, registry) =>
        {
            var given = options ?? new ServingOptions();
            var models = registry.Get<ModelRegistry>();
            var props = InferenceHostActor.PropsFor((version, gauge) =>
            {
                var bounds = given.Of(version.Model).Actor;
                return InferenceActor.PropsFor(version, models, ServedModel.LoaderFor(catalog, bounds.ThreadsPerModel, bounds.WarmUp), bounds, gauge);
            }, HostBounds.OfThisProcess);
            registry.Register<InferenceHost>(system.ActorOf(props, InferenceHostActor.Name));
        });

    /// <summary>Makes this node route requests to those that answer. Every node does; comes after <see cref="AddServing"/>, where the node has that.</summary>
    public static AkkaConfigurationBuilder AddServingRouter(this AkkaConfigurationBuilder builder, ServingOptions? options = null) =>
        builder.WithActors((system, registry) =>
        {
            var given = options ?? new ServingOptions();
            var models = registry.Get<ModelRegistry>();
            var router = system.ActorOf(ServingRouterActor.PropsFor(models, registry.TryGet<InferenceHost>(out var own) ? own : null, given), ServingRouterActor.Name);
            registry.Register<ServingRouter>(router);
            // programs outside ask it by ClusterNet.Client
            ClusterClientReceptionist.Get(system).RegisterService(router);
        });
}
