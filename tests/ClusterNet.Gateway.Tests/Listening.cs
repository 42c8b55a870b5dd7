using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace ClusterNet.Gateway.Tests;

/// <summary>Listens to everything that ClusterNet shows in this process.</summary>
internal sealed class Listening : IDisposable
{
    private readonly ActivityListener _activities = new();
    private readonly MeterListener _meters = new();
    private readonly ConcurrentQueue<Activity> _ended = new();
    private readonly ConcurrentQueue<Reading> _readings = new();

    public Listening()
    {
        _activities.ShouldListenTo = source => source.Name.StartsWith("ClusterNet.", StringComparison.Ordinal);
        _activities.Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded;
        _activities.ActivityStopped = _ended.Enqueue;
        ActivitySource.AddActivityListener(_activities);
        _meters.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name.StartsWith("ClusterNet.", StringComparison.Ordinal))
                listener.EnableMeasurementEvents(instrument);
        };
        _meters.SetMeasurementEventCallback<long>((instrument, value, tags, _) => _readings.Enqueue(new Reading(instrument.Name, value, tags.ToArray())));
        _meters.SetMeasurementEventCallback<int>((instrument, value, tags, _) => _readings.Enqueue(new Reading(instrument.Name, value, tags.ToArray())));
        _meters.SetMeasurementEventCallback<double>((instrument, value, tags, _) => _readings.Enqueue(new Reading(instrument.Name, value, tags.ToArray())));
        _meters.Start();
    }

    /// <summary>Activities that have ended.</summary>
    public IReadOnlyCollection<Activity> Activities => _ended;

    /// <summary>All that was measured; gauges only when <see cref="ReadGauges"/> was called.</summary>
    public IReadOnlyCollection<Reading> Readings => _readings;

    public void ReadGauges() => _meters.RecordObservableInstruments();

    /// <summary>The sum of what an instrument measured with all of these tags.</summary>
    public double Sum(string instrument, params (string Name, object Value)[] tags) => Of(instrument, tags).Sum(reading => reading.Value);

    public IEnumerable<Reading> Of(string instrument, params (string Name, object Value)[] tags) =>
        _readings.Where(reading => reading.Instrument == instrument && tags.All(tag => reading.Tags.Any(one => one.Key == tag.Name && Equals(one.Value, tag.Value))));

    public void Dispose()
    {
        _activities.Dispose();
        _meters.Dispose();
    }

    internal sealed record Reading(string Instrument, double Value, KeyValuePair<string, object?>[] Tags);
}
