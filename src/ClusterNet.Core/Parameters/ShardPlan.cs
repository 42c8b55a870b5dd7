namespace ClusterNet.Core.Parameters;

/// <summary>A run of the flat vector.</summary>
/// <param name="Offset">its first element</param>
/// <param name="Length">its number of elements</param>
public readonly record struct ShardRange(int Offset, int Length)
{
    /// <summary>One past its last element.</summary>
    public int End => Offset + Length;
}

/// <summary>
/// Cuts the flat vector into contiguous shards of near-equal size. Cuts fall on multiples of <see cref="BlockLength"/>, the unit that norms are summed by,
/// so that no sum depends on how many shards there are.
/// </summary>
public sealed class ShardPlan
{
    /// <summary>Elements of a block.</summary>
    public const int BlockLength = 1024;

    /// <summary>Elements of a shard, about, where no number is wanted: 256 KB. So that models of half a million parameters and more have eight, which was measured; between two and seven, for smaller ones, nothing was.</summary>
    public const int WorthwhileLength = 65_536;

    /// <summary>The most shards where no number is wanted: more gained nothing (tests/ClusterNet.Benchmarks/RESULTS.md).</summary>
    public const int MostUnasked = 8;

    /// <param name="length">elements of the flat vector, at least 1</param>
    /// <param name="shards">how many are wanted, at least 1; no shard is left empty, so a small model gets fewer. Null for one per <see cref="WorthwhileLength"/>, from 1 to <see cref="MostUnasked"/></param>
    public ShardPlan(int length, int? shards)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        var wanted = shards ?? Math.Clamp(length / WorthwhileLength, 1, MostUnasked);
        ArgumentOutOfRangeException.ThrowIfLessThan(wanted, 1, nameof(shards));
        var blocks = (length - 1) / BlockLength + 1;
        var count = Math.Min(wanted, blocks);
        var ranges = new ShardRange[count];
        for (var i = 0; i < count; i++)
        {
            var start = (int)((long)blocks * i / count) * BlockLength;
            var end = i == count - 1 ? length : (int)((long)blocks * (i + 1) / count) * BlockLength;
            ranges[i] = new ShardRange(start, end - start);
        }
        Ranges = ranges;
    }

    /// <summary>The shards, by offset; together the whole vector.</summary>
    public IReadOnlyList<ShardRange> Ranges { get; }
}
