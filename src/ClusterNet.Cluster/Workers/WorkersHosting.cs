using Akka;
using Akka.Actor;
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
    private const int MaxWorkers = 1024;

    /// <summary>How long a node that goes waits until the jobs do without its workers.</summary>
    private static readonly TimeSpan LeaveTime = TimeSpan.FromSeconds(8);

    /// <summary>Makes this node compute gradients, with the models of <paramref name="catalog"/>. When it is to go, jobs first go on without it.</summary>
    /// <param name="builder">of the actor system</param>
    /// <param name="catalog">the models that jobs may name</param>
    /// <param name="workers">the most workers of one job here</param>
    /// <param name="threadsPerWorker">the most torch threads of a worker here; jobs that want more are not computed here</param>
    /// <param name="folders">what jobs may read here; anything where null</param>
    public static AkkaConfigurationBuilder AddWorkers(
        this AkkaConfigurationBuilder builder, ModelCatalog catalog, int workers = MaxWorkers, int threadsPerWorker = int.MaxValue, DataFolders? folders = null) => builder.WithActors((system, registry) =>
    {
        var host = system.ActorOf(WorkerHostActor.PropsFor(catalog, new WorkerProtocol.Replies.Capacity(workers, threadsPerWorker), folders ?? DataFolders.Any), WorkerHostActor.Name);
        registry.Register<WorkerHost>(host);
        CoordinatedShutdown.Get(system).AddTask(CoordinatedShutdown.PhaseBeforeServiceUnbind, "workers-leave", async () =>
        {
            try
            {
                await host.Ask<WorkerProtocol.Replies.Left>(new WorkerProtocol.Commands.Leave(), LeaveTime).ConfigureAwait(false);
            }
            catch (AskTimeoutException)
            {
                // nobody let them go: the jobs will notice that they are gone
            }
            return Done.Instance;
        });
    });
}
