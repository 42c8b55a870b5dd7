using ClusterNet.Core.Parameters;

namespace ClusterNet.Core.Plans;

/// <summary>Who computes which slices. The result does not depend on it: it decides only how the work is shared.</summary>
public static class SlicePlan
{
    /// <summary>Deals runs of near-equal length to the workers, each as the fewest tree nodes; workers beyond the number of slices get none.</summary>
    /// <param name="slices">a power of two</param>
    /// <param name="workers">at least 1</param>
    /// <returns>the nodes of each worker, from the left</returns>
    public static IReadOnlyList<IReadOnlyList<TreeNode>> Deal(int slices, int workers) => Deal([.. Enumerable.Range(0, slices)], workers);

    /// <summary>The same with some of the slices: those that a step lacks.</summary>
    /// <param name="missing">the lowest first; may be none</param>
    /// <param name="workers">at least 1</param>
    /// <returns>the nodes of each worker, from the left; together they cover <paramref name="missing"/> and nothing else</returns>
    public static IReadOnlyList<IReadOnlyList<TreeNode>> Deal(IReadOnlyList<int> missing, int workers)
    {
        ArgumentNullException.ThrowIfNull(missing);
        ArgumentOutOfRangeException.ThrowIfLessThan(workers, 1);
        var active = Math.Min(missing.Count, workers);
        return
        [
            .. Enumerable.Range(0, workers).Select(IReadOnlyList<TreeNode> (i) =>
            {
                if (i >= active)
                    return [];
                var first = (int)((long)missing.Count * i / active);
                return [.. Cover(missing, first, (int)((long)missing.Count * (i + 1) / active))];
            }),
        ];
    }

    /// <summary>Deals <paramref name="count"/> things, such as evaluation chunks, in near-equal runs.</summary>
    /// <returns>first and count for each of <paramref name="workers"/>; count may be 0</returns>
    public static IEnumerable<(int First, int Count)> DealRuns(int count, int workers)
    {
        for (var i = 0; i < workers; i++)
        {
            var first = (int)((long)count * i / workers);
            yield return (first, (int)((long)count * (i + 1) / workers) - first);
        }
    }

    private static IEnumerable<TreeNode> Cover(IReadOnlyList<int> slices, int from, int to)
    {
        while (from < to)
        {
            var next = from + 1;
            while (next < to && slices[next] == slices[next - 1] + 1)
                next++;
            foreach (var node in TreeNode.Cover(slices[from], next - from))
                yield return node;
            from = next;
        }
    }
}
