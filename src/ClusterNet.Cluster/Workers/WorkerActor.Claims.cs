using ClusterNet.Cluster.Parameters;

namespace ClusterNet.Cluster.Workers;

/// <summary>
/// Training without waiting for others: compute the item that was claimed, push it, and go on with the next as soon as shard 0 has given one out and every shard's weights suffice for it. An item behind the
/// bound is kept: the worker stands.
/// </summary>
internal sealed partial class WorkerActor
{
    private void GoOnClaiming(ClaimState claims)
    {
        if (!claims.IsReady)
            return;
        if (claims.Next!.Step >= _state.Until)
            TellReached(_state.Until);
        else
            ComputeItem(claims, claims.Next);
    }

    private void ComputeItem(ClaimState claims, ParameterProtocol.WorkItem item)
    {
        LetGo();
        _telemetry.Begin(_state.Generation, item.Step);
        RoundWeights();
        ComputeAndPush(item.Step, item.Node);
        _telemetry.Computed();
        claims.Push();
        Timers.StartSingleTimer(Tick.Repeat, Tick.Repeat, RepeatInterval);
    }

    private void PulledWithoutWaiting(ClaimState claims, int index, ParameterProtocol.Replies.Pulled pulled)
    {
        // a worker that stands may have been given the weights that are to be evaluated: what was asked for twice comes too late
        if (claims.IsReady)
        {
            pulled.Weights.Release();
            return;
        }
        Load(index, pulled);
        claims.Accept(index, pulled.Version, pulled.Applied, pulled.Claim);
        if (claims.IsReady)
        {
            _telemetry.End();
            LetGo();
            GoOn();
            return;
        }
        foreach (var shard in claims.TakeToAsk())
            Pull(shard, claims.Wanted);
    }

    private void AskForClaim(ClaimState claims)
    {
        if (claims.IsReady)
            return;
        foreach (var shard in claims.Unacknowledged)
        {
            foreach (var (node, parts) in _pushed)
                Push(shard, claims.Pushed!.Step, node, parts[shard]);
        }
        claims.AskAgain();
        foreach (var shard in claims.TakeToAsk())
            Pull(shard, claims.Wanted);
    }
}
