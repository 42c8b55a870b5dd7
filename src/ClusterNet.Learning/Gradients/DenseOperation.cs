using ClusterNet.Learning.Kernels;
using ClusterNet.Learning.Native;
using TorchSharp.Modules;

namespace ClusterNet.Learning.Gradients;

/// <summary>y = W x + b.</summary>
internal sealed unsafe class DenseOperation : PassOperation
{
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

    /// <inheritdoc/>
    public override void BackwardParameters(float* x, float* dy, int samples)
    {
        fixed (float* byFeatures = _byFeatures.Span)
        {
            PanelKernel.ByFeatures(x, byFeatures, samples, Inputs);
            PanelKernel.BackwardWeights(dy, byFeatures, _parameters.NewGradientOf(FirstParameter), SizesOf(samples), _parameters.Threads);
        }
        if (_hasBias)
            PanelKernel.BackwardBias(dy, _parameters.NewGradientOf(FirstParameter + 1), samples, Outputs);
    }

    /// <inheritdoc/>
    public override void BackwardInputs(float* y, float* dy, float* dx, int samples) => PanelKernel.BackwardInputs(_parameters.ValuesOf(FirstParameter), dy, dx, SizesOf(samples), _parameters.Threads);

    /// <inheritdoc/>
    protected override void Free() => _byFeatures.Dispose();

    private PanelSizes SizesOf(int samples) => new(samples, Inputs, Outputs);
}
