using System.Collections.Concurrent;
using System.Globalization;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Data;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;
using ClusterNet.Data;

namespace ClusterNet.Cluster.Tests.Serving;

/// <summary>
/// A model of two classes that says of a sample (a, b) the probabilities (1 - a, a). It waits before each computation while <see cref="Hold"/> is called, fails to prepare the word
/// "bad", and crashes at the value -1.
/// </summary>
internal sealed class FakeModel : IServedModel
{
    private readonly ManualResetEventSlim _open = new(true);

    /// <summary>Sizes of the batches that were computed.</summary>
    public ConcurrentQueue<int> Batches { get; } = new();

    /// <summary>Released when a computation begins.</summary>
    public SemaphoreSlim Begun { get; } = new(0);

    public int Loads { get; private set; }

    public int Disposals { get; private set; }

    /// <summary>Names of the threads it was used on.</summary>
    public ConcurrentDictionary<int, bool> Threads { get; } = new();

    public ServedModelLoader Loader => (_, _) =>
    {
        Threads[Environment.CurrentManagedThreadId] = true;
        Loads++;
        return this;
    };

    public bool IsQuickerTogether { get; set; } = true;

    public string Arithmetic { get; set; } = "";

    public static RawSamples Rows(params string[] firstColumn) =>
        new RawSamples.Table(["a", "b"], [.. firstColumn.Select(cell => (IReadOnlyList<string?>)[cell, "0"])]);

    public void Hold() => _open.Reset();

    public void LetGo() => _open.Set();

    public SampleSet Prepare(RawSamples samples, bool withTargets)
    {
        var table = (RawSamples.Table)samples;
        if (table.Rows.Any(row => row[0] == "bad"))
            throw new InputException("samples[0]", "'bad' is no number");
        float[] features = [.. table.Rows.SelectMany(row => row.Select(cell => float.Parse(cell!, CultureInfo.InvariantCulture)))];
        return new SampleSet([2], features, withTargets ? new int[samples.Count] : default, default, Enumerable.Range(0, samples.Count).ToArray());
    }

    public float[] Predict(SampleSet samples)
    {
        Enter(samples);
        return [.. Enumerable.Range(0, samples.Count).SelectMany(i => (float[])[1 - samples[i][0], samples[i][0]])];
    }

    public MetricAccumulator Evaluate(SampleSet samples)
    {
        Enter(samples);
        var metrics = new MetricAccumulator(LearningTask.Classification, 2);
        for (var i = 0; i < samples.Count; i++)
            metrics.Add([1 - samples[i][0], samples[i][0]], 0, 1, 1);
        return metrics;
    }

    public void Dispose()
    {
        Threads[Environment.CurrentManagedThreadId] = true;
        Disposals++;
    }

    private void Enter(SampleSet samples)
    {
        Threads[Environment.CurrentManagedThreadId] = true;
        Begun.Release();
        if (!_open.Wait(TimeSpan.FromSeconds(30)))
            throw new TimeoutException("the test never let go");
        Batches.Enqueue(samples.Count);
        if (samples.Features.Span.Contains(-1))
            throw new InvalidOperationException("out of memory");
    }
}
