using System.Numerics;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Parameters;

/// <summary>
/// Who computes what where workers do not wait for each other: the work of a job is the items (step, node) in order, and a worker that is done with one claims the lowest that nobody has. So a slow worker
/// holds up no more than its own item, and with bounded staleness nobody is given an item further ahead of the lowest incomplete step than the bound.
/// </summary>
/// <typeparam name="TWorker">a worker</typeparam>
internal sealed class ClaimBook<TWorker>
    where TWorker : notnull
{
    private readonly int _level;
    private readonly int _nodes;
    private readonly long _totalSteps;
    private readonly long? _staleness;
    private readonly Dictionary<TWorker, ParameterProtocol.WorkItem> _held = [];
    private long _step;
    private int _index;

    /// <param name="slices">of a step, a power of two</param>
    /// <param name="workers">how many there are to be: a step has at least one item for each</param>
    /// <param name="totalSteps">of the job</param>
    /// <param name="staleness">the bound; null for none</param>
    public ClaimBook(int slices, int workers, long totalSteps, long? staleness)
    {
        _nodes = (int)Math.Min((uint)slices, BitOperations.RoundUpToPowerOf2((uint)workers));
        _level = BitOperations.Log2((uint)(slices / _nodes));
        (_totalSteps, _staleness) = (totalSteps, staleness);
    }

    /// <summary>Nothing from <paramref name="step"/> on is claimed.</summary>
    public void Reset(long step)
    {
        _held.Clear();
        (_step, _index) = (step, 0);
    }

    /// <summary>The worker is done with an item: where it is the one that it holds, it may have another.</summary>
    public void Done(TWorker worker, ParameterProtocol.WorkItem item)
    {
        if (_held.TryGetValue(worker, out var held) && held == item)
            _held.Remove(worker);
    }

    /// <summary>What the worker holds, or else the next item, if the bound allows it. Behind the last step there is an item that nobody computes, for all.</summary>
    /// <param name="worker">who asks</param>
    /// <param name="lowest">the lowest incomplete step</param>
    /// <returns>null where it has to wait until that step is complete</returns>
    public ParameterProtocol.WorkItem? Claim(TWorker worker, long lowest)
    {
        if (_held.TryGetValue(worker, out var held))
            return held;
        if (_step < _totalSteps && _staleness is { } bound && _step - lowest > bound)
            return null;
        var item = new ParameterProtocol.WorkItem(_step, new TreeNode(_level, _index));
        if (_step < _totalSteps)
        {
            _held.Add(worker, item);
            (_step, _index) = _index + 1 < _nodes ? (_step, _index + 1) : (_step + 1, 0);
        }
        return item;
    }
}
