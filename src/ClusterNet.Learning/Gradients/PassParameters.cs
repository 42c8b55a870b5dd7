using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ClusterNet.Learning.Models;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Gradients;

/// <summary>A model's parameters as the operations of a pass take them: one after the other, each once.</summary>
/// <param name="model">whose they are</param>
internal sealed unsafe class PassParameters(TrainableModel model)
{
    private int _taken;

    /// <summary>Whether none is left.</summary>
    public bool AreAllTaken => _taken == model.Parameters.Length;

    /// <summary>torch threads of the model, which its own kernels have too.</summary>
    public int Threads => model.Threads;

    /// <summary>The index of the first of these parameters; null where they are not the next of the model, or not to be trained: two layers may share one.</summary>
    public int? TryTake(params ReadOnlySpan<Parameter?> parameters)
    {
        var first = _taken;
        foreach (var parameter in parameters)
        {
            if (parameter is not { requires_grad: true } || AreAllTaken || model.Parameters[_taken].Value.Handle != parameter.Handle)
                return null;
            _taken++;
        }
        return first;
    }

    /// <summary>Where a parameter begins in the model's gradient.</summary>
    public int OffsetOf(int index) => model.Parameters[index].Offset;

    /// <summary>The values of a parameter.</summary>
    public float* ValuesOf(int index) => Address(model.CurrentWeights) + OffsetOf(index);

    /// <summary>Memory for a gradient, row-major, which the parameter has from now on.</summary>
    public float* NewGradientOf(int index)
    {
        var parameter = model.Parameters[index].Value;
        using var gradient = empty(parameter.shape, ScalarType.Float32);
        parameter.grad = gradient;
        return Address(MemoryMarshal.Cast<byte, float>(gradient.bytes));
    }

    /// <summary>Both are native memory, which nothing moves.</summary>
    private static float* Address(ReadOnlySpan<float> native) => (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(native));
}
