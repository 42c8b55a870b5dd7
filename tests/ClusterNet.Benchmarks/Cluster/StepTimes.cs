using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Globalization;

namespace ClusterNet.Benchmarks.Cluster;

/// <summary>Where a node's steps spend their time, by the meters that a node has: one line for each instrument and job when it ends.</summary>
internal sealed class StepTimes : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<string, List<double>> _samples = new(StringComparer.Ordinal);
    private readonly string _path;

    public StepTimes(string path)
    {
        _path = path;
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument is Histogram<double> && instrument.Name.Contains(".step.", StringComparison.Ordinal))
                listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) =>
        {
            var samples = _samples.GetOrAdd($"{(tags.Length > 0 ? tags[0].Value : "")} {instrument.Name}", _ => []);
            lock (samples)
                samples.Add(value * 1000);
        });
        _listener.Start();
    }

    public void Dispose()
    {
        _listener.Dispose();
        File.WriteAllLines(_path, _samples.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair =>
        {
            var sorted = pair.Value.Order().ToArray();
            return string.Create(CultureInfo.InvariantCulture, $"{pair.Key}: {sorted.Length} steps, 10 % {sorted[sorted.Length / 10]:0.00} ms, 50 % {sorted[sorted.Length / 2]:0.00} ms, 90 % {sorted[sorted.Length * 9 / 10]:0.00} ms");
        }));
    }
}
