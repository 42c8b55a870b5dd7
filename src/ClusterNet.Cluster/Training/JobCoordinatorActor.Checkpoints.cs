using Akka.Actor;
using Akka.Event;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Training.TrainingProtocol;

namespace ClusterNet.Cluster.Training;

/// <summary>Checkpoints: shards save by the schedule on their own, the coordinator commits a step when all have. And interruption, which is a checkpoint where everyone stands.</summary>
internal sealed partial class JobCoordinatorActor
{
    /// <summary>Called when a checkpoint was committed or has failed, while someone waits for one.</summary>
    private Action? _afterCheckpoint;

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
        var (epochs, losses, ledger) = Run.HistoryUpTo(step, includeEpochAtStep: false);
        long[] kept = [.. _state.Committed.Append(step).TakeLast(Spec.Training.Checkpoint.Keep)];
        Persist(new Events.CheckpointCommitted(step, epochs, losses, Run.EpochSums(step), TrainingTime, kept) { Ledger = ledger }, committed =>
        {
            _state.Apply(committed);
            Run.Commit(step);
            _telemetry!.Committed(step);
            for (var i = 0; i < Run.Shards.Length; i++)
                Run.Shards[i]?.Tell(new ParameterProtocol.Commands.KeepCheckpoints(new ShardId(_job, i), _state.Generation, kept));
            _log.Debug("Job {Job}: checkpoint of step {Step} committed", _job, step);
            _afterCheckpoint?.Invoke();
        });
    }

    /// <summary>Whether the shards save the state of <paramref name="step"/> by themselves and it is neither committed nor failed.</summary>
    private bool AwaitsCheckpoint(long step) =>
        step > _state.RestoreStep && step > Run.FailedCheckpoint
        && (step == Run.TotalSteps || (Spec.Training.Checkpoint.Every > 0 && step % Spec.Training.Checkpoint.Every == 0));

    /// <summary>Asks one worker to stop, which stops all; where they stand already, saves at once.</summary>
    private void Interrupt()
    {
        _interrupting.Add(Sender);
        if (_training)
            Hold();
        else
            SaveAndInterrupt();
    }

    private void Hold() => Repeat(HoldsAll ? HoldAll : () => Run.Active[0].Tell(new WorkerProtocol.Commands.Hold(_job, _state.Generation)));

    /// <summary>Nothing was computed that is not committed.</summary>
    private void InterruptNow()
    {
        _interrupting.Add(Sender);
        JournalInterruption();
    }

    private void SaveAndInterrupt()
    {
        CloseWindow();
        var step = Run.Until;
        if (step == _state.RestoreStep)
        {
            JournalInterruption();
            return;
        }
        _afterCheckpoint = () =>
        {
            if (_state.RestoreStep >= step || Run.FailedCheckpoint >= step)
                JournalInterruption();
        };
        Become(Interrupting);
        Repeat(() => TakeCheckpoint(step));
    }

    private void TakeCheckpoint(long step)
    {
        AskForResiduals(step);
        for (var i = 0; i < Run.Shards.Length; i++)
            Run.Shards[i]!.Tell(new ParameterProtocol.Commands.TakeCheckpoint(new ShardId(_job, i), _state.Generation, step));
    }

    private void Interrupting()
    {
        Command<Commands.Interrupt>(_ => _interrupting.Add(Sender));
        WhileRunning();
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
}
