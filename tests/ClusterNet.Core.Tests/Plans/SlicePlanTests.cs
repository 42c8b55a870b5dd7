using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;
using CsCheck;

namespace ClusterNet.Core.Tests.Plans;

/// <summary>Whatever slices a step lacks are dealt to the workers once each, as nodes that hold nothing else.</summary>
public sealed class SlicePlanTests
{
    [Fact]
    public void What_is_missing_is_dealt_once_and_nothing_else() => Gen.Select(Gen.Bool.Array[1, 64], Gen.Int[1, 9]).Sample((isMissing, workers) =>
    {
        int[] missing = [.. Enumerable.Range(0, isMissing.Length).Where(slice => isMissing[slice])];
        var deal = SlicePlan.Deal(missing, workers);
        Assert.Equal(workers, deal.Count);
        Assert.Equal(missing, deal.SelectMany(nodes => nodes).SelectMany(Slices));
        var shares = deal.Take(missing.Length).Select(nodes => nodes.Sum(node => node.SliceCount)).ToArray();
        Assert.True(shares.Length == 0 || shares.Max() - shares.Min() <= 1);
    });

    private static IEnumerable<int> Slices(TreeNode node) => Enumerable.Range(node.FirstSlice, node.SliceCount);
}
