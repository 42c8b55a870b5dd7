using System.Buffers;
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

    /// <summary>Words that are copied into places, words that were computed in places, told of once or again, and all let go of on either side in any order.</summary>
    [Fact]
    public void Rented_places_are_not_written_over_while_either_side_holds_them_and_are_told_of_without_a_copy()
    {
        var read = new List<(TensorBuffer Buffer, int Slot, float Value)>();
        var rented = new List<(TensorBuffer Buffer, float Value, int? Slot)>();
        var (next, copied, inPlace) = (1f, 0, 0);
        Gen.Select(Gen.Int[0, 5], Gen.Int[1, 1000], Gen.Int[0, SharedRing.SlotCount - 1]).Array[1, 40].Sample(
            steps =>
            {
                foreach (var (kind, length, which) in steps)
                {
                    if (kind == 0)
                        Tell(Enumerable.Repeat(next, length).ToArray(), next++);
                    else if (kind <= 2)
                        Rent(length);
                    else if (kind == 3 && which < rented.Count)
                        TellRented(which);
                    else if (kind == 4 && which < rented.Count)
                        LetGo(rented, which, one => one.Buffer);
                    else if (kind == 5 && which < read.Count)
                        LetGo(read, which, one => one.Buffer);
                    Assert.Equal((read.Count, rented.Count), (_reader.Lent, _writer.Rented));
                    Assert.All(read, one => Assert.False(one.Buffer.Span.ContainsAnyExcept(one.Value)));
                    Assert.All(rented, one => Assert.False(one.Buffer.Span.ContainsAnyExcept(one.Value)));
                }
            },
            iter: 300,
            threads: 1);
        Assert.True(copied > 20 && inPlace > 20, "places were not told of in both ways");

        int? Tell(ReadOnlySpan<float> values, float value)
        {
            var slot = _writer.Place(MemoryMarshal.AsBytes(values));
            if (slot is { } place)
                read.Add((Lend(place, values.Length), place, value));
            return slot;
        }

        void Rent(int length)
        {
            var place = _writer.Rent(length);
            if (rented.Count == SharedRing.MostRented)
                Assert.Null(place);
            if (place is null)
                return;
            place.Memory.Span.Fill(next);
            rented.Add((new TensorBuffer(place.Memory, place), next++, null));
        }

        void TellRented(int which)
        {
            var (buffer, value, slot) = rented[which];
            var isRead = read.Any(one => one.Slot == slot);
            var told = Tell(buffer.Span, value);
            if (slot is null || !isRead)
            {
                Assert.NotNull(told);
                Assert.True(slot is null || slot == told, "words that lie in a place were copied into another");
                rented[which] = (buffer, value, told);
                inPlace++;
            }
            else if (told is not null)
            {
                Assert.NotEqual(slot, told);
                copied++;
            }
        }

        void LetGo<T>(List<T> from, int which, Func<T, TensorBuffer> buffer)
        {
            buffer(from[which]).Release();
            from.RemoveAt(which);
        }
    }

    [Fact]
    public void A_place_is_rented_and_told_of_by_two_threads_at_once()
    {
        using var both = new Barrier(2);
        Parallel.Invoke(() => Run(() => _writer.Rent(1)), () => Run(Copy));
        Assert.Equal((0, 0), (_writer.Rented, _reader.Lent));

        IMemoryOwner<float>? Copy() => _writer.Place(new byte[sizeof(float)]) is { } slot ? _reader.Lend(slot, 1) : null;

        void Run(Func<IMemoryOwner<float>?> take)
        {
            both.SignalAndWait();
            for (var i = 0; i < 100_000; i++)
            {
                using var place = take();
                if (place is null)
                    continue;
                // nobody else has it, or finds another's mark
                var mark = Environment.CurrentManagedThreadId + (i * 1000f);
                place.Memory.Span[0] = mark;
                Thread.SpinWait(5);
                Assert.Equal(mark, place.Memory.Span[0]);
            }
        }
    }

    [Theory]
    [InlineData(1, 3)]
    [InlineData(0, SharedRing.SlotBytes / sizeof(float))]
    public void Words_that_do_not_begin_where_a_place_does_are_copied(int offset, int length)
    {
        using var rented = _writer.Rent(SharedRing.SlotBytes / sizeof(float))!;
        var words = rented.Memory.Span.Slice(offset, Math.Min(length, rented.Memory.Length - offset));
        words.Fill(5);
        var slot = _writer.Place(MemoryMarshal.AsBytes(words))!.Value;
        using var read = _reader.Lend(slot, words.Length);
        words[0] = 6;
        Assert.Equal(offset == 0 ? 6 : 5, read.Memory.Span[0]);
    }

    [Fact]
    public void A_rented_place_is_there_after_the_connection_has_ended_and_none_is_given_then()
    {
        var rented = _writer.Rent(3)!;
        _writer.Dispose();
        _reader.Dispose();
        rented.Memory.Span.Fill(7);
        Assert.Equal([7, 7, 7], rented.Memory.Span.ToArray());
        rented.Dispose();
        Assert.Throws<ObjectDisposedException>(() => rented.Memory.Span.Length);
        Assert.Throws<ObjectDisposedException>(() => _writer.Rent(3));
        Assert.Null(_writer.Rent(SharedRing.SlotBytes / sizeof(float) + 1));
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
