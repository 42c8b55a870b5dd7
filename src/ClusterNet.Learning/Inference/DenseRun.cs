using System.Runtime.InteropServices;
using ClusterNet.Learning.Kernels;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Native;
using TorchSharp.Modules;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace ClusterNet.Learning.Inference;

/// <summary>Dense layers, with relu behind them or not, computed by <see cref="DenseKernel"/> one into the other.</summary>
internal sealed class DenseRun : IInferenceRun
{
    private readonly TrainableModel _model;
    private readonly List<Dense> _layers = [];
    private AlignedVector<float> _from = new(0);
    private AlignedVector<float> _to = new(0);

    private DenseRun(TrainableModel model) => _model = model;

    /// <inheritdoc/>
    public long Multiplications => _layers.Sum(layer => (long)layer.Inputs * layer.Outputs);

    /// <summary>A run that begins with this module; null where that is no dense layer.</summary>
    public static DenseRun? TryBegin(TrainableModel model, nn.Module<Tensor, Tensor> module)
    {
        if (module is not Linear)
            return null;
        var run = new DenseRun(model);
        return run.TryAdd(module) ? run : null;
    }

    /// <inheritdoc/>
    public bool TryAdd(nn.Module<Tensor, Tensor> module)
    {
        if (module is ReLU)
        {
            _layers[^1] = _layers[^1] with { IsRectified = true };
            return true;
        }
        if (module is not Linear { in_features: > 0, out_features: > 0 } linear)
            return false;
        _layers.Add(new Dense(checked((int)linear.in_features), checked((int)linear.out_features), _model.PlaceOf(linear.weight!), linear.bias is null ? null : _model.PlaceOf(linear.bias)));
        return true;
    }

    /// <inheritdoc/>
    public unsafe Tensor Call(Tensor input)
    {
        var shape = input.shape;
        if (shape[^1] != _layers[0].Inputs)
            throw new ArgumentException($"[{string.Join(", ", shape)}] for a layer of {_layers[0].Inputs} inputs", nameof(input));
        var rows = checked((int)(input.numel() / _layers[0].Inputs));
        var output = empty([.. shape[..^1], _layers[^1].Outputs], ScalarType.Float32);
        var source = MemoryMarshal.Cast<byte, float>(input.contiguous().bytes);
        for (var i = 0; i < _layers.Count; i++)
        {
            var layer = _layers[i];
            var target = i == _layers.Count - 1 ? MemoryMarshal.Cast<byte, float>(output.bytes) : Reserve(checked(rows * layer.Outputs));
            fixed (float* x = source, weights = _model.Weights, y = target)
                DenseKernel.Forward(x, weights + layer.Weights, layer.Bias is { } bias ? weights + bias : null, y, rows, layer.Inputs, layer.Outputs, _model.Threads);
            if (layer.IsRectified)
                TensorPrimitives.Max(target, 0f, target);
            source = target;
            (_from, _to) = (_to, _from);
        }
        return output;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _from.Dispose();
        _to.Dispose();
    }

    /// <summary>Room for so many values that <see cref="_from"/> does not lie in.</summary>
    private Span<float> Reserve(int length)
    {
        if (_to.Span.Length < length)
        {
            _to.Dispose();
            _to = new AlignedVector<float>(length);
        }
        return _to.Span[..length];
    }

    /// <summary>A dense layer; where its weights and its bias begin in the model's.</summary>
    private sealed record Dense(int Inputs, int Outputs, int Weights, int? Bias)
    {
        /// <summary>What is below 0 becomes 0.</summary>
        public bool IsRectified { get; init; }
    }
}
