using ClusterNet.Core.Jobs;
using ClusterNet.Core.Optimizers;
using ClusterNet.Core.Parameters;
using static ClusterNet.Cluster.Parameters.ParameterProtocol;

namespace ClusterNet.Cluster.Parameters;

/// <summary>What a shard does with a message: the actor obeys.</summary>
internal enum PushOutcome
{
    /// <summary>Taken, or there already: answer with the next version when it comes.</summary>
    Wait,

    /// <summary>The step is complete but for the norms of other shards.</summary>
    ExchangeNorms,

    /// <summary>There is a new version: answer everyone who waits.</summary>
    Advanced,

    /// <summary>The step was done before: answer with the version that came of it.</summary>
    AlreadyDone,

    /// <summary>Of an older generation.</summary>
    StaleGeneration,

    /// <summary>Of an older step.</summary>
    StaleStep,

    /// <summary>Of a step, or a generation, that is still to come.</summary>
    NotYet,

    /// <summary>Not a node of the tree, or not of the shard's length.</summary>
    Malformed,
}

/// <summary>
/// A run of a job's weights, its optimizer and the reduction of the current step: no actor, no clock, no I/O. Weights are kept in buffers that are never written again once a
/// version is out, so they can be handed to readers and to the store without a copy.
/// </summary>
internal sealed class ParameterShardState
{
    private readonly TensorBufferPool _pool;
    private readonly ReductionTree _tree;
    private readonly int _shards;
    private readonly Dictionary<(int Round, int From), double[]> _norms = [];
    private ShardUpdater _updater;
    private TensorBuffer? _current;
    private TensorBuffer? _previous;
    private TensorBuffer? _next;
    private TensorBuffer? _best;
    private List<double[]> _ownNorms = [];
    private List<double[]> _ownNormsBefore = [];
    private int _round;

    public ParameterShardState(ShardId shard, ShardSetup setup)
    {
        Shard = shard;
        Setup = setup;
        _shards = setup.Plan.Ranges.Count;
        Range = setup.Plan.Ranges[shard.Index];
        _pool = new TensorBufferPool(Range.Length);
        _tree = new ReductionTree(setup.Training.Slices, _pool);
        _updater = NewUpdater();
    }

    public ShardId Shard { get; }

    public ShardSetup Setup { get; }

    public ShardRange Range { get; }

    /// <summary>The latest generation that was opened.</summary>
    public Generation Generation { get; private set; } = Generation.None;

    /// <summary>Steps that the weights have seen; -1 while there are none.</summary>
    public long Version { get; private set; } = -1;

    /// <summary>The version last marked as best; -1 for none.</summary>
    public long BestStep { get; private set; } = -1;

    /// <summary>Whether there are weights.</summary>
    public bool HasWeights => _current is not null;

    /// <summary>Weight and loss sums of the last step done.</summary>
    public StepStatistics LastStep { get; private set; }

    /// <summary>Slices that the current step still lacks.</summary>
    public IEnumerable<int> MissingSlices => _tree.Missing;

    public void Enter(Generation generation) => Generation = generation;

    /// <summary>Version 0: initial weights, as many as <see cref="Range"/> is long; the optimizer starts afresh.</summary>
    public void Initialize(ReadOnlySpan<float> weights)
    {
        Forget();
        SetCurrent(weights, 0);
    }

    /// <summary>Goes back to a checkpoint.</summary>
    /// <exception cref="InvalidDataException">it is of another shard or another optimizer</exception>
    public void Restore(ShardCheckpoint checkpoint)
    {
        if (checkpoint.Shard != Shard || checkpoint.Weights.Length != Range.Length || checkpoint.Slots.Count != _updater.Slots.Count
            || checkpoint.Slots.Any(slot => slot.Length != Range.Length) || (checkpoint.Best is { } best && best.Length != Range.Length))
            throw new InvalidDataException($"the checkpoint of step {checkpoint.Step} does not fit shard {Shard}");
        Forget();
        for (var i = 0; i < checkpoint.Slots.Count; i++)
            checkpoint.Slots[i].Span.CopyTo(_updater.Slots[i]);
        SetCurrent(checkpoint.Weights.Span, checkpoint.Step);
        if (checkpoint.Best is { } kept)
        {
            _best = _pool.Rent();
            kept.Span.CopyTo(_best.Array);
            BestStep = checkpoint.BestStep;
        }
    }

    /// <summary>The state as a checkpoint: shares the weights, copies what the optimizer will change.</summary>
    public ShardCheckpoint Checkpoint() => new(
        Shard,
        Version,
        TensorPayload.Of(_current!),
        [.. _updater.Slots.Select(slot => new ReadOnlyMemory<float>([.. slot]))],
        _best is null ? null : TensorPayload.Of(_best),
        BestStep);

    /// <summary>Takes a push, and with it the hold on its gradient.</summary>
    public PushOutcome Offer(Commands.Push push)
    {
        var outcome = Judge(push);
        if (outcome != PushOutcome.Wait)
        {
            push.Gradient.Release();
            return outcome;
        }
        var part = new ReductionTree.Part(push.Gradient.Buffer, push.Gradient.Offset, push.Gradient.Length, push.Statistics);
        if (_next is not null || _tree.Offer(push.Node, part) == OfferOutcome.Duplicate)
        {
            push.Gradient.Release();
            return PushOutcome.Wait;
        }
        if (!_tree.IsComplete)
            return PushOutcome.Wait;
        var root = _tree.Root;
        _next = _pool.Rent();
        _updater.Begin(Version, root.Buffer.Array.AsMemory(root.Offset, root.Length), root.Statistics.Weight, _current!.Array, _next.Array);
        return GoOn();
    }

    /// <summary>This shard's partial norms of a round of the current or the last step; null where there are none.</summary>
    public double[]? OwnNorms(long step, int round)
    {
        var own = step == Version ? _ownNorms : step == Version - 1 ? _ownNormsBefore : [];
        return round >= 0 && round < own.Count ? own[round] : null;
    }

    /// <summary>The round of norms that is open, and the shards whose partials are lacking; null where none is.</summary>
    public (int Round, IReadOnlyList<int> Lacking)? OpenRound =>
        _next is null || !_updater.NeedsNorms
            ? null
            : (_round, [.. Enumerable.Range(0, _shards).Where(i => !_norms.ContainsKey((_round, i)))]);

    /// <summary>Takes another shard's partial norms.</summary>
    /// <returns><see cref="PushOutcome.Wait"/>, <see cref="PushOutcome.ExchangeNorms"/> (another round), <see cref="PushOutcome.Advanced"/> or why it was not taken</returns>
    public PushOutcome Offer(Commands.ShareNorms norms)
    {
        if (norms.Step != Version)
            return norms.Step < Version ? PushOutcome.AlreadyDone : PushOutcome.NotYet;
        if (norms.From < 0 || norms.From >= _shards || norms.From == Shard.Index || norms.Round is < 0 or > 1)
            return PushOutcome.Malformed;
        _norms[(norms.Round, norms.From)] = norms.Partials;
        return OpenRound is { Lacking.Count: 0 } ? GoOn() : PushOutcome.Wait;
    }

    /// <summary>A hold on the weights of a version, if they are still here.</summary>
    public TensorPayload? Weights(long version) =>
        version == Version && _current is not null ? TensorPayload.Of(_current)
        : version == Version - 1 && _previous is not null ? TensorPayload.Of(_previous)
        : null;

    /// <summary>A hold on the selected weights, and their version.</summary>
    public (TensorPayload Weights, long Version) Selected(WeightsSelection selection) =>
        selection == WeightsSelection.Best && _best is not null ? (TensorPayload.Of(_best), BestStep) : (TensorPayload.Of(_current!), Version);

    /// <summary>Keeps the weights of the current version as the best.</summary>
    /// <returns>whether <paramref name="step"/> is the current version</returns>
    public bool MarkBest(long step)
    {
        if (step != Version || _current is null)
            return false;
        _best?.Release();
        _best = _current.Share();
        BestStep = step;
        return true;
    }

    private PushOutcome Judge(Commands.Push push) =>
        push.Generation < Generation ? PushOutcome.StaleGeneration
        : push.Generation > Generation || !HasWeights || push.Step > Version ? PushOutcome.NotYet
        : push.Step == Version - 1 ? PushOutcome.AlreadyDone
        : push.Step < Version ? PushOutcome.StaleStep
        : push.Gradient.Length != Range.Length || !push.Node.IsIn(_tree.Slices) ? PushOutcome.Malformed
        : PushOutcome.Wait;

    /// <summary>Carries the update on as far as the norms that are here allow.</summary>
    private PushOutcome GoOn()
    {
        while (_updater.NeedsNorms)
        {
            if (_ownNorms.Count == _round)
            {
                _ownNorms.Add(_updater.Partials());
                _norms[(_round, Shard.Index)] = _ownNorms[_round];
            }
            if (OpenRound is { Lacking.Count: > 0 })
                return PushOutcome.ExchangeNorms;
            _updater.Combine([.. Enumerable.Range(0, _shards).Select(i => _norms[(_round, i)])]);
            _round++;
        }
        LastStep = _tree.Root.Statistics;
        _tree.Clear();
        _previous?.Release();
        (_previous, _current, _next) = (_current, _next, null);
        (_ownNormsBefore, _ownNorms, _round) = (_ownNorms, [], 0);
        _norms.Clear();
        Version++;
        return PushOutcome.Advanced;
    }

    private ShardUpdater NewUpdater() => new(Setup.Training, Setup.TotalSteps, Setup.Layout, Range);

    private void SetCurrent(ReadOnlySpan<float> weights, long version)
    {
        if (weights.Length != Range.Length)
            throw new InvalidDataException($"{weights.Length} weights for shard {Shard} of {Range.Length}");
        _current = _pool.Rent();
        weights.CopyTo(_current.Array);
        Version = version;
    }

    private void Forget()
    {
        foreach (var buffer in new[] { _current, _previous, _next, _best })
            buffer?.Release();
        (_current, _previous, _next, _best) = (null, null, null, null);
        BestStep = -1;
        _tree.Clear();
        _norms.Clear();
        (_ownNorms, _ownNormsBefore, _round) = ([], [], 0);
        _updater = NewUpdater();
    }
}
