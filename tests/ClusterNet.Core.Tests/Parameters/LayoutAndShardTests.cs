using ClusterNet.Core.Parameters;
using CsCheck;

namespace ClusterNet.Core.Tests.Parameters;

/// <summary>The promise that layout, shard plan and node covers are exact partitions: nothing left out, nothing twice.</summary>
public sealed class LayoutAndShardTests
{
    [Fact]
    public void A_cover_is_the_run_it_was_asked_for_in_the_fewest_nodes() =>
        Gen.Select(Gen.Int[0, 200], Gen.Int[0, 200]).Sample((first, count) =>
        {
            var cover = TreeNode.Cover(first, count).ToArray();
            Assert.Equal(Enumerable.Range(first, count), cover.SelectMany(node => Enumerable.Range(node.FirstSlice, node.SliceCount)));
            // fewest: no two neighbours are siblings that their parent could stand for
            Assert.DoesNotContain(cover.Zip(cover.Skip(1)), pair => pair.First.Sibling == pair.Second);
        });

    [Fact]
    public void A_node_covers_exactly_the_nodes_whose_slices_are_all_its_own() =>
        Gen.Select(Gen.Int[0, 5], Gen.Int[0, 31], Gen.Int[0, 5], Gen.Int[0, 31]).Sample((level, index, otherLevel, otherIndex) =>
        {
            var (node, other) = (new TreeNode(level, index), new TreeNode(otherLevel, otherIndex));
            var expected = other.FirstSlice >= node.FirstSlice && other.FirstSlice + other.SliceCount <= node.FirstSlice + node.SliceCount;
            Assert.Equal(expected, node.Covers(other));
        });

    [Fact]
    public void Parent_and_sibling_agree() => Gen.Select(Gen.Int[0, 10], Gen.Int[0, 1000]).Sample((level, index) =>
    {
        var node = new TreeNode(level, index);
        Assert.Equal(node, node.Sibling.Sibling);
        Assert.Equal(node.Parent, node.Sibling.Parent);
        Assert.NotEqual(node.IsLeft, node.Sibling.IsLeft);
        Assert.True(node.Parent.Covers(node));
        Assert.Equal($"node {level}/{index}", node.ToString());
    });

    [Fact]
    public void Shards_are_the_whole_vector_cut_at_blocks_and_near_equal() =>
        Gen.Select(Gen.Int[1, 100_000], Gen.Int[1, 40]).Sample((length, shards) =>
        {
            var ranges = new ShardPlan(length, shards).Ranges;
            Assert.Equal(0, ranges[0].Offset);
            Assert.Equal(length, ranges[^1].End);
            Assert.All(ranges.Zip(ranges.Skip(1)), pair => Assert.Equal(pair.First.End, pair.Second.Offset));
            Assert.All(ranges, range => Assert.True(range.Length > 0 && range.Offset % ShardPlan.BlockLength == 0));
            Assert.True(ranges.Count == shards || (ranges.Count < shards && ranges.All(range => range.Length <= ShardPlan.BlockLength)));
            var blocks = ranges.Select(range => (range.Length - 1) / ShardPlan.BlockLength + 1).ToArray();
            Assert.True(blocks.Max() - blocks.Min() <= 1);
        });

    [Theory]
    [InlineData(1, 1)]
    [InlineData(131_071, 1)]
    [InlineData(131_072, 2)]
    [InlineData(669_706, 8)]
    [InlineData(int.MaxValue, 8)]
    public void Where_no_number_of_shards_is_wanted_it_follows_the_size(int length, int shards) => Assert.Equal(shards, new ShardPlan(length, null).Ranges.Count);

    [Fact]
    public void A_layout_has_no_gaps() =>
        Gen.Int[0, 6].Array[0, 4].Array[1, 10].Where(shapes => shapes.Any(shape => shape.All(axis => axis > 0))).Sample(shapes =>
        {
            var layout = new ParameterLayout(shapes.Select((shape, i) => ($"p{i}", (IReadOnlyList<int>)shape)));
            var offset = 0;
            foreach (var (entry, shape) in layout.Entries.Zip(shapes))
            {
                Assert.Equal(offset, entry.Offset);
                Assert.Equal(shape.Aggregate(1, (a, b) => a * b), entry.Length);
                offset += entry.Length;
            }
            Assert.Equal(offset, layout.Length);
        });

    [Fact]
    public void A_layout_that_cannot_be_is_refused()
    {
        Assert.Throws<ArgumentException>(() => new ParameterLayout([]));
        Assert.Throws<ArgumentException>(() => new ParameterLayout([("w", [0, 3])]));
        Assert.Throws<ArgumentException>(() => new ParameterLayout([("w", [-1, -3])]));
        Assert.Throws<ArgumentException>(() => new ParameterLayout([("w", [2]), ("w", [2])]));
        Assert.Throws<OverflowException>(() => new ParameterLayout([("w", [65536, 65536])]));
        Assert.Throws<OverflowException>(() => new ParameterLayout([("v", [int.MaxValue]), ("w", [1])]));
    }
}
