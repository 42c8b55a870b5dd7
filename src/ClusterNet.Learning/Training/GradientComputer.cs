using ClusterNet.Core.Data;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;
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
    private readonly Tensor?[] _left = new Tensor?[model.Parameters.Length];

    /// <summary>The gradient of the sum of the weighted losses of one slice's samples.</summary>
    /// <param name="step">decides, with the slice and the model's seed, what dropout drops</param>
    /// <param name="slice">as in the batch plan</param>
    /// <param name="positions">of the samples in the training part; none give zeros</param>
    /// <param name="gradient">receives the gradient, as long as the layout; what was in it is lost</param>
    /// <returns>sums of the samples' weights and of their weighted losses, and which samples they were; a loss that is not finite is returned as it is</returns>
    public StepStatistics Compute(long step, int slice, ReadOnlySpan<int> positions, float[] gradient)
    {
        ArgumentNullException.ThrowIfNull(gradient);
        if (gradient.Length != model.Layout.Length)
            throw new ArgumentException($"{gradient.Length} elements where {model.Layout.Length} belong", nameof(gradient));
        var statistics = Backward(step, slice, positions);
        foreach (var parameter in model.Parameters)
            parameter.TakeGradient(gradient);
        return statistics;
    }

    /// <summary>
    /// The sum over a tree node's slices: the same bits as a <see cref="ReductionTree"/> makes of the single slices, with no more buffers than the node has levels.
    /// </summary>
    /// <param name="step">the step</param>
    /// <param name="node">of the tree over the plan's slices</param>
    /// <param name="plan">says which samples a slice has; its positions are those of the training part</param>
    /// <param name="pool">of the layout's length</param>
    /// <returns>a part with one holder, the caller</returns>
    public ReductionTree.Part ComputeNode(long step, TreeNode node, BatchPlan plan, TensorBufferPool pool)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(pool);
        if (!node.IsIn(plan.Slices))
            throw new ArgumentException($"{node} is no node of a tree over {plan.Slices} slices", nameof(node));
        var sum = pool.Rent();
        var statistics = Fill(step, node, plan, pool, sum);
        return new ReductionTree.Part(sum, 0, pool.Length, statistics);
    }

    /// <inheritdoc/>
    public void Dispose() => _staging.Dispose();

    private StepStatistics Fill(long step, TreeNode node, BatchPlan plan, TensorBufferPool pool, TensorBuffer sum)
    {
        if (node.Level == 0)
            return Compute(step, node.Index, plan.Slice(step, node.Index), sum.Array);
        var right = new TreeNode(node.Level - 1, 2 * node.Index + 1);
        if (right.Level == 0)
            return FillPair(step, right, plan, sum);
        var statistics = Fill(step, right.Sibling, plan, pool, sum);
        var addend = pool.Rent();
        statistics += Fill(step, right, plan, pool, addend);
        System.Numerics.Tensors.TensorPrimitives.Add(sum.Array, addend.Array, sum.Array);
        addend.Release();
        return statistics;
    }

    /// <summary>Two slices are added from where backward left them: that saves a pass over memory.</summary>
    private StepStatistics FillPair(long step, TreeNode right, BatchPlan plan, TensorBuffer sum)
    {
        var statistics = Backward(step, right.Index - 1, plan.Slice(step, right.Index - 1));
        for (var i = 0; i < _left.Length; i++)
            _left[i] = model.Parameters[i].Gradient();
        statistics += Backward(step, right.Index, plan.Slice(step, right.Index));
        for (var i = 0; i < _left.Length; i++)
        {
            using var left = _left[i];
            model.Parameters[i].AddGradient(left, sum.Array);
        }
        return statistics;
    }

    /// <summary>Forward and backward; leaves the gradients with the parameters, where there are any.</summary>
    private StepStatistics Backward(long step, int slice, ReadOnlySpan<int> positions)
    {
        foreach (var parameter in model.Parameters)
            parameter.ForgetGradient();
        if (positions.IsEmpty)
            return default;
        model.Enter(training: true);
        model.Random.Begin(step, slice);
        var batch = _staging.Gather(training, positions);
        var weight = loss.Fill(training, positions, _staging);
        using var scope = NewDisposeScope();
        using var outputs = model.Module.call(batch.Features);
        using var sum = loss.Of(outputs, batch, nn.Reduction.Sum);
        sum.backward();
        return new StepStatistics(weight, sum.item<float>(), SampleVisits.Of(positions));
    }
}
