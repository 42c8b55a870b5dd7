using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text.RegularExpressions;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Telemetry;

/// <summary>
/// What a coordinator shows of a run of its job: counters, gauges while it runs, and the activities run, generation, phase, each within the one before. Where nobody listens it keeps a few numbers
/// and that is all.
/// </summary>
internal sealed partial class JobTelemetry
{
    private static readonly Meter _meter = new(TelemetryNames.Training);
    private static readonly Counter<long> _steps = _meter.CreateCounter<long>(TelemetryNames.Instruments.Steps, "{step}", "Steps done");
    private static readonly Counter<long> _samples = _meter.CreateCounter<long>(TelemetryNames.Instruments.Samples, "{sample}", "Samples visited");
    private static readonly Counter<long> _changes = _meter.CreateCounter<long>(TelemetryNames.Instruments.GenerationChanges, "{generation}", "Generations opened");
    private static readonly Counter<long> _failures = _meter.CreateCounter<long>(TelemetryNames.Instruments.CheckpointFailures, "{checkpoint}", "Checkpoints that failed");
    private static readonly Histogram<double> _commits = _meter.CreateHistogram<double>(TelemetryNames.Instruments.CommitDuration, "s", "First shard saved to commit");
    private static readonly Observed<double> _loss = Observed<double>.Gauge(_meter, TelemetryNames.Instruments.Loss, "1", "Mean loss of the latest step");
    private static readonly Observed<double> _rate = Observed<double>.Gauge(_meter, TelemetryNames.Instruments.SampleRate, "{sample}/s", "Samples per second");
    private static readonly Observed<long> _generation = Observed<long>.Gauge(_meter, TelemetryNames.Instruments.Generation, "{generation}", "Current generation");
    private static readonly Observed<int> _workers = Observed<int>.Gauge(_meter, TelemetryNames.Instruments.WorkerCount, "{worker}", "Workers that take part");

    private readonly JobId _id;
    private readonly KeyValuePair<string, object?> _job;
    private readonly string? _parent;
    private readonly IDisposable[] _shown;
    private readonly Activity? _run;
    private readonly Dictionary<long, (long Timestamp, DateTimeOffset At)> _saving = [];
    private Activity? _generationSpan;
    private Activity? _phase;
    private Readings _readings = new(double.NaN, 0, 0, 0);

    /// <param name="job">the job</param>
    /// <param name="parent">the traceparent of its submission, if that had one</param>
    public JobTelemetry(JobId job, string? parent)
    {
        _id = job;
        _job = new(TelemetryNames.Tags.Job, job.Value);
        _parent = parent;
        _run = Tag(Tracing.Start(Tracing.Training, TelemetryNames.Activities.Run, parent));
        _shown =
        [
            _loss.Show(() => Read() is { Loss: var loss } && double.IsFinite(loss) ? loss : null, _job),
            _rate.Show(() => Read().Rate, _job),
            _generation.Show(() => Read().Generation, _job),
            _workers.Show(() => Read().Workers, _job),
        ];
    }

    /// <summary>The traceparent for messages that begin something now.</summary>
    public string? Trace => (_phase ?? _generationSpan ?? _run)?.Id ?? _parent;

    /// <summary>A generation opened; it ends the one before.</summary>
    public void Generation(Generation generation, string reason)
    {
        EndPhase();
        Tracing.End(_generationSpan);
        _generationSpan = Tag(Tracing.Start(Tracing.Training, TelemetryNames.Activities.Generation, _run?.Id ?? _parent));
        _generationSpan?.SetTag(TelemetryNames.Tags.Generation, generation.Number).SetTag(TelemetryNames.Tags.Reason, KindOf(reason));
        _readings = _readings with { Generation = generation.Number, Workers = 0 };
        if (_changes.Enabled)
            _changes.Add(1, _job, new(TelemetryNames.Tags.Reason, KindOf(reason)));
    }

    /// <summary>A phase begins; it ends the one before.</summary>
    /// <param name="name">one of <see cref="TelemetryNames.Activities"/></param>
    /// <param name="step">where the job stands</param>
    /// <param name="workers">how many take part</param>
    public void Phase(string name, long step, int workers)
    {
        EndPhase();
        _phase = Tag(Tracing.Start(Tracing.Training, name, (_generationSpan ?? _run)?.Id ?? _parent));
        _phase?.SetTag(TelemetryNames.Tags.Step, step);
        _readings = _readings with { Workers = workers };
    }

    /// <summary>No phase runs: workers or shards are waited for.</summary>
    public void EndPhase()
    {
        Tracing.End(_phase);
        _phase = null;
    }

    /// <summary>Statistics of more steps have come.</summary>
    public void Steps(long steps, long samples, double? loss, double rate)
    {
        if (_steps.Enabled && steps > 0)
            _steps.Add(steps, _job);
        if (_samples.Enabled && samples > 0)
            _samples.Add(samples, _job);
        _readings = _readings with { Loss = loss ?? double.NaN, Rate = rate };
    }

    /// <summary>A shard has saved its part of a checkpoint.</summary>
    public void Saved(long step)
    {
        if (_commits.Enabled || Tracing.Training.HasListeners())
            _saving.TryAdd(step, (Stopwatch.GetTimestamp(), DateTimeOffset.UtcNow));
    }

    /// <summary>It is committed.</summary>
    public void Committed(long step)
    {
        if (_saving.Remove(step, out var since))
        {
            var span = Tag(Tracing.Start(Tracing.Training, TelemetryNames.Activities.CheckpointCommit, (_generationSpan ?? _run)?.Id ?? _parent, since.At));
            span?.SetTag(TelemetryNames.Tags.Step, step);
            Tracing.End(span);
            if (_commits.Enabled)
                _commits.Record(Stopwatch.GetElapsedTime(since.Timestamp).TotalSeconds, _job);
        }
        foreach (var older in _saving.Keys.Where(saving => saving <= step).ToArray())
            _saving.Remove(older);
    }

    /// <summary>It failed.</summary>
    public void CheckpointFailed(long step)
    {
        _saving.Remove(step);
        if (_failures.Enabled)
            _failures.Add(1, _job);
    }

    /// <summary>The run ends.</summary>
    /// <param name="outcome">a word</param>
    public void End(string outcome) => _run?.SetTag(TelemetryNames.Tags.Outcome, outcome);

    /// <summary>Shows nothing more.</summary>
    public void Close()
    {
        foreach (var shown in _shown)
            shown.Dispose();
        EndPhase();
        Tracing.End(_generationSpan);
        Tracing.End(_run);
    }

    /// <summary>One of a few words: what stands behind a colon, and numbers and addresses, would make every reason another one.</summary>
    internal static string KindOf(string reason) => Specifics().Replace(reason, "").Split(':')[0].Trim();

    [GeneratedRegex(@"\s*(\b\d+\b|\S*/\S*)")]
    private static partial Regex Specifics();

    private Readings Read() => Volatile.Read(ref _readings);

    private Activity? Tag(Activity? activity) => activity?.SetTag(TelemetryNames.Tags.Job, _id.Value);

    private sealed record Readings(double Loss, double Rate, long Generation, int Workers);
}
