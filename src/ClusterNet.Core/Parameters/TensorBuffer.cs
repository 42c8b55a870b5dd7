using System.Collections.Concurrent;

namespace ClusterNet.Core.Parameters;

/// <summary>
/// A float32 array that several readers share and that nobody changes while they do. Its maker fills it before the first <see cref="Share"/>; from then on it is read-only
/// until every holder has called <see cref="Release"/>, and only then does it go back to its pool. A holder that dies without releasing leaks nothing: the garbage collector
/// takes the array, the pool makes another.
/// </summary>
public sealed class TensorBuffer
{
    private readonly TensorBufferPool _pool;
    private int _holders = 1;

    internal TensorBuffer(TensorBufferPool pool, float[] array)
    {
        _pool = pool;
        Array = array;
    }

    /// <summary>The values, pinned on the heap. Written by the maker alone, before it shares.</summary>
    public float[] Array { get; }

    /// <summary>Adds a holder.</summary>
    /// <returns>this buffer</returns>
    public TensorBuffer Share()
    {
        if (Interlocked.Increment(ref _holders) <= 1)
            throw new InvalidOperationException("the buffer was released before");
        return this;
    }

    /// <summary>Takes a holder away; the last one gives the array back.</summary>
    public void Release()
    {
        var left = Interlocked.Decrement(ref _holders);
        if (left == 0)
            _pool.Return(Array);
        else if (left < 0)
            throw new InvalidOperationException("the buffer was released more often than shared");
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
