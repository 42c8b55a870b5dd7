using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Tests.Serving;

/// <summary>What was heard holds until something else is heard, and is asked for again after a while.</summary>
public sealed class WarmBookTests
{
    private static readonly ModelVersionId Version = new("m", 1);
    private static readonly TimeSpan Start = TimeSpan.FromHours(1);

    private readonly WarmBook<string> _book = new();

    [Fact]
    public void A_node_is_warm_from_the_word_that_it_is_to_the_one_that_it_is_not()
    {
        Assert.Empty(_book.NodesOf(Version));
        _book.Heard(Version, "a", true, Start);
        _book.Heard(Version, "b", false, Start);
        Assert.Equal(["a"], _book.NodesOf(Version));
        Assert.Empty(_book.NodesOf(new("m", 2)));
        _book.Heard(Version, "a", false, Start);
        _book.Heard(Version, "b", true, Start);
        Assert.Equal(["b"], _book.NodesOf(Version));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_word_is_good_for_a_while(bool isWarm)
    {
        Assert.True(_book.IsToBeAsked(Version, "a", Start));
        Assert.False(_book.HasHeard(Version, "a"));
        _book.Heard(Version, "a", isWarm, Start);
        Assert.False(_book.IsToBeAsked(Version, "a", Start + WarmBook<string>.Trust - TimeSpan.FromTicks(1)));
        Assert.True(_book.IsToBeAsked(Version, "a", Start + WarmBook<string>.Trust));
        Assert.True(_book.HasHeard(Version, "a"));
        Assert.Equal(isWarm, _book.NodesOf(Version).Contains("a"));
    }

    [Fact]
    public void What_is_gone_is_forgotten_and_nothing_else()
    {
        var other = new ModelVersionId("n", 1);
        foreach (var version in new[] { Version, other })
        {
            _book.Heard(version, "a", true, Start);
            _book.Heard(version, "b", true, Start);
        }
        _book.Forget("a");
        Assert.Equal(["b"], _book.NodesOf(Version));
        Assert.False(_book.HasHeard(Version, "a"));
        _book.Keep(version => version == other);
        Assert.Empty(_book.NodesOf(Version));
        Assert.Equal(["b"], _book.NodesOf(other));
    }
}
