using ClusterNet.Cluster.Hosting;
using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Event;
using Akka.Persistence;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;
using static ClusterNet.Cluster.Training.TrainingProtocol;

namespace ClusterNet.Cluster.Training;

/// <summary>
/// The coordinator of one job, an event-sourced entity of Cluster.Sharding. It opens generations, says up to which step workers may go, commits checkpoints, judges epochs and has the
/// model registered; gradients and weights never pass through it. This part: the journal, and what can be asked of a job at any time. The phases of a run are in the other parts.
/// </summary>
internal sealed partial class JobCoordinatorActor : ReceivePersistentActor, IWithTimers
{
    private const int TicksBetweenRepeats = 3;

    /// <summary>In a row, with no checkpoint in between. What may pass has passed by then.</summary>
    private const int MostCrashes = 5;

    private static readonly TimeSpan RepeatInterval = TimeSpan.FromSeconds(1);

    private readonly JobId _job;
    private readonly JobState _state = new();
    private readonly Environment _environment;
    private readonly JobLog _log;
    private readonly List<IActorRef> _interrupting = [];
    private TrainingRun? _run;
    private JobTelemetry? _telemetry;
    private EpochJudge? _judge;
    private Action? _repeat;
    private bool _isNoted;
    private long _ticks;

    public JobCoordinatorActor(JobId job, Environment environment)
    {
        _job = job;
        _environment = environment;
        _log = new JobLog(Context.GetLogger(), () => job, () => (_state.Generation.Number, _state.Exists ? CurrentStep : -1));
        PersistenceId = $"job-{job}";
        RecoverAll();
        Command<RecoveryCompleted>(_ => { });
        Idle();
    }

    private enum Tick
    {
        /// <summary>Ask again for what has not come.</summary>
        Repeat,

        /// <summary>Start with the workers that are ready.</summary>
        Begin,

        /// <summary>Let workers in that have come since.</summary>
        Admit,

        /// <summary>Is there still no node that can have workers?</summary>
        GiveUp,

        /// <summary>Who was to leave has not left in time.</summary>
        StayedTooLong,

        /// <summary>Go on where the last coordinator died.</summary>
        GoOn,

        /// <summary>Do not: it would die again.</summary>
        EndCrashing,
    }

    /// <inheritdoc/>
    public override string PersistenceId { get; }

    /// <inheritdoc/>
    public ITimerScheduler Timers { get; set; } = null!;

    public static Props PropsFor(JobId job, Environment environment) => Props.Create(() => new JobCoordinatorActor(job, environment));

    private JobSpec Spec => _state.Spec!;

    private TrainingRun Run => _run!;

    private bool Evaluates => _state.Plan!.ValidationSamples > 0;

    private IReadOnlyList<EpochRecord> Epochs => [.. _state.Epochs, .. _run?.Epochs ?? []];

    /// <summary>An error of this program, as those of others are told by messages. It is counted, since the next coordinator may come to the same.</summary>
    protected override void PreRestart(Exception reason, object message)
    {
        _environment.Running.Crashed(_job, _state.RestoreStep, $"{reason.GetType().Name}: {reason.Message}");
        base.PreRestart(reason, message);
    }

    protected override void PostStop()
    {
        _telemetry?.Close();
        base.PostStop();
    }

    protected override void OnPersistFailure(Exception cause, object @event, long sequenceNr)
    {
        NodeTelemetry.StoreFailed("journal");
        _environment.Running.JournalFailed(_job);
        _log.Error(cause, "Job {Job}: the journal did not take {Event}: {Reason}; the coordinator stops and goes on from what it holds, when it takes something again", _job, @event.GetType().Name, StoreFault.ReasonOf(cause));
    }

    private void RecoverAll()
    {
        Recover<Events.JobSubmitted>(_state.Apply);
        Recover<Events.GenerationOpened>(_state.Apply);
        Recover<Events.CheckpointCommitted>(_state.Apply);
        Recover<Events.VersionReserved>(_state.Apply);
        Recover<Events.VersionHandedOver>(_state.Apply);
        Recover<Events.JobInterrupted>(_state.Apply);
        Recover<Events.JobCompleted>(_state.Apply);
        Recover<Events.JobEnded>(_state.Apply);
        Recover<RecoveryCompleted>(_ =>
        {
            _state.MarkKilled();
            if (!GoesOnByItself)
                return;
            // neither is a journal that has just refused asked again at once, nor what has crashed more than once begun again
            if (_environment.Running.CrashesOf(_job) >= MostCrashes)
                Self.Tell(Tick.EndCrashing);
            else if (_environment.Running.HasJournalFailed(_job) || _environment.Running.CrashesOf(_job) > 1)
                Timers.StartSingleTimer(Tick.GoOn, Tick.GoOn, RepeatInterval);
            else
                Self.Tell(Tick.GoOn);
        });
    }

    /// <summary>No run: new, interrupted, or over.</summary>
    private void Idle()
    {
        _repeat = null;
        Command<Commands.Submit>(Submit);
        Command<Commands.Resume>(_ => _state.Exists, _ => Resume());
        Command<Commands.Interrupt>(_ => _state.Exists, _ => InterruptIdle());
        Command<Commands.Cancel>(_ => _state.Exists, _ => CancelIdle());
        Command<Commands.Nudge>(_ => Nudged());
        Command<Commands.HandOff>(_ => Context.Stop(Self));
        Command<Tick>(tick => tick == Tick.GoOn && _state.WasKilled, _ => StartRun());
        Command<Tick>(tick => tick == Tick.EndCrashing && _state.WasKilled, _ => EndCrashing());
        Common();
    }

    private void InterruptIdle()
    {
        if (!_state.WasKilled)
        {
            Sender.Tell(new Replies.Accepted(_job));
            return;
        }
        // else it would go on by itself
        Persist(new Events.JobInterrupted(Now), interrupted =>
        {
            _state.Apply(interrupted);
            Sender.Tell(new Replies.Accepted(_job));
            NoteThat(false);
        });
    }

    private void EndCrashing()
    {
        _run = new TrainingRun(_state);
        End(JobStatus.Failed, $"the coordinator failed {MostCrashes} times in a row: {_environment.Running.LastCrashOf(_job)}; that is an error of the program, and the log of the node says where. 'clusternet resume' tries again from the last checkpoint", deleteCheckpoints: false);
    }

    private void Nudged()
    {
        if (_state.WasKilled)
            StartRun();
        else
            NoteThat(false);
    }

    /// <summary>What is answered in every phase.</summary>
    private void Common()
    {
        Command<Replies.Noted>(noted => _isNoted |= noted.IsUnderWay);
        Command<WorkerNodesProtocol.Changed>(changed => NodesChanged(changed.Nodes));
        Command<Queries.GetDetails>(_ => _state.Exists, _ => Sender.Tell(Details()));
        Command<Queries.GetSummary>(_ => _state.Exists, _ => Sender.Tell(Summary(Progress())));
        Command<Queries.GetProgress>(_ => _state.Exists, _ => Sender.Tell(Progress()));
        Command<IJobMessage>(message => Refuse(Sender, _state.Exists ? $"{message.GetType().Name}: not while it is {Word(Status)}" : "there is no such job"));
        Command<Tick>(OnTick);
        CommandAny(message => _log.Debug("Job {Job}: {Message} came too late or too early and was passed over", _job, message.GetType().Name));
    }

    private void OnTick(Tick tick)
    {
        if (_run is null)
            return;
        switch (tick)
        {
            case Tick.Repeat:
                // whoever was asked may have died with the question: asking again is harmless
                _environment.Nodes.Tell(new WorkerNodesProtocol.Subscribe(), Self);
                if (!_isNoted)
                    NoteThat(true);
                EnlistWorkers();
                // where work was asked for it is given some time
                if (++_ticks % TicksBetweenRepeats == 0 || !_mayStand)
                    _repeat?.Invoke();
                break;
            case Tick.Begin:
                Begin();
                break;
            case Tick.Admit:
                Admit();
                break;
            case Tick.GiveUp:
                GiveUp();
                break;
            case Tick.StayedTooLong:
                StayedTooLong();
                break;
        }
    }

    private void NoteThat(bool isUnderWay) =>
        _environment.Directory.Tell(new Commands.Note(_job, isUnderWay) { Summary = isUnderWay || !_state.Exists ? null : Summary(Progress()) }, Self);

    private void Submit(Commands.Submit submit)
    {
        if (_state.Exists)
        {
            Sender.Tell(new Replies.Accepted(_job));
            return;
        }
        Persist(new Events.JobSubmitted(_job, submit.Spec, submit.Plan, Now) { Trace = submit.Trace }, submitted =>
        {
            _state.Apply(submitted);
            Sender.Tell(new Replies.Accepted(_job));
            StartRun();
        });
    }

    private void Resume()
    {
        if (!_state.CanResume)
        {
            Refuse(Sender, $"it is {Word(_state.Status)} and can't be resumed");
            return;
        }
        Sender.Tell(new Replies.Accepted(_job));
        StartRun();
    }

    private void CancelIdle()
    {
        if (!_state.CanResume)
        {
            Refuse(Sender, $"it is {Word(_state.Status)} already");
            return;
        }
        _run = new TrainingRun(_state);
        End(JobStatus.Cancelled, null, deleteCheckpoints: true, Sender);
    }

    private void StartRun()
    {
        _run = new TrainingRun(_state);
        _telemetry?.Close();
        _telemetry = new JobTelemetry(_job, _state.Trace);
        _judge = new EpochJudge(Spec.Training, MetricNames.HigherIsBetter);
        // shards of an earlier run may still hold later versions than this run knows of: they all go back
        _restoring = _state.RestoreStep;
        Timers.StartPeriodicTimer(Tick.Repeat, Tick.Repeat, RepeatInterval);
        _environment.Running.Add(_job);
        _isNoted = false;
        NoteThat(true);
        BeginEnlisting(_state.Generation == Generation.None ? "start" : "resumption");
    }

    /// <summary>Leaves the run: journals the end, lets workers and shards go, answers who waited. The log says <paramref name="loggable"/> where the failure may tell of the data.</summary>
    private void End(JobStatus status, string? failure, bool deleteCheckpoints, IActorRef? asker = null, string? loggable = null)
    {
        if (failure is not null)
            _log.Error("Job {Job} failed: {Failure}", _job, loggable ?? failure);
        Persist(new Events.JobEnded(status, failure, Now), ended =>
        {
            _state.Apply(ended);
            asker?.Tell(new Replies.Accepted(_job));
            LeaveRun(deleteCheckpoints);
        });
    }

    private void LeaveRun(bool deleteCheckpoints)
    {
        foreach (var worker in Run.Workers)
            Context.Unwatch(worker.Actor);
        foreach (var shard in Run.Shards.OfType<IActorRef>())
            Context.Unwatch(shard);
        foreach (var address in _hosts)
            _environment.HostAt(address).Tell(new WorkerProtocol.Commands.Dismiss(_job), Self);
        for (var i = 0; i < Run.Shards.Length; i++)
            _environment.Shards.Tell(new ParameterProtocol.Commands.Close(new ShardId(_job, i), _state.Generation, deleteCheckpoints), Self);
        foreach (var asker in _interrupting)
            asker.Tell(new Replies.Accepted(_job));
        _interrupting.Clear();
        (_isYielding, _isEnlisting, _mayStand) = (false, false, false);
        _leaving.Clear();
        _hosts.Clear();
        _leftOut.Clear();
        Timers.CancelAll();
        _environment.Running.Remove(_job);
        _telemetry?.End(_state.Status.ToString().ToLowerInvariant());
        _telemetry?.Close();
        _telemetry = null;
        _run = null;
        NoteThat(false);
        Become(Idle);
        if (_isMoving)
            Context.Stop(Self);
    }

    private static string Word(JobStatus status) => status.ToString().ToLowerInvariant();

    private void Refuse(IActorRef asker, string message) => asker.Tell(new Replies.Refused(_job, [new Fault($"job {_job}", message)]));

    /// <summary>A job that is being resumed, or will be in a moment, is no more what its journal last said.</summary>
    private JobStatus Status => _state.CanResume && (_run is not null || GoesOnByItself) ? JobStatus.Preparing : _state.Status;

    private bool GoesOnByItself => _state.WasKilled && (_environment.ResumesByItself || _environment.Running.Contains(_job));

    private DateTimeOffset Now => _environment.Time.GetUtcNow();

    private long CurrentStep => _state.Result?.Steps ?? _run?.Known ?? _state.RestoreStep;

    private JobProgress Progress()
    {
        var step = CurrentStep;
        var shape = _run ?? new TrainingRun(_state);
        return new JobProgress(
            _job,
            Status,
            step,
            shape.TotalSteps,
            step / shape.Batches.StepsPerEpoch,
            (shape.TotalSteps - 1) / shape.Batches.StepsPerEpoch + 1,
            _run?.LatestLoss ?? (_state.Losses.Points.Count == 0 ? null : _state.Losses.Points[^1].Loss),
            _run is null ? _state.Result?.SamplesPerSecond ?? 0 : _rate.PerSecond,
            Epochs.Count == 0 ? null : Epochs[^1],
            _state.Failure)
        {
            MaxStaleness = _run?.MaxStaleness ?? _state.MaxStaleness,
        };
    }

    private JobSummary Summary(JobProgress progress) => new(_job, progress.Status, progress.Step, progress.TotalSteps, _state.Submitted, _state.Result?.Version);

    private JobDetails Details()
    {
        var progress = Progress();
        var since = _run?.HistoryUpTo(long.MaxValue, true);
        return new JobDetails(
            Summary(progress),
            Spec,
            progress,
            EpochHistory.Shown(Epochs),
            [.. _state.Losses.Points, .. since?.Losses ?? []],
            _state.Committed,
            _state.Result)
        {
            Ledger = [.. _state.Ledger, .. _run?.Ledger ?? []],
            Generations = [.. _state.Generations],
            LeftOut = [.. _leftOut.Select(node => new NodeLeftOut(Named(node.Key.Address), node.Value.Reason))],
            Paces = [.. _state.Paces.Points, .. since?.Paces ?? []],
        };
    }

    /// <summary>What surrounds a coordinator.</summary>
    /// <param name="Shards">the region of parameter shards</param>
    /// <param name="Models">the model registry</param>
    /// <param name="Directory">the directory of jobs</param>
    /// <param name="Nodes">this node's <see cref="WorkerNodesActor"/></param>
    /// <param name="HostAt">the worker host of a node</param>
    /// <param name="AddressOf">the node that an actor is on</param>
    /// <param name="Running">the jobs whose coordinators run on this node, or ran until they died</param>
    /// <param name="ResumesByItself">whether jobs go on after the death of all processes without being asked to</param>
    /// <param name="Time">the clock</param>
    internal sealed record Environment(
        ICanTell Shards,
        ICanTell Models,
        ICanTell Directory,
        ICanTell Nodes,
        Func<Address, ICanTell> HostAt,
        Func<IActorRef, Address> AddressOf,
        RunningJobs Running,
        bool ResumesByItself,
        TimeProvider Time);
}

/// <summary>
/// The jobs that are under way on a node, in its memory: a coordinator that dies with its node alive goes on by itself wherever it is, one whose process died only where that is wanted. Thread-safe.
/// </summary>
internal sealed class RunningJobs
{
    private readonly ConcurrentDictionary<JobId, Life> _jobs = new();

    public void Add(JobId job) => _jobs.AddOrUpdate(job, new Life(), static (_, life) => life with { HasJournalFailed = false });

    public void Remove(JobId job) => _jobs.TryRemove(job, out _);

    public bool Contains(JobId job) => _jobs.ContainsKey(job);

    /// <summary>The last coordinator stopped because of the journal.</summary>
    public void JournalFailed(JobId job) => Change(job, static life => life with { HasJournalFailed = true });

    public bool HasJournalFailed(JobId job) => _jobs.GetValueOrDefault(job)?.HasJournalFailed == true;

    /// <summary>A coordinator failed by an error of its own, having come so far.</summary>
    public void Crashed(JobId job, long step, string reason) => Change(job, life => life with { Crashes = step > life.CrashedAt ? 1 : life.Crashes + 1, CrashedAt = step, LastCrash = reason });

    /// <summary>How many of them failed in a row without having come further.</summary>
    public int CrashesOf(JobId job) => _jobs.GetValueOrDefault(job)?.Crashes ?? 0;

    /// <summary>What the last one failed by.</summary>
    public string LastCrashOf(JobId job) => _jobs.GetValueOrDefault(job)?.LastCrash ?? string.Empty;

    private void Change(JobId job, Func<Life, Life> change)
    {
        while (_jobs.TryGetValue(job, out var life) && !_jobs.TryUpdate(job, change(life), life))
        {
            // another thread was faster
        }
    }

    private sealed record Life
    {
        public bool HasJournalFailed { get; init; }

        public int Crashes { get; init; }

        public long CrashedAt { get; init; } = -1;

        public string LastCrash { get; init; } = string.Empty;
    }
}
