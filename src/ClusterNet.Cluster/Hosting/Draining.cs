using Akka;
using Akka.Actor;
using Akka.Hosting;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Workers;

namespace ClusterNet.Cluster.Hosting;

/// <summary>
/// What a node still finishes when it leaves, in the phases of Akka's coordinated shutdown, each bounded: requests that inference actors hold, then the slices that workers compute. After
/// that shards and jobs move to other nodes, and the node leaves the cluster.
/// </summary>
internal static class Draining
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(8);

    /// <summary>Adds the tasks for what this node has.</summary>
    public static Task Plan(ActorSystem system, IActorRegistry registry)
    {
        var shutdown = CoordinatedShutdown.Get(system);
        if (registry.TryGet<InferenceHost>(out var inference))
            shutdown.AddTask(CoordinatedShutdown.PhaseServiceRequestsDone, "drain-inference", () => WithinAsync(inference.Ask<InferenceActor.Drain>(new InferenceActor.Drain(), Patience)));
        if (registry.TryGet<WorkerHost>(out var workers))
            shutdown.AddTask(CoordinatedShutdown.PhaseServiceStop, "stop-workers", () => WithinAsync(workers.GracefulStop(Patience)));
        return Task.CompletedTask;
    }

    // what is not done by then is lost with the node, and repeated by whoever asked for it
    private static async Task<Done> WithinAsync(Task work)
    {
        try
        {
            await work.ConfigureAwait(false);
        }
        catch (Exception error) when (error is AskTimeoutException or TaskCanceledException)
        {
        }
        return Done.Instance;
    }
}
