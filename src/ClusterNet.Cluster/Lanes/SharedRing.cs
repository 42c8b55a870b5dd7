using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ClusterNet.Cluster.Lanes;

/// <summary>
/// Bytes on their way from one process to another of the same machine, in memory that both have mapped: one writes behind what the other reads. Each side has an object of its own over the same
/// <see cref="SealedMemory"/>, and uses its half of the methods, one thread at a time. Who has nothing to do says so here, and is woken by whatever else the two are connected by.
/// </summary>
/// <remarks>
/// The other side may write what it likes into the memory: positions are checked when they are read, this side's own is never read from there, and what a frame says of itself is copied out before anybody looks at it. Values that it changes while they are read are wrong values, no more.
/// </remarks>
internal sealed unsafe partial class SharedRing : IDisposable
{
    /// <summary>The most bytes on their way: a part of a model's gradient, and little enough to stay in the cache that cores share.</summary>
    public const int Capacity = 4 << 20;

    /// <summary>Bytes of the memory that it takes.</summary>
    public const long FileBytes = SlotsStart + (SlotCount * (long)SlotBytes);

    // bytes so far, and who waits, each away from the others, so that cores don't take them from each other
    private const int Written = 0;
    private const int Read = 128;
    private const int ReaderWaits = 256;
    private const int WriterWaits = 384;
    private const int Head = 4096;
    private const int SlotsStart = Head + Capacity;

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly SafeBuffer _memory;
    private long _position;

    /// <param name="memory">of <see cref="FileBytes"/>, filled with zeros at first; this one's from here on</param>
    /// <exception cref="IOException">it can't be mapped</exception>
    public SharedRing(SafeFileHandle memory)
    {
        Memory = memory;
        _file = MemoryMappedFile.CreateFromFile(memory, null, FileBytes, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: false);
        _view = _file.CreateViewAccessor(0, FileBytes);
        _memory = _view.SafeMemoryMappedViewHandle;
    }

    /// <summary>What it is made of.</summary>
    public SafeFileHandle Memory { get; }

    /// <summary>The writer: puts down what there is room for.</summary>
    /// <returns>bytes written</returns>
    /// <exception cref="LaneViolationException">the reader's position is impossible</exception>
    /// <exception cref="ObjectDisposedException">this is disposed of</exception>
    public int Write(ReadOnlySpan<byte> bytes)
    {
        using var mapped = new Mapped(_memory);
        var part = bytes[..Math.Min(bytes.Length, Free(mapped))];
        var behind = mapped.Data(_position);
        var first = Math.Min(part.Length, behind.Length);
        part[..first].CopyTo(behind);
        part[first..].CopyTo(mapped.Data(0));
        _position += part.Length;
        Volatile.Write(ref mapped.Word(Written), _position);
        return part.Length;
    }

    /// <summary>The reader: takes as many bytes as there are and as <paramref name="bytes"/> holds.</summary>
    /// <returns>bytes read</returns>
    /// <exception cref="LaneViolationException">the writer's position is impossible</exception>
    /// <exception cref="ObjectDisposedException">this is disposed of</exception>
    public int Take(Span<byte> bytes)
    {
        using var mapped = new Mapped(_memory);
        var part = bytes[..Math.Min(bytes.Length, Waiting(mapped))];
        var behind = mapped.Data(_position);
        var first = Math.Min(part.Length, behind.Length);
        behind[..first].CopyTo(part);
        mapped.Data(0)[..(part.Length - first)].CopyTo(part[first..]);
        _position += part.Length;
        Volatile.Write(ref mapped.Word(Read), _position);
        return part.Length;
    }

    /// <summary>The reader is about to wait.</summary>
    /// <returns>false where it need not: there are bytes</returns>
    public bool ReaderMustWait()
    {
        using var mapped = new Mapped(_memory);
        Announce(mapped, ReaderWaits);
        return Waiting(mapped) == 0;
    }

    /// <summary>The writer is about to wait.</summary>
    /// <returns>false where it need not: there is room</returns>
    public bool WriterMustWait()
    {
        using var mapped = new Mapped(_memory);
        Announce(mapped, WriterWaits);
        return Free(mapped) == 0;
    }

    /// <summary>The writer has written: whether the reader is to be woken.</summary>
    public bool WakesReader()
    {
        using var mapped = new Mapped(_memory);
        return IsAnnounced(mapped, ReaderWaits);
    }

    /// <summary>The reader has read: whether the writer is to be woken, which it is where half of the ring is free: it would have little to do before.</summary>
    public bool WakesWriter()
    {
        using var mapped = new Mapped(_memory);
        return Waiting(mapped) <= Capacity / 2 && IsAnnounced(mapped, WriterWaits);
    }

    /// <summary>Unmaps the memory, once nobody is in the middle of a call.</summary>
    public void Dispose()
    {
        _view.Dispose();
        _file.Dispose();
    }

    private int Free(Mapped mapped) => Capacity - Between(_position, Volatile.Read(ref mapped.Word(Read)));

    private int Waiting(Mapped mapped) => Between(Volatile.Read(ref mapped.Word(Written)), _position);

    private static int Between(long written, long read)
    {
        var bytes = unchecked(written - read);
        return bytes is >= 0 and <= Capacity ? (int)bytes : throw new LaneViolationException("its position in the shared memory is none that it can have");
    }

    // What one side announces before it looks, the other looks for after it has moved: one of them sees the other, since neither look may come before what was written ahead of it.
    private static void Announce(Mapped mapped, int flag)
    {
        Volatile.Write(ref mapped.Word(flag), 1);
        Interlocked.MemoryBarrier();
    }

    private static bool IsAnnounced(Mapped mapped, int flag)
    {
        Interlocked.MemoryBarrier();
        return Volatile.Read(ref mapped.Word(flag)) != 0 && Interlocked.Exchange(ref mapped.Word(flag), 0) != 0;
    }

    /// <summary>The memory, which is not unmapped while one of these is there.</summary>
    private readonly ref struct Mapped
    {
        private readonly SafeBuffer _memory;
        private readonly byte* _start;

        public Mapped(SafeBuffer memory)
        {
            _memory = memory;
            memory.AcquirePointer(ref _start);
        }

        public ref long Word(int offset) => ref *(long*)(_start + offset);

        public Span<byte> Slot(int slot) => new(_start + SlotsStart + ((long)slot * SlotBytes), SlotBytes);

        /// <summary>The place that words begin in; null where they lie elsewhere, or not at its start.</summary>
        public int? SlotOf(ReadOnlySpan<byte> words)
        {
            fixed (byte* first = words)
            {
                var offset = first - _start - SlotsStart;
                return offset is >= 0 and < (long)SlotCount * SlotBytes && offset % SlotBytes == 0 ? (int)(offset / SlotBytes) : null;
            }
        }

        /// <summary>From a position to the end of the ring.</summary>
        public Span<byte> Data(long position)
        {
            var offset = (int)(position & (Capacity - 1));
            return new Span<byte>(_start + Head + offset, Capacity - offset);
        }

        public void Dispose() => _memory.ReleasePointer();
    }
}
