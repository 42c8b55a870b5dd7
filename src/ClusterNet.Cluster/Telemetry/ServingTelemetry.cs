using System.Diagnostics;
using System.Diagnostics.Metrics;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Telemetry;

/// <summary>What the actor of a model version shows: requests, how long they took, what was computed together, what waits.</summary>
internal sealed class ServingTelemetry
{
    private static readonly Meter _meter = new(TelemetryNames.Serving);
    private static readonly Counter<long> _requests = _meter.CreateCounter<long>(TelemetryNames.Instruments.InferenceRequests, "{request}", "Requests answered");
    private static readonly Histogram<double> _durations = _meter.CreateHistogram<double>(TelemetryNames.Instruments.InferenceDuration, "s", "Arrival to answer");
    private static readonly Histogram<long> _batches = _meter.CreateHistogram<long>(TelemetryNames.Instruments.InferenceBatch, "{sample}", "Samples computed together");
    private static readonly Observed<int> _waiting = Observed<int>.Gauge(_meter, TelemetryNames.Instruments.InferenceQueue, "{request}", "Requests that wait");

    private readonly ModelVersionId _version;
    private readonly KeyValuePair<string, object?> _model;
    private readonly IDisposable _shown;
    private Activity? _batch;

    /// <param name="version">whose</param>
    /// <param name="waiting">how many requests wait; called from any thread</param>
    public ServingTelemetry(ModelVersionId version, Func<int> waiting)
    {
        _version = version;
        _model = new(TelemetryNames.Tags.Model, version.Model);
        _shown = _waiting.Show(() => waiting(), new KeyValuePair<string, object?>(TelemetryNames.Tags.Model, version.ToString()));
    }

    /// <summary>A request came; pass on what this gives to <see cref="Taken"/> and <see cref="Answered"/>.</summary>
    public Arrival Arrived(string? trace) => new(
        _durations.Enabled ? Stopwatch.GetTimestamp() : 0,
        Tracing.Start(Tracing.Serving, TelemetryNames.Activities.Request, trace)?.SetTag(TelemetryNames.Tags.Model, _version.ToString()));

    /// <summary>Requests are computed together.</summary>
    public void Taken(IEnumerable<Arrival> requests, long samples)
    {
        if (_batches.Enabled)
            _batches.Record(samples, _model);
        if (!Tracing.Serving.HasListeners())
            return;
        var spans = requests.Select(request => request.Span).OfType<Activity>().ToArray();
        foreach (var span in spans)
            span.AddEvent(new ActivityEvent("taken from the queue"));
        // the batch is part of the first request's trace, and linked to all
        _batch = Tracing.Start(Tracing.Serving, TelemetryNames.Activities.Batch, spans.FirstOrDefault()?.Id, default, spans.Select(span => new ActivityLink(span.Context)));
        _batch?.SetTag(TelemetryNames.Tags.Model, _version.ToString()).SetTag(TelemetryNames.Tags.Samples, samples);
    }

    /// <summary>What was computed together is done, or failed.</summary>
    public void BatchEnded()
    {
        Tracing.End(_batch);
        _batch = null;
    }

    /// <summary>A request was answered.</summary>
    /// <param name="request">what <see cref="Arrived"/> gave</param>
    /// <param name="outcome">a word</param>
    public void Answered(Arrival request, string outcome)
    {
        if (_requests.Enabled)
            _requests.Add(1, _model, new(TelemetryNames.Tags.Outcome, outcome));
        if (request.Since != 0)
            _durations.Record(Stopwatch.GetElapsedTime(request.Since).TotalSeconds, _model);
        request.Span?.SetTag(TelemetryNames.Tags.Outcome, outcome);
        Tracing.End(request.Span);
    }

    /// <summary>Shows nothing more.</summary>
    public void Close()
    {
        BatchEnded();
        _shown.Dispose();
    }

    /// <summary>A request that is under way.</summary>
    /// <param name="Since">its timestamp; 0 where nobody measures</param>
    /// <param name="Span">its activity</param>
    internal readonly record struct Arrival(long Since, Activity? Span);
}
