using Akka.Cluster.Hosting;
using Akka.Cluster.Sharding;
using Akka.Hosting;
using ClusterNet.Cluster.Hosting;

namespace ClusterNet.Cluster.Parameters;

/// <summary>The key of the region of parameter shards in the actor registry.</summary>
public sealed class ParameterRegion
{
    private ParameterRegion()
    {
    }
}

/// <summary>Adds parameter shards to a node.</summary>
public static class ParametersHosting
{
    private const string TypeName = "parameters";

    /// <summary>Makes this node hold parameter shards; they are spread over all nodes with the role <see cref="Roles.Parameters"/>.</summary>
    public static AkkaConfigurationBuilder AddParameters(this AkkaConfigurationBuilder builder) => builder.WithShardRegion<ParameterRegion>(
        TypeName,
        (system, _, _) => _ => ParameterShardActor.PropsFor(system),
        new Extractor(),
        new ShardOptions { Role = Roles.Parameters, HandOffStopMessage = ParameterProtocol.Commands.HandOff.Instance });

    /// <summary>Adds the way to the shards of other nodes, on a node that holds none.</summary>
    public static AkkaConfigurationBuilder AddParametersProxy(this AkkaConfigurationBuilder builder) =>
        builder.WithShardRegionProxy<ParameterRegion>(TypeName, Roles.Parameters, new Extractor());

    /// <summary>One parameter shard is one shard of Cluster.Sharding, or nearly so, so that they spread evenly.</summary>
    internal sealed class Extractor() : HashCodeMessageExtractor(1000)
    {
        public override string? EntityId(object message) => (message as ParameterProtocol.IShardMessage)?.Shard.ToString();
    }
}
