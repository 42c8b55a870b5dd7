namespace ClusterNet.Cluster.Serving;

/// <summary>
/// What waits for a version's computation, first come first served. Decides what is refused and what is computed together. What is merged is what waits while a computation
/// runs: an idle model starts at once, a busy one takes the more at a time the more there is.
/// </summary>
/// <typeparam name="T">a request</typeparam>
internal sealed class InferenceQueue<T>(int maxBatchSamples, int maxRequests, int maxSamples)
{
    private readonly Queue<(T Request, int Samples, bool Alone)> _waiting = [];

    public int Count => _waiting.Count;

    public long Samples { get; private set; }

    /// <param name="request">what to compute</param>
    /// <param name="samples">how many samples it has</param>
    /// <param name="alone">whether it can't be computed together with others</param>
    /// <returns>whether it was taken; a request with more samples than the bound is, if it would be the only one</returns>
    public bool Offer(T request, int samples, bool alone = false)
    {
        if (_waiting.Count >= maxRequests || (_waiting.Count > 0 && Samples + samples > maxSamples))
            return false;
        _waiting.Enqueue((request, samples, alone));
        Samples += samples;
        return true;
    }

    /// <summary>Takes out what is computed next, together: one request, and those behind it as far as the batch goes.</summary>
    /// <returns>empty where nothing waits</returns>
    public IReadOnlyList<T> Take()
    {
        var batch = new List<T>();
        var samples = 0L;
        var full = false;
        while (!full && _waiting.TryPeek(out var next) && (batch.Count == 0 || (!next.Alone && samples + next.Samples <= maxBatchSamples)))
        {
            _waiting.Dequeue();
            batch.Add(next.Request);
            samples += next.Samples;
            full = next.Alone;
        }
        Samples -= samples;
        return batch;
    }

    /// <summary>Takes out everything.</summary>
    public IReadOnlyList<T> Clear()
    {
        T[] all = [.. _waiting.Select(waiting => waiting.Request)];
        _waiting.Clear();
        Samples = 0;
        return all;
    }
}
