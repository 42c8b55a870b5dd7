namespace ClusterNet.Learning.Gradients;

/// <summary>One operation of a pass. What goes in and out lies in panels of samples, [panel, feature, 16], as <see cref="Kernels.PanelKernel"/> says.</summary>
/// <param name="inputs">features that go in</param>
/// <param name="outputs">features that come out</param>
internal abstract unsafe class PassOperation(int inputs, int outputs) : IDisposable
{
    /// <summary>Features that go in.</summary>
    public int Inputs { get; } = inputs;

    /// <summary>Features that come out.</summary>
    public int Outputs { get; } = outputs;

    /// <summary>Index of its first parameter.</summary>
    public int FirstParameter { get; protected init; }

    /// <summary>Index behind its last parameter.</summary>
    public int EndParameter { get; protected init; }

    /// <summary>Makes room for so many samples.</summary>
    public virtual void Reserve(int samples)
    {
    }

    /// <summary>Computes y of x.</summary>
    public abstract void Forward(float* x, float* y, int samples);

    /// <summary>Gives the parameters their gradients.</summary>
    /// <param name="x">what went in</param>
    /// <param name="dy">gradient of what came out</param>
    /// <param name="samples">of both</param>
    /// <param name="final">told, while the first parameter's is still being computed, from which element of the model's gradient on all of it is final; null where nobody asks</param>
    public virtual void BackwardParameters(float* x, float* dy, int samples, Action<int>? final) => throw new NotSupportedException("this operation has no parameters");

    /// <summary>Computes the gradient of what went in.</summary>
    /// <param name="y">what came out</param>
    /// <param name="dy">its gradient</param>
    /// <param name="dx">receives the gradient of what went in</param>
    /// <param name="samples">of all</param>
    public abstract void BackwardInputs(float* y, float* dy, float* dx, int samples);

    /// <inheritdoc/>
    public void Dispose() => Free();

    /// <summary>Frees the room.</summary>
    protected virtual void Free()
    {
    }
}
