using ClusterNet.Cluster.Training;
using ClusterNet.Core.Jobs;
using ClusterNet.Node.Commands;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace ClusterNet.Node.Output;

/// <summary>Shows how a job goes: live on a terminal, as lines elsewhere, not at all beside a JSON document.</summary>
internal abstract class ProgressView : IDisposable
{
    /// <summary>The view that fits a run.</summary>
    public static ProgressView For(CommandRun run, JobId job, JobSpec spec)
    {
        var metric = spec.Training.Metric;
        if (run.Json)
            return run.Screen.IsErrorTerminal ? new LiveProgressView(run.Screen.Error, job, metric, run.Host.Clock) : new SilentProgressView(run.Screen);
        return run.Screen.IsTerminal ? new LiveProgressView(run.Screen.Out, job, metric, run.Host.Clock) : new LineProgressView(run.Screen, job, metric, run.Host.Clock);
    }

    /// <summary>Shows every item until there are no more; gives the last.</summary>
    public abstract Task<JobProgress?> ShowAsync(IAsyncEnumerable<JobProgress> items);

    /// <summary>Tells the user something meanwhile. Any thread may call.</summary>
    public abstract void Say(string message);

    /// <inheritdoc/>
    public virtual void Dispose()
    {
    }

    /// <summary>What an epoch ended with, by the job's metric.</summary>
    protected static string Validation(EpochRecord? epoch, string metric) =>
        epoch is not null && epoch.Validation.TryGetValue(metric, out var value) ? $"validation {metric} {Figures.Metric(value)}{(epoch.IsBest ? " (best)" : "")}" : "";
}

/// <summary>Nothing but what must be said.</summary>
internal sealed class SilentProgressView(Screen screen) : ProgressView
{
    public override async Task<JobProgress?> ShowAsync(IAsyncEnumerable<JobProgress> items)
    {
        JobProgress? last = null;
        await foreach (var item in items)
            last = item;
        return last;
    }

    public override void Say(string message) => screen.ErrorLine(message);
}

/// <summary>A line for each epoch, but not more than one a second; a sign of life where an epoch takes long.</summary>
internal sealed class LineProgressView(Screen screen, JobId job, string metric, TimeProvider clock) : ProgressView
{
    private static readonly TimeSpan Least = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Most = TimeSpan.FromSeconds(30);

    private readonly Lock _writing = new();

    public override async Task<JobProgress?> ShowAsync(IAsyncEnumerable<JobProgress> items)
    {
        var pace = new Pace(clock);
        JobProgress? last = null, shown = null;
        var written = clock.GetTimestamp();
        await foreach (var item in items)
        {
            if (last is null || (last.Status != item.Status && item.Status == JobStatus.Preparing))
                Write(item.Status == JobStatus.Preparing ? $"{job}: preparing data and model" : $"{job}: {JsonDocuments.Word(item.Status)}, {Figures.Count(item.TotalSteps, "step")} in {Figures.Count(item.TotalEpochs, "epoch")}");
            pace.Note(item);
            last = item;
            var since = clock.GetElapsedTime(written);
            var isNewEpoch = item.LatestEpoch is { } epoch && epoch.Epoch != shown?.LatestEpoch?.Epoch;
            if (item.Step == 0 || (isNewEpoch ? shown is not null && since < Least : since < Most))
                continue;
            Write(Line(item, pace));
            (shown, written) = (item, clock.GetTimestamp());
        }
        if (last is { Step: > 0 } && last.Step != shown?.Step)
            Write(Line(last, pace));
        return last;
    }

    public override void Say(string message) => Write(message);

    private string Line(JobProgress item, Pace pace)
    {
        var width = Figures.Count(item.TotalEpochs).Length;
        var parts = new List<string>
        {
            $"epoch {Figures.Count(item.Epoch).PadLeft(width)}/{Figures.Count(item.TotalEpochs)}",
            $"step {Figures.Count(item.Step).PadLeft(Figures.Count(item.TotalSteps).Length)}",
            // one step says little: the mean of the epoch, once there is one
            $"loss {Figures.Metric(item.LatestEpoch?.TrainingLoss ?? item.TrainingLoss)}",
        };
        if (Validation(item.LatestEpoch, metric) is { Length: > 0 } validation)
            parts.Add(validation);
        if (item.SamplesPerSecond > 0)
            parts.Add($"{Figures.Count(item.SamplesPerSecond)} samples/s");
        if (item.Status == JobStatus.Training && pace.Remaining is { } remaining)
            parts.Add($"ETA {Figures.Duration(remaining)}");
        return string.Join("  ", parts);
    }

    private void Write(string text)
    {
        lock (_writing)
            screen.Line(text);
    }
}

/// <summary>A few lines that are written anew several times a second, and are gone at the end.</summary>
internal sealed class LiveProgressView(IAnsiConsole console, JobId job, string metric, TimeProvider clock) : ProgressView
{
    private volatile string? _message;

    public override async Task<JobProgress?> ShowAsync(IAsyncEnumerable<JobProgress> items)
    {
        var pace = new Pace(clock);
        JobProgress? last = null;
        await console.Live(new Text($"{job}: starting ...")).AutoClear(true).StartAsync(async live =>
        {
            await foreach (var item in items)
            {
                pace.Note(item);
                last = item;
                live.UpdateTarget(Picture(item, pace));
            }
        });
        return last;
    }

    // shown with the next picture: two writers would tear the live region
    public override void Say(string message) => _message = message;

    private Rows Picture(JobProgress item, Pace pace)
    {
        var lines = new List<IRenderable>
        {
            new Markup($"[bold]{Markup.Escape(job.Value)}[/]  [dim]{JsonDocuments.Word(item.Status)}[/]"),
            Bar(item),
            new Markup(
                $"[dim]epoch[/] {Figures.Count(item.Epoch)}/{Figures.Count(item.TotalEpochs)}   [dim]step[/] {Figures.Count(item.Step)}/{Figures.Count(item.TotalSteps)}   "
                + $"{Figures.Count(item.SamplesPerSecond)} [dim]samples/s[/]   [dim]ETA[/] {(pace.Remaining is { } remaining ? Figures.Duration(remaining) : "-")}"),
            new Markup($"[dim]loss[/] {Figures.Metric(item.TrainingLoss)}" + (item.LatestEpoch is { } epoch && epoch.Validation.TryGetValue(metric, out var value)
                ? $"   [dim]validation {Markup.Escape(metric)}[/] {Figures.Metric(value)} [dim]after epoch {Figures.Count(epoch.Epoch)}[/]{(epoch.IsBest ? " [green]best so far[/]" : "")}"
                : "")),
        };
        if (_message is { } message)
            lines.Add(new Markup($"[yellow]{Markup.Escape(message)}[/]"));
        return new Rows(lines);
    }

    private Markup Bar(JobProgress item)
    {
        var part = item.TotalSteps > 0 ? Math.Clamp((double)item.Step / item.TotalSteps, 0, 1) : 0;
        var width = Math.Clamp(console.Profile.Width - 8, 10, 60);
        var full = (int)(part * width);
        var line = console.Profile.Capabilities.Unicode ? '━' : '=';
        return new Markup($"[blue]{new string(line, full)}[/][grey]{new string(line, width - full)}[/] {(int)(100 * part),3} %");
    }
}

/// <summary>How fast steps go by, and how long the rest will take.</summary>
internal sealed class Pace(TimeProvider clock)
{
    private (long Step, long Time)? _first;
    private (long Step, long Time, long Total) _last;

    /// <summary>How long the remaining steps take at the pace so far; null as long as that can't be told.</summary>
    public TimeSpan? Remaining
    {
        get
        {
            if (_first is not { } first || _last.Step <= first.Step)
                return null;
            var seconds = clock.GetElapsedTime(first.Time, _last.Time).TotalSeconds / (_last.Step - first.Step) * Math.Max(0, _last.Total - _last.Step);
            return seconds < TimeSpan.FromDays(1000).TotalSeconds ? TimeSpan.FromSeconds(seconds) : null;
        }
    }

    /// <summary>Takes note of a moment.</summary>
    public void Note(JobProgress item)
    {
        var now = clock.GetTimestamp();
        // a job that goes on after a failure takes steps again
        if (_first is null || item.Step < _last.Step)
            _first = (item.Step, now);
        _last = (item.Step, now, item.TotalSteps);
    }
}
