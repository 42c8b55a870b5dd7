using ClusterNet.Learning.Native;

namespace ClusterNet.Learning.Inference;

/// <summary>
/// Values of one sample between two operations: [height, width, channels], so that a place has its channels side by side, and around them the border of zeros that the convolutions which read it look at.
/// </summary>
internal sealed class Picture : IDisposable
{
    private readonly int _paddingHeight;
    private readonly int _paddingWidth;
    private readonly AlignedVector<float> _values;

    public Picture(PictureSize size, int paddingHeight, int paddingWidth)
    {
        (Size, _paddingHeight, _paddingWidth) = (size, paddingHeight, paddingWidth);
        checked
        {
            Length = size.Channels * size.Height * size.Width;
            RowStep = (size.Width + (2 * paddingWidth)) * size.Channels;
            _values = new AlignedVector<float>((size.Height + (2 * paddingHeight)) * RowStep);
        }
        _values.Span.Clear();
    }

    /// <summary>Without the border.</summary>
    public PictureSize Size { get; }

    /// <summary>Values without the border.</summary>
    public int Length { get; }

    /// <summary>Values from one row to the next.</summary>
    public int RowStep { get; }

    /// <summary>With the border.</summary>
    public Span<float> Values => _values.Span;

    /// <summary>Where a place lies in <see cref="Values"/>; row -1 is in the border.</summary>
    public int IndexOf(int row, int column) => ((row + _paddingHeight) * RowStep) + ((column + _paddingWidth) * Size.Channels);

    /// <summary>[width, channels]</summary>
    public Span<float> Row(int row) => Values.Slice(IndexOf(row, 0), Size.Width * Size.Channels);

    /// <param name="source">[channels, height, width]</param>
    public void Fill(ReadOnlySpan<float> source)
    {
        for (var y = 0; y < Size.Height; y++)
        {
            var row = Row(y);
            for (var channel = 0; channel < Size.Channels; channel++)
            {
                var line = source.Slice(((channel * Size.Height) + y) * Size.Width, Size.Width);
                for (var x = 0; x < line.Length; x++)
                    row[(x * Size.Channels) + channel] = line[x];
            }
        }
    }

    /// <param name="target">receives [channels, height, width]</param>
    public void CopyTo(Span<float> target)
    {
        for (var y = 0; y < Size.Height; y++)
        {
            var row = Row(y);
            for (var channel = 0; channel < Size.Channels; channel++)
            {
                var line = target.Slice(((channel * Size.Height) + y) * Size.Width, Size.Width);
                for (var x = 0; x < line.Length; x++)
                    line[x] = row[(x * Size.Channels) + channel];
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _values.Dispose();
}

/// <summary>Of what lies between two operations.</summary>
internal readonly record struct PictureSize(int Channels, int Height, int Width);
