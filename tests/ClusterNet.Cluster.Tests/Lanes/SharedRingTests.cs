using System.Runtime.InteropServices;
using ClusterNet.Cluster.Lanes;
using ClusterNet.Core.Parameters;
using CsCheck;

namespace ClusterNet.Cluster.Tests.Lanes;

/// <summary>Bytes come out of shared memory as they went in, in whatever pieces, nobody waits for ever, and no position that the other side may have put there is believed.</summary>
public sealed class SharedRingTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly SharedRing _writer = new(SealedMemory.Create(SharedRing.FileBytes));
    private readonly SharedRing _reader;

    public SharedRingTests() => _reader = new SharedRing(SecondHandle(_writer));

    public void Dispose()
    {
        _writer.Dispose();
        _reader.Dispose();
    }

    [Fact]
    public void Pieces_of_any_length_come_out_in_order_and_no_more_than_fit_are_taken()
    {
        var pieces = Gen.Select(Gen.Bool, Gen.Frequency((3, Gen.Int[0, 100_000]), (1, Gen.Int[0, SharedRing.Capacity + 10]))).Array[1, 20];
        var (written, read) = (0L, 0L);
        var bytes = new byte[SharedRing.Capacity + 10];
        pieces.Sample(
            steps =>
            {
                foreach (var (isWrite, length) in steps)
                {
                    var piece = bytes.AsSpan(0, length);
                    if (isWrite)
                    {
                        Fill(piece, written);
                        var taken = _writer.Write(piece);
                        Assert.Equal(Math.Min(length, SharedRing.Capacity - (written - read)), taken);
                        written += taken;
                    }
                    else
                    {
                        var taken = _reader.Take(piece);
                        Assert.Equal(Math.Min(length, written - read), taken);
                        Check(piece[..taken], read);
                        read += taken;
                    }
                }
            },
            iter: 100,
            threads: 1);
        Assert.True(read > SharedRing.Capacity, "the ring did not come round");
    }

    [Fact]
    public async Task Two_threads_that_wait_for_each_other_are_always_woken()
    {
        const long Bytes = 300L << 20;
        using var calls = new SemaphoreSlim(0);
        using var room = new SemaphoreSlim(0);
        var writing = Task.Run(() =>
        {
            var random = new Random(1);
            var bytes = new byte[3 << 20];
            for (var written = 0L; written < Bytes;)
            {
                var piece = bytes.AsSpan(0, (int)Math.Min(Bytes - written, Length(random, bytes.Length)));
                Fill(piece, written);
                var taken = _writer.Write(piece);
                written += taken;
                if (taken > 0 && _writer.WakesReader())
                    calls.Release();
                if (taken == 0 && _writer.WriterMustWait())
                    Assert.True(room.Wait(Patience), "there is room and nobody said so");
            }
        });
        var reading = Task.Run(() =>
        {
            var random = new Random(2);
            var bytes = new byte[3 << 20];
            for (var read = 0L; read < Bytes;)
            {
                var taken = _reader.Take(bytes.AsSpan(0, Length(random, bytes.Length)));
                Check(bytes.AsSpan(0, taken), read);
                read += taken;
                if (taken > 0 && _reader.WakesWriter())
                    room.Release();
                if (taken == 0 && _reader.ReaderMustWait())
                    Assert.True(calls.Wait(Patience), "there are bytes and nobody said so");
            }
        });
        await Task.WhenAll(writing, reading);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(long.MinValue)]
    [InlineData(long.MaxValue)]
    [InlineData(SharedRing.Capacity + 1)]
    public void A_position_that_can_not_be_is_not_believed(long position)
    {
        RandomAccess.Write(_writer.Memory, BitConverter.GetBytes(position), 0);
        Assert.Throws<LaneViolationException>(() => _reader.Take(new byte[1]));
        Assert.Throws<LaneViolationException>(() => _reader.ReaderMustWait());
        RandomAccess.Write(_writer.Memory, BitConverter.GetBytes(unchecked(-position)), 128);
        Assert.Throws<LaneViolationException>(() => _writer.Write(new byte[1]));
        Assert.Throws<LaneViolationException>(() => _writer.WriterMustWait());
    }

    [Fact]
    public void Who_comes_after_it_was_unmapped_is_told_so()
    {
        _writer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => _writer.Write(new byte[1]));
        // the other side has it mapped by itself
        Assert.Equal(0, _reader.Take(new byte[1]));
    }

    [Fact]
    public void Words_in_a_place_are_not_written_over_while_anybody_holds_them()
    {
        var steps = Gen.Select(Gen.Int[0, 2], Gen.Int[1, SharedRing.SlotBytes / sizeof(float)], Gen.Int[0, SharedRing.SlotCount - 1]).Array[1, 30];
        var held = new List<(TensorBuffer Buffer, float[] Values)>();
        var next = 1;
        steps.Sample(
            made =>
            {
                foreach (var (kind, length, which) in made)
                {
                    if (kind > 0)
                    {
                        var values = Enumerable.Repeat((float)next++, length).ToArray();
                        var slot = _writer.Place(MemoryMarshal.AsBytes(values.AsSpan()));
                        Assert.Equal(held.Count == SharedRing.SlotCount, slot is null);
                        if (slot is { } place)
                            held.Add((Lend(place, length), values));
                    }
                    else if (which < held.Count)
                    {
                        held[which].Buffer.Release();
                        held.RemoveAt(which);
                    }
                    Assert.Equal(held.Count, _reader.Lent);
                    Assert.All(held, one => Assert.True(one.Buffer.Span.SequenceEqual(one.Values)));
                }
            },
            iter: 50,
            threads: 1);
        Assert.True(next > 2 * SharedRing.SlotCount, "no place was used twice");
    }

    [Fact]
    public void Words_are_held_by_several_and_there_after_the_connection_has_ended()
    {
        float[] values = [1, 2, 3];
        var buffer = Lend(_writer.Place(MemoryMarshal.AsBytes(values.AsSpan()))!.Value, values.Length).Share();
        _reader.Dispose();
        _writer.Dispose();
        buffer.Release();
        Assert.Equal(values, buffer.Span.ToArray());
        buffer.Release();
        Assert.Throws<ObjectDisposedException>(() => buffer.Span.Length);
        Assert.Throws<ObjectDisposedException>(() => _reader.Lend(1, 3));
    }

    [Fact]
    public void Holders_that_are_lost_give_their_places_back()
    {
        for (var i = 0; i < SharedRing.SlotCount; i++)
            Lose();
        Assert.Null(_writer.Place(new byte[4]));
        for (var i = 0; i < 100 && _reader.Lent > 0; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        Assert.NotNull(_writer.Place(new byte[4]));

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        void Lose() => _reader.Lend(_writer.Place(new byte[4])!.Value, 1);
    }

    [Fact]
    public void Too_many_words_find_no_place() => Assert.Null(_writer.Place(new byte[SharedRing.SlotBytes + 4]));

    [Theory]
    [InlineData(-1, 3)]
    [InlineData(SharedRing.SlotCount, 3)]
    [InlineData(255, 3)]
    [InlineData(1, SharedRing.SlotBytes / sizeof(float) + 1)]
    [InlineData(1, int.MaxValue)]
    [InlineData(0, 3)]
    public void A_place_that_can_not_be_is_not_believed(int slot, int length)
    {
        using var words = _reader.Lend(0, 3);
        Assert.Throws<LaneViolationException>(() => _reader.Lend(slot, length));
        Assert.Equal(1, _reader.Lent);
    }

    private TensorBuffer Lend(int slot, int length)
    {
        var lent = _reader.Lend(slot, length);
        return new TensorBuffer(lent.Memory, lent);
    }

    /// <summary>As another process has it, which got its own handle.</summary>
    internal static Microsoft.Win32.SafeHandles.SafeFileHandle SecondHandle(SharedRing ring) =>
        File.OpenHandle($"/proc/self/fd/{ring.Memory.DangerousGetHandle()}", FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);

    private static int Length(Random random, int most) => random.Next(4) == 0 ? random.Next(1, most) : random.Next(1, 5000);

    private static void Fill(Span<byte> bytes, long position)
    {
        for (var i = 0; i < bytes.Length; i++)
            bytes[i] = At(position + i);
    }

    private static void Check(ReadOnlySpan<byte> bytes, long position)
    {
        for (var i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] != At(position + i))
                Assert.Fail($"byte {position + i} is {bytes[i]} and not {At(position + i)}");
        }
    }

    // no two stretches of it that could be mistaken for each other are alike
    private static byte At(long position) => (byte)((ulong)position * 0x9E3779B97F4A7C15 >> 56);
}
