using ClusterNet.Core.Codecs;
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

    /// <summary>Asynchronous training: applied by itself, and its step still lacks slices.</summary>
    Applied,

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
internal sealed partial class ParameterShardState
{
    private readonly TensorBufferPool _pool;
    private readonly ReductionTree _tree;
    private readonly LateNodes _late;
    private readonly IGradientCodec? _codec;
    private readonly TensorBufferPool _words;
    private readonly Func<int, TensorBuffer?>? _rent;
    private readonly int _shards;
    private readonly Dictionary<(int Round, int From), double[]> _norms = [];
    private ShardUpdater _updater;
    private TensorBuffer? _current;
    private TensorBuffer? _previous;
    private TensorBuffer? _next;
    private TensorBuffer? _best;
    private TensorBuffer? _encoded;
    private TensorBuffer? _encodedFrom;
    private List<double[]> _ownNorms = [];
    private List<double[]> _ownNormsBefore = [];
    private int _round;

    /// <param name="shard">which it is</param>
    /// <param name="setup">what it is made of</param>
    /// <param name="rent">gives a buffer of a length that who gets the next weights reads best, or null</param>
    public ParameterShardState(ShardId shard, ShardSetup setup, Func<int, TensorBuffer?>? rent = null)
    {
        _rent = rent;
        Shard = shard;
        Setup = setup;
        _shards = setup.Plan.Ranges.Count;
        Range = setup.Plan.Ranges[shard.Index];
        _pool = new TensorBufferPool(Range.Length);
        _tree = new ReductionTree(setup.Training.Slices, _pool);
        _late = new LateNodes(setup.Training.BackupWorkers);
        _codec = GradientCodecs.Of(setup.Training);
        _words = new TensorBufferPool(Bf16.Words(Range.Length));
        _applied = new AppliedSlices(setup.Training.Slices);
        _residuals = new TensorPayload?[_codec is null ? 0 : setup.Training.Slices];
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

    /// <summary>Sums over each of the steps that the last <see cref="PushOutcome.Advanced"/> completed, in order.</summary>
    public IReadOnlyList<StepStatistics> StepsDone { get; private set; } = [];

    /// <summary>The nodes of the last step that came late, for backup workers.</summary>
    public IReadOnlyList<TreeNode> Late => _late.Nodes;

    /// <summary>Slices that the current step still lacks.</summary>
    public IEnumerable<int> MissingSlices => _tree.Missing;

    /// <summary>Whether the push that was offered last was there already.</summary>
    public bool WasRepeated { get; private set; }

    /// <summary>
    /// What the last offer computed of this shard's partial norms: the other shards wait for each of them, also where this one waits for nobody, since theirs were here first.
    /// </summary>
    public IReadOnlyList<(long Step, int Round, double[] Partials)> NewNorms { get; private set; } = [];

    public void Enter(Generation generation) => Generation = generation;

    /// <summary>Version 0: initial weights, as many as <see cref="Range"/> is long; the optimizer starts afresh.</summary>
    public void Initialize(ReadOnlySpan<float> weights)
    {
        Forget();
        _updater = NewUpdater();
        SetCurrent(weights, 0);
    }

    /// <summary>Goes back to a checkpoint.</summary>
    /// <exception cref="InvalidDataException">it is of another shard or another optimizer</exception>
    public void Restore(ShardCheckpoint checkpoint)
    {
        if (checkpoint.Shard != Shard || checkpoint.Weights.Length != Range.Length || checkpoint.Slots.Count != _updater.Slots.Count
            || checkpoint.Slots.Any(slot => slot.Length != Range.Length) || (checkpoint.Best is { } best && best.Length != Range.Length))
            throw new InvalidDataException($"the checkpoint of step {checkpoint.Step} does not fit shard {Shard}");
        if (checkpoint.Residuals.Count != _residuals.Length || checkpoint.Residuals.Any(residual => residual.Length != Range.Length))
            throw new InvalidDataException($"the checkpoint of step {checkpoint.Step} holds {checkpoint.Residuals.Count} residuals where shard {Shard} has {_residuals.Length}");
        Forget();
        _updater = NewUpdater();
        for (var i = 0; i < checkpoint.Slots.Count; i++)
            checkpoint.Slots[i].Span.CopyTo(_updater.Slots[i]);
        SetCurrent(checkpoint.Weights.Span, checkpoint.Step);
        if (checkpoint.Best is { } kept)
        {
            _best = _pool.Rent();
            kept.Span.CopyTo(_best.Span);
            BestStep = checkpoint.BestStep;
        }
        for (var slice = 0; slice < _residuals.Length; slice++)
            Keep(checkpoint.Step, slice, TensorPayload.Of(checkpoint.Residuals[slice].Buffer, new ShardRange(checkpoint.Residuals[slice].Offset, checkpoint.Residuals[slice].Length)));
    }

    /// <summary>The state as a checkpoint: shares the weights, copies what the optimizer will change.</summary>
    public ShardCheckpoint Checkpoint() => new(
        Shard,
        Version,
        TensorPayload.Of(_current!),
        [.. _updater.Slots.Select(Copy)],
        _best is null ? null : TensorPayload.Of(_best),
        BestStep)
    {
        Residuals = [.. _residuals.Select(residual => TensorPayload.Of(residual!.Value.Buffer, new ShardRange(residual.Value.Offset, residual.Value.Length)))],
    };

    private TensorPayload Copy(float[] slot)
    {
        var copy = _pool.Rent();
        slot.CopyTo(copy.Span);
        return new TensorPayload(copy, 0, copy.Length);
    }

    /// <summary>Takes a push, and with it the hold on its gradient.</summary>
    public PushOutcome Offer(Commands.Push push)
    {
        WasRepeated = false;
        NewNorms = [];
        var outcome = Judge(push);
        if (outcome != PushOutcome.Wait)
        {
            push.Gradient.Release();
            return outcome;
        }
        if (Setup.Training.IsAsynchronous)
            return Apply(push);
        if (_next is not null || _tree.Holds(push.Node))
        {
            _late.Repeated(push.Node, push.IsCopy);
            WasRepeated = true;
            push.Gradient.Release();
            return PushOutcome.Wait;
        }
        if (PartOf(push) is not { } part)
            return PushOutcome.Malformed;
        _tree.Offer(push.Node, part);
        _late.Taken(push.Node, push.IsCopy);
        if (!_tree.IsComplete)
            return PushOutcome.Wait;
        var root = _tree.Root;
        _next = RentWeights();
        _updater.Begin(Version, root.Memory, root.Statistics.Weight, _current!.Memory, _next.Memory);
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
        NewNorms = [];
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

    /// <summary>The same as they travel to workers that train.</summary>
    public TensorPayload? WeightsToSend(long version)
    {
        var weights = Weights(version);
        if (Setup.Training.PullCodec == WeightCodec.Fp32 || weights is not { } exact)
            return weights;
        if (_encodedFrom != exact.Buffer)
        {
            _encoded?.Release();
            _encoded = _rent?.Invoke(_words.Length) ?? _words.Rent();
            Bf16.Encode(exact.Span, _encoded.Span);
            _encodedFrom = exact.Buffer;
        }
        exact.Release();
        return TensorPayload.Of(_encoded!);
    }

    /// <summary>A hold on the selected weights, and their version.</summary>
    public (TensorPayload Weights, long Version) Selected(WeightsSelection selection) =>
        selection == WeightsSelection.Best && _best is not null ? (TensorPayload.Of(_best), BestStep) : (TensorPayload.Of(_current!), Version);

    /// <summary>The selected weights where they may stay, with a hold that need not be given back.</summary>
    public TensorPayload SelectedToKeep(WeightsSelection selection)
    {
        var (weights, _) = Selected(selection);
        return weights with { Buffer = ToKeep(weights.Buffer) };
    }

    /// <summary>Keeps the weights of the current version as the best.</summary>
    /// <returns>whether <paramref name="step"/> is the current version</returns>
    public bool MarkBest(long step)
    {
        if (step != Version || _current is null)
            return false;
        _best?.Release();
        _best = ToKeep(_current.Share());
        BestStep = step;
        return true;
    }

    private PushOutcome Judge(Commands.Push push) =>
        push.Generation < Generation ? PushOutcome.StaleGeneration
        : push.Generation > Generation || !HasWeights || (push.Step > Version && !IsAhead(push)) ? PushOutcome.NotYet
        : push.Step == Version - 1 ? PushOutcome.AlreadyDone
        : push.Step < Version ? Catches ? PushOutcome.AlreadyDone : PushOutcome.StaleStep
        : push.Codec != Setup.Training.Codec || push.Gradient.Length != WireLength || !push.Node.IsIn(_tree.Slices) || (_codec is not null && push.Node.Level > 0) ? PushOutcome.Malformed
        : PushOutcome.Wait;

    /// <summary>Values, or words of the codec, that a push has.</summary>
    private int WireLength => _codec?.Words(Range.Length) ?? Range.Length;

    /// <summary>Whether who is behind gets the latest version, because others go on without it.</summary>
    private bool Catches => Setup.Training.IsAsynchronous || Setup.Training.BackupWorkers > 0;

    private bool IsAhead(Commands.Push push) => Setup.Training.IsAsynchronous && push.Step < Setup.TotalSteps;

    /// <summary>The gradient as values, and with it one hold; null where it is not what the codec writes.</summary>
    private ReductionTree.Part? PartOf(Commands.Push push)
    {
        if (_codec is null)
            return new ReductionTree.Part(push.Gradient.Buffer, push.Gradient.Offset, push.Gradient.Length, push.Statistics);
        var decoded = _pool.Rent();
        var isRead = _codec.TryDecode(push.Gradient.Span, decoded.Span);
        push.Gradient.Release();
        if (isRead)
            return new ReductionTree.Part(decoded, 0, Range.Length, push.Statistics);
        decoded.Release();
        return null;
    }

    /// <summary>Carries the update on as far as the norms that are here allow.</summary>
    private PushOutcome GoOn()
    {
        var own = new List<(long Step, int Round, double[] Partials)>();
        NewNorms = own;
        while (_updater.NeedsNorms)
        {
            if (_ownNorms.Count == _round)
            {
                _ownNorms.Add(_updater.Partials());
                _norms[(_round, Shard.Index)] = _ownNorms[_round];
                own.Add((Version, _round, _ownNorms[_round]));
            }
            if (OpenRound is { Lacking.Count: > 0 })
                return PushOutcome.ExchangeNorms;
            _updater.Combine([.. Enumerable.Range(0, _shards).Select(i => _norms[(_round, i)])]);
            _round++;
        }
        StepsDone = [_tree.Root.Statistics];
        _tree.Clear();
        _late.Close();
        _previous?.Release();
        (_previous, _current, _next) = (_current, _next, null);
        (_ownNormsBefore, _ownNorms, _round) = (_ownNorms, [], 0);
        _norms.Clear();
        Version++;
        return PushOutcome.Advanced;
    }

    /// <summary>A buffer with the same values, and a hold in place of one, in memory of this shard.</summary>
    private TensorBuffer ToKeep(TensorBuffer buffer)
    {
        if (!buffer.IsLent)
            return buffer;
        var kept = _pool.Rent();
        buffer.Span.CopyTo(kept.Span);
        buffer.Release();
        return kept;
    }

    /// <summary>A buffer for new weights, which travel as they are or are encoded first.</summary>
    private TensorBuffer RentWeights() => (Setup.Training.PullCodec == WeightCodec.Fp32 ? _rent?.Invoke(Range.Length) : null) ?? _pool.Rent();

    private ShardUpdater NewUpdater() => new(Setup.Training, Setup.TotalSteps, Setup.Layout, Range);

    private void SetCurrent(ReadOnlySpan<float> weights, long version)
    {
        if (weights.Length != Range.Length)
            throw new InvalidDataException($"{weights.Length} weights for shard {Shard} of {Range.Length}");
        _current = _pool.Rent();
        weights.CopyTo(_current.Span);
        Version = version;
        _applied.Reset(version);
    }

    /// <summary>Lets go of everything, for good or before it goes back to a checkpoint.</summary>
    public void Forget()
    {
        foreach (var buffer in new[] { _current, _previous, _next, _best, _encoded })
            buffer?.Release();
        (_current, _previous, _next, _best, _encoded, _encodedFrom) = (null, null, null, null, null, null);
        BestStep = -1;
        ForgetResiduals();
        _beyond = 0;
        _late.Clear();
        _tree.Clear();
        _norms.Clear();
        (_ownNorms, _ownNormsBefore, _round) = ([], [], 0);
    }
}
