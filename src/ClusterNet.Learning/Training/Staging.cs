using ClusterNet.Core.Data;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Training;

/// <summary>
/// Where samples are gathered for the native side: pinned arrays that tensors lie over, so that gathering is the only copy. What is in it is overwritten by the next batch. Not thread-safe.
/// </summary>
internal sealed class Staging(IReadOnlyList<int> shape) : IDisposable
{
    private const int CachedSizes = 8;
    private readonly long[] _shape = [.. shape.Select(axis => (long)axis)];
    private readonly int _elements = shape.Aggregate(1, (product, axis) => checked(product * axis));
    private readonly Dictionary<int, Views> _views = [];
    private float[] _features = [];

    /// <summary>Targets as numbers.</summary>
    public float[] Targets { get; private set; } = [];

    /// <summary>Targets as class indices.</summary>
    public long[] Labels { get; private set; } = [];

    /// <summary>Weights of the samples.</summary>
    public float[] Weights { get; private set; } = [];

    /// <summary>Copies the features of samples here.</summary>
    public Views Gather(SampleSet samples, ReadOnlySpan<int> positions)
    {
        Reserve(positions.Length);
        var source = samples.Features.Span;
        for (var i = 0; i < positions.Length; i++)
            source.Slice(positions[i] * _elements, _elements).CopyTo(_features.AsSpan(i * _elements, _elements));
        return ViewsOf(positions.Length);
    }

    /// <summary>Copies the features of consecutive samples here, and zeros behind them up to <paramref name="size"/> samples.</summary>
    public Views Gather(SampleSet samples, int first, int count, int size)
    {
        Reserve(size);
        samples.Features.Span.Slice(first * _elements, count * _elements).CopyTo(_features);
        _features.AsSpan(count * _elements, (size - count) * _elements).Clear();
        return ViewsOf(size);
    }

    /// <inheritdoc/>
    public void Dispose() => Forget();

    private void Reserve(int count)
    {
        if (count <= Labels.Length)
            return;
        Forget();
        _features = GC.AllocateUninitializedArray<float>(checked(count * _elements), pinned: true);
        Targets = GC.AllocateUninitializedArray<float>(count, pinned: true);
        Labels = GC.AllocateUninitializedArray<long>(count, pinned: true);
        Weights = GC.AllocateUninitializedArray<float>(count, pinned: true);
    }

    private Views ViewsOf(int count)
    {
        if (_views.TryGetValue(count, out var views))
            return views;
        if (_views.Count >= CachedSizes)
            Forget();
        views = new Views(
            frombuffer(_features, float32, (long)count * _elements).reshape([count, .. _shape]).DetachFromDisposeScope(),
            frombuffer(Targets, float32, count).reshape(count, 1).DetachFromDisposeScope(),
            frombuffer(Labels, int64, count).DetachFromDisposeScope(),
            frombuffer(Weights, float32, count).reshape(count, 1).DetachFromDisposeScope());
        return _views[count] = views;
    }

    private void Forget()
    {
        foreach (var views in _views.Values)
            views.Dispose();
        _views.Clear();
    }

    /// <summary>The first samples of the staging arrays as tensors.</summary>
    /// <param name="Features">float32 [n, shape]</param>
    /// <param name="Targets">float32 [n, 1]</param>
    /// <param name="Labels">int64 [n]</param>
    /// <param name="Weights">float32 [n, 1]</param>
    internal sealed record Views(Tensor Features, Tensor Targets, Tensor Labels, Tensor Weights) : IDisposable
    {
        /// <inheritdoc/>
        public void Dispose()
        {
            Features.Dispose();
            Targets.Dispose();
            Labels.Dispose();
            Weights.Dispose();
        }
    }
}
