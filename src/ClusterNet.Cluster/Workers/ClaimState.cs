using ClusterNet.Cluster.Parameters;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Workers;

/// <summary>
/// Where a worker is that does not wait for others: the item that it pushed, the item that it may compute next, and of which version each shard's weights are. No actor, no tensor.
/// </summary>
/// <param name="staleness">steps whose updates weights may lack; null for any number</param>
internal sealed class ClaimState(long? staleness)
{
    private const long None = -1;

    private readonly HashSet<int> _unacknowledged = [];
    private readonly HashSet<int> _asked = [];
    private long[] _bases = [];
    private long _from;

    /// <summary>What was pushed last; null before the first.</summary>
    public ParameterProtocol.WorkItem? Pushed { get; private set; }

    /// <summary>What was claimed; null while shard 0 has not answered.</summary>
    public ParameterProtocol.WorkItem? Next { get; private set; }

    /// <summary>Shards that have not said that they applied <see cref="Pushed"/>.</summary>
    public IReadOnlyCollection<int> Unacknowledged => _unacknowledged;

    /// <summary>Whether everything is here that <see cref="Next"/> is computed with.</summary>
    public bool IsReady => Next is not null && _unacknowledged.Count == 0 && !Stale.Any();

    /// <summary>The version that a shard's weights must have at least.</summary>
    public long Wanted => Next?.Step ?? _from;

    /// <summary>Shards whose weights lack too much for <see cref="Next"/>.</summary>
    public IEnumerable<int> Stale => Enumerable.Range(0, _bases.Length).Where(i => _bases[i] == None || Wanted - _bases[i] > (staleness ?? long.MaxValue));

    /// <summary>The version that no item at hand or behind goes beyond.</summary>
    public long Furthest => Math.Max(Next?.Step ?? _from, Pushed?.Step + 1 ?? _from);

    public static ClaimState Of(TrainingSpec training) => new(training.Consistency == ConsistencyMode.Ssp ? training.Staleness : null);

    /// <summary>Enters a generation that starts from <paramref name="step"/>.</summary>
    public void Enter(int shards, long step)
    {
        _bases = new long[shards];
        Array.Fill(_bases, None);
        _unacknowledged.Clear();
        _asked.Clear();
        (Pushed, Next, _from) = (null, null, step);
    }

    /// <summary>The steps that a shard's weights have seen.</summary>
    public long Basis(int shard) => _bases[shard];

    /// <summary><see cref="Next"/> is computed and on its way to all shards.</summary>
    public void Push()
    {
        (Pushed, Next) = (Next, null);
        _asked.Clear();
        _unacknowledged.UnionWith(Enumerable.Range(0, _bases.Length));
    }

    /// <summary>Nobody was asked: no answer came.</summary>
    public void AskAgain() => _asked.Clear();

    /// <summary>The shards to ask now, each but once until it answers: shard 0 for an item where nothing was pushed that it will answer; any whose weights do not suffice for the item at hand.</summary>
    public IReadOnlyList<int> TakeToAsk()
    {
        var lacking = Next is null && Pushed is not null ? [] : Stale.ToHashSet();
        if (Next is null)
            lacking.Add(0);
        lacking.ExceptWith(_unacknowledged);
        lacking.ExceptWith(_asked);
        _asked.UnionWith(lacking);
        return [.. lacking];
    }

    /// <summary>Takes note of a shard's weights, of what it applied, and of what shard 0 gives out.</summary>
    public void Accept(int shard, long version, ParameterProtocol.WorkItem? applied, ParameterProtocol.WorkItem? claim)
    {
        _asked.Remove(shard);
        _bases[shard] = Math.Max(_bases[shard], version);
        if (applied is not null && applied == Pushed)
            _unacknowledged.Remove(shard);
        // an answer that was asked for twice brings what was computed already
        if (claim is not null && claim != Pushed)
            Next ??= claim;
    }
}
