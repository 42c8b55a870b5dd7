namespace ClusterNet.Cluster.Serving;

/// <summary>
/// What waits for a version's computation: the most urgent first, and first come first served among equals. Decides what is refused and what is computed together. What is merged is
/// what waits while a computation runs: an idle model starts at once, a busy one takes the more at a time the more there is.
/// </summary>
/// <typeparam name="T">a request</typeparam>
internal sealed class InferenceQueue<T>(int maxBatchSamples, int maxRequests, int maxSamples)
{
    private readonly LinkedList<(T Request, int Samples, bool Alone)>[] _waiting = [.. Enumerable.Range(PriorityLevels.Highest, PriorityLevels.Lowest + 1).Select(_ => new LinkedList<(T, int, bool)>())];

    private readonly long[] _samples = new long[PriorityLevels.Lowest - PriorityLevels.Highest + 1];

    public int Count { get; private set; }

    public long Samples { get; private set; }

    /// <summary>Whether what waits fills a batch.</summary>
    public bool IsBatchFull => Samples >= maxBatchSamples;

    /// <param name="request">what to compute</param>
    /// <param name="samples">how many samples it has</param>
    /// <param name="alone">whether it can't be computed together with others</param>
    /// <param name="priority">see <see cref="PriorityLevels"/></param>
    /// <returns>whether it was taken; a request with more samples than the bound is, if it would be the only one</returns>
    public bool Offer(T request, int samples, bool alone = false, int priority = PriorityLevels.Default)
    {
        if (Count >= maxRequests || (Count > 0 && Samples + samples > maxSamples))
            return false;
        var level = Math.Clamp(priority, PriorityLevels.Highest, PriorityLevels.Lowest) - PriorityLevels.Highest;
        _waiting[level].AddLast((request, samples, alone));
        _samples[level] += samples;
        Count++;
        Samples += samples;
        return true;
    }

    /// <summary>Samples that are computed before those of a request of this priority that comes now.</summary>
    public long SamplesAhead(int priority)
    {
        var ahead = 0L;
        for (var level = PriorityLevels.Highest; level <= Math.Clamp(priority, PriorityLevels.Highest, PriorityLevels.Lowest); level++)
            ahead += _samples[level - PriorityLevels.Highest];
        return ahead;
    }

    /// <summary>Takes out what is computed next, together: one request, and those behind it as far as the batch goes.</summary>
    /// <param name="joins">asked for each, the first too, with the samples that the batch would have with it: false ends the batch in front of it, unless it is the first</param>
    /// <returns>empty where nothing waits</returns>
    public IReadOnlyList<T> Take(Func<T, long, bool>? joins = null)
    {
        var batch = new List<T>();
        var samples = 0L;
        for (var i = 0; i < _waiting.Length; i++)
        {
            var level = _waiting[i];
            while (level.First is { Value: var next } first)
            {
                var isJoined = joins?.Invoke(next.Request, samples + next.Samples) ?? true;
                if (batch.Count > 0 && (next.Alone || samples + next.Samples > maxBatchSamples || !isJoined))
                    return Taken();
                level.Remove(first);
                _samples[i] -= next.Samples;
                batch.Add(next.Request);
                samples += next.Samples;
                if (next.Alone)
                    return Taken();
            }
        }
        return Taken();

        List<T> Taken()
        {
            Count -= batch.Count;
            Samples -= samples;
            return batch;
        }
    }

    /// <summary>Takes out those that need no computation any more.</summary>
    public IReadOnlyList<T> Remove(Predicate<T> isOver)
    {
        var removed = new List<T>();
        for (var i = 0; i < _waiting.Length; i++)
        {
            var level = _waiting[i];
            for (var node = level.First; node is not null;)
            {
                var next = node.Next;
                if (isOver(node.Value.Request))
                {
                    level.Remove(node);
                    removed.Add(node.Value.Request);
                    Count--;
                    Samples -= node.Value.Samples;
                    _samples[i] -= node.Value.Samples;
                }
                node = next;
            }
        }
        return removed;
    }

    /// <summary>What waits, in the order it would be computed.</summary>
    public IEnumerable<T> Waiting => _waiting.SelectMany(level => level).Select(waiting => waiting.Request);

    /// <summary>Takes out everything.</summary>
    public IReadOnlyList<T> Clear() => Remove(_ => true);
}
