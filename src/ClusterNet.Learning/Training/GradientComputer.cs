using ClusterNet.Core.Data;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;
using ClusterNet.Learning.Gradients;
using ClusterNet.Learning.Models;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Training;

/// <summary>
/// Computes slice gradients, and sums of them along the tree. The bits depend on weights, seed, step, slice, samples and torch threads alone: not on the thread, the
/// process, or what was computed before. Used by one thread at a time, and never while another computes with the same model.
/// </summary>
/// <param name="model">computes with what its weights are at the time</param>
/// <param name="loss">what is minimised</param>
/// <param name="training">the training part, with targets</param>
public sealed class GradientComputer(TrainableModel model, LossFunction loss, SampleSet training) : IDisposable
{
    private readonly Staging _staging = new(training.Shape);
    private readonly DensePass? _dense = DensePass.TryCreate(model);
    private readonly Tensor?[] _left = new Tensor?[model.Parameters.Length];

    /// <summary>The gradient of the sum of the weighted losses of one slice's samples.</summary>
    /// <param name="step">decides, with the slice and the model's seed, what dropout drops</param>
    /// <param name="slice">as in the batch plan</param>
    /// <param name="positions">of the samples in the training part; none give zeros</param>
    /// <param name="gradient">receives the gradient, as long as the layout; what was in it is lost</param>
    /// <returns>sums of the samples' weights and of their weighted losses, and which samples they were; a loss that is not finite is returned as it is</returns>
    public StepStatistics Compute(long step, int slice, ReadOnlySpan<int> positions, Memory<float> gradient)
    {
        if (gradient.Length != model.Layout.Length)
            throw new ArgumentException($"{gradient.Length} elements where {model.Layout.Length} belong", nameof(gradient));
        return Backward(step, slice, positions, (_, first, end) =>
        {
            for (var i = end - 1; i >= first; i--)
                model.Parameters[i].TakeGradient(gradient.Span);
        });
    }

    /// <summary>
    /// The sum over a tree node's slices: the same bits as a <see cref="ReductionTree"/> makes of the single slices, with no more buffers than the node has levels.
    /// </summary>
    /// <param name="step">the step</param>
    /// <param name="node">of the tree over the plan's slices</param>
    /// <param name="plan">says which samples a slice has; its positions are those of the training part</param>
    /// <param name="ranges">which elements go together, side by side, over the whole layout: the shards</param>
    /// <param name="pool">of the layout's length</param>
    /// <param name="filled">told of each range's part as soon as it is final, the last first, while those before it are still computed; it may take holds</param>
    /// <param name="rent">gives a buffer of a range's length for its part, which whoever gets the part reads best, or null; where no values have to be moved it is not asked</param>
    /// <returns>a part for each range, each with one holder, the caller</returns>
    public ReductionTree.Part[] ComputeNode(
        long step, TreeNode node, BatchPlan plan, IReadOnlyList<ShardRange> ranges, TensorBufferPool pool, Action<int, ReductionTree.Part>? filled = null, Func<int, TensorBuffer?>? rent = null)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(pool);
        ArgumentNullException.ThrowIfNull(ranges);
        if (!node.IsIn(plan.Slices))
            throw new ArgumentException($"{node} is no node of a tree over {plan.Slices} slices", nameof(node));
        if (ranges.Aggregate(0, (end, range) => range.Offset == end ? range.End : -1) != model.Layout.Length)
            throw new ArgumentException($"they do not cover {model.Layout.Length} elements side by side", nameof(ranges));
        var parts = new GradientParts(model, ranges, pool, filled, rent);
        if (node.Level == 0)
        {
            Backward(step, node.Index, plan.Slice(step, node.Index), (statistics, first, _) => parts.FromParameters(statistics, OffsetOf(first)), parts.FromParameters);
        }
        else
        {
            var sum = pool.Rent();
            Fill(step, node, plan, pool, sum, (statistics, from) => parts.FromBuffer(sum, statistics, from));
            sum.Release();
        }
        return parts.Take();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _staging.Dispose();
        _dense?.Dispose();
    }

    /// <summary>The sum of a node of at least two slices.</summary>
    private StepStatistics Fill(long step, TreeNode node, BatchPlan plan, TensorBufferPool pool, TensorBuffer sum, Action<StepStatistics, int>? filled)
    {
        var right = new TreeNode(node.Level - 1, 2 * node.Index + 1);
        if (right.Level == 0)
            return FillPair(step, right, plan, sum.Memory, filled);
        var left = Fill(step, right.Sibling, plan, pool, sum, null);
        var addend = pool.Rent();
        var end = pool.Length;
        var statistics = Fill(step, right, plan, pool, addend, (soFar, from) =>
        {
            var range = from..end;
            System.Numerics.Tensors.TensorPrimitives.Add(sum.Span[range], addend.Span[range], sum.Span[range]);
            end = from;
            filled?.Invoke(left + soFar, from);
        });
        addend.Release();
        return left + statistics;
    }

    /// <summary>Two slices are added from where backward left them: that saves a pass over memory.</summary>
    private StepStatistics FillPair(long step, TreeNode right, BatchPlan plan, Memory<float> sum, Action<StepStatistics, int>? filled)
    {
        var left = Backward(step, right.Index - 1, plan.Slice(step, right.Index - 1), (_, first, end) =>
        {
            for (var i = first; i < end; i++)
                _left[i] = model.Parameters[i].Gradient()?.DetachFromDisposeScope();
        });
        var statistics = Backward(step, right.Index, plan.Slice(step, right.Index), (soFar, first, end) =>
        {
            for (var i = end - 1; i >= first; i--)
            {
                using var addend = _left[i];
                model.Parameters[i].AddGradient(addend, sum.Span);
            }
            filled?.Invoke(left + soFar, OffsetOf(first));
        });
        return left + statistics;
    }

    private int OffsetOf(int parameter) => parameter == 0 ? 0 : model.Parameters[parameter].Offset;

    /// <summary>Forward and backward, stage by stage; the gradients of a stage, where there are any, are with the parameters from first to end when <paramref name="done"/> is told of them, the last stage first. Of a large
    /// one <paramref name="final"/> may be told before, from which element on the gradient is there.</summary>
    private StepStatistics Backward(long step, int slice, ReadOnlySpan<int> positions, Action<StepStatistics, int, int> done, Action<StepStatistics, int>? final = null)
    {
        foreach (var parameter in model.Parameters)
            parameter.ForgetGradient();
        if (positions.IsEmpty)
        {
            done(default, 0, model.Parameters.Length);
            return default;
        }
        var batch = _staging.Gather(training, positions);
        var weight = loss.Fill(training, positions, _staging);
        model.Random.Begin(step, slice);
        if (_dense is not null)
        {
            var made = _dense.Forward(_staging.Features[..(positions.Length * _staging.ElementsPerSample)], positions.Length);
            var known = new StepStatistics(weight, (float)loss.Differentiate(made, _staging, _dense.OutputGradients), SampleVisits.Of(positions));
            _dense.Backward((first, end) => done(known, first, end), final is null ? null : element => final(known, element));
            return known;
        }
        model.Enter(training: true);
        using var scope = NewDisposeScope();
        var (inputs, outputs) = (new Tensor[model.Stages.Count], new Tensor[model.Stages.Count]);
        for (var i = 0; i < outputs.Length; i++)
        {
            inputs[i] = i == 0 ? batch.Features : outputs[i - 1].detach().requires_grad_();
            outputs[i] = model.Stages[i].Call(inputs[i]);
        }
        using var sum = loss.Of(outputs[^1], batch, nn.Reduction.Sum);
        var statistics = new StepStatistics(weight, sum.item<float>(), SampleVisits.Of(positions));
        for (var i = outputs.Length - 1; i >= 0; i--)
        {
            if (i == outputs.Length - 1)
                sum.backward();
            else
                outputs[i].backward([inputs[i + 1].grad!]);
            done(statistics, model.Stages[i].FirstParameter, model.Stages[i].EndParameter);
        }
        return statistics;
    }
}
