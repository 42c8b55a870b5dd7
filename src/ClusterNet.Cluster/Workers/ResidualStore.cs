using ClusterNet.Cluster.Parameters;
using ClusterNet.Core.Codecs;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Workers;

/// <summary>
/// What a lossy codec has lost of the gradients of a worker's slices: as of the last push, and as of the one before, since the state that others stand at may be that one. Buffers are not written again once
/// they are out, like those of gradients.
/// </summary>
internal sealed class ResidualStore
{
    private readonly IGradientCodec _codec;
    private readonly ShardPlan _plan;
    private readonly TensorBufferPool _values;
    private readonly TensorBufferPool[] _words;
    private readonly Dictionary<int, Kept> _slices = [];
    private readonly HashSet<(int Slice, int Shard)> _lacking = [];

    public ResidualStore(IGradientCodec codec, ShardPlan plan, int length)
    {
        (_codec, _plan) = (codec, plan);
        _values = new TensorBufferPool(length);
        _words = [.. plan.Ranges.Select(range => new TensorBufferPool(codec.Words(range.Length)))];
    }

    /// <summary>The version that the generation started from.</summary>
    public long Version { get; private set; }

    /// <summary>Slices and shards that have not told what was lost before.</summary>
    public IReadOnlyCollection<(int Slice, int Shard)> Lacking => _lacking;

    /// <summary>Whether gradients can be encoded.</summary>
    public bool IsComplete => _lacking.Count == 0;

    /// <summary>Enters a generation, with slices whose residuals the shards have.</summary>
    public void Enter(long version, IEnumerable<TreeNode> nodes, int shards)
    {
        foreach (var kept in _slices.Values)
        {
            kept.Now.Release();
            kept.Before?.Release();
        }
        _slices.Clear();
        _lacking.Clear();
        Version = version;
        foreach (var slice in nodes.SelectMany(node => Enumerable.Range(node.FirstSlice, node.SliceCount)))
        {
            _slices.Add(slice, new Kept(version, _values.Rent(), null));
            _lacking.UnionWith(Enumerable.Range(0, shards).Select(shard => (slice, shard)));
        }
    }

    /// <summary>Takes what a shard tells; no values for nothing lost.</summary>
    public void Take(int shard, ParameterProtocol.Replies.ResidualKept kept)
    {
        if (kept.Version != Version || (kept.Residual.Length != 0 && kept.Residual.Length != _plan.Ranges[shard].Length) || !_lacking.Remove((kept.Slice, shard)))
            return;
        var place = _slices[kept.Slice].Now.Span.Slice(_plan.Ranges[shard].Offset, _plan.Ranges[shard].Length);
        if (kept.Residual.Length == 0)
            place.Clear();
        else
            kept.Residual.Span.CopyTo(place);
    }

    /// <summary>Starts to encode a slice's next gradient.</summary>
    public void Begin(int slice)
    {
        var kept = _slices[slice];
        kept.Before?.Release();
        _slices[slice] = new Kept(kept.Version + 1, _values.Rent(), kept.Now);
    }

    /// <summary>Encodes a shard's part of the gradient that was begun last.</summary>
    /// <param name="slice">the slice</param>
    /// <param name="shard">the shard</param>
    /// <param name="gradient">as long as the shard</param>
    /// <param name="rent">gives a buffer of a length for the words, or null</param>
    /// <returns>the words, with one hold</returns>
    public TensorBuffer Encode(int slice, int shard, ReadOnlySpan<float> gradient, Func<int, TensorBuffer?> rent)
    {
        var (kept, range) = (_slices[slice], _plan.Ranges[shard]);
        var words = rent(_words[shard].Length) ?? _words[shard].Rent();
        _codec.Encode(
            gradient,
            kept.Before!.Span.Slice(range.Offset, range.Length),
            kept.Now.Span.Slice(range.Offset, range.Length),
            words.Span);
        return words;
    }

    /// <summary>What was lost of a slice up to a version, with a hold; null where that is not known any more.</summary>
    public TensorBuffer? At(long version, int slice) => version == _slices[slice].Version ? _slices[slice].Now.Share()
        : version == _slices[slice].Version - 1 ? _slices[slice].Before?.Share()
        : null;

    /// <summary>The slices.</summary>
    public IReadOnlyCollection<int> Slices => _slices.Keys;

    private sealed record Kept(long Version, TensorBuffer Now, TensorBuffer? Before);
}
