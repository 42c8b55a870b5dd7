using ClusterNet.Core.Parameters;
using CsCheck;

namespace ClusterNet.Core.Tests.Parameters;

/// <summary>The promise that results depend on slices alone: whatever tree nodes arrive, in whatever order and however often, the sum is the same bits and every buffer comes back.</summary>
public sealed class ReductionTreeTests
{
    private const int Length = 5;

    // slices, then a seed that decides the values, the mix of nodes, their order and the repeats
    private static readonly Gen<(int Slices, int Seed)> Cases = Gen.Select(Gen.Int[0, 5].Select(level => 1 << level), Gen.Int);

    [Fact]
    public void Any_order_any_mix_of_nodes_and_any_repeats_give_the_same_bits() => Cases.Sample((slices, seed) =>
    {
        var random = new Random(seed);
        var leaves = Leaves(random, slices);
        var expected = SumOf(leaves, TreeNode.Root(slices));
        var counter = new PoolWatch();
        var tree = new ReductionTree(slices, counter.Pool);

        foreach (var node in ArrivalsThatComplete(random, slices))
        {
            var part = counter.Fill(SumOf(leaves, node));
            if (tree.Offer(node, part) == OfferOutcome.Duplicate)
                part.Release();
        }

        Assert.True(tree.IsComplete);
        Assert.Empty(tree.Missing);
        Assert.Equal(Bits(expected.Values), Bits(tree.Root.Span));
        Assert.Equal(expected.Statistics, tree.Root.Statistics);
        tree.Clear();
        counter.AssertAllReturned();
    });

    [Fact]
    public void Missing_names_exactly_the_slices_that_no_node_covers() => Cases.Sample((slices, seed) =>
    {
        var random = new Random(seed);
        var counter = new PoolWatch();
        var tree = new ReductionTree(slices, counter.Pool);
        var lacking = Enumerable.Range(0, slices).ToHashSet();
        for (var i = 0; i < slices / 2; i++)
        {
            var node = RandomNode(random, slices);
            if (tree.Offer(node, counter.Fill((new float[Length], default))) == OfferOutcome.Accepted)
                lacking.ExceptWith(Enumerable.Range(node.FirstSlice, node.SliceCount));
            Assert.Equal(lacking.Order(), tree.Missing);
            Assert.Equal(lacking.Count == 0, tree.IsComplete);
        }
    });

    [Fact]
    public void A_slice_seen_twice_is_a_duplicate_and_changes_nothing()
    {
        var counter = new PoolWatch();
        var tree = new ReductionTree(2, counter.Pool);
        Assert.Equal(OfferOutcome.Accepted, tree.Offer(new TreeNode(0, 0), counter.Fill(([1, 1, 1, 1, 1], new(1, 1)))));
        var again = counter.Fill(([1, 1, 1, 1, 1], new(1, 1)));
        Assert.Equal(OfferOutcome.Duplicate, tree.Offer(new TreeNode(0, 0), again));
        again.Release();
        tree.Offer(new TreeNode(0, 1), counter.Fill(([2, 2, 2, 2, 2], new(1, 1))));
        Assert.Equal([3, 3, 3, 3, 3], tree.Root.Span);
        Assert.Equal(new StepStatistics(2, 2), tree.Root.Statistics);
    }

    [Fact]
    public void What_is_not_of_the_tree_is_refused()
    {
        var counter = new PoolWatch();
        var tree = new ReductionTree(4, counter.Pool);
        var part = counter.Fill((new float[Length], default));
        Assert.Throws<ArgumentException>(() => tree.Offer(new TreeNode(0, 4), part));
        Assert.Throws<ArgumentException>(() => tree.Offer(new TreeNode(3, 0), part));
        Assert.Throws<ArgumentException>(() => tree.Offer(new TreeNode(0, 0), part with { Length = Length - 1 }));
        Assert.Throws<ArgumentException>(() => new ReductionTree(3, counter.Pool));
        Assert.Throws<KeyNotFoundException>(() => tree.Root);
    }

    private static (float[] Values, StepStatistics Statistics)[] Leaves(Random random, int slices) =>
    [
        .. Enumerable.Range(0, slices).Select(_ => (
            Enumerable.Range(0, Length).Select(_ => (float)(random.NextDouble() * Math.Pow(10, random.Next(-6, 6)))).ToArray(),
            new StepStatistics(random.NextDouble(), random.NextDouble()))),
    ];

    private static (float[] Values, StepStatistics Statistics) SumOf((float[] Values, StepStatistics Statistics)[] leaves, TreeNode node)
    {
        if (node.Level == 0)
            return leaves[node.Index];
        var left = SumOf(leaves, new TreeNode(node.Level - 1, 2 * node.Index));
        var right = SumOf(leaves, new TreeNode(node.Level - 1, 2 * node.Index + 1));
        return ([.. left.Values.Zip(right.Values, (a, b) => a + b)], left.Statistics + right.Statistics);
    }

    private static List<TreeNode> ArrivalsThatComplete(Random random, int slices)
    {
        var nodes = Enumerable.Range(0, slices).Select(slice => new TreeNode(0, slice)).ToList();
        for (var i = random.Next(2 * slices); i > 0; i--)
            nodes.Add(RandomNode(random, slices));
        var order = nodes.ToArray();
        random.Shuffle(order);
        return [.. order];
    }

    private static TreeNode RandomNode(Random random, int slices)
    {
        var level = random.Next(TreeNode.Root(slices).Level + 1);
        return new TreeNode(level, random.Next(slices >> level));
    }

    private static int[] Bits(ReadOnlySpan<float> values) => [.. values.ToArray().Select(BitConverter.SingleToInt32Bits)];

    /// <summary>Knows every array that the pool handed out, since an array that came back is rented again.</summary>
    private sealed class PoolWatch
    {
        private readonly List<TensorBuffer> _rented = [];

        public TensorBufferPool Pool { get; } = new(Length);

        public ReductionTree.Part Fill((float[] Values, StepStatistics Statistics) content)
        {
            var buffer = Pool.Rent();
            content.Values.CopyTo(buffer.Span);
            _rented.Add(buffer);
            return new ReductionTree.Part(buffer, 0, Length, content.Statistics);
        }

        public void AssertAllReturned()
        {
            foreach (var buffer in _rented)
                Assert.Throws<InvalidOperationException>(buffer.Share);
        }
    }
}
