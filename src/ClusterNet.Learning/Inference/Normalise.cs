using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace ClusterNet.Learning.Inference;

/// <summary>
/// Group normalisation (Wu and He 2018, equations 1 and 7): the channels of a group, over all places, get mean 0 and variance 1, then each its own scale and shift. Sums go down the rows of a picture in float, then over its columns and
/// the channels of a group in double.
/// </summary>
/// <param name="From">the number of the picture that it reads</param>
/// <param name="Channels">of the picture</param>
/// <param name="Groups">that share them evenly</param>
/// <param name="Epsilon">is added to the variance</param>
/// <param name="Scale">where the scales, [channels], begin in the model's weights; null for ones</param>
/// <param name="Shift">where the shifts begin; null for zeros</param>
internal sealed record Normalise(int From, int Channels, int Groups, double Epsilon, int? Scale, int? Shift) : PictureOperation(From)
{
    /// <inheritdoc/>
    public override PictureSize SizeBehind(PictureSize from) => from.Channels == Channels ? from : throw new ArgumentException($"{from.Channels} channels for a normalisation of {Channels}");

    /// <inheritdoc/>
    public override PictureStep Over(IReadOnlyList<Picture> pictures, Picture to) => new Step(this, pictures[From], to);

    private sealed class Step(Normalise operation, Picture from, Picture to) : PictureStep
    {
        private readonly float[] _scale = new float[operation.Channels];
        private readonly float[] _shift = new float[operation.Channels];
        private readonly double[] _means = new double[operation.Groups];
        private readonly double[] _variances = new double[operation.Groups];
        private readonly float[] _sums = new float[from.Size.Width * operation.Channels];
        private readonly float[] _one = new float[from.Size.Width * operation.Channels];
        private readonly float[] _other = new float[from.Size.Width * operation.Channels];

        private int GroupSize => operation.Channels / operation.Groups;

        /// <inheritdoc/>
        public override void TakeWeights(ReadOnlySpan<float> model, bool areFinal)
        {
            Take(model, operation.Scale, _scale, 1);
            Take(model, operation.Shift, _shift, 0);
        }

        /// <inheritdoc/>
        public override void Compute(int threads)
        {
            Array.Clear(_sums);
            for (var row = 0; row < from.Size.Height; row++)
                TensorPrimitives.Add(_sums, from.Row(row), _sums);
            Average(_means);

            Repeat(_one, channel => (float)_means[channel / GroupSize]);
            Array.Clear(_sums);
            for (var row = 0; row < from.Size.Height; row++)
            {
                TensorPrimitives.Subtract(from.Row(row), _one, _other);
                TensorPrimitives.FusedMultiplyAdd(_other, _other, _sums, _sums);
            }
            Average(_variances);

            Repeat(_one, channel => (float)FactorOf(channel));
            Repeat(_other, channel => (float)(_shift[channel] - (_means[channel / GroupSize] * FactorOf(channel))));
            for (var row = 0; row < from.Size.Height; row++)
            {
                var target = to.Row(row);
                TensorPrimitives.FusedMultiplyAdd(from.Row(row), _one, _other, target);
                if (operation.IsRectified)
                    TensorPrimitives.Max(target, 0f, target);
            }
        }

        private static void Take(ReadOnlySpan<float> model, int? begin, float[] values, float otherwise)
        {
            if (begin is { } index)
                model.Slice(index, values.Length).CopyTo(values);
            else
                Array.Fill(values, otherwise);
        }

        private double FactorOf(int channel) => _scale[channel] / Math.Sqrt(_variances[channel / GroupSize] + operation.Epsilon);

        /// <summary>The mean of each group of what the columns have been summed to.</summary>
        private void Average(double[] groups)
        {
            Array.Clear(groups);
            for (var i = 0; i < _sums.Length; i++)
                groups[i % operation.Channels / GroupSize] += _sums[i];
            foreach (ref var group in groups.AsSpan())
                group /= (double)from.Size.Height * from.Size.Width * GroupSize;
        }

        /// <summary>A value of each channel, at every place of a row.</summary>
        private void Repeat(float[] row, Func<int, float> valueOf)
        {
            for (var channel = 0; channel < operation.Channels; channel++)
                row[channel] = valueOf(channel);
            for (var i = operation.Channels; i < row.Length; i++)
                row[i] = row[i - operation.Channels];
        }
    }
}
