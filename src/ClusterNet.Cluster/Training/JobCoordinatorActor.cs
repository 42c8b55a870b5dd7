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
    private static readonly TimeSpan RepeatInterval = TimeSpan.FromSeconds(3);

    private readonly JobId _job;
    private readonly JobState _state = new();
    private readonly Environment _environment;
    private readonly JobLog _log;
    private readonly List<IActorRef> _interrupting = [];
    private TrainingRun? _run;
    private JobTelemetry? _telemetry;
    private EpochJudge? _judge;
    private Action? _repeat;

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
        Repeat,
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

    protected override void PostStop()
    {
        _telemetry?.Close();
        base.PostStop();
    }

    protected override void OnPersistFailure(Exception cause, object @event, long sequenceNr)
    {
        NodeTelemetry.StoreFailed("journal");
        _log.Error(cause, "Job {Job}: the journal did not take {Event}; the coordinator stops and recovers from what it holds", _job, @event.GetType().Name);
    }

    private void RecoverAll()
    {
        Recover<Events.JobSubmitted>(_state.Apply);
        Recover<Events.GenerationOpened>(_state.Apply);
        Recover<Events.CheckpointCommitted>(_state.Apply);
        Recover<Events.VersionReserved>(_state.Apply);
        Recover<Events.JobInterrupted>(_state.Apply);
        Recover<Events.JobCompleted>(_state.Apply);
        Recover<Events.JobEnded>(_state.Apply);
        Recover<RecoveryCompleted>(_ => _state.MarkKilled());
    }

    /// <summary>No run: new, interrupted, or over.</summary>
    private void Idle()
    {
        _repeat = null;
        Command<Commands.Submit>(Submit);
        Command<Commands.Resume>(_ => _state.Exists, _ => Resume());
        Command<Commands.Interrupt>(_ => _state.Exists, _ => Sender.Tell(new Replies.Accepted(_job)));
        Command<Commands.Cancel>(_ => _state.Exists, _ => CancelIdle());
        Common();
    }

    /// <summary>What is answered in every phase.</summary>
    private void Common()
    {
        Command<Queries.GetDetails>(_ => _state.Exists, _ => Sender.Tell(Details()));
        Command<Queries.GetProgress>(_ => _state.Exists, _ => Sender.Tell(Progress()));
        Command<IJobMessage>(message => Refuse(Sender, _state.Exists ? $"{message.GetType().Name}: not while it is {Status}" : "there is no such job"));
        Command<Tick>(_ => _repeat?.Invoke());
        CommandAny(message => _log.Debug("Job {Job}: {Message} came too late or too early and was passed over", _job, message.GetType().Name));
    }

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
            Refuse(Sender, $"it is {_state.Status} and can't be resumed");
            return;
        }
        Sender.Tell(new Replies.Accepted(_job));
        StartRun();
    }

    private void CancelIdle()
    {
        if (!_state.CanResume)
        {
            Refuse(Sender, $"it is {_state.Status} already");
            return;
        }
        _run = new TrainingRun(_state);
        End(JobStatus.Cancelled, null, deleteCheckpoints: true, Sender);
    }

    private void StartRun()
    {
        _run = new TrainingRun(_state);
        _telemetry = new JobTelemetry(_job, _state.Trace);
        _judge = new EpochJudge(Spec.Training, MetricNames.HigherIsBetter);
        // shards of an earlier run may still hold later versions than this run knows of: they all go back
        _restoring = _state.RestoreStep;
        Timers.StartPeriodicTimer(Tick.Repeat, Tick.Repeat, RepeatInterval);
        Become(Enlisting);
        EnlistWorkers();
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
            Context.Unwatch(worker);
        foreach (var shard in Run.Shards.OfType<IActorRef>())
            Context.Unwatch(shard);
        foreach (var host in _environment.WorkerHosts())
            host.Tell(new WorkerProtocol.Commands.Dismiss(_job), Self);
        for (var i = 0; i < Run.Shards.Length; i++)
            _environment.Shards.Tell(new ParameterProtocol.Commands.Close(new ShardId(_job, i), _state.Generation, deleteCheckpoints), Self);
        foreach (var asker in _interrupting)
            asker.Tell(new Replies.Accepted(_job));
        _interrupting.Clear();
        Timers.CancelAll();
        _telemetry?.End(_state.Status.ToString().ToLowerInvariant());
        _telemetry?.Close();
        _telemetry = null;
        _run = null;
        Become(Idle);
    }

    private void Refuse(IActorRef asker, string message) => asker.Tell(new Replies.Refused(_job, [new Fault($"job {_job}", message)]));

    /// <summary>A job that is being resumed is no more what its journal last said.</summary>
    private JobStatus Status => _run is not null && _state.CanResume ? JobStatus.Preparing : _state.Status;

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
            _state.Failure);
    }

    private JobDetails Details()
    {
        var progress = Progress();
        var losses = _state.Losses.Points.Concat(_run?.HistoryUpTo(long.MaxValue, true).Losses ?? []);
        return new JobDetails(
            new JobSummary(_job, Status, progress.Step, progress.TotalSteps, _state.Submitted, _state.Result?.Version),
            Spec,
            progress,
            Epochs,
            [.. losses],
            _state.Committed,
            _state.Result)
        {
            Ledger = [.. _state.Ledger, .. _run?.Ledger ?? []],
            Generations = [.. _state.Generations],
        };
    }

    /// <summary>What surrounds a coordinator.</summary>
    /// <param name="Shards">the region of parameter shards</param>
    /// <param name="Models">the model registry</param>
    /// <param name="WorkerHosts">the worker hosts of the nodes that are up, the oldest first</param>
    /// <param name="Time">the clock</param>
    internal sealed record Environment(ICanTell Shards, ICanTell Models, Func<IReadOnlyList<ICanTell>> WorkerHosts, TimeProvider Time);
}
