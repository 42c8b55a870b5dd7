using ClusterNet.Cluster.Hosting;

namespace ClusterNet.Cluster.Tests.Hosting;

/// <summary>A node gives memory back when it is at rest and has much of it, and does not try without end.</summary>
public sealed class IdleMemoryTests : IDisposable
{
    private const long Giga = 1 << 30;

    private static readonly TimeSpan _nothing = TimeSpan.FromSeconds(1);
    private readonly IdleMemory _memory = new(TimeProvider.System);

    public void Dispose() => _memory.Dispose();

    [Fact]
    public void Only_a_node_at_rest_that_has_much_collects()
    {
        Assert.True(_memory.IsDue(_nothing, Giga));
        Assert.False(_memory.IsDue(TimeSpan.FromSeconds(20), Giga));
        Assert.False(_memory.IsDue(_nothing, Giga / 8));
    }

    [Fact]
    public void What_is_in_use_is_not_collected_again_until_there_is_more_or_a_while_has_passed()
    {
        _memory.Collected(Giga);
        Assert.False(_memory.IsDue(_nothing, Giga));
        Assert.True(_memory.IsDue(_nothing, 2 * Giga));
        _memory.Collected(Giga);
        var looks = 1;
        while (!_memory.IsDue(_nothing, Giga))
            Assert.InRange(++looks, 2, 20);
        Assert.Equal(20, looks);
    }
}
