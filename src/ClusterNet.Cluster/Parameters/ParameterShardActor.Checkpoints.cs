using Akka.Actor;
using Akka.Event;
using Akka.Persistence;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Models;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Parameters.ParameterProtocol;

namespace ClusterNet.Cluster.Parameters;

/// <summary>What a shard keeps: checkpoints, the residuals that belong to them, the best weights, and parts of model versions.</summary>
internal sealed partial class ParameterShardActor
{
    // a store that is slow may lag behind by so much; what waits for one that is silent must not fill the memory
    private const int MostSaving = 16;
    private const long MostSavingBytes = 256L << 20;

    private readonly Dictionary<long, (Generation Generation, ShardCheckpoint? Checkpoint)> _saving = [];
    private long _checkpointBytes;
    private long? _awaitsResiduals;

    private void MarkBest(Commands.MarkBest mark)
    {
        if (IsCurrent(mark.Generation) && (_state!.BestStep == mark.Step || _state.MarkBest(mark.Step)))
            Sender.Tell(new Replies.BestMarked(mark.Shard, mark.Generation, mark.Step));
    }

    private bool IsDue(long version) => _state!.Setup.Training.Checkpoint.IsDue(version, _state.Setup.TotalSteps);

    /// <summary>By the schedule; without waiting for each other there is a state to save only where all workers stand, which the coordinator knows.</summary>
    private void SaveWhereDue()
    {
        var state = _state!;
        if (_awaitsResiduals is { } missed && missed < state.Version)
        {
            _awaitsResiduals = null;
            _coordinator.Tell(new Replies.CheckpointFailed(state.Shard, state.Generation, missed, "what the codec had lost of some slices did not arrive"));
        }
        if (IsDue(state.Version) && !state.Setup.Training.IsAsynchronous)
            TakeCheckpoint();
    }

    private void TakeCheckpoint()
    {
        if (_state!.CanCheckpoint)
            SaveCheckpoint();
        else
            _awaitsResiduals = _state.Version;
    }

    private void KeepResidual(Commands.KeepResidual keep)
    {
        if (_state is null || _opening is not null)
        {
            keep.Residual.Release();
            return;
        }
        _state.Offer(keep);
        if (_awaitsResiduals == _state.Version && _state.CanCheckpoint)
            SaveCheckpoint();
    }

    private void PullResidual(Queries.PullResidual pull)
    {
        if (IsCurrent(pull.Generation) && pull.Version == _state!.Version && _state.Residual(pull.Slice) is { } residual)
            _lane.Tell(Sender, new Replies.ResidualKept(pull.Shard, pull.Generation, pull.Version, pull.Slice, residual), Self);
        else
            Sender.Tell(new Replies.Refused(pull.Shard, pull.Generation, pull.Version, RefusalReason.NotYet));
    }

    private void SaveCheckpoint()
    {
        _awaitsResiduals = null;
        var (step, generation) = (_state!.Version, _state.Generation);
        // asked again for what is on its way
        var isAgain = _saving.TryGetValue(step, out var earlier);
        if (isAgain && (earlier.Generation == generation || !_state.Setup.Training.IsAsynchronous))
            return;
        if (_saving.Count >= MostSaving || (_saving.Count > 0 && _saving.Count * _checkpointBytes >= MostSavingBytes))
        {
            var reason = $"the store has not answered for {_saving.Count} before it";
            _log.Error("Shard {Shard}: checkpoint of step {Step} was not saved: {Reason}", _state.Shard, step, reason);
            _coordinator.Tell(new Replies.CheckpointFailed(_state.Shard, generation, step, reason));
            return;
        }
        var checkpoint = _state.Checkpoint();
        _checkpointBytes = checkpoint.Bytes;
        // of two that are on their way under one number, it is not known which one the store answers for: neither gives its buffers back
        _saving[step] = (generation, isAgain ? null : checkpoint);
        _telemetry!.Saving(checkpoint);
        _store.Tell(new SaveSnapshot(new SnapshotMetadata(PersistenceIdOf(checkpoint.Shard), checkpoint.Step, DateTime.UtcNow), checkpoint));
    }

    private void Saved(SaveSnapshotSuccess saved)
    {
        _telemetry?.Saved(saved.Metadata.SequenceNr, succeeded: true);
        var isOurs = _saving.Remove(saved.Metadata.SequenceNr, out var saving);
        // after a failure the store may still be reading: then the garbage collector takes the buffers
        if (isOurs)
            saving.Checkpoint?.Release();
        if (_state is null || !IsOfThisHistory(isOurs, saving.Generation))
            return;
        Report();
        _coordinator.Tell(new Replies.CheckpointSaved(_state.Shard, _state.Generation, saved.Metadata.SequenceNr));
    }

    /// <summary>Steps that are computed again come to the same bits, so that a save of an older generation counts; without waiting for each other they do not.</summary>
    private bool IsOfThisHistory(bool isOurs, Generation generation) =>
        !isOurs || generation == _state!.Generation || !_state.Setup.Training.IsAsynchronous;

    private void SaveFailed(SaveSnapshotFailure failure)
    {
        _telemetry?.Saved(failure.Metadata.SequenceNr, succeeded: false);
        var isOurs = _saving.Remove(failure.Metadata.SequenceNr, out var saving);
        if (_state is null || !IsOfThisHistory(isOurs, saving.Generation))
            return;
        _log.Error("Shard {Shard}: checkpoint of step {Step} was not saved: {Reason}", _state.Shard, failure.Metadata.SequenceNr, StoreFault.ReasonOf(failure.Cause));
        _coordinator.Tell(new Replies.CheckpointFailed(_state.Shard, _state.Generation, failure.Metadata.SequenceNr, StoreFault.ReasonOf(failure.Cause)));
    }

    private void DeleteCheckpoints(long upTo)
    {
        if (upTo >= 0 && _state is not null)
            _store.Tell(new DeleteSnapshots(PersistenceIdOf(_state.Shard), new SnapshotSelectionCriteria(upTo)));
    }

    private void Publish(Commands.Publish publish)
    {
        if (_publishing.Count > 0)
            return;
        _published.Clear();
        var state = _state!;
        var weights = state.SelectedToKeep(publish.Selection);
        foreach (var part in WeightsProtocol.Split(state.Range))
        {
            var payload = TensorPayload.Of(weights.Buffer, part with { Offset = weights.Offset + part.Offset - state.Range.Offset });
            _publishing.Add(Context.ActorOf(WeightsPartActor.PropsForSave(publish.Version, part, payload)), (Sender, publish.Generation));
            _published.Add(part);
        }
        weights.Release();
    }

    private void PartSaved(WeightsProtocol.Saved saved)
    {
        if (_publishing.Remove(Sender, out var asked) && _publishing.Count == 0)
            asked.Asker.Tell(new Replies.Published(_state!.Shard, asked.Generation, [.. _published]));
    }

    private void PartFailed(WeightsProtocol.SaveFailed failed)
    {
        if (!_publishing.Remove(Sender, out var asked))
            return;
        _publishing.Clear();
        asked.Asker.Tell(new Replies.PublishFailed(_state!.Shard, asked.Generation, failed.Reason));
    }
}
