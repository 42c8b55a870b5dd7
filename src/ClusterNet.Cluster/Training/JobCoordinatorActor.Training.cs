using Akka.Actor;
using Akka.Event;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;
using ClusterNet.Core.Plans;
using static ClusterNet.Cluster.Training.TrainingProtocol;

namespace ClusterNet.Cluster.Training;

/// <summary>
/// The phases of a run: workers enlist (see the part on workers), shards open a generation, workers train up to a boundary, the validation part is evaluated there and the epoch judged, and so on. Whoever dies
/// in any phase leads back to a new generation.
/// </summary>
internal sealed partial class JobCoordinatorActor
{
    private readonly RateMeter _rate = new();
    private TimeSpan _trained;
    private long _windowStart;
    private bool _training;

    /// <summary>Whether all can stand at a version and save it: not while they enlist or a generation opens.</summary>
    private bool _mayStand;
    private long? _restoring;

    /// <summary>Time spent computing steps, the current window included.</summary>
    private TimeSpan TrainingTime => _trained + (_training ? _environment.Time.GetElapsedTime(_windowStart) : TimeSpan.Zero);

    private void OpenGeneration(long? restoreStep, string reason)
    {
        if (Spec.Training.RestoresOnChange)
            restoreStep ??= _state.RestoreStep;
        CloseWindow();
        _afterCheckpoint = null;
        _held.Clear();
        _restoring = restoreStep;
        (_isEnlisting, _mayStand, _hasMadeWay) = (false, false, false);
        _log.Info("Job {Job}: generation {Generation} opens: {Reason}", _job, _state.Generation.Next.Number, reason);
        Persist(new Events.GenerationOpened(_state.Generation.Next, restoreStep, reason, Now) { Step = Run.Known }, opened =>
        {
            _state.Apply(opened);
            Run.Active = [.. Run.Workers.Select(worker => worker.Actor)];
            _telemetry!.Generation(opened.Generation, reason);
            Array.Clear(Run.Shards);
            if (restoreStep is not null)
            {
                Run.RollBack(_state);
                _trained = _state.TrainingTime;
            }
            Become(() => Opening(restoreStep));
            OpenShards(restoreStep);
        });
    }

    private void Opening(long? restoreStep)
    {
        Command<ParameterProtocol.Replies.Opened>(IsOfNow, opened => Opened(opened));
        Command<ParameterProtocol.Replies.OpenFailed>(IsOfNow, failed => OpenElsewhere(restoreStep, failed));
        Command<Commands.Interrupt>(_ => InterruptNow());
        WhileRunning();
    }

    private void OpenShards(long? restoreStep)
    {
        _repeat = () => OpenShards(restoreStep);
        for (var i = 0; i < Run.Shards.Length; i++)
        {
            if (Run.Shards[i] is null)
                _environment.Shards.Tell(new ParameterProtocol.Commands.Open(new ShardId(_job, i), _state.Generation, Run.Setup, restoreStep, Run.Workers[0].Actor) { Trace = _telemetry!.Trace }, Self);
        }
    }

    private void Opened(ParameterProtocol.Replies.Opened opened)
    {
        if (Run.Shards[opened.Shard.Index] is not null)
            return;
        Run.Shards[opened.Shard.Index] = Sender;
        Run.Versions[opened.Shard.Index] = opened.Version;
        Run.Missing[opened.Shard.Index] = opened.MissingSlices;
        Context.Watch(Sender);
        if (Run.Shards.Any(shard => shard is null))
            return;
        var shards = Run.Shards.OfType<IActorRef>().ToArray();
        for (var i = 0; i < shards.Length; i++)
            shards[i].Tell(new ParameterProtocol.Commands.Meet(new ShardId(_job, i), _state.Generation, shards));
        _restoring = null;
        AssignFrom(Run.Versions.Min());
    }

    /// <summary>A checkpoint is damaged or gone: an older one, or the start, must do.</summary>
    private void OpenElsewhere(long? restoreStep, ParameterProtocol.Replies.OpenFailed failed)
    {
        var older = restoreStep is null ? _state.RestoreStep : _state.Committed.LastOrDefault(step => step < restoreStep);
        _log.Error("Job {Job}: shard {Shard} can't go on from step {Step}: {Reason}; going back to step {Older}", _job, failed.Shard, failed.RestoreStep, failed.Reason, older);
        OpenGeneration(older, $"shard {failed.Shard.Index} could not go on: {failed.Reason}");
    }

    private void AssignFrom(long step)
    {
        Run.Until = MustStandAt(step) ? step : NextBoundary(step);
        var chosen = Choose();
        var deal = Deal(chosen.Count);
        Run.Active = [.. chosen.Where((_, i) => deal[i].IsActive).Select(worker => worker.Actor)];
        // the shards keep what they have of the step at hand: only the rest is computed
        var missing = Spec.Training.IsAsynchronous ? null : Run.MissingAt(step);
        var first = missing is null ? null : SlicePlan.Deal(missing, deal.Count(share => share.Nodes.Count > 0));
        Run.Standing.Clear();
        _mayStand = true;
        Become(Training);
        _repeat = null;
        StartWindow();
        var shards = Run.Shards.OfType<IActorRef>().ToArray();
        for (var i = 0; i < Run.Active.Count; i++)
        {
            Run.Active[i].Tell(new WorkerProtocol.Commands.Assign(_job, _state.Generation, step, Run.Until, deal[i].Nodes, shards)
            {
                FirstNodes = i < first?.Count ? first[i] : null,
                Backup = deal[i].Backup,
                Trace = _telemetry!.Trace,
            });
        }
        ReleaseSurplus(chosen);
        if (IsToStand)
            Hold();
    }

    /// <summary>Whether something other than training comes next at a version.</summary>
    private bool MustStandAt(long step) =>
        step == Run.TotalSteps || LacksEvaluation(step) || LacksHandOver(step) || (Evaluates && step > 0 && step % Run.Batches.StepsPerEpoch == 0 && _judge!.ShouldStop(Epochs));

    private bool LacksEvaluation(long step) =>
        Evaluates && step > 0 && (step == Run.TotalSteps || step % Run.Batches.StepsPerEpoch == 0) && (Epochs.Count == 0 || Epochs[^1].Step < step);

    private void Training()
    {
        Command<WorkerProtocol.Replies.Reached>(IsOfNow, Reached);
        Command<WorkerProtocol.Replies.Held>(held => held.Generation == _state.Generation, Held);
        Command<Commands.Interrupt>(_ => Interrupt());
        WhileRunning();
    }

    private void StartWindow()
    {
        _windowStart = _environment.Time.GetTimestamp();
        _training = true;
        _rate.Start(_windowStart);
        _telemetry!.Phase(TelemetryNames.Activities.Epoch, Run.Known, Run.Active.Count);
    }

    private void CloseWindow()
    {
        _trained = TrainingTime;
        _training = false;
        _rate.Stop(_environment.Time);
        _telemetry?.EndPhase();
    }

    private void StepsDone(ParameterProtocol.Replies.StepsDone done)
    {
        var before = Run.Known;
        Run.MaxStaleness = Math.Max(Run.MaxStaleness ?? -1, done.MaxStaleness ?? -1) is >= 0 and var staleness ? staleness : null;
        if (Run.Learn(done.FirstStep, done.Statistics) is { } failure)
        {
            End(JobStatus.Failed, failure, false);
            return;
        }
        var samples = Run.SamplesIn(Run.Known) - Run.SamplesIn(before);
        if (_rate.Add(samples, _environment.Time))
            Run.AddPace(_rate.PerSecond);
        _telemetry!.Steps(Run.Known - before, samples, Run.LatestLoss, _rate.PerSecond);
        CommitWhatIsSaved();
        StandIfAllDo();
    }

    private void Reached(WorkerProtocol.Replies.Reached reached)
    {
        if (reached.Version < Run.Until && IsToStand && !HoldsAll)
        {
            // this worker was held: no shard can go past the version it stands at
            Run.Until = reached.Version;
            SaveWhereAllStand();
            return;
        }
        if (reached.Version != Run.Until)
            return;
        Run.Standing.Add(Sender);
        StandIfAllDo();
    }

    private void StandIfAllDo()
    {
        if (_training && Run.Standing.Count >= Run.Active.Count - Backups && Run.Known >= Run.Until)
        {
            CloseWindow();
            AtBoundary(Run.Until);
        }
    }

    private void AtBoundary(long step)
    {
        if (IsToStand)
            SaveWhereAllStand();
        else if (Spec.Training.IsAsynchronous && AwaitsCheckpoint(step))
            SaveAtBoundary(step);
        else if (LacksEvaluation(step))
            Evaluate([WorkerProtocol.DataPart.Validation], ParameterProtocol.WeightsSelection.Current, results => JudgeEpoch(step, results[WorkerProtocol.DataPart.Validation]));
        else if (LacksHandOver(step))
            HandOver(step);
        else if (step == Run.TotalSteps || _judge!.ShouldStop(Epochs))
            Conclude(step);
        else
            GoOn(step);
    }

    private void GoOn(long step)
    {
        if (IsToAdmit && (!Spec.Training.RestoresOnChange || step == _state.RestoreStep))
        {
            OpenGeneration(RestoreOnChange, "workers have come");
            return;
        }
        Run.Until = NextBoundary(step);
        Run.Standing.Clear();
        Become(Training);
        _repeat = null;
        StartWindow();
        foreach (var worker in Run.Active)
            worker.Tell(new WorkerProtocol.Commands.Continue(_job, _state.Generation, Run.Until) { Trace = _telemetry!.Trace });
    }

    private void JudgeEpoch(long step, MetricAccumulator validation)
    {
        var epoch = (step - 1) / Run.Batches.StepsPerEpoch + 1;
        var record = _judge!.Judge(Epochs, epoch, step, Run.EpochSums(step).MeanLoss, validation.Report().Values);
        if (!record.IsBest)
        {
            Run.Add(record);
            AtBoundary(step);
            return;
        }
        var lacking = new HashSet<int>(Enumerable.Range(0, Run.Shards.Length));
        Become(() => Marking(record, lacking));
        Repeat(() =>
        {
            foreach (var shard in lacking)
                Run.Shards[shard]!.Tell(new ParameterProtocol.Commands.MarkBest(new ShardId(_job, shard), _state.Generation, step));
        });
    }

    private void Marking(EpochRecord record, HashSet<int> lacking)
    {
        Command<ParameterProtocol.Replies.BestMarked>(IsOfNow, marked =>
        {
            if (lacking.Remove(marked.Shard.Index) && lacking.Count == 0)
            {
                Run.Add(record);
                AtBoundary(record.Step);
            }
        });
        Command<Commands.Interrupt>(_ => Interrupt());
        WhileRunning();
    }

    /// <summary>What can come in any phase of a run.</summary>
    private void WhileRunning()
    {
        // of any generation: a step's sums are the same in all of them, and what a shard told while a generation opened it does not tell again
        Command<ParameterProtocol.Replies.StepsDone>(StepsDone);
        Command<ParameterProtocol.Replies.CheckpointSaved>(IsOfNow, CheckpointSaved);
        Command<ParameterProtocol.Replies.CheckpointFailed>(IsOfNow, CheckpointFailed);
        Command<WorkerProtocol.Replies.Enlisted>(_ => Enlisted(Sender));
        Command<ParameterProtocol.Replies.Leaving>(ShardLeaves);
        Command<Commands.HandOff>(_ => Move());
        Command<Commands.Nudge>(_ => NoteThat(true));
        Command<WorkerProtocol.Replies.WorkFailed>(failed => failed.Generation == Generation.None, LeaveOut);
        Command<WorkerProtocol.Replies.WorkFailed>(_ => Run.Workers.Any(worker => worker.Actor.Equals(Sender)), failed => End(JobStatus.Failed, failed.Reason, false, loggable: failed.Loggable));
        Command<Terminated>(Terminated);
        Command<Commands.Cancel>(_ => End(JobStatus.Cancelled, null, deleteCheckpoints: true, Sender));
        Command<Commands.Resume>(_ => Sender.Tell(new Replies.Accepted(_job)));
        Command<Commands.Submit>(_ => Sender.Tell(new Replies.Accepted(_job)));
        Common();
    }

    private bool IsOfNow(WorkerProtocol.Replies.Reached reached) => reached.Generation == _state.Generation;

    private bool IsOfNow(ParameterProtocol.IShardMessage message) => message switch
    {
        ParameterProtocol.Replies.Opened opened => opened.Generation == _state.Generation,
        ParameterProtocol.Replies.OpenFailed failed => failed.Generation == _state.Generation,
        ParameterProtocol.Replies.BestMarked marked => marked.Generation == _state.Generation,
        ParameterProtocol.Replies.CheckpointSaved saved => saved.Generation == _state.Generation,
        ParameterProtocol.Replies.CheckpointFailed failed => failed.Generation == _state.Generation,
        _ => false,
    };

    /// <summary>Does something now and again every few seconds until the phase ends: answers may be lost, and asking twice is harmless.</summary>
    private void Repeat(Action ask)
    {
        _repeat = ask;
        ask();
    }

    /// <summary>Samples per second over the last second or so.</summary>
    private sealed class RateMeter
    {
        private static readonly TimeSpan Least = TimeSpan.FromSeconds(0.5);

        private long? _since;
        private TimeSpan _before;
        private long _samples;

        public double PerSecond { get; private set; }

        /// <summary>Steps are computed from now on.</summary>
        public void Start(long now) => _since = now;

        /// <summary>No steps are computed for a while, which does not count.</summary>
        public void Stop(TimeProvider time)
        {
            if (_since is { } since)
                _before += time.GetElapsedTime(since);
            _since = null;
        }

        /// <summary>Whether there is a new rate.</summary>
        public bool Add(long samples, TimeProvider time)
        {
            _samples += samples;
            var elapsed = _before + (_since is { } since ? time.GetElapsedTime(since) : TimeSpan.Zero);
            if (elapsed <= TimeSpan.Zero || (elapsed < Least && PerSecond > 0))
                return false;
            (PerSecond, _samples, _before) = (_samples / elapsed.TotalSeconds, 0, TimeSpan.Zero);
            if (_since is not null)
                _since = time.GetTimestamp();
            return true;
        }
    }
}
