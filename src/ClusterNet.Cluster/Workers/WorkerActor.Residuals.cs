using Akka.Actor;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Workers;

/// <summary>A codec that loses something: what it lost of each slice is added to that slice's next gradient, comes from the shards' checkpoint, and goes into the next one.</summary>
internal sealed partial class WorkerActor
{
    /// <summary>The words of a gradient; where the next version is due for a checkpoint, the shards get what was lost before they get the words.</summary>
    private ReductionTree.Part Encoded(long step, TreeNode node, ReductionTree.Part part)
    {
        if (_residuals is null)
            return part;
        var words = _residuals.Encode(node.Index, part);
        if (Spec.Checkpoint.IsDue(step + 1, _batches.TotalSteps(Spec)))
            SendResidual(step + 1, node.Index);
        return words;
    }

    private void SendResiduals(long version)
    {
        foreach (var slice in _residuals?.Slices ?? [])
            SendResidual(version, slice);
    }

    private void SendResidual(long version, int slice)
    {
        if (_residuals!.At(version, slice) is not { } residual)
            return;
        for (var i = 0; i < _shards.Count; i++)
            _lane.Tell(_shards[i], new ParameterProtocol.Commands.KeepResidual(ShardOf(i), _state.Generation, version, slice, TensorPayload.Of(residual, _plan.Ranges[i])), Self);
        residual.Release();
    }

    private void AskForResiduals()
    {
        if (_residuals is null)
            return;
        foreach (var (slice, shard) in _residuals.Lacking)
            _shards[shard].Tell(new ParameterProtocol.Queries.PullResidual(ShardOf(shard), _state.Generation, _residuals.Version, slice));
    }

    private void ResidualKept(ParameterProtocol.Replies.ResidualKept kept)
    {
        if (_residuals is not null && kept.Generation == _state.Generation && !_residuals.IsComplete)
        {
            _residuals.Take(kept.Shard.Index, kept);
            if (_residuals.IsComplete && _state.Lacking.Count == 0)
                GoOn();
        }
        kept.Residual.Release();
    }
}
