using Akka.Actor;
using Akka.Cluster.Hosting;
using Akka.Cluster.Sharding;
using Akka.Hosting;
using Akka.Pattern;
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
    /// <param name="builder">of the actor system</param>
    /// <param name="time">the clock</param>
    /// <param name="resumesByItself">whether jobs that were under way when all processes died go on without being asked to; a job that a user interrupted never does</param>
    public static AkkaConfigurationBuilder AddTraining(this AkkaConfigurationBuilder builder, TimeProvider time, bool resumesByItself = false) => builder
        .WithActors((system, registry) => registry.Register<WorkerNodesActor>(system.ActorOf(WorkerNodesActor.PropsFor(), WorkerNodesActor.Name)))
        .WithSingleton<JobDirectory>("job-directory", DirectoryProps(time, resumesByItself), new ClusterSingletonOptions { Role = Roles.Coordinator })
        .WithShardRegion<JobRegion>(
            TypeName,
            (system, registry, _) =>
            {
                var self = Akka.Cluster.Cluster.Get(system).SelfAddress;
                var environment = new JobCoordinatorActor.Environment(
                    registry.Get<ParameterRegion>(),
                    registry.Get<ModelRegistry>(),
                    registry.Get<JobDirectory>(),
                    registry.Get<WorkerNodesActor>(),
                    address => system.ActorSelection($"{address}/user/{WorkerHostActor.Name}"),
                    actor => actor.Path.Address.HasLocalScope ? self : actor.Path.Address,
                    new RunningJobs(),
                    resumesByItself,
                    time);
                return id => JobCoordinatorActor.PropsFor(new JobId(id), environment);
            },
            new Extractor(),
            new ShardOptions { Role = Roles.Coordinator, HandOffStopMessage = TrainingProtocol.Commands.HandOff.Instance });

    /// <summary>Adds the way to coordinators and directory, on a node that runs neither.</summary>
    public static AkkaConfigurationBuilder AddTrainingProxy(this AkkaConfigurationBuilder builder) => builder
        .WithSingletonProxy<JobDirectory>("job-directory", new ClusterSingletonOptions { Role = Roles.Coordinator })
        .WithShardRegionProxy<JobRegion>(TypeName, Roles.Coordinator, new Extractor());

    /// <summary>The directory with what starts it again. A singleton that stops stays gone for the life of its node, and the directory stops whenever its journal fails.</summary>
    private static Props DirectoryProps(TimeProvider time, bool resumesByItself) => BackoffSupervisor.Props(
        Backoff.OnStop(
            JobDirectoryActor.PropsFor(system => ActorRegistry.For(system).TryGet<JobRegion>(out var region) ? region : ActorRefs.Nobody, resumesByItself, time),
            "directory",
            TimeSpan.FromSeconds(1),
            TimeSpan.FromSeconds(10),
            0.2,
            -1)
            .WithReplyWhileStopped(new Status.Failure(new ClusterException("the directory of jobs is starting again after its store failed: try again in a moment"))));

    internal sealed class Extractor() : HashCodeMessageExtractor(100)
    {
        public override string? EntityId(object message) => (message as TrainingProtocol.IJobMessage)?.Job.Value;
    }
}
