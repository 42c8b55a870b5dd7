namespace ClusterNet.Learning.Inference;

/// <summary>What a module does to a picture of any size.</summary>
/// <param name="From">the number of the picture that it reads</param>
internal abstract record PictureOperation(int From)
{
    /// <summary>What is below 0 becomes 0.</summary>
    public bool IsRectified { get; init; }

    /// <summary>What comes of a picture; no height or no width where it is too small.</summary>
    /// <exception cref="ArgumentException">it is for another number of channels</exception>
    public abstract PictureSize SizeBehind(PictureSize from);

    /// <summary>The operation over pictures of certain sizes.</summary>
    public abstract PictureStep Over(IReadOnlyList<Picture> pictures, Picture to);

    /// <summary>Places of a window along an axis.</summary>
    protected static int Places(int length, int window, int stride, int padding)
    {
        var left = checked(length + (2 * padding)) - window;
        return left < 0 ? 0 : (left / stride) + 1;
    }
}

/// <summary>An operation over pictures of certain sizes.</summary>
internal abstract class PictureStep : IDisposable
{
    /// <summary>For one sample.</summary>
    public virtual long Multiplications => 0;

    /// <summary>Takes the model's weights as they are now.</summary>
    /// <param name="model">all of them</param>
    /// <param name="areFinal">whether they will never change again</param>
    public virtual void TakeWeights(ReadOnlySpan<float> model, bool areFinal)
    {
    }

    /// <summary>Computes the picture.</summary>
    /// <param name="threads">the most that compute</param>
    public abstract void Compute(int threads);

    /// <inheritdoc/>
    public virtual void Dispose()
    {
    }
}
