using Akka.Actor;
using Akka.Event;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Training.TrainingProtocol;

namespace ClusterNet.Cluster.Training;

/// <summary>
/// Checkpoints: shards save by the schedule on their own, the coordinator commits a step when all have. And what needs a checkpoint where everyone stands: interruption, and making way for a shard or for the
/// coordinator itself, which move to another node without losing a step.
/// </summary>
internal sealed partial class JobCoordinatorActor
{
    /// <summary>Called when a checkpoint was committed or has failed, while someone waits for one.</summary>
    private Action? _afterCheckpoint;

    /// <summary>How long the work stands for someone who is to leave.</summary>
    private static readonly TimeSpan YieldTime = TimeSpan.FromSeconds(6);

    private readonly Dictionary<IActorRef, ShardId> _leaving = [];
    private bool _isYielding;
    private bool _hasMadeWay;
    private bool _isMoving;

    private bool IsToStand => _interrupting.Count > 0 || _isYielding;

    private void CheckpointSaved(ParameterProtocol.Replies.CheckpointSaved saved)
    {
        if (saved.Step <= _state.RestoreStep)
            return;
        if (!Run.Saving.TryGetValue(saved.Step, out var shards))
            Run.Saving.Add(saved.Step, shards = []);
        shards.Add(saved.Shard.Index);
        _telemetry!.Saved(saved.Step);
        CommitWhatIsSaved();
    }

    private void CheckpointFailed(ParameterProtocol.Replies.CheckpointFailed failed)
    {
        _log.Error("Job {Job}: checkpoint of step {Step} failed at shard {Shard}: {Reason}; the last good one is of step {Last}, the next is tried by the schedule",
            _job, failed.Step, failed.Shard.Index, failed.Reason, _state.RestoreStep);
        Run.Saving.Remove(failed.Step);
        _telemetry!.CheckpointFailed(failed.Step);
        Run.FailedCheckpoint = Math.Max(Run.FailedCheckpoint, failed.Step);
        _afterCheckpoint?.Invoke();
    }

    private void CommitWhatIsSaved()
    {
        var step = Run.Saving.Where(saving => saving.Value.Count == Run.Shards.Length && saving.Key <= Run.Known).Select(saving => saving.Key).DefaultIfEmpty(-1).Max();
        if (step <= _state.RestoreStep)
            return;
        Run.Saving.Remove(step);
        var history = Run.HistoryUpTo(step, includeEpochAtStep: false);
        long[] kept = [.. _state.Committed.Append(step).TakeLast(Spec.Training.Checkpoint.Keep)];
        var saved = new Events.CheckpointCommitted(step, history.Epochs, history.Losses, Run.EpochSums(step), TrainingTime, kept) { Ledger = history.Ledger, MaxStaleness = Run.MaxStaleness, Paces = history.Paces };
        Persist(saved, committed =>
        {
            _state.Apply(committed);
            Run.Commit(step);
            _telemetry!.Committed(step);
            for (var i = 0; i < Run.Shards.Length; i++)
                Run.Shards[i]?.Tell(new ParameterProtocol.Commands.KeepCheckpoints(new ShardId(_job, i), _state.Generation, kept));
            _log.Debug("Job {Job}: checkpoint of step {Step} committed", _job, step);
            _afterCheckpoint?.Invoke();
            if (Spec.Training.RestoresOnChange)
                Admit(isCommitted: true);
        });
    }

    /// <summary>Whether the shards save the state of <paramref name="step"/> by themselves and it is neither committed nor failed.</summary>
    private bool AwaitsCheckpoint(long step) =>
        step > _state.RestoreStep && step > Run.FailedCheckpoint
        && (step == Run.TotalSteps || (Spec.Training.Checkpoint.Every > 0 && step % Spec.Training.Checkpoint.Every == 0));

    private void Interrupt()
    {
        _interrupting.Add(Sender);
        Stand();
    }

    /// <summary>Asks one worker to stop, which stops all; where they stand already, saves at once.</summary>
    private void Stand()
    {
        if (_training)
            Hold();
        else
            SaveWhereAllStand();
    }

    private void Hold() => Repeat(HoldsAll ? HoldAll : () => Run.Active[0].Tell(new WorkerProtocol.Commands.Hold(_job, _state.Generation)));

    /// <summary>Nothing was computed that is not committed.</summary>
    private void InterruptNow()
    {
        _interrupting.Add(Sender);
        JournalInterruption();
    }

    private void SaveWhereAllStand()
    {
        CloseWindow();
        var step = Run.Until;
        if (step == _state.RestoreStep)
        {
            Stood();
            return;
        }
        _afterCheckpoint = () =>
        {
            if (_state.RestoreStep >= step || Run.FailedCheckpoint >= step)
                Stood();
        };
        Become(Saving);
        Repeat(() => TakeCheckpoint(step));
    }

    private void TakeCheckpoint(long step)
    {
        AskForResiduals(step);
        for (var i = 0; i < Run.Shards.Length; i++)
            Run.Shards[i]!.Tell(new ParameterProtocol.Commands.TakeCheckpoint(new ShardId(_job, i), _state.Generation, step));
    }

    private void Saving()
    {
        Command<Commands.Interrupt>(_ => _interrupting.Add(Sender));
        WhileRunning();
    }

    private void Stood()
    {
        _afterCheckpoint = null;
        if (_interrupting.Count > 0)
            JournalInterruption();
        else
            MakeWay();
    }

    private void JournalInterruption()
    {
        _afterCheckpoint = null;
        Persist(new Events.JobInterrupted(Now), interrupted =>
        {
            _state.Apply(interrupted);
            LeaveRun(deleteCheckpoints: false);
        });
    }

    /// <summary>A shard is to move: everyone stands, the state is committed, then it may go. Its end opens the next generation, at that very step.</summary>
    private void ShardLeaves(ParameterProtocol.Replies.Leaving leaving)
    {
        _leaving[Sender] = leaving.Shard;
        Yield();
    }

    /// <summary>This coordinator is to move: the same, and then it goes; the directory wakes it where it then belongs.</summary>
    private void Move()
    {
        _isMoving = true;
        Yield();
    }

    private void Yield()
    {
        Timers.StartSingleTimer(Tick.StayedTooLong, Tick.StayedTooLong, YieldTime);
        if (!_mayStand)
        {
            LetGo();
            return;
        }
        if (IsToStand)
            return;
        _isYielding = true;
        Stand();
    }

    private void MakeWay()
    {
        (_mayStand, _hasMadeWay) = (false, true);
        _repeat = null;
        Become(MakingWay);
        LetGo();
    }

    private void LetGo()
    {
        foreach (var (actor, shard) in _leaving)
            actor.Tell(new ParameterProtocol.Commands.Go(shard));
        _leaving.Clear();
        _isYielding = false;
        if (!_isMoving)
            return;
        _log.Info("Job {Job}: its coordinator makes way; the job goes on from step {Step} elsewhere", _job, _state.RestoreStep);
        Context.Stop(Self);
    }

    /// <summary>Everyone stands until those are gone that leave.</summary>
    private void MakingWay()
    {
        Command<Commands.Interrupt>(_ => InterruptNow());
        WhileRunning();
    }

    private void StayedTooLong()
    {
        if (_isMoving)
            Context.Stop(Self);
        else if (_hasMadeWay)
            OpenGeneration(RestoreOnChange, "who was to leave has stayed");
    }
}
