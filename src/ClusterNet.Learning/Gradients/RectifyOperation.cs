using ClusterNet.Learning.Kernels;

namespace ClusterNet.Learning.Gradients;

/// <summary>relu.</summary>
/// <param name="width">features that go in and out</param>
internal sealed unsafe class RectifyOperation(int width) : PassOperation(width, width)
{
    /// <inheritdoc/>
    public override void Forward(float* x, float* y, int samples) => PanelKernel.Rectify(x, y, PanelKernel.PaddedLength(samples, Inputs));

    /// <inheritdoc/>
    public override void BackwardInputs(float* y, float* dy, float* dx, int samples) => PanelKernel.BackwardRectify(y, dy, dx, PanelKernel.PaddedLength(samples, Inputs));
}
