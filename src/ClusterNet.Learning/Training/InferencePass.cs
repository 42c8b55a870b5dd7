using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ClusterNet.Learning.Kernels;
using ClusterNet.Learning.Models;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Training;

/// <summary>
/// A model's way from features to outputs where no gradient is asked for: module by module, with the dense layers of a plain sequence computed by <see cref="DenseKernel"/>, which is quick with few rows and gives a sample the same
/// bits in any company. Without hooks, as <see cref="Stage"/>.
/// </summary>
internal sealed class InferencePass
{
    private readonly IReadOnlyList<nn.Module<Tensor, Tensor>> _modules;
    private readonly int _threads;

    public InferencePass(TrainableModel model)
    {
        var children = model.Module.GetType() == typeof(Sequential) ? model.Module.children().ToArray() : [];
        _modules = children.Length > 0 && children.All(child => child is nn.Module<Tensor, Tensor>) ? [.. children.Cast<nn.Module<Tensor, Tensor>>()] : [model.Module];
        _threads = model.Threads;
        HasOwnSums = _modules.All(module => module is Linear or LayerNorm || !module.parameters().Any());
    }

    /// <summary>Whether no sum over weights is left to a library, so that even a lone sample has the bits of any batch.</summary>
    public bool HasOwnSums { get; }

    /// <summary>Computes the outputs. In inference mode and within a dispose scope, which what lies in between is disposed of with.</summary>
    /// <param name="features">float32 [batch, input shape]</param>
    /// <returns>float32 [batch, outputs]</returns>
    public Tensor Call(Tensor features) => _modules.Aggregate(features, (value, module) => module is Linear dense ? Call(dense, value) : module.call(value));

    private unsafe Tensor Call(Linear dense, Tensor input)
    {
        var shape = input.shape;
        var (inputs, outputs) = (checked((int)dense.in_features), checked((int)dense.out_features));
        if (inputs == 0 || shape.Length == 0 || shape[^1] != inputs || input.dtype != ScalarType.Float32 || dense.weight!.dtype != ScalarType.Float32)
            return dense.call(input); // or says what is wrong
        var rows = checked((int)(input.numel() / inputs));
        var output = empty([.. shape[..^1], outputs], ScalarType.Float32);
        DenseKernel.Forward(
            Address(input.contiguous()), Address(dense.weight!), dense.bias is { } bias ? Address(bias) : null, Address(output), rows, inputs, outputs, _threads);
        return output;
    }

    private static unsafe float* Address(Tensor tensor) => (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(MemoryMarshal.Cast<byte, float>(tensor.bytes)));
}
