using Akka.Actor;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Faults;

namespace ClusterNet.Cluster.Access;

/// <summary>Finds a node that allows a job's workers as many torch threads as they want and has it prepare the job; where no node does, the job is refused. Lives for one job.</summary>
internal sealed class PreparationRouter : ReceiveActor, IWithTimers
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    private readonly WorkerProtocol.Commands.Prepare _prepare;
    private readonly IActorRef _client;
    private readonly IReadOnlyList<ActorSelection> _hosts;
    private int _silent;
    private int _most;

    public PreparationRouter(WorkerProtocol.Commands.Prepare prepare, IActorRef client, IReadOnlyList<ActorSelection> hosts)
    {
        (_prepare, _client, _hosts, _silent) = (prepare, client, hosts, hosts.Count);
        Receive<WorkerProtocol.Replies.Capacity>(Answered);
        // whoever did not answer may allow it: the host that prepares decides nothing about threads
        Receive<Tick>(_ => Send(_hosts[0]));
    }

    private enum Tick
    {
        Overdue,
    }

    /// <inheritdoc/>
    public ITimerScheduler Timers { get; set; } = null!;

    private int Wanted => _prepare.Spec.Training.ThreadsPerWorker;

    /// <param name="prepare">the job</param>
    /// <param name="client">who gets the answer</param>
    /// <param name="hosts">worker hosts, at least one</param>
    public static Props PropsFor(WorkerProtocol.Commands.Prepare prepare, IActorRef client, IReadOnlyList<ActorSelection> hosts) =>
        Props.Create(() => new PreparationRouter(prepare, client, hosts));

    protected override void PreStart()
    {
        Timers.StartSingleTimer(Tick.Overdue, Tick.Overdue, Patience);
        foreach (var host in _hosts)
            host.Tell(new WorkerProtocol.Queries.GetCapacity(), Self);
    }

    private void Answered(WorkerProtocol.Replies.Capacity capacity)
    {
        if (capacity.ThreadsPerWorker >= Wanted && capacity.Workers > 0)
        {
            Send(Sender);
            return;
        }
        _most = Math.Max(_most, capacity.ThreadsPerWorker);
        if (--_silent > 0)
            return;
        _client.Tell(new WorkerProtocol.Replies.Rejected(
        [
            new Fault("training.threads-per-worker", $"{Wanted} threads for each worker are more than any node of the cluster allows: at most {_most} (a node's setting threads-per-worker)"),
        ]));
        Context.Stop(Self);
    }

    private void Send(ICanTell host)
    {
        host.Tell(_prepare, _client);
        Context.Stop(Self);
    }
}
