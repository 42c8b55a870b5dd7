using ClusterNet.Learning.Kernels;
using ClusterNet.Learning.Native;
using TorchSharp.Modules;

namespace ClusterNet.Learning.Gradients;

/// <summary>Layer normalisation with scale and shift.</summary>
internal sealed unsafe class NormOperation : PassOperation
{
    private readonly PassParameters _parameters;
    private readonly float _epsilon;
    private AlignedVector<float> _normal = new(0);
    private AlignedVector<float> _factors = new(0);

    private NormOperation(int width, float epsilon, PassParameters parameters, int first)
        : base(width, width)
    {
        (_parameters, _epsilon) = (parameters, epsilon);
        (FirstParameter, EndParameter) = (first, first + 2);
    }

    /// <summary>Null where the layer is another one, or its parameters are not to be had.</summary>
    public static NormOperation? TryCreate(LayerNorm norm, int? width, PassParameters parameters)
    {
        // without an epsilon equal values have no normal ones
        if (norm.GetType() != typeof(LayerNorm) || norm.normalized_shape is not [var shape] || shape != width || !((float)norm.eps > 0) || norm.weight is null || norm.bias is null)
            return null;
        return parameters.TryTake(norm.weight, norm.bias) is { } first ? new NormOperation((int)shape, (float)norm.eps, parameters, first) : null;
    }

    /// <inheritdoc/>
    public override void Reserve(int samples)
    {
        Free();
        (_normal, _factors) = (new AlignedVector<float>(PanelKernel.PaddedLength(samples, Inputs)), new AlignedVector<float>(PanelKernel.PaddedLength(samples, 1)));
    }

    /// <inheritdoc/>
    public override void Forward(float* x, float* y, int samples)
    {
        fixed (float* normal = _normal.Span, factors = _factors.Span)
            PanelNormKernel.Forward(x, _epsilon, _parameters.ValuesOf(FirstParameter), _parameters.ValuesOf(FirstParameter + 1), y, normal, factors, samples, Inputs);
    }

    /// <inheritdoc/>
    public override void BackwardParameters(float* x, float* dy, int samples, Action<int>? final)
    {
        fixed (float* normal = _normal.Span)
            PanelNormKernel.BackwardScale(dy, normal, _parameters.NewGradientOf(FirstParameter), samples, Inputs);
        PanelKernel.BackwardBias(dy, _parameters.NewGradientOf(FirstParameter + 1), samples, Inputs);
    }

    /// <inheritdoc/>
    public override void BackwardInputs(float* y, float* dy, float* dx, int samples)
    {
        fixed (float* normal = _normal.Span, factors = _factors.Span)
            PanelNormKernel.BackwardInputs(dy, normal, factors, _parameters.ValuesOf(FirstParameter), dx, samples, Inputs);
    }

    /// <inheritdoc/>
    protected override void Free()
    {
        _normal.Dispose();
        _factors.Dispose();
    }
}
