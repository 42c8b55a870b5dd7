using System.Runtime.InteropServices;
using ClusterNet.Core.Data;
using ClusterNet.Core.Parameters;
using ClusterNet.Learning.Native;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace ClusterNet.Learning.Models;

/// <summary>
/// A module whose parameters are views into one flat float32 vector, <see cref="Weights"/>: who copies new weights in has updated the module. Used by one thread at a time;
/// <see cref="ModelCatalog.Build"/> makes it.
/// </summary>
public sealed class TrainableModel : IDisposable
{
    private readonly AlignedVector<float> _weights;
    private bool? _training;

    internal TrainableModel(nn.Module<Tensor, Tensor> module, ModelSummary summary, DataSignature signature, int outputs, TrainingRandom random, int threads)
    {
        Module = module;
        Summary = summary;
        Signature = signature;
        Outputs = outputs;
        Random = random;
        Threads = threads;
        // a parameter that two modules share is one parameter
        var parameters = module.named_parameters().DistinctBy(named => named.parameter.Handle).ToArray();
        Layout = new ParameterLayout(parameters.Select(named => (named.name, (IReadOnlyList<int>)[.. named.parameter.shape.Select(axis => checked((int)axis))])));
        _weights = new AlignedVector<float>(Layout.Length);
        Parameters = new Parameter[parameters.Length];
        foreach (var buffer in module.buffers())
            buffer.DetachFromDisposeScope();
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        for (var i = 0; i < parameters.Length; i++)
        {
            var (entry, parameter) = (Layout.Entries[i], parameters[i].parameter);
            parameter.DetachFromDisposeScope();
            var view = _weights.Tensor.narrow(0, entry.Offset, entry.Length).view(parameter.shape);
            view.copy_(parameter);
            parameter.set_(view);
            Parameters[i] = new Parameter(parameter, entry.Offset, entry.Length);
        }
        Stages = Stage.Of(module, [.. parameters.Select(named => named.parameter.Handle)]);
    }

    /// <summary>How the parameters lie in <see cref="Weights"/> and in gradients.</summary>
    public ParameterLayout Layout { get; }

    /// <summary>
    /// The weights that the module computes with, in native memory that lives as long as the model; copy new ones in between two computations. The initial ones after
    /// <see cref="ModelCatalog.Build"/>.
    /// </summary>
    /// <exception cref="ObjectDisposedException">the model is disposed of</exception>
    /// <exception cref="InvalidOperationException">they are final</exception>
    public Span<float> Weights => AreWeightsFinal ? throw new InvalidOperationException("the weights of this model were declared final") : _weights.Span;

    /// <summary>The same, to look at.</summary>
    public ReadOnlySpan<float> CurrentWeights => _weights.Span;

    /// <summary>Whether they will never change again.</summary>
    public bool AreWeightsFinal { get; private set; }

    /// <summary>Layers, shapes and parameters.</summary>
    public ModelSummary Summary { get; }

    /// <summary>The data it is made for.</summary>
    public DataSignature Signature { get; }

    /// <summary>Values that it gives for each sample.</summary>
    public int Outputs { get; }

    /// <summary>torch threads it computes with, whatever thread calls.</summary>
    public int Threads { get; }

    /// <summary>The module itself: float32 [batch, input shape] to float32 [batch, <see cref="Outputs"/>].</summary>
    public nn.Module<Tensor, Tensor> Module { get; }

    internal TrainingRandom Random { get; }

    /// <summary>The module in pieces, in the order they are called.</summary>
    internal IReadOnlyList<Stage> Stages { get; }

    internal Parameter[] Parameters { get; }

    /// <summary>Where a parameter of the module begins in <see cref="Weights"/>.</summary>
    internal int PlaceOf(TorchSharp.Modules.Parameter parameter) => Parameters.First(one => one.Value.Handle == parameter.Handle).Offset;

    /// <summary>Declares the weights final: what kernels make of them is kept, and no longer compared with them before each computation.</summary>
    public void FinishWeights() => AreWeightsFinal = true;

    /// <summary>Frees the native side, <see cref="Weights"/> with it.</summary>
    public void Dispose()
    {
        Module.Dispose();
        _weights.Dispose();
        Random.Dispose();
        NativeHeap.GiveBack();
    }

    /// <summary>Prepares this thread and the module for a computation.</summary>
    internal void Enter(bool training)
    {
        TorchThreads.Use(Threads);
        if (_training == training)
            return;
        Module.train(training);
        _training = training;
    }

    /// <summary>One parameter and its place in the flat vector.</summary>
    internal readonly record struct Parameter(TorchSharp.Modules.Parameter Value, int Offset, int Length)
    {
        /// <summary>Lets the gradient go, so that the next backward's takes its place instead of being added to it.</summary>
        public void ForgetGradient() => Value.grad = null;

        /// <summary>The gradient, contiguous; null where there is none. The caller disposes of it.</summary>
        public Tensor? Gradient()
        {
            var gradient = Value.grad;
            if (gradient is null || gradient.is_contiguous())
                return gradient;
            using (gradient)
                return gradient.contiguous();
        }

        /// <summary>Copies the gradient to its place in the flat vector; zeros where there is none.</summary>
        public void TakeGradient(Span<float> flat)
        {
            var place = flat.Slice(Offset, Length);
            using var gradient = Gradient();
            if (gradient is null)
                place.Clear();
            else
                Values(gradient).CopyTo(place);
        }

        /// <summary>Writes <paramref name="left"/> plus the gradient, as the right addend, to its place in the flat vector; null counts as zeros.</summary>
        public void AddGradient(Tensor? left, Span<float> flat)
        {
            var place = flat.Slice(Offset, Length);
            using var right = Gradient();
            if (left is not null && right is not null)
                TensorPrimitives.Add(Values(left), Values(right), place);
            else if ((left ?? right) is { } only)
                TensorPrimitives.Add(Values(only), 0f, place); // no copy: -0 + 0 is 0
            else
                place.Clear();
        }

        private static ReadOnlySpan<float> Values(Tensor dense) => MemoryMarshal.Cast<byte, float>(dense.bytes);
    }
}
