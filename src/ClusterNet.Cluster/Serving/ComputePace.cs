namespace ClusterNet.Cluster.Serving;

/// <summary>How fast a version computes, by its latest batches: so that a request which can't be answered in time is refused at once, and one that can is not spoilt by those it is computed with.</summary>
internal sealed class ComputePace
{
    /// <summary>What a new batch counts, over all before it.</summary>
    private const double Weight = 0.2;

    /// <summary>What a prediction of time is made longer by, to be right more often than not: batches vary, and answers have a way to go.</summary>
    private const double Caution = 1.25;

    private static readonly TimeSpan OnTheWay = TimeSpan.FromMilliseconds(5);
    private double _ticksPerSample;

    /// <summary>A batch was computed.</summary>
    public void Measured(TimeSpan elapsed, int samples)
    {
        if (samples <= 0)
            return;
        var ticks = (double)elapsed.Ticks / samples;
        _ticksPerSample = _ticksPerSample > 0 ? _ticksPerSample + (Weight * (ticks - _ticksPerSample)) : ticks;
    }

    /// <summary>How long so many samples take, carefully; nothing where no batch has been measured.</summary>
    public TimeSpan Of(long samples) => _ticksPerSample > 0 ? TimeSpan.FromTicks((long)Math.Min(TimeSpan.MaxValue.Ticks / 4, samples * _ticksPerSample * Caution)) + OnTheWay : TimeSpan.Zero;
}
