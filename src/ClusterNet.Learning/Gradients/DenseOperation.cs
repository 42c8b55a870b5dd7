using ClusterNet.Learning.Kernels;
using ClusterNet.Learning.Native;
using TorchSharp.Modules;

namespace ClusterNet.Learning.Gradients;

/// <summary>y = W x + b.</summary>
internal sealed unsafe class DenseOperation : PassOperation
{
    /// <summary>Elements of the gradient that are computed before somebody is told, about.</summary>
    private const int BlockElements = 1 << 15;

    private readonly PassParameters _parameters;
    private readonly bool _hasBias;
    private AlignedVector<float> _byFeatures = new(0);

    private DenseOperation(int inputs, int outputs, PassParameters parameters, int first, bool hasBias)
        : base(inputs, outputs)
    {
        (_parameters, _hasBias) = (parameters, hasBias);
        (FirstParameter, EndParameter) = (first, hasBias ? first + 2 : first + 1);
    }

    /// <summary>Null where the layer is another one, or its parameters are not to be had.</summary>
    public static DenseOperation? TryCreate(Linear linear, int? width, PassParameters parameters)
    {
        if (linear.GetType() != typeof(Linear) || linear.in_features is < 1 or > int.MaxValue || linear.out_features is < 1 or > int.MaxValue || (width is { } expected && expected != linear.in_features))
            return null;
        var first = linear.bias is { } bias ? parameters.TryTake(linear.weight, bias) : parameters.TryTake(linear.weight);
        return first is { } index ? new DenseOperation((int)linear.in_features, (int)linear.out_features, parameters, index, linear.bias is not null) : null;
    }

    /// <inheritdoc/>
    public override void Reserve(int samples)
    {
        Free();
        _byFeatures = new AlignedVector<float>(PanelKernel.PaddedLength(Inputs, samples));
    }

    /// <inheritdoc/>
    public override void Forward(float* x, float* y, int samples) =>
        PanelKernel.Forward(_parameters.ValuesOf(FirstParameter), _hasBias ? _parameters.ValuesOf(FirstParameter + 1) : null, x, y, SizesOf(samples), _parameters.Threads);

    /// <summary>The bias first and then the last rows, so that what lies behind can travel while rows in front are computed.</summary>
    public override void BackwardParameters(float* x, float* dy, int samples, Action<int>? final)
    {
        if (_hasBias)
            PanelKernel.BackwardBias(dy, _parameters.NewGradientOf(FirstParameter + 1), samples, Outputs);
        var gradient = _parameters.NewGradientOf(FirstParameter);
        fixed (float* byFeatures = _byFeatures.Span)
        {
            PanelKernel.ByFeatures(x, byFeatures, samples, Inputs);
            var rows = final is null ? Outputs : PanelKernel.RowsOf(BlockElements / Inputs);
            for (var end = Outputs; end > 0; end -= rows)
            {
                var begin = Math.Max(0, end - rows);
                PanelKernel.BackwardWeights(dy, byFeatures, gradient, begin, end, SizesOf(samples), _parameters.Threads);
                if (begin > 0)
                    final?.Invoke(_parameters.OffsetOf(FirstParameter) + (begin * Inputs));
            }
        }
    }

    /// <inheritdoc/>
    public override void BackwardInputs(float* y, float* dy, float* dx, int samples) => PanelKernel.BackwardInputs(_parameters.ValuesOf(FirstParameter), dy, dx, SizesOf(samples), _parameters.Threads);

    /// <inheritdoc/>
    protected override void Free() => _byFeatures.Dispose();

    private PanelSizes SizesOf(int samples) => new(samples, Inputs, Outputs);
}
