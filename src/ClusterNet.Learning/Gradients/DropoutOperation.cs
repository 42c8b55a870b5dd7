using ClusterNet.Learning.Kernels;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Native;

namespace ClusterNet.Learning.Gradients;

/// <summary>Dropout of what the module would drop.</summary>
/// <param name="width">features that go in and out</param>
/// <param name="dropout">says what stays</param>
internal sealed unsafe class DropoutOperation(int width, SeededDropout dropout) : PassOperation(width, width)
{
    private AlignedVector<float> _rows = new(0);
    private AlignedVector<float> _kept = new(0);

    /// <inheritdoc/>
    public override void Reserve(int samples)
    {
        Free();
        (_rows, _kept) = (new AlignedVector<float>(checked(samples * Inputs)), new AlignedVector<float>(PanelKernel.PaddedLength(samples, Inputs)));
    }

    /// <inheritdoc/>
    public override void Forward(float* x, float* y, int samples)
    {
        var rows = _rows.Span[..(samples * Inputs)];
        dropout.Draw(rows);
        fixed (float* from = rows, kept = _kept.Span)
        {
            PanelKernel.BySamples(from, kept, samples, Inputs);
            PanelKernel.Multiply(x, kept, y, PanelKernel.PaddedLength(samples, Inputs));
        }
    }

    /// <inheritdoc/>
    public override void BackwardInputs(float* y, float* dy, float* dx, int samples)
    {
        fixed (float* kept = _kept.Span)
            PanelKernel.Multiply(dy, kept, dx, PanelKernel.PaddedLength(samples, Inputs));
    }

    /// <inheritdoc/>
    protected override void Free()
    {
        _rows.Dispose();
        _kept.Dispose();
    }
}
