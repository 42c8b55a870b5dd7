using System.Buffers;

namespace ClusterNet.Cluster.Lanes;

/// <summary>
/// Places behind the ring for the words of one tensor each. The receiver reads them where they lie, and a place is free again when the last who holds them has let go, on either side. Unlike what is in the ring
/// they hold up nothing that comes after them: who finds no place writes into the ring. Who knows beforehand to whom words will go rents a place and computes them there, so that nobody has to copy them.
/// </summary>
internal sealed unsafe partial class SharedRing
{
    /// <summary>Places.</summary>
    public const int SlotCount = 8;

    /// <summary>The most bytes in one.</summary>
    public const int SlotBytes = 2 << 20;

    /// <summary>The most that are rented: what is rented may be kept for long, as weights are.</summary>
    public const int MostRented = SlotCount - 2;

    private const int Taken = 512;
    private const int TakenStride = 128;

    // the reader's and the writer's
    private readonly int[] _lent = new int[SlotCount];
    private readonly int[] _kept = new int[SlotCount];

    // in turn: what was read last is still in the other core's cache, and would have to be fetched from there to be written over
    private int _nextSlot;

    /// <summary>Places that are being read.</summary>
    public int Lent => _lent.Count(lent => Volatile.Read(ref lent) != 0);

    /// <summary>The writer's places that are rented.</summary>
    public int Rented => _kept.Count(kept => Volatile.Read(in kept) != 0);

    /// <summary>The writer: a place to write words into before they are given to <see cref="Place"/>, on whatever thread. It is kept until it is disposed of.</summary>
    /// <param name="length">in values</param>
    /// <returns>null where none is free, or they are too many</returns>
    /// <exception cref="ObjectDisposedException">this is disposed of</exception>
    public IMemoryOwner<float>? Rent(int length)
    {
        if (length > SlotBytes / sizeof(float) || Rented >= MostRented)
            return null;
        using var mapped = new Mapped(_memory);
        return Keep(mapped) is { } slot ? new Loan(this, slot, length, _kept) : null;
    }

    /// <summary>The writer: puts words into a place, unless they lie in one that it has rented and the reader does not read. They are the reader's as soon as it is told of them.</summary>
    /// <returns>the place; null where none is free, or they are too many</returns>
    /// <exception cref="ObjectDisposedException">this is disposed of</exception>
    public int? Place(ReadOnlySpan<byte> words)
    {
        if (words.Length > SlotBytes)
            return null;
        using var mapped = new Mapped(_memory);
        if (mapped.SlotOf(words) is { } own && Volatile.Read(ref IsTaken(mapped, own)) == 0)
        {
            Volatile.Write(ref IsTaken(mapped, own), 1);
            return own;
        }
        if (Keep(mapped) is not { } slot)
            return null;
        words.CopyTo(mapped.Slot(slot));
        Volatile.Write(ref IsTaken(mapped, slot), 1);
        Volatile.Write(ref _kept[slot], 0);
        return slot;
    }

    /// <summary>The reader: the words in a place that it was told of, which is free again when they are disposed of.</summary>
    /// <param name="slot">the place</param>
    /// <param name="length">in values</param>
    /// <exception cref="LaneViolationException">there is no such place, or the words in it are still being read, or they are too many</exception>
    public IMemoryOwner<float> Lend(int slot, int length)
    {
        if (slot is < 0 or >= SlotCount || length > SlotBytes / sizeof(float) || Interlocked.Exchange(ref _lent[slot], 1) != 0)
            throw new LaneViolationException("it tells of words in a place where none can be");
        return new Loan(this, slot, length, _lent);
    }

    private static ref long IsTaken(Mapped mapped, int slot) => ref mapped.Word(Taken + (slot * TakenStride));

    private int? Keep(Mapped mapped)
    {
        for (var tried = 0; tried < SlotCount; tried++)
        {
            var slot = (int)((uint)Interlocked.Increment(ref _nextSlot) % SlotCount);
            if (Interlocked.CompareExchange(ref _kept[slot], 1, 0) != 0)
                continue;
            if (Volatile.Read(ref IsTaken(mapped, slot)) == 0)
                return slot;
            Volatile.Write(ref _kept[slot], 0);
        }
        return null;
    }

    /// <summary>A place until it is given back, from whatever thread, or lost: the memory stays mapped as long, whatever becomes of the connection.</summary>
    private sealed class Loan : IMemoryOwner<float>
    {
        private readonly SharedRing _ring;
        private readonly int _slot;
        private readonly int[] _holders;
        private readonly byte* _start;
        private int _isBack;

        public Loan(SharedRing ring, int slot, int length, int[] holders)
        {
            (_ring, _slot, _holders) = (ring, slot, holders);
            ring._memory.AcquirePointer(ref _start);
            Memory = new Words(this, length).Memory;
        }

        ~Loan() => GiveBack();

        public Memory<float> Memory { get; }

        public Span<float> Span(int length) => _isBack == 0 ? new Span<float>(_start + SlotsStart + ((long)_slot * SlotBytes), length) : throw new ObjectDisposedException(nameof(Loan));

        public void Dispose()
        {
            GC.SuppressFinalize(this);
            GiveBack();
        }

        private void GiveBack()
        {
            if (_start is null || Interlocked.Exchange(ref _isBack, 1) != 0)
                return;
            Volatile.Write(ref _holders[_slot], 0);
            // what the writer keeps the reader may still have
            if (_holders == _ring._lent)
                Volatile.Write(ref *(long*)(_start + Taken + (_slot * TakenStride)), 0);
            _ring._memory.ReleasePointer();
        }
    }

    private sealed class Words(Loan loan, int length) : MemoryManager<float>
    {
        public override Span<float> GetSpan() => loan.Span(length);

        public override MemoryHandle Pin(int elementIndex = 0)
        {
            fixed (float* first = GetSpan()[elementIndex..])
                return new MemoryHandle(first, pinnable: this);
        }

        public override void Unpin()
        {
            // nothing moves them
        }

        protected override void Dispose(bool disposing)
        {
            // the loan is, by whoever has it
        }
    }
}
