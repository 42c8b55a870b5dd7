using Akka.Actor;
using ClusterNet.Cluster.Parameters;

namespace ClusterNet.Cluster.Workers;

/// <summary>A codec that loses something: what it lost of each slice is added to that slice's next gradient, comes from the shards' checkpoint, and goes into the next one.</summary>
internal sealed partial class WorkerActor
{
    private void SendResiduals(long version)
    {
        foreach (var slice in _residuals?.Slices ?? [])
        {
            for (var shard = 0; shard < _shards.Count; shard++)
                SendResidual(version, slice, shard);
        }
    }

    private void SendResidual(long version, int slice, int shard)
    {
        if (_residuals!.At(version, slice) is not { } residual)
            return;
        _lane.Tell(_shards[shard], new ParameterProtocol.Commands.KeepResidual(ShardOf(shard), _state.Generation, version, slice, TensorPayload.Of(residual, _plan.Ranges[shard])), Self);
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
