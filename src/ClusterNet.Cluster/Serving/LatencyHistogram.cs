namespace ClusterNet.Cluster.Serving;

/// <summary>
/// How long requests of the last one to two minutes took, in buckets that grow by a fifth, so that those of several nodes add up and any percentile can be told to within a tenth of itself.
/// </summary>
internal sealed class LatencyHistogram
{
    private const int PerDoubling = 4;
    private const int Doublings = 22;
    private static readonly TimeSpan _shortest = TimeSpan.FromMicroseconds(25);
    private static readonly TimeSpan _window = TimeSpan.FromMinutes(1);
    private long[] _current = new long[Buckets];
    private long[] _last = new long[Buckets];
    private DateTimeOffset _since;

    /// <summary>From 25 µs to over a minute and a half.</summary>
    public static int Buckets => (PerDoubling * Doublings) + 1;

    /// <summary>Counts a request.</summary>
    public void Add(TimeSpan latency, DateTimeOffset now)
    {
        Turn(now);
        _current[BucketOf(latency)]++;
    }

    /// <summary>How many there were in each bucket.</summary>
    public long[] Read(DateTimeOffset now)
    {
        Turn(now);
        return [.. _current.Zip(_last, (one, other) => one + other)];
    }

    /// <summary>The time that a part of the requests did not exceed.</summary>
    /// <param name="counts">by bucket</param>
    /// <param name="part">0 to 1</param>
    /// <returns>null where there was no request</returns>
    public static TimeSpan? Quantile(IReadOnlyList<long> counts, double part)
    {
        var rank = Math.Max(1, (long)Math.Ceiling(counts.Sum() * part));
        var seen = 0L;
        for (var bucket = 0; bucket < counts.Count; bucket++)
        {
            seen += counts[bucket];
            if (seen >= rank)
                return _shortest * Math.Pow(2, (bucket - 0.5) / PerDoubling); // the middle of the bucket
        }
        return null;
    }

    private static int BucketOf(TimeSpan latency) =>
        latency <= _shortest ? 0 : (int)Math.Clamp(Math.Ceiling(Math.Log2(latency / _shortest) * PerDoubling), 0, Buckets - 1);

    private void Turn(DateTimeOffset now)
    {
        if (now - _since < _window)
            return;
        (_last, _current) = (now - _since < 2 * _window ? _current : new long[Buckets], new long[Buckets]);
        _since = now;
    }
}
