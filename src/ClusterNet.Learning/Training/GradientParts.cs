using ClusterNet.Core.Parameters;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Native;

namespace ClusterNet.Learning.Training;

/// <summary>
/// The parts of a gradient that shards get, made as the backward pass reaches them, the last first. A part that lies in one parameter is handed out where libtorch left it; one with values of several
/// parameters is gathered. That saves most of a pass over memory, which a step of a small model has to wait for.
/// </summary>
/// <param name="model">whose gradient it is</param>
/// <param name="ranges">side by side, they cover the layout</param>
/// <param name="pool">of the layout's length</param>
/// <param name="filled">told of each part</param>
/// <param name="rent">gives a buffer for a range's part to be gathered in, of its length, or null</param>
internal sealed class GradientParts(
    TrainableModel model, IReadOnlyList<ShardRange> ranges, TensorBufferPool pool, Action<int, ReductionTree.Part>? filled, Func<int, TensorBuffer?>? rent)
{
    private readonly ReductionTree.Part[] _parts = new ReductionTree.Part[ranges.Count];
    private readonly TensorBuffer?[] _gradients = new TensorBuffer?[model.Parameters.Length];
    private TensorBuffer? _gathered;
    private int _left = ranges.Count;

    /// <summary>From an element on the gradient is with the parameters, and will not change.</summary>
    public void FromParameters(StepStatistics statistics, int from)
    {
        while (_left > 0 && ranges[_left - 1].Offset >= from)
        {
            var range = ranges[_left - 1];
            var first = FirstAt(range.Offset);
            var parameter = model.Parameters[first];
            if (range.End <= parameter.Offset + parameter.Length && GradientOf(first) is { } buffer)
                Tell(new ReductionTree.Part(buffer.Share(), range.Offset - parameter.Offset, range.Length, statistics));
            else
                Tell(Gathered(first, statistics));
        }
    }

    /// <summary>From an element on the gradient is in a buffer, and will not change.</summary>
    /// <param name="sum">as long as the layout</param>
    /// <param name="statistics">of the slices in it</param>
    /// <param name="from">the element</param>
    public void FromBuffer(TensorBuffer sum, StepStatistics statistics, int from)
    {
        while (_left > 0 && ranges[_left - 1].Offset >= from)
            Tell(new ReductionTree.Part(sum.Share(), ranges[_left - 1].Offset, ranges[_left - 1].Length, statistics));
    }

    /// <summary>All of them, each with one hold, which is the caller's. Once.</summary>
    public ReductionTree.Part[] Take()
    {
        _gathered?.Release();
        foreach (var gradient in _gradients)
            gradient?.Release();
        return _parts;
    }

    private void Tell(ReductionTree.Part part)
    {
        _parts[--_left] = part;
        filled?.Invoke(_left, part);
    }

    /// <summary>The parameter that an element is of; the last one for what lies behind all.</summary>
    private int FirstAt(int element)
    {
        var (low, high) = (0, model.Parameters.Length - 1);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (model.Parameters[middle].Offset + model.Parameters[middle].Length > element)
                high = middle;
            else
                low = middle + 1;
        }
        return low;
    }

    private TensorBuffer? GradientOf(int parameter)
    {
        if (_gradients[parameter] is null && model.Parameters[parameter].Gradient() is { } gradient)
        {
            var memory = new TensorMemory(gradient);
            _gradients[parameter] = new TensorBuffer(memory.Memory, memory);
        }
        return _gradients[parameter];
    }

    private ReductionTree.Part Gathered(int first, StepStatistics statistics)
    {
        var range = ranges[_left - 1];
        var (buffer, offset) = rent?.Invoke(_left - 1) is { } rented ? (rented, range.Offset) : ((_gathered ??= pool.Rent()).Share(), 0);
        for (var i = first; i < model.Parameters.Length && model.Parameters[i].Offset < range.End; i++)
        {
            var parameter = model.Parameters[i];
            var start = Math.Max(parameter.Offset, range.Offset);
            var place = buffer.Span[(start - offset)..(Math.Min(parameter.Offset + parameter.Length, range.End) - offset)];
            if (GradientOf(i) is { } gradient)
                gradient.Span.Slice(start - parameter.Offset, place.Length).CopyTo(place);
            else
                place.Clear();
        }
        return new ReductionTree.Part(buffer, range.Offset - offset, range.Length, statistics);
    }
}
