using Akka.Hosting;

namespace ClusterNet.Cluster.Telemetry;

/// <summary>Adds what a node shows of itself.</summary>
public static class TelemetryHosting
{
    private static readonly TimeSpan TwoNodesPatience = TimeSpan.FromSeconds(10);

    /// <summary>Shows the cluster's members as this node sees them, and its lane, while its actor system runs.</summary>
    public static AkkaConfigurationBuilder AddTelemetry(this AkkaConfigurationBuilder builder) => builder.AddStartup((system, _) =>
    {
        NodeTelemetry.Watch(system);
        system.ActorOf(MembershipLogActor.PropsFor(TwoNodesPatience), "membership-log");
    });
}
