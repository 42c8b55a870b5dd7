using Akka.Actor;
using Akka.Cluster;
using Akka.Cluster.Hosting;
using Akka.Cluster.Sharding;
using Akka.Hosting;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Training;

/// <summary>The key of the region of job coordinators in the actor registry.</summary>
public sealed class JobRegion
{
    private JobRegion()
    {
    }
}

/// <summary>The key of the directory of jobs in the actor registry.</summary>
public sealed class JobDirectory
{
    private JobDirectory()
    {
    }
}

/// <summary>Adds job coordinators to a node.</summary>
public static class TrainingHosting
{
    private const string TypeName = "jobs";

    /// <summary>Makes this node run job coordinators, and the directory of jobs when it is the oldest. Needs <see cref="ParametersHosting.AddParameters"/> and the model registry.</summary>
    public static AkkaConfigurationBuilder AddTraining(this AkkaConfigurationBuilder builder, TimeProvider time) => builder
        .WithSingleton<JobDirectory>("job-directory", JobDirectoryActor.PropsFor(time), new ClusterSingletonOptions { Role = Roles.Coordinator })
        .WithShardRegion<JobRegion>(
            TypeName,
            (system, registry, _) =>
            {
                var environment = new JobCoordinatorActor.Environment(registry.Get<ParameterRegion>(), registry.Get<ModelRegistry>(), () => WorkerHosts(system), time);
                return id => JobCoordinatorActor.PropsFor(new JobId(id), environment);
            },
            new Extractor(),
            new ShardOptions { Role = Roles.Coordinator });

    /// <summary>Adds the way to coordinators and directory, on a node that runs neither.</summary>
    public static AkkaConfigurationBuilder AddTrainingProxy(this AkkaConfigurationBuilder builder) => builder
        .WithSingletonProxy<JobDirectory>("job-directory", new ClusterSingletonOptions { Role = Roles.Coordinator })
        .WithShardRegionProxy<JobRegion>(TypeName, Roles.Coordinator, new Extractor());

    private static IReadOnlyList<ICanTell> WorkerHosts(ActorSystem system) =>
    [
        .. Akka.Cluster.Cluster.Get(system).State.Members
            .Where(member => member.Status == MemberStatus.Up && member.HasRole(Roles.Worker))
            .Order(Member.AgeOrdering)
            .Select(member => system.ActorSelection($"{member.Address}/user/{WorkerHostActor.Name}")),
    ];

    internal sealed class Extractor() : HashCodeMessageExtractor(100)
    {
        public override string? EntityId(object message) => (message as TrainingProtocol.IJobMessage)?.Job.Value;
    }
}
