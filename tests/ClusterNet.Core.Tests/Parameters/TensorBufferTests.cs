using ClusterNet.Core.Parameters;
using CsCheck;

namespace ClusterNet.Core.Tests.Parameters;

/// <summary>The promise that an array has one owner at a time: it goes back to the pool once, after its last holder, and never because of a mistake.</summary>
public sealed class TensorBufferTests
{
    [Fact]
    public void The_array_comes_back_with_the_last_release_and_not_before() => Gen.Int[0, 20].Sample(shares =>
    {
        var pool = new TensorBufferPool(3);
        var buffer = pool.Rent();
        for (var i = 0; i < shares; i++)
            Assert.Same(buffer, buffer.Share());
        for (var i = 0; i < shares; i++)
            buffer.Release();
        Assert.NotEqual(buffer.Memory, pool.Rent().Memory);
        buffer.Release();
        Assert.Equal(buffer.Memory, pool.Rent().Memory);
    });

    [Fact]
    public void Mistaken_calls_never_give_an_array_back_twice()
    {
        var pool = new TensorBufferPool(3);
        var buffer = pool.Rent();
        buffer.Release();
        for (var i = 0; i < 3; i++)
        {
            Assert.Throws<InvalidOperationException>(buffer.Share);
            Assert.Throws<InvalidOperationException>(buffer.Release);
        }
        Assert.NotEqual(pool.Rent().Memory, pool.Rent().Memory);
    }

    [Fact]
    public void Holders_on_many_threads_release_exactly_once()
    {
        const int Holders = 1000;
        var pool = new TensorBufferPool(3);
        var buffer = pool.Rent();
        Parallel.For(0, Holders, _ =>
        {
            buffer.Share();
            buffer.Release();
        });
        buffer.Release();
        Assert.Equal(buffer.Memory, pool.Rent().Memory);
        Assert.NotEqual(buffer.Memory, pool.Rent().Memory);
    }
}
