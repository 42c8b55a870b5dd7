using System.Runtime.InteropServices;
using ClusterNet.Learning.Kernels;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Native;
using TorchSharp.Modules;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace ClusterNet.Learning.Inference;

/// <summary>Dense layers, with layer normalisation and relu behind them or not, computed by <see cref="DenseKernel"/> and <see cref="LayerNormKernel"/> one into the other.</summary>
internal sealed class DenseRun : IInferenceRun
{
    private readonly TrainableModel _model;
    private readonly List<Layer> _layers = [];
    private AlignedVector<float> _from = new(0);
    private AlignedVector<float> _to = new(0);

    private DenseRun(TrainableModel model) => _model = model;

    /// <inheritdoc/>
    public long Multiplications => _layers.OfType<Dense>().Sum(layer => (long)layer.Inputs * layer.Outputs);

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
        Layer? layer = module switch
        {
            Linear { in_features: > 0, out_features: > 0 } linear => new Dense(checked((int)linear.in_features), checked((int)linear.out_features), _model.PlaceOf(linear.weight!), PlaceOf(linear.bias)),
            LayerNorm { normalized_shape: [var width] } norm when width == _layers[^1].Outputs => new Norm(_layers[^1].Outputs, norm.eps, PlaceOf(norm.weight), PlaceOf(norm.bias)),
            _ => null,
        };
        if (layer is not null)
            _layers.Add(layer);
        return layer is not null;
    }

    /// <inheritdoc/>
    public unsafe Tensor Call(Tensor input)
    {
        var shape = input.shape;
        var inputs = ((Dense)_layers[0]).Inputs;
        if (shape[^1] != inputs)
            throw new ArgumentException($"[{string.Join(", ", shape)}] for a layer of {inputs} inputs", nameof(input));
        var rows = checked((int)(input.numel() / inputs));
        var output = empty([.. shape[..^1], _layers[^1].Outputs], ScalarType.Float32);
        var source = MemoryMarshal.Cast<byte, float>(input.contiguous().bytes);
        for (var i = 0; i < _layers.Count; i++)
        {
            var layer = _layers[i];
            var target = i == _layers.Count - 1 ? MemoryMarshal.Cast<byte, float>(output.bytes) : Reserve(checked(rows * layer.Outputs));
            if (layer is Norm norm)
            {
                LayerNormKernel.Forward(source, norm.Outputs, norm.Epsilon, Take(norm.Scale, norm.Outputs), Take(norm.Shift, norm.Outputs), target);
            }
            else
            {
                var dense = (Dense)layer;
                fixed (float* x = source, weights = _model.CurrentWeights, y = target)
                    DenseKernel.Forward(x, weights + dense.Weights, dense.Bias is { } bias ? weights + bias : null, y, rows, dense.Inputs, dense.Outputs, _model.Threads);
            }
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

    private int? PlaceOf(TorchSharp.Modules.Parameter? parameter) => parameter is null ? null : _model.PlaceOf(parameter);

    /// <summary>Values of the model's weights; none where there are none.</summary>
    private ReadOnlySpan<float> Take(int? begin, int length) => begin is { } index ? _model.CurrentWeights.Slice(index, length) : default;

    private abstract record Layer(int Outputs)
    {
        /// <summary>What is below 0 becomes 0.</summary>
        public bool IsRectified { get; init; }
    }

    /// <summary>A dense layer; where its weights and its bias begin in the model's.</summary>
    private sealed record Dense(int Inputs, int Outputs, int Weights, int? Bias) : Layer(Outputs);

    /// <summary>Layer normalisation; where its scales and its shifts begin in the model's weights.</summary>
    private sealed record Norm(int Outputs, double Epsilon, int? Scale, int? Shift) : Layer(Outputs);
}
