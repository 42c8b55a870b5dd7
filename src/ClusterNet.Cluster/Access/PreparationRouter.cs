using System.Globalization;
using Akka.Actor;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Faults;

namespace ClusterNet.Cluster.Access;

/// <summary>
/// Finds a node that prepares a job: one that allows its workers as many torch threads as they want, and has its data. Nodes whose processors round otherwise than that one's are left out of the job, so that it is one of the kind
/// that most workers are of, the same one whoever answers first. Where a node lacks the data or is lost, the next one is asked; where none can, the job is refused.
/// To read the data may take long: meanwhile there are signs of life. Lives for one job.
/// </summary>
internal sealed class PreparationRouter : ReceiveActor, IWithTimers
{
    /// <summary>After it nodes that said nothing are asked once more, and not waited for where others can prepare the job.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    /// <summary>For nodes that are there to say of what kind they are, in units of the patience: to load libtorch takes its time where many processes do so at once.</summary>
    private const int TrialPatience = 4;

    /// <summary>Nobody waits longer than it takes the cluster to find out that a node is lost.</summary>
    private const int MostQuestions = 10;

    private readonly WorkerProtocol.Commands.Prepare _prepare;
    private readonly IActorRef _client;
    private readonly IReadOnlyDictionary<ActorPath, string> _hosts;
    private readonly Dictionary<ActorPath, int> _threads = [];
    private readonly List<Candidate> _able = [];
    private readonly List<(string Node, WorkerProtocol.Replies.Rejected Why)> _refusals = [];
    private readonly List<ActorPath> _lost = [];
    private readonly ICancelable _signsOfLife;
    private IActorRef? _preparing;
    private int _questions;
    private int _waited;

    public PreparationRouter(WorkerProtocol.Commands.Prepare prepare, IActorRef client, IReadOnlyDictionary<ActorPath, string> hosts)
    {
        (_prepare, _client, _hosts) = (prepare, client, hosts);
        _signsOfLife = SignsOfLife.Start(Context, client);
        Receive<WorkerProtocol.Replies.Capacity>(Answered);
        Receive<WorkerProtocol.Replies.Trial>(Tried);
        Receive<WorkerProtocol.Replies.Prepared>(End);
        Receive<WorkerProtocol.Replies.Rejected>(Refused);
        Receive<Terminated>(lost => Lost(lost.ActorRef));
        Receive<Tick>(_ => Overdue());
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

    private void Overdue()
    {
        _waited++;
        Next();
        AskSilent();
    }

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
        {
            _able.Add(new Candidate(Context.Watch(Sender), capacity.Workers));
            if (_hosts.Count > 1)
                Sender.Tell(new WorkerProtocol.Queries.GetTrial(), Self);
        }
        Next();
    }

    private void Tried(WorkerProtocol.Replies.Trial trial)
    {
        var index = _able.FindIndex(candidate => candidate.Host.Equals(Sender));
        if (index >= 0)
            _able[index] = _able[index] with { Trial = trial.Sha256 };
        Next();
    }

    private void Next()
    {
        var isUntold = _able.Count > 1 && _able.Any(candidate => candidate.Trial is null);
        if (_preparing is not null || (Silent.Any() && _waited == 0) || (isUntold && _waited < TrialPatience))
            return;
        if (Best() is { } best)
        {
            _able.Remove(best);
            _preparing = best.Host;
            _preparing.Tell(_prepare, Self);
        }
        else if (!Silent.Any())
        {
            GiveUp();
        }
    }

    /// <summary>Of the kind that most workers are of; where two kinds have as many, by what their trials say.</summary>
    private Candidate? Best() => _able
        .GroupBy(candidate => candidate.Trial ?? string.Empty)
        .OrderBy(kind => kind.Key.Length == 0)
        .ThenByDescending(kind => kind.Sum(candidate => (long)candidate.Workers))
        .ThenBy(kind => kind.Key, StringComparer.Ordinal)
        .FirstOrDefault()?.First();

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
        _able.RemoveAll(candidate => candidate.Host.Equals(host));
        if (host.Equals(_preparing))
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

    /// <summary>A node that could prepare the job.</summary>
    /// <param name="Host">its worker host</param>
    /// <param name="Workers">the most that it has for one job</param>
    private sealed record Candidate(IActorRef Host, int Workers)
    {
        /// <summary>What tells the kind of its processor; null until it is known.</summary>
        public string? Trial { get; init; }
    }
}
