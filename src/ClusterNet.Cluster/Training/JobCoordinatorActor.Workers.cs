using Akka.Actor;
using Akka.Event;
using ClusterNet.Cluster.Workers;
using static ClusterNet.Cluster.Training.TrainingProtocol;

namespace ClusterNet.Cluster.Training;

/// <summary>
/// The workers of a run: they come and go at any time. A run begins when all that the nodes can have are ready, or a moment after the first; whoever comes later enters by a new generation, whoever goes is left out by one at once and
/// replaced where another node can.
/// </summary>
internal sealed partial class JobCoordinatorActor
{
    /// <summary>How long the first worker waits for others.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    /// <summary>How long newcomers wait for others, so that one generation lets them all in.</summary>
    private static readonly TimeSpan AdmissionTime = TimeSpan.FromMilliseconds(500);

    /// <summary>How long a node is left out that can't have workers of this job, before it is asked again.</summary>
    private static readonly TimeSpan LeftOutTime = TimeSpan.FromMinutes(1);

    private readonly HashSet<Address> _hosts = [];
    private readonly Dictionary<(Address Address, int Uid), LeftOut> _leftOut = [];
    private IReadOnlyList<WorkerNode> _nodes = [];
    private string _enlisting = string.Empty;
    private bool _isEnlisting;
    private bool _areNodesKnown;
    private bool _lacksNodes;

    /// <summary>The checkpoint that a change of workers goes back to: none where the shards keep what they have.</summary>
    private long? RestoreOnChange => _restoring ?? (Spec.Training.RestoresOnChange ? _state.RestoreStep : null);

    private int Wanted => Spec.Training.Workers + Spec.Training.BackupWorkers;

    private IReadOnlyList<(WorkerNode Node, int Count)> Targets => WorkerSpread.Over([.. _nodes.Where(node => !IsLeftOut(node))], Wanted, Spec.Training.ThreadsPerWorker);

    private bool AreAllReady => Targets.All(target => Run.Workers.Count(worker => worker.IsOn(target.Node)) >= target.Count);

    /// <summary>Whether other workers should have the slices than have them.</summary>
    private bool IsToAdmit => !IsToStand && !Run.Active.ToHashSet().SetEquals(Choose().Select(worker => worker.Actor));

    private void Enlisting()
    {
        Command<Commands.Interrupt>(_ => InterruptNow());
        WhileRunning();
    }

    private void BeginEnlisting(string reason)
    {
        (_enlisting, _isEnlisting, _mayStand) = (reason, true, false);
        _repeat = null;
        Become(Enlisting);
        _environment.Nodes.Tell(new WorkerNodesProtocol.Subscribe(), Self);
        EnlistWorkers();
    }

    private void EnlistWorkers()
    {
        var targets = Targets;
        if (targets.Count == 0 && _areNodesKnown && !_lacksNodes && !Timers.IsTimerActive(Tick.Begin))
            _log.Warning("Job {Job}: no node is up that can have its workers ({Threads} threads each); waiting for one", _job, Spec.Training.ThreadsPerWorker);
        _lacksNodes = targets.Count == 0 && _areNodesKnown;
        foreach (var (node, count) in targets)
        {
            if (Run.Workers.Count(worker => worker.IsOn(node)) >= count)
                continue;
            _hosts.Add(node.Address);
            _environment.HostAt(node.Address).Tell(new WorkerProtocol.Commands.Enlist(_job, Spec, _state.Plan!, count), Self);
        }
    }

    private void Enlisted(IActorRef actor)
    {
        var address = _environment.AddressOf(actor);
        // of a node that can't be reached, or was not when it sent this: it is asked again when it can
        if (Run.Workers.Any(worker => worker.Actor.Equals(actor)) || _nodes.FirstOrDefault(node => node.Address.Equals(address)) is not { Workers: > 0 } on)
            return;
        Run.Workers.Add(new JobWorker(actor, address, on.Uid));
        Run.HadWorkers = true;
        _leftOut.Remove((on.Address, on.Uid));
        Context.Watch(actor);
        if (_isEnlisting && AreAllReady)
            Begin();
        else if (_isEnlisting)
            StartUnlessActive(Tick.Begin, Grace);
        else if (AreAllReady)
            Admit();
        else
            StartUnlessActive(Tick.Admit, AdmissionTime);
    }

    /// <summary>
    /// A node can't have workers of this job: its data are missing or not the same there, its program is another one, or it computes other bits. One such node must not end what others can do: it is left out, loudly, and asked again later. The job fails where
    /// there is no other node and nobody could work on it in this run.
    /// </summary>
    private void LeaveOut(WorkerProtocol.Replies.WorkFailed failed)
    {
        var address = _environment.AddressOf(Sender);
        if (_nodes.FirstOrDefault(node => node.Address.Equals(address)) is not { } node)
            return;
        var isKnown = IsLeftOut(node);
        _leftOut[(node.Address, node.Uid)] = new LeftOut(failed.Reason, failed.Loggable ?? failed.Reason, MonotonicNow + LeftOutTime);
        if (isKnown)
            return;
        if (IsAlone && NobodyCan)
        {
            GiveUp();
            return;
        }
        _log.Error("Job {Job}: {Node} can't have its workers and is left out: {Reason}", _job, Named(node.Address), failed.Loggable ?? failed.Reason);
        EnlistWorkers();
        if (_isEnlisting && AreAllReady)
            Begin();
        // others may be on their way
        StartUnlessActive(Tick.GiveUp, Grace);
    }

    /// <summary>Of those that are there none can have workers, and none could since the run began.</summary>
    private bool NobodyCan => _leftOut.Count > 0 && Targets.Count == 0 && Run.Workers.Count == 0 && !Run.HadWorkers;

    private void GiveUp()
    {
        if (NobodyCan)
            End(JobStatus.Failed, WhyLeftOut(node => node.Reason), false, loggable: WhyLeftOut(node => node.Loggable));
    }

    /// <summary>Whether this node is all there is.</summary>
    private bool IsAlone => _nodes.Count == 1 && _nodes[0].Address.Equals(_environment.AddressOf(Self));

    private bool IsLeftOut(WorkerNode node) => _leftOut.TryGetValue((node.Address, node.Uid), out var why) && MonotonicNow < why.Until;

    /// <summary>The reasons, and where there are several nodes, which of them each is of.</summary>
    private string WhyLeftOut(Func<LeftOut, string> words)
    {
        return string.Join("; ", _leftOut
            .GroupBy(node => words(node.Value), node => Named(node.Key.Address), StringComparer.Ordinal)
            .Select(same => IsAlone ? same.Key : $"{same.Key} (at {string.Join(", ", same)})"));
    }

    private static string Named(Address node) => $"{node.Host}:{node.Port}";

    private static TimeSpan MonotonicNow => Context.System.Scheduler.MonotonicClock;

    private void StartUnlessActive(Tick tick, TimeSpan delay)
    {
        if (!Timers.IsTimerActive(tick))
            Timers.StartSingleTimer(tick, tick, delay);
    }

    private void Begin()
    {
        if (!_isEnlisting || Run.Workers.Count == 0)
            return;
        Timers.Cancel(Tick.Begin);
        OpenGeneration(RestoreOnChange, _enlisting);
    }

    /// <summary>In other phases than training newcomers wait for the next one; so they do for a checkpoint where a change goes back to the last.</summary>
    private void Admit(bool isCommitted = false)
    {
        if (_training && IsToAdmit && (isCommitted || !Spec.Training.RestoresOnChange))
            OpenGeneration(RestoreOnChange, "workers have come");
    }

    /// <summary>Who shares the work: spread over the nodes as it should be, as far as workers are ready; where there are too few, any that is.</summary>
    private List<JobWorker> Choose()
    {
        var chosen = Targets.SelectMany(target => Run.Workers.Where(worker => worker.IsOn(target.Node)).Take(target.Count)).ToList();
        chosen.AddRange(Run.Workers.Except(chosen).Take(Wanted - chosen.Count).ToArray());
        return chosen;
    }

    /// <summary>Lets workers go that others have come for.</summary>
    private void ReleaseSurplus(List<JobWorker> chosen)
    {
        if (chosen.Count < Wanted)
            return;
        foreach (var worker in Run.Workers.Except(chosen).ToArray())
            Release(worker);
    }

    private void Release(JobWorker worker)
    {
        Run.Workers.Remove(worker);
        Context.Unwatch(worker.Actor);
        worker.Actor.Tell(new WorkerProtocol.Commands.Release(_job), Self);
    }

    private void NodesChanged(IReadOnlyList<WorkerNode> nodes)
    {
        (_nodes, _areNodesKnown) = (nodes, true);
        foreach (var gone in _leftOut.Keys.Where(key => !_nodes.Any(node => (node.Address, node.Uid) == key)).ToArray())
            _leftOut.Remove(gone);
        if (_run is null)
            return;
        JobWorker[] leaving = [.. Run.Workers.Where(worker => _nodes.Any(node => worker.IsOn(node) && node.Workers == 0))];
        JobWorker[] lost = [.. Run.Workers.Where(worker => !_nodes.Any(worker.IsOn))];
        foreach (var worker in leaving)
            Release(worker);
        if (leaving.Length + lost.Length > 0)
        {
            var at = string.Join(", ", leaving.Concat(lost).Select(worker => Named(worker.Address)).Distinct());
            Lose([.. leaving, .. lost], lost.Length == 0 ? $"{at} leaves" : $"no answer from {at}");
        }
        EnlistWorkers();
        // a node less may mean another spread over the others
        if (!_isEnlisting && IsToAdmit)
            StartUnlessActive(Tick.Admit, AdmissionTime);
    }

    private void Lose(IReadOnlyCollection<JobWorker> workers, string reason)
    {
        foreach (var worker in workers)
        {
            Run.Workers.Remove(worker);
            Context.Unwatch(worker.Actor);
        }
        if (_isEnlisting)
            return;
        if (Run.Workers.Count == 0)
            EnlistAnew();
        else if (workers.Any(worker => Run.Active.Contains(worker.Actor)))
            OpenGeneration(RestoreOnChange, reason);
    }

    private void Terminated(Terminated terminated)
    {
        var lost = terminated.ActorRef;
        if (Run.Workers.Find(worker => worker.Actor.Equals(lost)) is { } worker)
        {
            Lose([worker], "a worker is gone");
            EnlistWorkers();
        }
        else if (Array.IndexOf(Run.Shards, lost) is >= 0 and var index)
        {
            if (_isEnlisting)
            {
                // the generation opens when there are workers again
                Run.Shards[index] = null;
                _restoring = _state.RestoreStep;
                return;
            }
            OpenGeneration(_state.RestoreStep, $"shard {index} is gone");
        }
    }

    /// <summary>No worker is left. Nothing of the phase they died in may go on meanwhile: it would go on without them.</summary>
    private void EnlistAnew()
    {
        CloseWindow();
        if (_interrupting.Count > 0)
        {
            JournalInterruption();
            return;
        }
        _afterCheckpoint = null;
        BeginEnlisting("there are workers again");
        if (_isYielding)
            LetGo();
    }

    /// <param name="Reason">why, for people who may see the data</param>
    /// <param name="Loggable">the same for a log</param>
    /// <param name="Until">when it is asked again</param>
    private sealed record LeftOut(string Reason, string Loggable, TimeSpan Until);
}
