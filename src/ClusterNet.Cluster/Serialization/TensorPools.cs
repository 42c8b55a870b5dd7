using System.Collections.Concurrent;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Serialization;

/// <summary>One pool for each length of tensor that comes in. A job has two or three lengths; those of jobs long over are forgotten.</summary>
internal sealed class TensorPools
{
    private const int MaxLengths = 64;

    private ConcurrentDictionary<int, TensorBufferPool> _pools = new();

    /// <summary>The pool of arrays of <paramref name="length"/> elements.</summary>
    public TensorBufferPool Of(int length)
    {
        var pools = _pools;
        if (pools.TryGetValue(length, out var pool))
            return pool;
        // buffers in use keep their pool; its arrays go when they do
        if (pools.Count >= MaxLengths)
            Interlocked.CompareExchange(ref _pools, new ConcurrentDictionary<int, TensorBufferPool>(), pools);
        return _pools.GetOrAdd(length, static elements => new TensorBufferPool(elements));
    }
}
