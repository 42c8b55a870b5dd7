using System.Runtime.InteropServices;
using ClusterNet.Learning.Kernels;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Native;
using TorchSharp.Modules;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace ClusterNet.Learning.Training;

/// <summary>
/// A model's way from features to outputs where no gradient is asked for: module by module, but for the dense layers of a plain sequence, which <see cref="DenseKernel"/> computes: it is quick with few rows and gives a sample the
/// same bits in any company. Used by one thread at a time.
/// </summary>
internal sealed class InferencePass : IDisposable
{
    private readonly TrainableModel _model;
    private readonly List<object> _steps = [];
    private AlignedVector<float> _from = new(0);
    private AlignedVector<float> _to = new(0);

    public InferencePass(TrainableModel model)
    {
        _model = model;
        var children = model.Module.GetType() == typeof(Sequential) ? model.Module.children().ToArray() : [];
        IEnumerable<nn.Module> modules = children.Length > 0 && children.All(child => child is nn.Module<Tensor, Tensor>) ? children : [model.Module];
        foreach (var module in modules)
            Add((nn.Module<Tensor, Tensor>)module);
        HasOwnSums = modules.All(module => module is Linear or LayerNorm || !module.parameters().Any());
    }

    /// <summary>Whether no sum over weights is left to a library, so that even a lone sample has the bits of any batch.</summary>
    public bool HasOwnSums { get; }

    /// <summary>Computes the outputs. In inference mode and within a dispose scope, which what lies in between is disposed of with.</summary>
    /// <param name="features">float32 [batch, input shape]</param>
    /// <returns>float32 [batch, outputs]</returns>
    public Tensor Call(Tensor features)
    {
        var value = features;
        foreach (var step in _steps)
            value = step is List<Dense> layers ? Call(layers, value) : ((nn.Module<Tensor, Tensor>)step).call(value);
        return value;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _from.Dispose();
        _to.Dispose();
    }

    private void Add(nn.Module<Tensor, Tensor> module)
    {
        var layers = _steps.LastOrDefault() as List<Dense>;
        if (module is SeededDropout)
            return; // it is for training
        if (module is ReLU && layers is not null)
        {
            layers[^1] = layers[^1] with { IsRectified = true };
            return;
        }
        if (module is not Linear linear)
        {
            _steps.Add(module);
            return;
        }
        if (layers is null)
            _steps.Add(layers = []);
        layers.Add(new Dense(checked((int)linear.in_features), checked((int)linear.out_features), PlaceOf(linear.weight!), linear.bias is null ? null : PlaceOf(linear.bias)));
    }

    private int PlaceOf(TorchSharp.Modules.Parameter parameter) => _model.Parameters.First(one => one.Value.Handle == parameter.Handle).Offset;

    private unsafe Tensor Call(List<Dense> layers, Tensor input)
    {
        var shape = input.shape;
        if (shape[^1] != layers[0].Inputs)
            throw new ArgumentException($"[{string.Join(", ", shape)}] for a layer of {layers[0].Inputs} inputs", nameof(input));
        var rows = checked((int)(input.numel() / layers[0].Inputs));
        var output = empty([.. shape[..^1], layers[^1].Outputs], ScalarType.Float32);
        var source = MemoryMarshal.Cast<byte, float>(input.contiguous().bytes);
        for (var i = 0; i < layers.Count; i++)
        {
            var (layer, length) = (layers[i], checked(rows * layers[i].Outputs));
            Reserve(length);
            var target = i == layers.Count - 1 ? MemoryMarshal.Cast<byte, float>(output.bytes) : _to.Span[..length];
            fixed (float* x = source, weights = _model.Weights, y = target)
                DenseKernel.Forward(x, weights + layer.Weights, layer.Bias is { } bias ? weights + bias : null, y, rows, layer.Inputs, layer.Outputs, _model.Threads);
            if (layer.IsRectified)
                TensorPrimitives.Max(target, 0f, target);
            source = target;
            (_from, _to) = (_to, _from);
        }
        return output;
    }

    /// <summary>Makes <see cref="_to"/> hold so many values.</summary>
    private void Reserve(int length)
    {
        if (_to.Span.Length >= length)
            return;
        _to.Dispose();
        _to = new AlignedVector<float>(length);
    }

    /// <summary>A dense layer; where its weights and its bias begin in the model's.</summary>
    private sealed record Dense(int Inputs, int Outputs, int Weights, int? Bias)
    {
        /// <summary>What is below 0 becomes 0.</summary>
        public bool IsRectified { get; init; }
    }
}
