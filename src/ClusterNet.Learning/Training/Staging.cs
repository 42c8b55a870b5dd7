using ClusterNet.Core.Data;
using ClusterNet.Learning.Native;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Training;

/// <summary>
/// Where samples are gathered for the native side: memory that tensors lie over, so that gathering is the only copy. What is in it is overwritten by the next batch. Not thread-safe.
/// </summary>
internal sealed class Staging(IReadOnlyList<int> shape) : IDisposable
{
    private const int CachedSizes = 64;
    private readonly long[] _shape = [.. shape.Select(axis => (long)axis)];
    private readonly int _elements = shape.Aggregate(1, (product, axis) => checked(product * axis));
    private readonly Dictionary<int, Views> _views = [];
    private AlignedVector<float> _features = new(0);
    private AlignedVector<float> _targets = new(0);
    private AlignedVector<long> _labels = new(0);
    private AlignedVector<float> _weights = new(0);
    private int _capacity;

    /// <summary>Values of each sample.</summary>
    public int ElementsPerSample => _elements;

    /// <summary>Features of the samples, [n, <see cref="ElementsPerSample"/>].</summary>
    public ReadOnlySpan<float> Features => _features.Span;

    /// <summary>Targets as numbers.</summary>
    public Span<float> Targets => _targets.Span;

    /// <summary>Targets as class indices.</summary>
    public Span<long> Labels => _labels.Span;

    /// <summary>Weights of the samples.</summary>
    public Span<float> Weights => _weights.Span;

    /// <summary>Copies the features of samples here.</summary>
    public Views Gather(SampleSet samples, ReadOnlySpan<int> positions)
    {
        Reserve(positions.Length);
        var source = samples.Features.Span;
        var features = _features.Span;
        for (var i = 0; i < positions.Length; i++)
            source.Slice(positions[i] * _elements, _elements).CopyTo(features.Slice(i * _elements, _elements));
        return ViewsOf(positions.Length);
    }

    /// <summary>Copies the features of consecutive samples here.</summary>
    public Views Gather(SampleSet samples, int first, int count)
    {
        Reserve(count);
        samples.Features.Span.Slice(first * _elements, count * _elements).CopyTo(_features.Span);
        return ViewsOf(count);
    }

    /// <summary>Copies the features of consecutive samples to rows of a batch of <paramref name="size"/>, and zeros to its other rows.</summary>
    public Views Scatter(SampleSet samples, int first, ReadOnlySpan<int> rows, int size)
    {
        Reserve(size);
        var features = Cleared(size, rows.Length);
        var source = samples.Features.Span;
        for (var i = 0; i < rows.Length; i++)
            source.Slice((first + i) * _elements, _elements).CopyTo(features.Slice(rows[i] * _elements, _elements));
        return ViewsOf(size);
    }

    /// <summary>The same with samples in any order.</summary>
    public Views Scatter(SampleSet samples, ReadOnlySpan<int> positions, ReadOnlySpan<int> rows, int size)
    {
        Reserve(size);
        var features = Cleared(size, rows.Length);
        var source = samples.Features.Span;
        for (var i = 0; i < rows.Length; i++)
            source.Slice(positions[i] * _elements, _elements).CopyTo(features.Slice(rows[i] * _elements, _elements));
        return ViewsOf(size);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Forget();
        Free();
    }

    private Span<float> Cleared(int size, int used)
    {
        var features = _features.Span[..(size * _elements)];
        if (used < size)
            features.Clear();
        return features;
    }

    private void Reserve(int count)
    {
        if (count <= _capacity)
            return;
        Forget();
        Free();
        _features = new AlignedVector<float>(checked(count * _elements));
        _targets = new AlignedVector<float>(count);
        _labels = new AlignedVector<long>(count);
        _weights = new AlignedVector<float>(count);
        _capacity = count;
    }

    private Views ViewsOf(int count)
    {
        if (_views.TryGetValue(count, out var views))
            return views;
        if (_views.Count >= CachedSizes)
            Forget();
        views = new Views(
            _features.Tensor.narrow(0, 0, (long)count * _elements).view([count, .. _shape]).DetachFromDisposeScope(),
            _targets.Tensor.narrow(0, 0, count).view(count, 1).DetachFromDisposeScope(),
            _labels.Tensor.narrow(0, 0, count).DetachFromDisposeScope(),
            _weights.Tensor.narrow(0, 0, count).view(count, 1).DetachFromDisposeScope());
        return _views[count] = views;
    }

    private void Free()
    {
        _features.Dispose();
        _targets.Dispose();
        _labels.Dispose();
        _weights.Dispose();
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
