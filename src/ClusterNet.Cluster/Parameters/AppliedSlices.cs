using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Parameters;

/// <summary>Which slices of which steps a shard has applied, where they come in any order. Steps are completed in order.</summary>
/// <param name="slices">of a step</param>
internal sealed class AppliedSlices(int slices)
{
    private readonly Dictionary<long, Begun> _begun = [];

    /// <summary>The lowest step that lacks a slice: all before are complete.</summary>
    public long Lowest { get; private set; }

    public void Reset(long step)
    {
        _begun.Clear();
        Lowest = step;
    }

    /// <summary>Takes note of a node.</summary>
    /// <returns>whether none of its slices was there</returns>
    public bool Offer(long step, TreeNode node, StepStatistics statistics)
    {
        if (step < Lowest)
            return false;
        if (!_begun.TryGetValue(step, out var begun))
            _begun.Add(step, begun = new Begun());
        if (begun.Nodes.Exists(held => held.Covers(node) || node.Covers(held)))
            return false;
        begun.Nodes.Add(node);
        begun.Slices += node.SliceCount;
        begun.Statistics += statistics;
        return true;
    }

    /// <summary>Goes on to the lowest step that is not complete.</summary>
    /// <returns>the statistics of the steps that were completed, in order</returns>
    public IReadOnlyList<StepStatistics> Advance()
    {
        var done = new List<StepStatistics>();
        while (_begun.TryGetValue(Lowest, out var begun) && begun.Slices == slices)
        {
            done.Add(begun.Statistics);
            _begun.Remove(Lowest++);
        }
        return done;
    }

    private sealed class Begun
    {
        public List<TreeNode> Nodes { get; } = [];

        public int Slices { get; set; }

        public StepStatistics Statistics { get; set; }
    }
}
