using ClusterNet.Learning.Kernels;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Native;
using TorchSharp.Modules;

namespace ClusterNet.Learning.Gradients;

/// <summary>
/// Forward and backward of a model that is a plain sequence of dense layers, relu, layer normalisation and dropout, by <see cref="PanelKernel"/> and <see cref="PanelNormKernel"/>: its gradients have the same bits on every processor and
/// with any number of threads, and there is no graph to build. Used by one thread at a time.
/// </summary>
internal sealed unsafe class DensePass : IDisposable
{
    private readonly IReadOnlyList<PassOperation> _operations;

    /// <summary>What goes into each operation, and what comes out of the last, in panels of samples.</summary>
    private readonly AlignedVector<float>[] _values;

    private AlignedVector<float> _gradient = new(0);
    private AlignedVector<float> _inputGradient = new(0);
    private AlignedVector<float> _outputs = new(0);
    private AlignedVector<float> _outputGradients = new(0);
    private int _capacity;
    private int _samples;

    private DensePass(IReadOnlyList<PassOperation> operations)
    {
        _operations = operations;
        _values = [.. Enumerable.Range(0, operations.Count + 1).Select(_ => new AlignedVector<float>(0))];
    }

    /// <summary>The gradient of the loss by the outputs, [samples, outputs], row-major; to be written between <see cref="Forward"/> and <see cref="Backward"/>.</summary>
    public Span<float> OutputGradients => _outputGradients.Span[..(_samples * _operations[^1].Outputs)];

    /// <summary>A pass for the model; null where it has something else in it.</summary>
    public static DensePass? TryCreate(TrainableModel model)
    {
        if (model.Module.GetType() != typeof(Sequential))
            return null;
        var (operations, parameters) = (new List<PassOperation>(), new PassParameters(model));
        foreach (var module in model.Module.children())
        {
            if (module.GetType() == typeof(Flatten) && operations.Count == 0)
                continue;
            var width = operations.Count == 0 ? (int?)null : operations[^1].Outputs;
            PassOperation? operation = module switch
            {
                Linear linear => DenseOperation.TryCreate(linear, width, parameters),
                LayerNorm norm => NormOperation.TryCreate(norm, width, parameters),
                ReLU when width is { } relu => new RectifyOperation(relu),
                SeededDropout { IsOwn: true } dropout when width is { } dropped => new DropoutOperation(dropped, dropout),
                _ => null,
            };
            if (operation is null)
                return null;
            operations.Add(operation);
        }
        return operations.Count > 0 && parameters.AreAllTaken ? new DensePass(operations) : null;
    }

    /// <summary>Computes the outputs, [samples, outputs], row-major; they are overwritten by the next ones.</summary>
    /// <param name="features">[samples, features], row-major</param>
    /// <param name="samples">at least 1</param>
    public ReadOnlySpan<float> Forward(ReadOnlySpan<float> features, int samples)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(features.Length, checked(samples * _operations[0].Inputs));
        Reserve(samples);
        _samples = samples;
        fixed (float* rows = features, input = _values[0].Span)
            PanelKernel.BySamples(rows, input, samples, _operations[0].Inputs);
        for (var i = 0; i < _operations.Count; i++)
        {
            fixed (float* x = _values[i].Span, y = _values[i + 1].Span)
                _operations[i].Forward(x, y, samples);
        }
        var outputs = _outputs.Span[..(samples * _operations[^1].Outputs)];
        fixed (float* values = _values[^1].Span, rows = outputs)
            PanelKernel.ToRows(values, rows, samples, _operations[^1].Outputs);
        return outputs;
    }

    /// <summary>Gives the parameters their gradients, those of the last operation first.</summary>
    /// <param name="done">told of the first parameter of an operation and of the one behind its last, when they have theirs</param>
    /// <param name="final">told in between from which element of the model's gradient on all of it is final; null where nobody asks</param>
    public void Backward(Action<int, int> done, Action<int>? final)
    {
        fixed (float* rows = _outputGradients.Span, gradient = _gradient.Span)
            PanelKernel.BySamples(rows, gradient, _samples, _operations[^1].Outputs);
        for (var i = _operations.Count - 1; i >= 0; i--)
        {
            var operation = _operations[i];
            fixed (float* x = _values[i].Span, y = _values[i + 1].Span, dy = _gradient.Span, dx = _inputGradient.Span)
            {
                if (operation.EndParameter > operation.FirstParameter)
                {
                    operation.BackwardParameters(x, dy, _samples, final);
                    done(operation.FirstParameter, operation.EndParameter);
                }
                if (i > 0)
                    operation.BackwardInputs(y, dy, dx, _samples);
            }
            (_gradient, _inputGradient) = (_inputGradient, _gradient);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Free();
        foreach (var operation in _operations)
            operation.Dispose();
    }

    private void Free()
    {
        foreach (var vector in _values.Concat([_gradient, _inputGradient, _outputs, _outputGradients]))
            vector.Dispose();
    }

    private void Reserve(int samples)
    {
        if (samples <= _capacity)
            return;
        Free();
        var padded = PanelKernel.PaddedLength(samples, 1);
        for (var i = 0; i < _values.Length; i++)
            _values[i] = new AlignedVector<float>(checked(padded * (i == 0 ? _operations[0].Inputs : _operations[i - 1].Outputs)));
        var widest = _operations.Max(operation => operation.Outputs);
        (_gradient, _inputGradient) = (new AlignedVector<float>(checked(padded * widest)), new AlignedVector<float>(checked(padded * widest)));
        var outputs = checked(samples * _operations[^1].Outputs);
        (_outputs, _outputGradients) = (new AlignedVector<float>(outputs), new AlignedVector<float>(outputs));
        foreach (var operation in _operations)
            operation.Reserve(samples);
        _capacity = samples;
    }
}
