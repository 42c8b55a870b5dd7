using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace ClusterNet.Learning.Inference;

/// <summary>The maximum or the mean of windows without a border; one of no height is the whole picture.</summary>
internal sealed record Pool(int From, bool IsMaximum, int WindowHeight, int WindowWidth, int StrideHeight, int StrideWidth) : PictureOperation(From)
{
    /// <inheritdoc/>
    public override PictureSize SizeBehind(PictureSize from) => WindowHeight == 0
        ? new PictureSize(from.Channels, 1, 1)
        : new PictureSize(from.Channels, Places(from.Height, WindowHeight, StrideHeight, 0), Places(from.Width, WindowWidth, StrideWidth, 0));

    /// <inheritdoc/>
    public override PictureStep Over(IReadOnlyList<Picture> pictures, Picture to)
    {
        var from = pictures[From];
        return new Step(WindowHeight == 0 ? this with { WindowHeight = from.Size.Height, WindowWidth = from.Size.Width } : this, from, to);
    }

    private sealed class Step(Pool operation, Picture from, Picture to) : PictureStep
    {
        private readonly float[] _row = new float[from.Size.Width * from.Size.Channels];

        /// <summary>Row by row: the rows of a window into one, then its columns.</summary>
        public override void Compute(int threads)
        {
            var (channels, step) = (from.Size.Channels, operation.StrideWidth * from.Size.Channels);
            for (var row = 0; row < to.Size.Height; row++)
            {
                from.Row(row * operation.StrideHeight).CopyTo(_row);
                for (var i = 1; i < operation.WindowHeight; i++)
                    Join(_row, from.Row((row * operation.StrideHeight) + i), _row);
                var target = to.Row(row);
                for (var column = 0; column < to.Size.Width; column++)
                {
                    var place = target.Slice(column * channels, channels);
                    _row.AsSpan(column * step, channels).CopyTo(place);
                    for (var i = 1; i < operation.WindowWidth; i++)
                        Join(place, _row.AsSpan((column * step) + (i * channels), channels), place);
                }
                if (!operation.IsMaximum)
                    TensorPrimitives.Divide(target, operation.WindowHeight * operation.WindowWidth, target);
            }
        }

        private void Join(ReadOnlySpan<float> one, ReadOnlySpan<float> other, Span<float> both)
        {
            if (operation.IsMaximum)
                TensorPrimitives.Max(one, other, both);
            else
                TensorPrimitives.Add(one, other, both);
        }
    }
}
