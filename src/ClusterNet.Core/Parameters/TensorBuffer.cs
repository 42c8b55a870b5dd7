using System.Collections.Concurrent;

namespace ClusterNet.Core.Parameters;

/// <summary>
/// A float32 array that several readers share and that nobody changes while they do. Its maker fills what a reader may read before it shares it; from then on that is read-only
/// until every holder has called <see cref="Release"/>, and only then does it go back to its pool. A holder that dies without releasing leaks nothing: the garbage collector
/// takes the array, the pool makes another.
/// </summary>
public sealed class TensorBuffer
{
    private readonly TensorBufferPool? _pool;
    private readonly IDisposable? _loan;
    private int _holders = 1;

    internal TensorBuffer(TensorBufferPool pool, float[] array)
    {
        _pool = pool;
        Array = array;
    }

    /// <summary>A buffer over an array that somebody else lends.</summary>
    /// <param name="array">the values</param>
    /// <param name="loan">disposed of when the last holder has let go: the array is the lender's again</param>
    public TensorBuffer(float[] array, IDisposable loan)
    {
        Array = array;
        _loan = loan;
    }

    /// <summary>The values, pinned on the heap. Written by the maker alone, before it shares what it writes.</summary>
    public float[] Array { get; }

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
        _pool?.Return(Array);
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
