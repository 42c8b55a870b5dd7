using ClusterNet.Core.Plans;
using ClusterNet.Learning.Inference;
using CsCheck;

namespace ClusterNet.Learning.Tests;

/// <summary>What comes of a picture follows from the picture and the weights alone.</summary>
public sealed class ConvolutionPlanTests
{
    /// <summary>Whole panels of outputs and not, whole tiles of places and not, borders of all widths; large enough now and then for several threads.</summary>
    private static readonly Gen<(int Channels, int Outputs, int Height, int Width, int WindowHeight, int WindowWidth, int StrideHeight, int StrideWidth, int PaddingHeight, int PaddingWidth, int Seed)> _convolutions =
        from channels in Gen.OneOf(Gen.Int[1, 5], Gen.Int[16, 20])
        from outputs in Gen.OneOf(Gen.Int[1, 9], Gen.Int[14, 40])
        from height in Gen.OneOf(Gen.Int[1, 9], Gen.Int[40, 60])
        from width in Gen.OneOf(Gen.Int[1, 9], Gen.Int[40, 60])
        from windowHeight in Gen.Int[1, 5]
        from windowWidth in Gen.Int[1, 5]
        from strideHeight in Gen.Int[1, 3]
        from strideWidth in Gen.Int[1, 3]
        from paddingHeight in Gen.Int[0, 3]
        from paddingWidth in Gen.Int[0, 3]
        from seed in Gen.Int[0, int.MaxValue - 1]
        where height + (2 * paddingHeight) >= windowHeight && width + (2 * paddingWidth) >= windowWidth
        select (channels, outputs, height, width, windowHeight, windowWidth, strideHeight, strideWidth, paddingHeight, paddingWidth, seed);

    [Fact]
    public void Every_output_has_the_bits_that_the_definition_gives()
    {
        Gen.Select(_convolutions, Gen.Bool, Gen.Bool, Gen.Int[1, 3]).Sample(
            (sizes, hasBias, isRectified, threads) =>
            {
                var convolve = new Convolve(0, sizes.Channels, sizes.Outputs, sizes.WindowHeight, sizes.WindowWidth, sizes.StrideHeight, sizes.StrideWidth, sizes.PaddingHeight, sizes.PaddingWidth, 3, hasBias ? 1000 : null)
                {
                    IsRectified = isRectified,
                };
                var random = new SplitMix64((ulong)sizes.Seed);
                var picture = Values(random, sizes.Channels * sizes.Height * sizes.Width);
                var weights = Values(random, 1000 + (sizes.Channels * sizes.Outputs * sizes.WindowHeight * sizes.WindowWidth));
                using var plan = new ConvolutionPlan([convolve], 2, [7, sizes.Channels, sizes.Height, sizes.Width]);
                var outputs = new float[plan.OutputLength];
                // the second time with other weights, in memory that has been used
                for (var time = 0; time < 2; time++)
                {
                    weights[5] += time;
                    plan.TakeWeights(weights, areFinal: time == 1);
                    plan.Compute(picture, outputs, threads);
                    Assert.Equal(Defined(convolve, sizes.Height, sizes.Width, picture, weights), outputs, (one, other) => BitConverter.SingleToInt32Bits(one) == BitConverter.SingleToInt32Bits(other));
                }
            },
            iter: 150);
    }

    [Fact]
    public void What_is_no_number_stays_in_its_windows_and_is_not_lost()
    {
        float[] picture = [1, float.NaN, 1, 1, 1, 1, 1, 1, 1, float.PositiveInfinity];
        using var plan = new ConvolutionPlan([new Convolve(0, 1, 1, 1, 3, 1, 1, 0, 1, 0, null) { IsRectified = true }, new Pool(1, true, 1, 2, 1, 2), new Pool(1, false, 1, 2, 1, 2)], 1, [1, 1, 10]);
        var means = new float[5];
        plan.TakeWeights([1, 1, 1], areFinal: false);
        plan.Compute(picture, means, 1);
        Assert.Equal([float.NaN, float.NaN, 3, 3, float.PositiveInfinity], means);
    }

    [Theory]
    [InlineData("[1, 4, 5, 5]", "4 channels for a convolution of 3")]
    [InlineData("[1, 3, 5]", "[1, 3, 5] for a convolution over 2 axes")]
    [InlineData("[1, 3, 5, 1]", "[1, 3, 5, 1] is too small")]
    [InlineData("[1, 3, 2000000, 2000000]", "")]
    public void What_it_is_not_made_for_is_refused(string shape, string message)
    {
        var axes = shape.Trim('[', ']').Split(", ").Select(long.Parse).ToArray();
        var error = Assert.ThrowsAny<SystemException>(() => new ConvolutionPlan([new Convolve(0, 3, 2, 2, 2, 1, 1, 0, 0, 0, null)], 2, axes));
        Assert.True(error is ArgumentException or OverflowException);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    /// <summary>One chain that begins with the bias: rows of the window, then its columns, then channels.</summary>
    private static float[] Defined(Convolve of, int height, int width, float[] picture, float[] weights)
    {
        var rows = ((height + (2 * of.PaddingHeight) - of.WindowHeight) / of.StrideHeight) + 1;
        var columns = ((width + (2 * of.PaddingWidth) - of.WindowWidth) / of.StrideWidth) + 1;
        var outputs = new float[of.Outputs * rows * columns];
        for (var i = 0; i < outputs.Length; i++)
        {
            var (output, place) = Math.DivRem(i, rows * columns);
            var (row, column) = Math.DivRem(place, columns);
            var sum = of.Bias is { } bias ? weights[bias + output] : 0;
            for (var dy = 0; dy < of.WindowHeight; dy++)
            {
                for (var dx = 0; dx < of.WindowWidth; dx++)
                {
                    var (y, x) = ((row * of.StrideHeight) + dy - of.PaddingHeight, (column * of.StrideWidth) + dx - of.PaddingWidth);
                    for (var channel = 0; channel < of.Channels; channel++)
                    {
                        var value = y >= 0 && y < height && x >= 0 && x < width ? picture[(((channel * height) + y) * width) + x] : 0;
                        sum = float.FusedMultiplyAdd(value, weights[of.Weights + (((((output * of.Channels) + channel) * of.WindowHeight) + dy) * of.WindowWidth) + dx], sum);
                    }
                }
            }
            outputs[i] = of.IsRectified && sum < 0 ? 0 : sum;
        }
        return outputs;
    }

    private static float[] Values(SplitMix64 random, int count) => [.. Enumerable.Range(0, count).Select(_ => (random.Next(2_000_001) - 1_000_000) / 300_000f)];
}
