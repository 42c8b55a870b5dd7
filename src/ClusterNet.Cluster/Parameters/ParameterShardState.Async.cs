using ClusterNet.Core.Optimizers;
using static ClusterNet.Cluster.Parameters.ParameterProtocol;

namespace ClusterNet.Cluster.Parameters;

/// <summary>
/// Training without waiting: each push is an update of its own, of its mean gradient with a learning rate of its share of the step's slices. The version is the number of complete steps; weights may have seen
/// parts of later ones. A gradient of step t that was computed with weights of version v is t - v steps stale: those weights lack no update of a step before v (Ho et al. 2013, section 3.1).
/// </summary>
internal sealed partial class ParameterShardState
{
    private readonly AppliedSlices _applied;
    private long _beyond;

    /// <summary>The most steps that an applied gradient was behind; null where none was applied, or all training is synchronous.</summary>
    public long? MaxStaleness { get; private set; }

    /// <summary>Of the last gradient applied.</summary>
    public long LastStaleness { get; private set; }

    /// <summary>Whether weights of this version suffice for a gradient of <paramref name="step"/>.</summary>
    public bool Suffices(long step) => Setup.Training.Consistency == Core.Jobs.ConsistencyMode.Asp || step - Version <= Setup.Training.Staleness;

    private PushOutcome Apply(Commands.Push push)
    {
        if (push.Basis is not { } basis || basis > Version || !double.IsFinite(push.Statistics.Weight) || push.Statistics.Weight < 0)
        {
            push.Gradient.Release();
            return PushOutcome.Malformed;
        }
        if (!_applied.Offer(push.Step, push.Node, push.Statistics))
        {
            push.Gradient.Release();
            return PushOutcome.AlreadyDone;
        }
        if (push.Statistics.Weight > 0)
            Update(push);
        push.Gradient.Release();
        LastStaleness = Math.Max(0, push.Step - basis);
        MaxStaleness = Math.Max(MaxStaleness ?? 0, LastStaleness);
        StepsDone = _applied.Advance();
        Version = _applied.Lowest;
        return StepsDone.Count > 0 ? PushOutcome.Advanced : PushOutcome.Applied;
    }

    private void Update(Commands.Push push)
    {
        var next = RentWeights();
        var gradient = push.Gradient.Memory;
        // a step has at least as many updates as it has nodes of this size: near enough for the correction of Adam's bias, and the same after going back to a checkpoint
        var updates = Math.Max(_beyond, Version * (_tree.Slices / push.Node.SliceCount));
        _updater.Begin(push.Step, gradient, push.Statistics.Weight, _current!.Memory, next.Memory, new PartialUpdate((double)push.Node.SliceCount / _tree.Slices, updates));
        _beyond = updates + 1;
        _current.Release();
        _current = next;
    }
}
