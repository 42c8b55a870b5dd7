using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Core.Optimizers;

/// <summary>
/// The pieces that norms are summed by: each block of <see cref="ShardPlan.BlockLength"/> elements of the flat vector, cut where a tensor ends. They depend on the layout
/// alone, and a shard holds whole pieces, so sums over pieces in flat order do not depend on how many shards there are.
/// </summary>
internal sealed class NormBlocks
{
    /// <param name="layout">of the whole vector</param>
    /// <param name="range">the shard</param>
    /// <exception cref="ArgumentException">the range is not of the layout, or cuts a block</exception>
    public NormBlocks(ParameterLayout layout, ShardRange range)
    {
        if (range.Offset < 0 || range.Length < 1 || range.Length > layout.Length - range.Offset)
            throw new ArgumentException($"{range} is not a part of {layout.Length} elements", nameof(range));
        if (range.Offset % ShardPlan.BlockLength != 0 || (range.End % ShardPlan.BlockLength != 0 && range.End != layout.Length))
            throw new ArgumentException($"{range} cuts a block of {ShardPlan.BlockLength} elements", nameof(range));
        var tensorOf = new List<int>();
        var own = new List<(int Offset, int Length)>();
        for (var tensor = 0; tensor < layout.Entries.Count; tensor++)
        {
            var (offset, end) = (layout.Entries[tensor].Offset, layout.Entries[tensor].Offset + layout.Entries[tensor].Length);
            while (offset < end)
            {
                var length = Math.Min(end - offset, ShardPlan.BlockLength - offset % ShardPlan.BlockLength);
                tensorOf.Add(tensor);
                if (offset >= range.Offset && offset < range.End)
                    own.Add((offset - range.Offset, length));
                offset += length;
            }
        }
        TensorOf = tensorOf;
        Own = own;
    }

    /// <summary>The tensor of each piece of the whole vector, in flat order.</summary>
    public IReadOnlyList<int> TensorOf { get; }

    /// <summary>The pieces of this shard in flat order, offsets within the shard.</summary>
    public IReadOnlyList<(int Offset, int Length)> Own { get; }

    /// <summary>
    /// The sum of squares in double. Element i is added to lane i mod 16, then the lanes are added in order: on every processor, whatever its vectors' width. Squares of floats
    /// are exact in double.
    /// </summary>
    public static double SumOfSquares(ReadOnlySpan<float> values)
    {
        var (low, high) = (Vector512<double>.Zero, Vector512<double>.Zero);
        var i = 0;
        for (; i <= values.Length - Vector512<float>.Count; i += Vector512<float>.Count)
            Add(Vector512.LoadUnsafe(ref MemoryMarshal.GetReference(values), (nuint)i), ref low, ref high);
        if (i < values.Length)
        {
            Span<float> rest = stackalloc float[Vector512<float>.Count];
            rest.Clear();
            values[i..].CopyTo(rest);
            Add(Vector512.Create<float>(rest), ref low, ref high);
        }
        var sum = 0.0;
        for (var lane = 0; lane < Vector512<double>.Count; lane++)
            sum += low[lane];
        for (var lane = 0; lane < Vector512<double>.Count; lane++)
            sum += high[lane];
        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(Vector512<float> values, ref Vector512<double> low, ref Vector512<double> high)
    {
        var (first, second) = Vector512.Widen(values);
        low += first * first;
        high += second * second;
    }
}
