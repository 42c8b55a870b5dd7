namespace ClusterNet.Learning.Inference;

/// <summary>The operations of a <see cref="ConvolutionRun"/> over pictures of one size, with the memory of all that lies in between. Used by one thread at a time.</summary>
internal sealed class ConvolutionPlan : IDisposable
{
    private readonly long[] _sampleShape;
    private readonly Picture[] _pictures;
    private readonly PictureStep[] _steps;

    /// <param name="operations">the first reads picture 0, each makes the next one</param>
    /// <param name="axes">1 or 2, of a picture</param>
    /// <param name="shape">[samples, channels, length] or [samples, channels, height, width]</param>
    /// <exception cref="ArgumentException">the operations are for another shape</exception>
    /// <exception cref="OverflowException">the pictures are too large</exception>
    public ConvolutionPlan(IReadOnlyList<PictureOperation> operations, int axes, long[] shape)
    {
        if (shape.Length != axes + 2)
            throw new ArgumentException($"[{string.Join(", ", shape)}] for a convolution over {axes} axes", nameof(shape));
        _sampleShape = shape[1..];
        var sizes = new List<PictureSize> { new(checked((int)shape[1]), axes == 1 ? 1 : checked((int)shape[2]), checked((int)shape[^1])) };
        foreach (var operation in operations)
        {
            sizes.Add(operation.SizeBehind(sizes[operation.From]));
            if (sizes[^1].Height < 1 || sizes[^1].Width < 1)
                throw new ArgumentException($"[{string.Join(", ", shape)}] is too small: nothing is left behind {operation}", nameof(shape));
        }
        foreach (var size in sizes)
            _ = checked(size.Channels * size.Height * size.Width);
        _pictures = [.. sizes.Select((size, number) =>
        {
            var readers = operations.OfType<Convolve>().Where(convolve => convolve.From == number).ToArray();
            return new Picture(size, readers.Select(reader => reader.PaddingHeight).DefaultIfEmpty().Max(), readers.Select(reader => reader.PaddingWidth).DefaultIfEmpty().Max());
        })];
        _steps = [.. operations.Select((operation, number) => operation.Over(_pictures, _pictures[number + 1]))];
        var last = sizes[^1];
        OutputShape = axes == 1 ? [last.Channels, last.Width] : [last.Channels, last.Height, last.Width];
        Multiplications = _steps.Sum(step => step.Multiplications);
    }

    /// <summary>Of a sample.</summary>
    public long[] OutputShape { get; }

    /// <summary>Values of a sample that comes in.</summary>
    public int InputLength => _pictures[0].Length;

    /// <summary>Values of a sample that goes out.</summary>
    public int OutputLength => _pictures[^1].Length;

    /// <summary>Of one sample.</summary>
    public long Multiplications { get; }

    /// <summary>Whether it is made for such samples.</summary>
    public bool Takes(ReadOnlySpan<long> shape) => shape[1..].SequenceEqual(_sampleShape);

    /// <summary>Takes the model's weights as they are now.</summary>
    /// <param name="model">all of them</param>
    /// <param name="areFinal">whether they will never change again</param>
    public void TakeWeights(ReadOnlySpan<float> model, bool areFinal)
    {
        foreach (var step in _steps)
            step.TakeWeights(model, areFinal);
    }

    /// <summary>Computes one sample.</summary>
    /// <param name="source">[channels, height, width]</param>
    /// <param name="target">receives [channels, height, width]</param>
    /// <param name="threads">the most that compute</param>
    public void Compute(ReadOnlySpan<float> source, Span<float> target, int threads)
    {
        _pictures[0].Fill(source);
        foreach (var step in _steps)
            step.Compute(threads);
        _pictures[^1].CopyTo(target);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var picture in _pictures)
            picture.Dispose();
        foreach (var step in _steps)
            step.Dispose();
    }
}
