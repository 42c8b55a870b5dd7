using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;
using static ClusterNet.Cluster.Training.TrainingProtocol;

namespace ClusterNet.Cluster.Training;

/// <summary>What a job's journal says: the job as it was at its last committed checkpoint. No actor, no clock.</summary>
internal sealed class JobState
{
    public const int KeptGenerations = 200;

    private readonly List<EpochRecord> _epochs = [];
    private readonly List<EpochVisits> _ledger = [];
    private readonly List<GenerationRecord> _generations = [];
    private readonly LossHistory _losses = new();
    private readonly List<Events.CheckpointCommitted> _checkpoints = [];

    public JobSpec? Spec { get; private set; }

    public WorkerProtocol.JobPlan? Plan { get; private set; }

    public DateTimeOffset Submitted { get; private set; }

    /// <summary>The traceparent of the submission; null where nobody listened.</summary>
    public string? Trace { get; private set; }

    public JobStatus Status { get; private set; } = JobStatus.Preparing;

    public Generation Generation { get; private set; } = Generation.None;

    /// <summary>Steps whose checkpoint is kept, the oldest first.</summary>
    public IReadOnlyList<long> Committed => [.. _checkpoints.Select(checkpoint => checkpoint.Step)];

    /// <summary>Time spent computing steps up to <see cref="RestoreStep"/>.</summary>
    public TimeSpan TrainingTime => _checkpoints.Count == 0 ? TimeSpan.Zero : _checkpoints[^1].Training;

    /// <summary>Statistics of the epoch that <see cref="RestoreStep"/> is in, up to there.</summary>
    public StepStatistics EpochSoFar => _checkpoints.Count == 0 ? default : _checkpoints[^1].EpochSoFar;

    /// <summary>Asynchronous training: the most steps that a gradient was behind before the last commit. What was computed again after a death counts too: it was observed.</summary>
    public long? MaxStaleness { get; private set; }

    public ModelVersionId? Reserved { get; private set; }

    /// <summary>The latest version that was handed over while the job trained.</summary>
    public Events.VersionHandedOver? HandedOver { get; private set; }

    public JobResult? Result { get; private set; }

    public string? Failure { get; private set; }

    public IReadOnlyList<EpochRecord> Epochs => _epochs;

    public LossHistory Losses => _losses;

    public PaceHistory Paces { get; } = new();

    /// <summary>Which samples the epochs visited, up to <see cref="RestoreStep"/>.</summary>
    public IReadOnlyList<EpochVisits> Ledger => _ledger;

    /// <summary>The latest generations, at most <see cref="KeptGenerations"/>, the oldest first.</summary>
    public IReadOnlyList<GenerationRecord> Generations => _generations;

    public bool Exists => Spec is not null;

    /// <summary>The step to go on from: the last committed one, or 0.</summary>
    public long RestoreStep => _checkpoints.Count == 0 ? 0 : _checkpoints[^1].Step;

    /// <summary>Whether the job was under way when its coordinator died, and nobody has interrupted it since.</summary>
    public bool WasKilled { get; private set; }

    public bool CanResume => Status is JobStatus.Interrupted or JobStatus.Failed;

    public void Apply(Events.JobSubmitted submitted)
    {
        (Spec, Plan, Submitted, Trace) = (submitted.Spec, submitted.Plan, submitted.At, submitted.Trace);
        Status = JobStatus.Preparing;
    }

    public void Apply(Events.GenerationOpened opened)
    {
        Generation = opened.Generation;
        Status = JobStatus.Training;
        WasKilled = false;
        Failure = null;
        _generations.Add(new GenerationRecord(opened.Generation, opened.RestoreStep, opened.Reason, opened.At) { Step = opened.Step });
        if (_generations.Count > KeptGenerations)
            _generations.RemoveAt(0);
        if (opened.RestoreStep is not { } step)
            return;
        _checkpoints.RemoveAll(checkpoint => checkpoint.Step > step);
        _epochs.RemoveAll(epoch => epoch.Step >= step);
        _ledger.RemoveAll(visits => visits.Step > step);
        _losses.ForgetAfter(step);
        Paces.ForgetAfter(step);
    }

    public void Apply(Events.CheckpointCommitted committed)
    {
        _epochs.AddRange(committed.Epochs);
        _ledger.AddRange(committed.Ledger);
        foreach (var point in committed.Losses)
            _losses.Add(point);
        foreach (var point in committed.Paces)
            Paces.Add(point);
        _checkpoints.Add(committed);
        MaxStaleness = committed.MaxStaleness;
        _checkpoints.RemoveAll(checkpoint => !committed.Kept.Contains(checkpoint.Step));
    }

    public void Apply(Events.VersionReserved reserved) => Reserved = reserved.Version;

    public void Apply(Events.VersionHandedOver handedOver) => HandedOver = handedOver;

    public void Apply(Events.JobInterrupted _) => (Status, WasKilled) = (JobStatus.Interrupted, false);

    public void Apply(Events.JobCompleted completed)
    {
        Status = JobStatus.Completed;
        Result = completed.Result;
        _epochs.AddRange(completed.Epochs);
        _ledger.AddRange(completed.Ledger);
        foreach (var point in completed.Losses)
            _losses.Add(point);
        foreach (var point in completed.Paces)
            Paces.Add(point);
    }

    public void Apply(Events.JobEnded ended)
    {
        Status = ended.Status;
        WasKilled = false;
        Failure = ended.Failure;
    }

    /// <summary>After recovery: a job that was under way has lost its process.</summary>
    public void MarkKilled()
    {
        if (!Exists || Status is not (JobStatus.Training or JobStatus.Preparing))
            return;
        Status = JobStatus.Interrupted;
        WasKilled = true;
    }
}

/// <summary>The loss by step, thinned so that a job of any length keeps at most <see cref="Capacity"/> points: when full, every second point goes.</summary>
internal sealed class LossHistory
{
    public const int Capacity = 4096;

    private readonly List<LossPoint> _points = [];
    private long _stride = 1;

    public IReadOnlyList<LossPoint> Points => _points;

    public void ForgetAfter(long step) => _points.RemoveAll(point => point.Step > step);

    public void Add(LossPoint point)
    {
        if ((point.Step - 1) % _stride != 0)
            return;
        _points.Add(point);
        if (_points.Count < Capacity)
            return;
        _stride *= 2;
        _points.RemoveAll(kept => (kept.Step - 1) % _stride != 0);
    }
}

/// <summary>How fast a job went, by step, thinned so that a job of any length keeps fewer than <see cref="Capacity"/> points: when full, every second point goes.</summary>
internal sealed class PaceHistory
{
    public const int Capacity = 1024;

    private readonly List<PacePoint> _points = [];
    private int _stride = 1;
    private int _skipped;

    public IReadOnlyList<PacePoint> Points => _points;

    public void ForgetAfter(long step) => _points.RemoveAll(point => point.Step > step);

    public void ForgetUpTo(long step) => _points.RemoveAll(point => point.Step <= step);

    public void Add(PacePoint point)
    {
        if (++_skipped < _stride)
            return;
        _skipped = 0;
        _points.Add(point);
        if (_points.Count < Capacity)
            return;
        // the latest point goes too: the one before it is one old stride behind
        _skipped = _stride;
        _stride *= 2;
        for (var i = _points.Count / 2; i > 0; i--)
            _points.RemoveAt((i * 2) - 1);
    }
}

/// <summary>Judges validation results: which epoch is the best, and when to stop. A function of the history alone, so a resumed job judges alike.</summary>
internal sealed class EpochJudge(TrainingSpec training, Func<string, bool> higherIsBetter)
{
    /// <summary>The epoch as it goes into the history.</summary>
    public EpochRecord Judge(IEnumerable<EpochRecord> before, long epoch, long step, double trainingLoss, IReadOnlyDictionary<string, double> validation)
    {
        var best = before.LastOrDefault(record => record.IsBest);
        return new EpochRecord(epoch, step, trainingLoss, validation, Improves(MetricOf(validation), best is null ? null : MetricOf(best.Validation), 0));
    }

    /// <summary>Whether the job has had no improvement worth the name for as long as its patience.</summary>
    public bool ShouldStop(IEnumerable<EpochRecord> epochs)
    {
        if (training.EarlyStopping is not { } stopping)
            return false;
        double? best = null;
        var without = 0;
        foreach (var value in epochs.Select(epoch => MetricOf(epoch.Validation)))
        {
            var improves = Improves(value, best, stopping.MinDelta);
            best = improves ? value : best;
            without = improves ? 0 : without + 1;
        }
        return without >= stopping.Patience;
    }

    private double? MetricOf(IReadOnlyDictionary<string, double> metrics) =>
        metrics.TryGetValue(training.Metric, out var value) && !double.IsNaN(value) ? value : null;

    private bool Improves(double? value, double? best, double margin) =>
        value is { } candidate && (best is not { } record || (higherIsBetter(training.Metric) ? candidate > record + margin : candidate < record - margin));
}

/// <summary>The steps at which all workers stand still for an evaluation.</summary>
internal static class Boundaries
{
    /// <summary>The next boundary at or after <paramref name="step"/>: the end of an epoch where there is a validation part, else the end of the job.</summary>
    public static long Next(long step, BatchPlan plan, long totalSteps, bool evaluates)
    {
        if (!evaluates)
            return totalSteps;
        var epochs = (step + plan.StepsPerEpoch - 1) / plan.StepsPerEpoch;
        return Math.Min(totalSteps, Math.Max(1, epochs) * plan.StepsPerEpoch);
    }
}

/// <summary>What a message says of a job's epochs.</summary>
internal static class EpochHistory
{
    private const int MostBytes = 8 << 20;

    /// <summary>All of them, or as many as fit a message: the first, the last, the best, and others in equal distances. Many classes have many metrics.</summary>
    public static IReadOnlyList<EpochRecord> Shown(IReadOnlyList<EpochRecord> epochs)
    {
        if (epochs.Count == 0)
            return epochs;
        var most = Math.Max(16, MostBytes / (32 + epochs[^1].Validation.Sum(metric => metric.Key.Length + 16)));
        if (epochs.Count <= most)
            return epochs;
        var best = Enumerable.Range(0, epochs.Count).LastOrDefault(i => epochs[i].IsBest);
        return [.. Enumerable.Range(0, most).Select(i => (int)((long)i * (epochs.Count - 1) / (most - 1))).Append(best).Distinct().Order().Select(i => epochs[i])];
    }
}
