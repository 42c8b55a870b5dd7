using System.Diagnostics;
using System.Diagnostics.Metrics;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Telemetry;

/// <summary>What a worker shows: how long its steps take and where the time goes, and one step in <see cref="SampledEvery"/> as an activity.</summary>
internal sealed class WorkerTelemetry(JobId job)
{
    /// <summary>The first step of a generation, and every step that this divides, is traced.</summary>
    public const int SampledEvery = 100;

    private static readonly Meter _meter = new(TelemetryNames.Workers);
    private static readonly Histogram<double> _steps = _meter.CreateHistogram<double>(TelemetryNames.Instruments.StepDuration, "s", "A step, computing and waiting");
    private static readonly Histogram<double> _computing = _meter.CreateHistogram<double>(TelemetryNames.Instruments.ComputeDuration, "s", "Computing and pushing");
    private static readonly Histogram<double> _waiting = _meter.CreateHistogram<double>(TelemetryNames.Instruments.WaitDuration, "s", "Last push to last answer");

    private readonly KeyValuePair<string, object?> _job = new(TelemetryNames.Tags.Job, job.Value);
    private string? _parent;
    private Activity? _step;
    private bool _isFirst;
    private long _began;
    private long _computed;

    /// <summary>The traceparent of the step at hand; null for a step that is not sampled.</summary>
    public string? Trace => _step?.Id;

    /// <summary>A generation begins.</summary>
    public void Enter(string? trace)
    {
        Abandon();
        _parent = trace;
        _isFirst = true;
    }

    /// <summary>The next phase of it begins.</summary>
    public void Continue(string? trace) => _parent = trace ?? _parent;

    /// <summary>A step begins.</summary>
    public void Begin(Generation generation, long step)
    {
        Abandon();
        _began = _steps.Enabled ? Stopwatch.GetTimestamp() : 0;
        if (!Tracing.Workers.HasListeners() || (!_isFirst && step % SampledEvery != 0))
            return;
        _isFirst = false;
        _step = Tracing.Start(Tracing.Workers, TelemetryNames.Activities.Step, _parent);
        _step?.SetTag(TelemetryNames.Tags.Job, job.Value).SetTag(TelemetryNames.Tags.Generation, generation.Number).SetTag(TelemetryNames.Tags.Step, step);
    }

    /// <summary>All of it is computed and pushed.</summary>
    public void Computed()
    {
        _step?.AddEvent(new ActivityEvent("pushed"));
        if (_began == 0)
            return;
        _computed = Stopwatch.GetTimestamp();
        _computing.Record(Stopwatch.GetElapsedTime(_began, _computed).TotalSeconds, _job);
    }

    /// <summary>All shards have answered.</summary>
    public void End()
    {
        if (_computed != 0)
        {
            var now = Stopwatch.GetTimestamp();
            _waiting.Record(Stopwatch.GetElapsedTime(_computed, now).TotalSeconds, _job);
            _steps.Record(Stopwatch.GetElapsedTime(_began, now).TotalSeconds, _job);
        }
        Abandon();
    }

    /// <summary>The step is not going to end.</summary>
    public void Abandon()
    {
        (_began, _computed) = (0, 0);
        Tracing.End(_step);
        _step = null;
    }
}
