using System.Buffers;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Lanes;

/// <summary>
/// The buffers that tensors are received into, and the bound of all that are out. A connection that gets none is not read: TCP tells its sender to wait, so that no message of the protocol could be forged, or
/// lost, to get more. A holder that is lost without releasing gives its bytes back when the garbage collector finds its buffer.
/// </summary>
/// <param name="limit">the most bytes out, beside a first message of any size</param>
/// <param name="keep">the most bytes kept for the next messages</param>
internal sealed class ReceiveMemory(long limit, long keep)
{
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Suspicion = TimeSpan.FromSeconds(10);

    private readonly object _gate = new();
    private readonly Dictionary<int, Stack<float[]>> _free = [];
    private long _out;
    private long _kept;

    /// <summary>Bytes that are with receivers, or being read.</summary>
    public long Out
    {
        get
        {
            lock (_gate)
                return _out;
        }
    }

    /// <summary>Bytes that are kept for the next messages.</summary>
    public long Kept
    {
        get
        {
            lock (_gate)
                return _kept;
        }
    }

    /// <summary>Buffers of these lengths, each with one hold. Waits until there is room for all of them.</summary>
    /// <param name="lengths">in values; their sum in bytes fits in 63 bits</param>
    /// <param name="isOver">looked at while it waits: no need any more</param>
    /// <param name="waits">called once if it must wait</param>
    /// <returns>null where it is over</returns>
    public TensorBuffer[]? Take(ReadOnlySpan<int> lengths, Func<bool> isOver, Action waits)
    {
        var bytes = 0L;
        foreach (var length in lengths)
            bytes += (long)length * sizeof(float);
        if (!Reserve(bytes, isOver, waits))
            return null;
        var arrays = new float[lengths.Length][];
        try
        {
            for (var i = 0; i < arrays.Length; i++)
                arrays[i] = Find(lengths[i]) ?? GC.AllocateUninitializedArray<float>(lengths[i], pinned: true);
        }
        catch (OutOfMemoryException)
        {
            Return(bytes, null);
            throw;
        }
        return Array.ConvertAll(arrays, array => new TensorBuffer(array, new Loan(this, array)));
    }

    /// <summary>A buffer over memory that somebody else lends, with one hold. It counts as out like any other, so it waits until there is room, too.</summary>
    /// <param name="length">in values</param>
    /// <param name="lend">gives the memory</param>
    /// <param name="isOver">looked at while it waits: no need any more</param>
    /// <param name="waits">called once if it must wait</param>
    /// <returns>null where it is over</returns>
    public TensorBuffer? Borrow(int length, Func<IMemoryOwner<float>> lend, Func<bool> isOver, Action waits)
    {
        var bytes = (long)length * sizeof(float);
        if (!Reserve(bytes, isOver, waits))
            return null;
        try
        {
            var lent = lend();
            return new TensorBuffer(lent.Memory, new Borrowed(this, bytes, lent));
        }
        catch
        {
            Return(bytes, null);
            throw;
        }
    }

    /// <summary>Lets everyone who waits look whether it is over.</summary>
    public void Wake()
    {
        lock (_gate)
            Monitor.PulseAll(_gate);
    }

    private bool Reserve(long bytes, Func<bool> isOver, Action waits)
    {
        var waited = TimeSpan.Zero;
        while (true)
        {
            lock (_gate)
            {
                if (_out == 0 || _out + bytes <= limit)
                {
                    _out += bytes;
                    return true;
                }
                if (waited == TimeSpan.Zero)
                    waits();
                Monitor.Wait(_gate, Tick);
            }
            if (isOver())
                return false;
            waited += Tick;
            // nobody allocates while everybody waits: lost buffers would never be found
            if (waited.Ticks % Suspicion.Ticks == 0)
                GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: false);
        }
    }

    private float[]? Find(int length)
    {
        lock (_gate)
        {
            if (!_free.TryGetValue(length, out var stack) || !stack.TryPop(out var array))
                return null;
            _kept -= (long)length * sizeof(float);
            return array;
        }
    }

    private void Return(long bytes, float[]? array)
    {
        lock (_gate)
        {
            _out -= bytes;
            if (array is { Length: > 0 })
                Keep(bytes, array);
            Monitor.PulseAll(_gate);
        }
    }

    private void Keep(long bytes, float[] array)
    {
        // lengths that nobody asks for any more make room first
        if (_kept + bytes > keep)
        {
            foreach (var length in _free.Keys.Where(length => length != array.Length).ToArray())
            {
                _kept -= (long)length * sizeof(float) * _free[length].Count;
                _free.Remove(length);
            }
        }
        if (_kept + bytes > keep)
            return;
        if (!_free.TryGetValue(array.Length, out var stack))
            _free.Add(array.Length, stack = []);
        stack.Push(array);
        _kept += bytes;
    }

    private sealed class Borrowed(ReceiveMemory memory, long bytes, IDisposable lent) : IDisposable
    {
        private int _isBack;

        ~Borrowed() => memory.Return(bytes, null);

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _isBack, 1) != 0)
                return;
            GC.SuppressFinalize(this);
            lent.Dispose();
            memory.Return(bytes, null);
        }
    }

    private sealed class Loan(ReceiveMemory memory, float[] array) : IDisposable
    {
        private readonly long _bytes = (long)array.Length * sizeof(float);
        private float[]? _array = array;

        ~Loan() => memory.Return(_bytes, null);

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _array, null) is not { } lent)
                return;
            GC.SuppressFinalize(this);
            memory.Return(_bytes, lent);
        }
    }
}
