using System.Runtime.CompilerServices;
using ClusterNet.Cluster.Lanes;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Tests.Lanes;

/// <summary>No more is out than the bound, what is released is used again, and what is lost comes back.</summary>
public sealed class ReceiveMemoryTests
{
    [Fact]
    public void What_is_released_is_used_again()
    {
        var memory = new ReceiveMemory(1000, 1000);
        var first = Take(memory, 100)![0];
        first.Release();
        var second = Take(memory, 100)![0];
        Assert.Equal(first.Memory, second.Memory);
        Assert.Equal((400, 0), (memory.Out, memory.Kept));
    }

    [Fact]
    public void No_more_is_kept_than_the_bound_and_lengths_that_nobody_asks_for_go_first()
    {
        var memory = new ReceiveMemory(10_000, 1000);
        foreach (var length in new[] { 100, 100, 100 })
            Take(memory, length)![0].Release();
        Assert.Equal(400, memory.Kept);
        var large = Take(memory, 240)![0];
        large.Release();
        Assert.Equal(960, memory.Kept);
        Take(memory, 251)![0].Release();
        Assert.Equal(0, memory.Kept);
    }

    [Fact]
    public async Task Who_finds_no_room_waits_until_there_is()
    {
        var memory = new ReceiveMemory(1000, 0);
        var held = Take(memory, 200)!;
        var waits = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var waiting = Task.Run(() => memory.Take([100], () => false, waits.SetResult));
        await waits.Task.WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(800, memory.Out);
        held[0].Release();
        Assert.NotNull(await waiting.WaitAsync(TimeSpan.FromSeconds(60)));
        Assert.Equal(400, memory.Out);
    }

    [Fact]
    public async Task Who_waits_can_be_told_that_it_is_over()
    {
        var memory = new ReceiveMemory(1000, 0);
        var held = Take(memory, 200)!;
        var isOver = false;
        var waiting = Task.Run(() => memory.Take([100], () => Volatile.Read(ref isOver), () => { }));
        Volatile.Write(ref isOver, true);
        memory.Wake();
        Assert.Null(await waiting.WaitAsync(TimeSpan.FromSeconds(60)));
        held[0].Release();
        Assert.Equal(0, memory.Out);
    }

    [Fact]
    public async Task What_others_lend_counts_until_it_is_released()
    {
        var memory = new ReceiveMemory(1000, 1000);
        var lender = new Lender(new float[200]);
        var borrowed = memory.Borrow(200, () => lender, () => false, () => { })!;
        Assert.Equal(800, memory.Out);
        var waits = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var waiting = Task.Run(() => memory.Borrow(100, () => new Lender(new float[100]), () => false, waits.SetResult));
        await waits.Task.WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal((800, false), (memory.Out, lender.IsBack));
        borrowed.Release();
        Assert.True(lender.IsBack);
        (await waiting.WaitAsync(TimeSpan.FromSeconds(60)))!.Release();
        // it is the lender's
        Assert.Equal((0, 0), (memory.Out, memory.Kept));
    }

    [Fact]
    public void What_can_not_be_lent_does_not_count()
    {
        var memory = new ReceiveMemory(1000, 0);
        Assert.Throws<LaneViolationException>(() => memory.Borrow(100, () => throw new LaneViolationException("no"), () => false, () => { }));
        Assert.Equal(0, memory.Out);
    }

    [Fact]
    public void What_was_lost_without_a_release_comes_back()
    {
        var memory = new ReceiveMemory(1000, 1000);
        Lose(memory);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.Equal((0, 0), (memory.Out, memory.Kept));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Lose(ReceiveMemory memory) => Assert.Equal(2, Take(memory, 100, 50)!.Length);

    private static TensorBuffer[]? Take(ReceiveMemory memory, params int[] lengths) => memory.Take(lengths, () => false, () => { });

    private sealed record Lender(Memory<float> Memory) : System.Buffers.IMemoryOwner<float>
    {
        public bool IsBack { get; private set; }

        public void Dispose() => IsBack = true;
    }
}
