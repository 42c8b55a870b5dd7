using System.Collections.Concurrent;

namespace ClusterNet.Core.Parameters;

/// <summary>
/// float32 values that several readers share and that nobody changes while they do. Its maker fills what a reader may read before it shares it; from then on that is read-only
/// until every holder has called <see cref="Release"/>, and only then does it go back to its pool. A holder that dies without releasing leaks nothing: the garbage collector
/// takes the memory, the pool makes another. Who reads the values has the buffer, to release it, and so keeps memory outside the heap alive.
/// </summary>
public sealed class TensorBuffer
{
    private readonly TensorBufferPool? _pool;
    private readonly float[]? _array;
    private readonly IDisposable? _loan;
    private int _holders = 1;

    internal TensorBuffer(TensorBufferPool pool, float[] array)
    {
        (_pool, _array) = (pool, array);
        Memory = array;
    }

    /// <summary>A buffer over memory that somebody else lends.</summary>
    /// <param name="memory">the values, where nothing moves them</param>
    /// <param name="loan">disposed of when the last holder has let go, on whatever thread: the memory is the lender's again</param>
    public TensorBuffer(Memory<float> memory, IDisposable loan)
    {
        Memory = memory;
        _loan = loan;
    }

    /// <summary>The values, where nothing moves them. Written by the maker alone, before it shares what it writes.</summary>
    public Memory<float> Memory { get; }

    /// <summary>The same.</summary>
    public Span<float> Span => Memory.Span;

    /// <summary>How many values.</summary>
    public int Length => Memory.Length;

    /// <summary>Whether somebody lends the memory, who may have little of it: what is kept for long is copied.</summary>
    public bool IsLent => _loan is not null;

    /// <summary>Adds a holder.</summary>
    /// <returns>this buffer</returns>
    /// <exception cref="InvalidOperationException">nobody holds it any more; nothing changes</exception>
    public TensorBuffer Share()
    {
        Count(+1);
        return this;
    }

    /// <summary>Takes a holder away; the last one gives the array back.</summary>
    /// <exception cref="InvalidOperationException">nobody holds it any more; nothing changes</exception>
    public void Release()
    {
        if (Count(-1) != 0)
            return;
        if (_array is not null)
            _pool!.Return(_array);
        _loan?.Dispose();
    }

    // A mistaken call must not move the count: a later, equally mistaken one would then give the array back a second time, and two renters would share it.
    private int Count(int change)
    {
        var holders = Volatile.Read(ref _holders);
        while (holders > 0)
        {
            var seen = Interlocked.CompareExchange(ref _holders, holders + change, holders);
            if (seen == holders)
                return holders + change;
            holders = seen;
        }
        throw new InvalidOperationException("the buffer was released by all its holders before");
    }
}

/// <summary>Hands out arrays of one length and takes them back. Thread-safe.</summary>
/// <param name="length">elements of each array</param>
public sealed class TensorBufferPool(int length)
{
    private readonly ConcurrentBag<float[]> _free = [];

    /// <summary>Elements of each array.</summary>
    public int Length { get; } = length;

    /// <summary>A buffer of undefined content with one holder, the caller.</summary>
    public TensorBuffer Rent() => new(this, _free.TryTake(out var array) ? array : GC.AllocateUninitializedArray<float>(Length, pinned: true));

    internal void Return(float[] array) => _free.Add(array);
}
