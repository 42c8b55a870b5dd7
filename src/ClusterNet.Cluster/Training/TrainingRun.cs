using Akka.Actor;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;

namespace ClusterNet.Cluster.Training;

/// <summary>What a coordinator knows of a job while it runs and never journals: it can all be found out again.</summary>
internal sealed class TrainingRun
{
    private readonly List<StepStatistics> _steps = [];
    private readonly List<EpochRecord> _epochs = [];
    private readonly List<EpochVisits> _ledger = [];
    private readonly PaceHistory _paces = new();
    private long _from;
    private StepStatistics _epochSoFar;

    public TrainingRun(JobState state)
    {
        var (spec, plan) = (state.Spec!, state.Plan!);
        Batches = BatchPlan.Of(spec.Training, plan.TrainingSamples);
        TotalSteps = Batches.TotalSteps(spec.Training);
        Setup = new ParameterProtocol.ShardSetup(spec.Training, TotalSteps, plan.Layout, new ShardPlan(plan.Layout.Length, spec.Training.Shards).Ranges.Count, Batches.StepsPerEpoch);
        Shards = new IActorRef?[Setup.Plan.Ranges.Count];
        Versions = new long[Shards.Length];
        Missing = new IReadOnlyList<int>?[Shards.Length];
        MaxStaleness = state.MaxStaleness;
        RollBack(state);
    }

    public BatchPlan Batches { get; }

    public long TotalSteps { get; }

    public ParameterProtocol.ShardSetup Setup { get; }

    /// <summary>All workers that are ready, in the order they enlisted.</summary>
    public List<JobWorker> Workers { get; } = [];

    /// <summary>Whether any has ever been.</summary>
    public bool HadWorkers { get; set; }

    /// <summary>Those of them that have slices in this generation; all of them while it opens.</summary>
    public IReadOnlyList<IActorRef> Active { get; set; } = [];

    /// <summary>Active workers that stand at <see cref="Until"/>.</summary>
    public HashSet<IActorRef> Standing { get; } = [];

    /// <summary>The shards, by index; null where one has not opened in this generation.</summary>
    public IActorRef?[] Shards { get; }

    /// <summary>The versions they opened at.</summary>
    public long[] Versions { get; }

    /// <summary>What the step at hand lacked at each shard when it opened; null for all slices.</summary>
    public IReadOnlyList<int>?[] Missing { get; }

    /// <summary>The version at which workers stand still next.</summary>
    public long Until { get; set; }

    /// <summary>Steps whose statistics are known.</summary>
    public long Known => _from + _steps.Count;

    /// <summary>Shards that have saved a checkpoint that is not committed yet, by its step.</summary>
    public Dictionary<long, HashSet<int>> Saving { get; } = [];

    /// <summary>The last step whose checkpoint failed; -1 for none.</summary>
    public long FailedCheckpoint { get; set; } = -1;

    /// <summary>Epochs judged since the last commit.</summary>
    public IReadOnlyList<EpochRecord> Epochs => _epochs;

    /// <summary>The visits of the epochs that ended since the last commit.</summary>
    public IReadOnlyList<EpochVisits> Ledger => _ledger;

    public double? LatestLoss { get; private set; }

    /// <summary>Asynchronous training: the most steps that a gradient was behind at any shard.</summary>
    public long? MaxStaleness { get; set; }

    /// <summary>The slices that a step lacks at some shard that has not done it, the lowest first; null for all.</summary>
    public IReadOnlyList<int>? MissingAt(long step)
    {
        var lacking = Enumerable.Range(0, Shards.Length).Where(shard => Versions[shard] == step).Select(shard => Missing[shard]).ToArray();
        return lacking.Any(missing => missing is null) ? null : [.. lacking.SelectMany(missing => missing!).Distinct().Order()];
    }

    /// <summary>Samples visited by the first <paramref name="steps"/> steps.</summary>
    public long SamplesIn(long steps) =>
        (steps / Batches.StepsPerEpoch * Batches.Samples) + Math.Min(Batches.Samples, steps % Batches.StepsPerEpoch * Batches.BatchSize);

    /// <summary>Forgets what came after the last commit.</summary>
    public void RollBack(JobState state)
    {
        _steps.Clear();
        _epochs.Clear();
        _ledger.Clear();
        _paces.ForgetAfter(-1);
        _from = state.RestoreStep;
        _epochSoFar = state.EpochSoFar;
        Saving.Clear();
        FailedCheckpoint = -1;
    }

    /// <summary>Takes a report of shard 0; what is known already is passed over.</summary>
    /// <returns>why the job can't go on; null where it can</returns>
    public string? Learn(long firstStep, IReadOnlyList<StepStatistics> statistics)
    {
        if (firstStep > Known)
            return null;
        foreach (var step in statistics.Skip((int)(Known - firstStep)))
        {
            _steps.Add(step);
            LatestLoss = step.MeanLoss;
            if (!double.IsFinite(step.Loss))
                return $"training diverged: the loss of step {Known} is not a finite number; lower training.optimizer.learning-rate or bound the gradient (training.clip)";
            if ((Known % Batches.StepsPerEpoch == 0 || Known == TotalSteps) && !Balances(Known))
            {
                var found = _ledger[^1];
                return $"the samples of epoch {found.Epoch} are not those it has: {found.Samples} visits, {found.Expected} expected"
                    + (found.Samples == found.Expected ? ", other samples than they should be" : string.Empty) + "; this is a fault of ClusterNet, not of the job: please report it";
            }
        }
        return null;
    }

    /// <summary>Compares the samples visited in the epoch that ends at <paramref name="step"/> with those it has.</summary>
    private bool Balances(long step)
    {
        var start = (step - 1) / Batches.StepsPerEpoch * Batches.StepsPerEpoch;
        // what an older version of the program journalled has no count
        if (start < _from && _epochSoFar is { Weight: > 0, Visits.Count: 0 })
            return true;
        var (found, expected) = (EpochSums(step).Visits, Batches.VisitsUpTo(step));
        _ledger.Add(new EpochVisits((step - 1) / Batches.StepsPerEpoch + 1, step, found.Count, expected.Count, found == expected));
        return found == expected;
    }

    public void Add(EpochRecord epoch) => _epochs.Add(epoch);

    /// <summary>The sums over the steps of the epoch that ends at, or contains, <paramref name="step"/>, up to there; nothing where an epoch starts there and it is not asked for its end.</summary>
    public StepStatistics EpochSums(long step)
    {
        var start = (step - 1) / Batches.StepsPerEpoch * Batches.StepsPerEpoch;
        var sums = start < _from ? _epochSoFar : default;
        for (var i = Math.Max(start, _from); i < step; i++)
            sums += _steps[(int)(i - _from)];
        return sums;
    }

    /// <summary>How fast it goes now.</summary>
    public void AddPace(double samplesPerSecond) => _paces.Add(new PacePoint(Known, samplesPerSecond, MaxStaleness));

    /// <summary>Epochs before, losses, visits and paces up to, <paramref name="step"/> that are not committed; the losses thinned to a few thousand.</summary>
    public RunHistory HistoryUpTo(long step, bool includeEpochAtStep)
    {
        var history = new LossHistory();
        for (var i = _from; i < Math.Min(step, Known); i++)
            history.Add(new LossPoint(i + 1, _steps[(int)(i - _from)].MeanLoss));
        return new RunHistory(
            [.. _epochs.Where(epoch => epoch.Step < step || (includeEpochAtStep && epoch.Step == step))],
            history.Points,
            [.. _ledger.Where(visits => visits.Step <= step)],
            [.. _paces.Points.Where(pace => pace.Step <= step)]);
    }

    /// <summary>After a commit of <paramref name="step"/>: what is journalled need not be kept here.</summary>
    public void Commit(long step)
    {
        _epochSoFar = EpochSums(step);
        _steps.RemoveRange(0, (int)(step - _from));
        _from = step;
        _epochs.RemoveAll(epoch => epoch.Step < step);
        _ledger.RemoveAll(visits => visits.Step <= step);
        _paces.ForgetUpTo(step);
        foreach (var older in Saving.Keys.Where(saving => saving <= step).ToArray())
            Saving.Remove(older);
    }
}

/// <summary>What became of a job since its last commit.</summary>
/// <param name="Epochs">judged</param>
/// <param name="Losses">by step</param>
/// <param name="Ledger">visits of the epochs that ended</param>
/// <param name="Paces">how fast it went</param>
internal sealed record RunHistory(IReadOnlyList<EpochRecord> Epochs, IReadOnlyList<LossPoint> Losses, IReadOnlyList<EpochVisits> Ledger, IReadOnlyList<PacePoint> Paces);

/// <summary>A worker that is ready, and the node it is on.</summary>
internal sealed record JobWorker(IActorRef Actor, Address Address, int Uid)
{
    public bool IsOn(WorkerNode node) => node.Uid == Uid && node.Address.Equals(Address);
}
