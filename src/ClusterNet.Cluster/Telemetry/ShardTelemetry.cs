using System.Diagnostics;
using System.Diagnostics.Metrics;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Telemetry;

/// <summary>What a parameter shard shows: what became of pushes, updates, staleness, checkpoints.</summary>
internal sealed class ShardTelemetry(ShardId shard)
{
    private static readonly Meter _meter = new(TelemetryNames.Parameters);
    private static readonly Counter<long> _pushes = _meter.CreateCounter<long>(TelemetryNames.Instruments.Pushes, "{push}", "Pushes by what became of them");
    private static readonly Counter<long> _updates = _meter.CreateCounter<long>(TelemetryNames.Instruments.Updates, "{update}", "Updates of a shard's weights");
    private static readonly Counter<long> _bytes = _meter.CreateCounter<long>(TelemetryNames.Instruments.CheckpointBytes, "By", "Checkpoints saved");
    private static readonly Histogram<long> _staleness = _meter.CreateHistogram<long>(TelemetryNames.Instruments.Staleness, "{step}", "Versions a gradient was behind");
    private static readonly Histogram<double> _saves = _meter.CreateHistogram<double>(TelemetryNames.Instruments.CheckpointDuration, "s", "A shard's part of a checkpoint");

    private readonly KeyValuePair<string, object?> _job = new(TelemetryNames.Tags.Job, shard.Job.Value);
    private readonly Dictionary<long, (long Since, long Bytes, Activity? Span)> _saving = [];
    private string? _generation;

    /// <summary>A generation opens.</summary>
    public void Enter(string? trace) => _generation = trace;

    /// <summary>An activity around what a push leads to; null unless the push is of a step that is traced. End it with <see cref="Pushed"/>.</summary>
    public Activity? Push(string? trace, long step) => trace is null
        ? null
        : Tracing.Start(Tracing.Parameters, TelemetryNames.Activities.Update, trace)?
            .SetTag(TelemetryNames.Tags.Job, shard.Job.Value).SetTag(TelemetryNames.Tags.Shard, shard.Index).SetTag(TelemetryNames.Tags.Step, step);

    /// <summary>What became of a push.</summary>
    /// <param name="outcome">what the state made of it</param>
    /// <param name="wasRepeated">whether it was there already</param>
    /// <param name="span">what <see cref="Push"/> gave</param>
    public void Pushed(PushOutcome outcome, bool wasRepeated, Activity? span)
    {
        var word = wasRepeated ? "duplicate" : WordFor(outcome);
        if (_pushes.Enabled)
            _pushes.Add(1, _job, new(TelemetryNames.Tags.Outcome, word));
        span?.SetTag(TelemetryNames.Tags.Outcome, word);
        Tracing.End(span);
    }

    /// <summary>The weights were updated.</summary>
    /// <param name="staleness">versions that the gradient was behind</param>
    public void Updated(long staleness)
    {
        if (_updates.Enabled)
            _updates.Add(1, _job);
        if (_staleness.Enabled)
            _staleness.Record(staleness, _job);
    }

    /// <summary>A checkpoint goes to the store.</summary>
    public void Saving(ShardCheckpoint checkpoint)
    {
        var span = Tracing.Start(Tracing.Parameters, TelemetryNames.Activities.Checkpoint, _generation);
        if (span is null && !_saves.Enabled && !_bytes.Enabled)
            return;
        span?.SetTag(TelemetryNames.Tags.Job, shard.Job.Value).SetTag(TelemetryNames.Tags.Shard, shard.Index).SetTag(TelemetryNames.Tags.Step, checkpoint.Step);
        var values = checkpoint.Weights.Length + checkpoint.Slots.Sum(slot => (long)slot.Length) + (checkpoint.Best?.Length ?? 0);
        Forget(checkpoint.Step);
        _saving[checkpoint.Step] = (Stopwatch.GetTimestamp(), values * sizeof(float), span);
    }

    /// <summary>The store answered.</summary>
    public void Saved(long step, bool succeeded)
    {
        if (!succeeded)
            NodeTelemetry.StoreFailed("checkpoint");
        if (!_saving.Remove(step, out var save))
            return;
        if (succeeded)
        {
            _saves.Record(Stopwatch.GetElapsedTime(save.Since).TotalSeconds, _job);
            _bytes.Add(save.Bytes, _job);
        }
        else
        {
            save.Span?.SetStatus(ActivityStatusCode.Error);
        }
        Tracing.End(save.Span);
    }

    private void Forget(long step)
    {
        if (_saving.Remove(step, out var save))
            Tracing.End(save.Span);
    }

    private static string WordFor(PushOutcome outcome) => outcome switch
    {
        PushOutcome.Wait or PushOutcome.Applied or PushOutcome.ExchangeNorms or PushOutcome.Advanced => "applied",
        PushOutcome.AlreadyDone => "duplicate",
        PushOutcome.StaleGeneration or PushOutcome.StaleStep => "stale",
        PushOutcome.NotYet => "early",
        _ => "malformed",
    };
}
