using System.Globalization;
using Akka.Actor;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Faults;

namespace ClusterNet.Cluster.Access;

/// <summary>
/// Finds a node that prepares a job: one that allows its workers as many torch threads as they want, and has its data. Where a node lacks them or is lost, the next one is asked; where none can, the job is refused.
/// To read the data may take long: meanwhile there are signs of life. Lives for one job.
/// </summary>
internal sealed class PreparationRouter : ReceiveActor, IWithTimers
{
    /// <summary>After it nodes that said nothing are asked once more.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    /// <summary>Nobody waits longer than it takes the cluster to find out that a node is lost.</summary>
    private const int MostQuestions = 10;

    private readonly WorkerProtocol.Commands.Prepare _prepare;
    private readonly IActorRef _client;
    private readonly IReadOnlyDictionary<ActorPath, string> _hosts;
    private readonly Dictionary<ActorPath, int> _threads = [];
    private readonly Queue<IActorRef> _able = [];
    private readonly List<(string Node, WorkerProtocol.Replies.Rejected Why)> _refusals = [];
    private readonly List<ActorPath> _lost = [];
    private readonly ICancelable _signsOfLife;
    private IActorRef? _preparing;
    private int _questions;

    public PreparationRouter(WorkerProtocol.Commands.Prepare prepare, IActorRef client, IReadOnlyDictionary<ActorPath, string> hosts)
    {
        (_prepare, _client, _hosts) = (prepare, client, hosts);
        _signsOfLife = SignsOfLife.Start(Context, client);
        Receive<WorkerProtocol.Replies.Capacity>(Answered);
        Receive<WorkerProtocol.Replies.Prepared>(End);
        Receive<WorkerProtocol.Replies.Rejected>(Refused);
        Receive<Terminated>(lost => Lost(lost.ActorRef));
        Receive<Tick>(_ => AskSilent());
    }

    private enum Tick
    {
        Overdue,
    }

    /// <inheritdoc/>
    public ITimerScheduler Timers { get; set; } = null!;

    private int Wanted => _prepare.Spec.Training.ThreadsPerWorker;

    private IEnumerable<ActorPath> Silent => _hosts.Keys.Where(host => !_threads.ContainsKey(host));

    /// <param name="prepare">the job</param>
    /// <param name="client">who gets the answer</param>
    /// <param name="hosts">worker hosts, at least one, and how messages call their nodes</param>
    public static Props PropsFor(WorkerProtocol.Commands.Prepare prepare, IActorRef client, IReadOnlyDictionary<ActorPath, string> hosts) =>
        Props.Create(() => new PreparationRouter(prepare, client, hosts));

    protected override void PreStart()
    {
        Timers.StartPeriodicTimer(Tick.Overdue, Tick.Overdue, Patience);
        AskSilent();
    }

    protected override void PostStop() => _signsOfLife.Cancel();

    private void AskSilent()
    {
        if (_preparing is not null)
            return;
        if (_questions++ == MostQuestions)
        {
            GiveUp();
            return;
        }
        foreach (var host in Silent)
            Context.ActorSelection(host).Tell(new WorkerProtocol.Queries.GetCapacity(), Self);
    }

    private void Answered(WorkerProtocol.Replies.Capacity capacity)
    {
        // it is told again whenever it changes
        if (!_threads.TryAdd(Sender.Path, capacity.ThreadsPerWorker))
            return;
        if (capacity.ThreadsPerWorker >= Wanted && capacity.Workers > 0)
            _able.Enqueue(Context.Watch(Sender));
        Next();
    }

    private void Next()
    {
        if (_preparing is not null)
            return;
        if (_able.TryDequeue(out _preparing))
            _preparing.Tell(_prepare, Self);
        else if (!Silent.Any())
            GiveUp();
    }

    private void Refused(WorkerProtocol.Replies.Rejected rejected)
    {
        if (!rejected.IsOfNode || _hosts.Count == 1)
        {
            End(rejected);
            return;
        }
        if (_preparing is null)
            return;
        _refusals.Add((_hosts[_preparing.Path], rejected));
        _preparing = null;
        Next();
    }

    private void Lost(IActorRef host)
    {
        _lost.Add(host.Path);
        if (!host.Equals(_preparing))
            return;
        _preparing = null;
        Next();
    }

    private void GiveUp()
    {
        if (_refusals.Count > 0)
        {
            End(new WorkerProtocol.Replies.Rejected(
                [.. _refusals.SelectMany(refusal => refusal.Why.Faults.Select(fault => fault with { Message = $"{fault.Message} (on {refusal.Node})" }))]));
        }
        else if (_lost.Count > 0 || Silent.Any())
        {
            var missing = _lost.Concat(Silent).Distinct().Select(host => _hosts[host]);
            End(new AccessProtocol.Replies.Unavailable($"no node prepared the job: {string.Join(", ", missing)} did not answer or ended meanwhile; submit it again"));
        }
        else if (_threads.Values.Max() >= Wanted)
        {
            End(new AccessProtocol.Replies.Unavailable("the nodes that could prepare the job are leaving the cluster; submit it again when others are up"));
        }
        else
        {
            End(new WorkerProtocol.Replies.Rejected(
            [
                new Fault(
                    "training.threads-per-worker",
                    string.Create(CultureInfo.InvariantCulture, $"{Wanted} threads for each worker are more than any node of the cluster allows: at most {_threads.Values.Max()} (a node's setting threads-per-worker)")),
            ]));
        }
    }

    private void End(object answer)
    {
        _client.Tell(answer);
        Context.Stop(Self);
    }
}
