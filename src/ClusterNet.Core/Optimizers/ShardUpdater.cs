using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Core.Optimizers;

/// <summary>
/// An update with a part of a step's slices, as asynchronous training has them: the mean gradient of the part with a learning rate of its share, so that the parts of a step together move the weights as far as
/// the whole would (the linear scaling of Goyal et al. 2017, section 2.1, backwards). The schedule goes by the step, the correction of Adam's bias by the updates that there have been.
/// </summary>
/// <param name="Share">of the step's slices, above 0 and at most 1</param>
/// <param name="UpdatesBefore">that the slots have seen</param>
public readonly record struct PartialUpdate(double Share, long UpdatesBefore);

/// <summary>
/// Applies the update rule to one shard, one step at a time, in the order of torch: mean gradient, clipping by value, clipping by global norm, L2 weight decay, rule. Without
/// norms <see cref="Begin"/> does it all in one pass; otherwise the shards exchange partial sums of squares once or twice (<see cref="NeedsNorms"/>). The new weights and slots
/// are the same bits on every machine and with any number of shards. Agrees with torch.optim to within rounding; LAMB is You et al. 2020, algorithm 2.
/// Not thread-safe.
/// </summary>
public sealed class ShardUpdater
{
    private readonly OptimizerSpec _optimizer;
    private readonly ClipSpec _clip;
    private readonly LearningRateSchedule _schedule;
    private readonly ParameterLayout _layout;
    private readonly ShardRange _range;
    private readonly NormBlocks _blocks;
    private readonly float[][] _slots;
    private readonly double _decay;
    private readonly bool _decoupled;
    private float[]? _zeros;
    private Update _update;
    private Round _round;
    private double[] _partials = [];

    /// <param name="training">optimizer, schedule and clipping</param>
    /// <param name="totalSteps">steps of the job, for the schedule</param>
    /// <param name="layout">of the whole model</param>
    /// <param name="range">this shard, one of a <see cref="ShardPlan"/></param>
    /// <exception cref="ArgumentException">the range is not of the layout, or cuts a block</exception>
    public ShardUpdater(TrainingSpec training, long totalSteps, ParameterLayout layout, ShardRange range)
    {
        ArgumentNullException.ThrowIfNull(training);
        ArgumentNullException.ThrowIfNull(layout);
        _optimizer = training.Optimizer;
        _clip = training.Clip;
        _schedule = new LearningRateSchedule(training.Schedule, totalSteps);
        _layout = layout;
        _range = range;
        _blocks = new NormBlocks(layout, range);
        _decay = _optimizer.WeightDecay ?? (_optimizer.Kind == OptimizerKind.AdamW ? 0.01 : 0);
        _decoupled = _optimizer.DecoupledWeightDecay ?? _optimizer.Kind is OptimizerKind.AdamW or OptimizerKind.Lamb;
        _slots = new float[SlotCount(_optimizer)][];
        for (var i = 0; i < _slots.Length; i++)
            _slots[i] = new float[range.Length];
        if (_optimizer.Kind == OptimizerKind.Adagrad)
            _slots[0].AsSpan().Fill((float)_optimizer.InitialAccumulator);
    }

    private enum Round
    {
        None,
        GradientNorm,
        TrustRatio,
    }

    /// <summary>
    /// The optimizer's state, each array as long as the shard: what a checkpoint saves, and what a restore copies back in before the next <see cref="Begin"/>. Together with the
    /// weights and the step it is all there is.
    /// </summary>
    public IReadOnlyList<float[]> Slots => _slots;

    /// <summary>
    /// Whether the update waits for the partial sums of all shards: one round for clipping by global norm, then one for LAMB's trust ratios.
    /// </summary>
    public bool NeedsNorms => _round != Round.None;

    /// <summary>How many slots a rule has.</summary>
    public static int SlotCount(OptimizerSpec optimizer)
    {
        ArgumentNullException.ThrowIfNull(optimizer);
        var momentum = optimizer.Momentum != 0 ? 1 : 0;
        return optimizer.Kind switch
        {
            OptimizerKind.Sgd => momentum,
            OptimizerKind.Adagrad => 1,
            OptimizerKind.RmsProp => 1 + (optimizer.Centered ? 1 : 0) + momentum,
            _ => 2,
        };
    }

    /// <summary>
    /// Starts the update of a step, and ends it unless <see cref="NeedsNorms"/>. While it does, the three buffers must stay as they are; an update that will never end (its
    /// step is abandoned) needs a new updater, with slots restored.
    /// </summary>
    /// <param name="step">0-based: the number of updates done before</param>
    /// <param name="gradientSum">sum of the weighted sample-loss gradients over this shard's range: the tree's root</param>
    /// <param name="weight">what the sum is divided by; where it is 0 (an empty batch) the gradient counts as 0</param>
    /// <param name="weights">the current values</param>
    /// <param name="newWeights">receives the new ones; shares no memory with the others</param>
    /// <param name="part">null where the update is that of a whole step</param>
    /// <exception cref="ArgumentException">a length is not that of the shard, or <paramref name="weight"/> is negative or not finite</exception>
    /// <exception cref="InvalidOperationException">the update before is still open</exception>
    public void Begin(
        long step, ReadOnlyMemory<float> gradientSum, double weight, ReadOnlyMemory<float> weights, Memory<float> newWeights, PartialUpdate? part = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        if (NeedsNorms)
            throw new InvalidOperationException("the update before still waits for norms");
        if (!double.IsFinite(weight) || weight < 0)
            throw new ArgumentOutOfRangeException(nameof(weight), weight, "neither 0 nor a positive number");
        CheckLength(gradientSum.Length, nameof(gradientSum));
        CheckLength(weights.Length, nameof(weights));
        CheckLength(newWeights.Length, nameof(newWeights));
        var isEmpty = (float)weight == 0;
        var rate = _optimizer.LearningRate * _schedule.Factor(step) * (part?.Share ?? 1);
        var preparation = new GradientPreparation(
            isEmpty ? 1 : (float)weight, (float)(_clip.Value ?? double.PositiveInfinity), 1, _decoupled ? 0 : (float)_decay);
        var keep = _decoupled && _optimizer.Kind != OptimizerKind.Lamb ? (float)(1 - rate * _decay) : 1;
        var constants = new StepConstants(step, part?.UpdatesBefore ?? step, rate, _optimizer.Epsilon ?? DefaultEpsilon(_optimizer.Kind), keep);
        _update = new Update(constants, preparation, isEmpty ? _zeros ??= new float[_range.Length] : gradientSum, weights, newWeights);
        if (_clip.Norm is null)
            ApplyRule();
        else
            OpenGradientNorm();
    }

    /// <summary>
    /// This shard's partial sums of squares for the open round, in double and in flat order, one for each part of a tensor that lies in one block of
    /// <see cref="ShardPlan.BlockLength"/>: of the mean gradient when clipping; for LAMB two in turn, of the weights and of the update. The caller sends them to all shards.
    /// </summary>
    /// <exception cref="InvalidOperationException">no round is open</exception>
    public double[] Partials() => NeedsNorms ? _partials : throw new InvalidOperationException("no norm is asked for");

    /// <summary>Ends the open round. Opens the next or completes the update.</summary>
    /// <param name="partialsOfAllShards">what each shard's <see cref="Partials"/> gave, in the order of the shards, this one's among them</param>
    /// <exception cref="ArgumentException">they are not those of the whole model</exception>
    /// <exception cref="InvalidOperationException">no round is open</exception>
    public void Combine(IReadOnlyList<double[]> partialsOfAllShards)
    {
        ArgumentNullException.ThrowIfNull(partialsOfAllShards);
        if (!NeedsNorms)
            throw new InvalidOperationException("no norm is asked for");
        var expected = (long)_blocks.TensorOf.Count * (_round == Round.TrustRatio ? 2 : 1);
        var given = partialsOfAllShards.Sum(partials => (long)partials.Length);
        if (given != expected)
            throw new ArgumentException($"{given} partial sums where the model has {expected}", nameof(partialsOfAllShards));
        var sums = partialsOfAllShards.SelectMany(partials => partials);
        if (_round == Round.GradientNorm)
            ClipByNorm(sums);
        else
            ApplyTrustRatios(sums);
    }

    private static double DefaultEpsilon(OptimizerKind kind) => kind switch
    {
        OptimizerKind.Adagrad => 1e-10,
        OptimizerKind.Lamb => 1e-6,
        _ => 1e-8,
    };

    private void CheckLength(int length, string name)
    {
        if (length != _range.Length)
            throw new ArgumentException($"{length} elements for a shard of {_range.Length}", name);
    }

    private void ApplyRule()
    {
        var constants = _update.Constants;
        switch (_optimizer.Kind)
        {
            case OptimizerKind.Sgd when _optimizer.Momentum == 0:
                Run(new SgdRule(constants));
                break;
            case OptimizerKind.Sgd when _optimizer.Nesterov:
                Run(new MomentumRule<On>(_optimizer, constants));
                break;
            case OptimizerKind.Sgd:
                Run(new MomentumRule<Off>(_optimizer, constants));
                break;
            case OptimizerKind.Adam or OptimizerKind.AdamW:
                Run(new AdamRule(_optimizer, constants));
                break;
            case OptimizerKind.Adagrad:
                Run(new AdagradRule(_optimizer, constants));
                break;
            case OptimizerKind.RmsProp when _optimizer.Centered && _optimizer.Momentum != 0:
                Run(new RmsPropRule<On, On>(_optimizer, constants));
                break;
            case OptimizerKind.RmsProp when _optimizer.Centered:
                Run(new RmsPropRule<On, Off>(_optimizer, constants));
                break;
            case OptimizerKind.RmsProp when _optimizer.Momentum != 0:
                Run(new RmsPropRule<Off, On>(_optimizer, constants));
                break;
            case OptimizerKind.RmsProp:
                Run(new RmsPropRule<Off, Off>(_optimizer, constants));
                break;
            case OptimizerKind.Lamb:
                // the update stands where the new weights will, until the trust ratios are known
                Run(new LambRule(_optimizer, constants, _decoupled ? _decay : 0));
                OpenTrustRatio();
                return;
            default:
                throw new InvalidOperationException($"no update rule {_optimizer.Kind}");
        }
        Finish();
    }

    private void Run<TRule>(TRule rule)
        where TRule : struct, IUpdateRule =>
        UpdateKernel.Run(rule, _update.Preparation, _update.GradientSum.Span, _update.Weights.Span, _update.NewWeights.Span, _slots);

    private void OpenGradientNorm()
    {
        Span<float> mean = stackalloc float[ShardPlan.BlockLength];
        var partials = new double[_blocks.Own.Count];
        for (var i = 0; i < partials.Length; i++)
        {
            var (offset, length) = _blocks.Own[i];
            UpdateKernel.BoundedMean(_update.Preparation, _update.GradientSum.Span.Slice(offset, length), mean[..length]);
            partials[i] = NormBlocks.SumOfSquares(mean[..length]);
        }
        (_round, _partials) = (Round.GradientNorm, partials);
    }

    // as torch.nn.utils.clip_grad_norm_
    private void ClipByNorm(IEnumerable<double> sums)
    {
        var total = 0.0;
        foreach (var sum in sums)
            total += sum;
        var scale = (float)Math.Min(1, _clip.Norm!.Value / (Math.Sqrt(total) + 1e-6));
        _update = _update with { Preparation = _update.Preparation with { Scale = scale } };
        _round = Round.None;
        ApplyRule();
    }

    private void OpenTrustRatio()
    {
        var partials = new double[2 * _blocks.Own.Count];
        for (var i = 0; i < _blocks.Own.Count; i++)
        {
            var (offset, length) = _blocks.Own[i];
            partials[2 * i] = NormBlocks.SumOfSquares(_update.Weights.Span.Slice(offset, length));
            partials[2 * i + 1] = NormBlocks.SumOfSquares(_update.NewWeights.Span.Slice(offset, length));
        }
        (_round, _partials) = (Round.TrustRatio, partials);
    }

    private void ApplyTrustRatios(IEnumerable<double> sums)
    {
        var totals = new (double Weights, double Update)[_layout.Entries.Count];
        var index = 0;
        foreach (var sum in sums)
        {
            ref var total = ref totals[_blocks.TensorOf[index / 2]];
            if (index++ % 2 == 0)
                total.Weights += sum;
            else
                total.Update += sum;
        }
        for (var tensor = 0; tensor < totals.Length; tensor++)
        {
            var entry = _layout.Entries[tensor];
            var start = Math.Max(entry.Offset, _range.Offset) - _range.Offset;
            var end = Math.Min(entry.Offset + entry.Length, _range.End) - _range.Offset;
            if (start >= end)
                continue;
            var (weights, update) = totals[tensor];
            var ratio = weights == 0 || update == 0 ? 1 : Math.Sqrt(weights) / Math.Sqrt(update);
            UpdateKernel.Descend(_update.Weights.Span[start..end], (float)(_update.Constants.LearningRate * ratio), _update.NewWeights.Span[start..end]);
        }
        Finish();
    }

    private void Finish() => (_round, _update, _partials) = (Round.None, default, []);

    private readonly record struct Update(
        StepConstants Constants, GradientPreparation Preparation, ReadOnlyMemory<float> GradientSum, ReadOnlyMemory<float> Weights, Memory<float> NewWeights);
}
