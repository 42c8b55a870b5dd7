using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace ClusterNet.Cluster.Telemetry;

/// <summary>An instrument over things that come and go: each is asked for its value when someone looks, and leaves no trace when it is gone.</summary>
/// <typeparam name="T">the value's type</typeparam>
internal sealed class Observed<T>
    where T : struct
{
    private readonly ConcurrentDictionary<object, Func<IEnumerable<Measurement<T>>>> _things = new();

    private Observed()
    {
    }

    /// <summary>Of values as they are now.</summary>
    public static Observed<T> Gauge(Meter meter, string name, string unit, string description)
    {
        var observed = new Observed<T>();
        meter.CreateObservableGauge(name, observed.Read, unit, description);
        return observed;
    }

    /// <summary>Of sums that each thing keeps itself.</summary>
    public static Observed<T> Counter(Meter meter, string name, string unit, string description)
    {
        var observed = new Observed<T>();
        meter.CreateObservableCounter(name, observed.Read, unit, description);
        return observed;
    }

    /// <summary>Shows a value until the result is disposed of.</summary>
    /// <param name="read">called from any thread; null where there is nothing to show</param>
    /// <param name="tags">of the value</param>
    public IDisposable Show(Func<T?> read, params KeyValuePair<string, object?>[] tags) => Show(() => read() is { } value ? [new Measurement<T>(value, tags)] : []);

    /// <summary>Shows several values until the result is disposed of.</summary>
    /// <param name="read">called from any thread</param>
    public IDisposable Show(Func<IEnumerable<Measurement<T>>> read)
    {
        var thing = new Thing(this);
        _things[thing] = read;
        return thing;
    }

    private IEnumerable<Measurement<T>> Read() => [.. _things.Values.SelectMany(read => read())];

    private sealed class Thing(Observed<T> owner) : IDisposable
    {
        public void Dispose() => owner._things.TryRemove(this, out _);
    }
}
