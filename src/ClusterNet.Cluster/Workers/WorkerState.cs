using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using static ClusterNet.Cluster.Workers.WorkerProtocol;

namespace ClusterNet.Cluster.Workers;

/// <summary>Where a worker is in its generation: which weights it has, what it waits for, how far it may go. No actor, no tensor.</summary>
internal sealed class WorkerState
{
    private readonly HashSet<int> _lacking = [];
    private int _shards;
    private long _from;
    private IReadOnlyList<TreeNode>? _first;
    private bool _held;

    public Generation Generation { get; private set; } = Generation.None;

    /// <summary>The version of which all shards' weights are here; -1 for none.</summary>
    public long Version { get; private set; } = -1;

    /// <summary>The version whose weights are awaited; <see cref="Version"/> where none are.</summary>
    public long Awaited { get; private set; } = -1;

    public long Until { get; private set; }

    public IReadOnlyList<TreeNode> Nodes { get; private set; } = [];

    /// <summary>Which of the backup workers it is; null for one that has nodes of its own.</summary>
    public int? Backup { get; private set; }

    /// <summary>What it computes with the weights that are here.</summary>
    public IReadOnlyList<TreeNode> NodesOfStep => Version == _from && _first is not null ? _first : Nodes;

    /// <summary>Shards whose weights of <see cref="Awaited"/> are lacking.</summary>
    public IReadOnlyCollection<int> Lacking => _lacking;

    /// <summary>Whether it has weights and may compute the next step with them.</summary>
    public bool MayCompute => _lacking.Count == 0 && Version >= 0 && Version < Until && !MustStop;

    /// <summary>Whether it has weights and may not go on.</summary>
    public bool Stands => _lacking.Count == 0 && Version >= 0 && (MustStop || Version >= Until);

    // a generation's first step may be completed by what its dead sent before: only after it can no shard go past a worker that stands
    private bool MustStop => _held && Version > _from;

    /// <summary>Enters a generation.</summary>
    /// <returns>whether weights must be pulled first</returns>
    public bool Enter(Commands.Assign assign)
    {
        var has = _lacking.Count == 0 && Version == assign.Step;
        Generation = assign.Generation;
        Until = assign.Until;
        _from = assign.Step;
        Nodes = assign.Nodes;
        Backup = assign.Backup;
        _first = assign.FirstNodes;
        _shards = assign.Shards.Count;
        _held = false;
        if (!has)
            Await(assign.Step);
        return !has;
    }

    public void Continue(long until) => Until = until;

    /// <summary>Stops after the step under way, but not before the generation's first.</summary>
    public void Hold() => _held = true;

    /// <summary>From now on the weights of a version are awaited from all shards; those that are here are no more a version.</summary>
    public void Await(long version)
    {
        Version = -1;
        Awaited = version;
        _lacking.Clear();
        _lacking.UnionWith(Enumerable.Range(0, _shards));
    }

    /// <summary>Takes note of a shard's weights.</summary>
    /// <returns>whether they are awaited and not here yet</returns>
    public bool Accept(int shard, Generation generation, long version)
    {
        if (generation != Generation || version != Awaited || !_lacking.Remove(shard))
            return false;
        if (_lacking.Count == 0)
            Version = version;
        return true;
    }

    /// <summary>Other weights than a version's were loaded: the next assignment pulls.</summary>
    public void Forget()
    {
        Version = -1;
        _lacking.Clear();
        Awaited = -1;
    }
}
