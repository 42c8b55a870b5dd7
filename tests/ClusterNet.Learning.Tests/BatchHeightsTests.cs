using ClusterNet.Learning.Training;

namespace ClusterNet.Learning.Tests;

/// <summary>Few samples are not padded more than they must, many go in high batches, and each is computed once.</summary>
public sealed class BatchHeightsTests
{
    [Fact]
    public void The_one_height_that_all_have_pads_what_is_less() =>
        Assert.All(Enumerable.Range(1, 100), left => Assert.Equal(BatchHeights.Reference, BatchHeights.Fixed.For(left)));
}
