using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Core.Plans;

/// <summary>
/// Which samples make which step, epoch and slice: a function of (seed, epoch, step) alone. Each epoch visits every training sample once, in a new random order;
/// its last batch is smaller where the batch size does not divide the number of samples.
/// </summary>
public sealed class BatchPlan
{
    private readonly long _seed;
    private (long Epoch, int[] Order) _current = (-1, []);

    /// <param name="samples">training samples, at least 1</param>
    /// <param name="batchSize">samples in a step</param>
    /// <param name="slices">slices of a batch, a power of two</param>
    /// <param name="seed">the job's seed</param>
    public BatchPlan(int samples, int batchSize, int slices, long seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(samples, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        if (!int.IsPow2(slices))
            throw new ArgumentException($"{slices} slices: not a power of two", nameof(slices));
        Samples = samples;
        BatchSize = batchSize;
        Slices = slices;
        _seed = seed;
    }

    /// <summary>The plan of <paramref name="training"/> over <paramref name="samples"/> training samples.</summary>
    public static BatchPlan Of(TrainingSpec training, int samples) => new(samples, training.BatchSize, training.Slices, training.Seed);

    /// <summary>Training samples.</summary>
    public int Samples { get; }

    /// <summary>Samples in a full step.</summary>
    public int BatchSize { get; }

    /// <summary>Slices of a batch.</summary>
    public int Slices { get; }

    /// <summary>Steps in an epoch.</summary>
    public int StepsPerEpoch => (Samples - 1) / BatchSize + 1;

    /// <summary>The steps that <paramref name="training"/> asks for, in all.</summary>
    public long TotalSteps(TrainingSpec training) => training.Steps ?? checked((long)(training.Epochs ?? 1) * StepsPerEpoch);

    /// <summary>The epoch of a step, both from 0.</summary>
    public long EpochOf(long step) => step / StepsPerEpoch;

    /// <summary>What the steps of an epoch must have visited once <paramref name="step"/> steps are done: all samples at its end, else those of its steps so far.</summary>
    /// <param name="step">at least 1</param>
    public SampleVisits VisitsUpTo(long step)
    {
        if (step % StepsPerEpoch == 0)
            return SampleVisits.OfAll(Samples);
        var visits = default(SampleVisits);
        for (var done = step - step % StepsPerEpoch; done < step; done++)
        {
            for (var slice = 0; slice < Slices; slice++)
                visits += SampleVisits.Of(Slice(done, slice));
        }
        return visits;
    }

    /// <summary>The positions in the training part that <paramref name="slice"/> of <paramref name="step"/> visits; may be empty in a small last batch. Not thread-safe.</summary>
    public ReadOnlySpan<int> Slice(long step, int slice)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)slice, (uint)Slices);
        var epoch = EpochOf(step);
        if (_current.Epoch != epoch)
            _current = (epoch, new SplitMix64(SplitMix64.Combine(_seed, epoch)).Permutation(Samples));
        var start = (int)(step % StepsPerEpoch) * BatchSize;
        var size = Math.Min(BatchSize, Samples - start);
        var from = start + (int)((long)size * slice / Slices);
        var to = start + (int)((long)size * (slice + 1) / Slices);
        return _current.Order.AsSpan(from, to - from);
    }
}
