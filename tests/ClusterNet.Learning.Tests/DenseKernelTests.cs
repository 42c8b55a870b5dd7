using ClusterNet.Core.Plans;
using ClusterNet.Learning.Kernels;
using CsCheck;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Tests;

public sealed class DenseKernelTests
{
    /// <summary>Whole eights and not, fewer than eight, whole tiles and what is left of them; large enough now and then for several threads and several blocks.</summary>
    private static readonly Gen<(int Rows, int Inputs, int Outputs, int Threads, bool Bias, int Seed)> _layers =
        Gen.Select(Gen.OneOf(Gen.Int[1, 9], Gen.Int[30, 70]), Gen.OneOf(Gen.Int[1, 40], Gen.Int[700, 900]), Gen.OneOf(Gen.Int[1, 20], Gen.Int[60, 140]), Gen.Int[1, 3], Gen.Bool, Gen.Int[0, int.MaxValue - 1]);

    [Fact]
    public void Every_output_has_the_bits_that_the_definition_gives()
    {
        _layers.Sample(
            layer =>
            {
                var (rows, inputs, outputs, threads, hasBias, seed) = layer;
                var random = new SplitMix64((ulong)seed);
                var (x, weights, bias) = (Values(random, rows * inputs), Values(random, outputs * inputs), hasBias ? Values(random, outputs) : null);
                var y = Forward(x, weights, bias, rows, inputs, outputs, threads);
                for (var row = 0; row < rows; row++)
                {
                    for (var output = 0; output < outputs; output++)
                    {
                        var expected = Defined(x.AsSpan(row * inputs, inputs), weights.AsSpan(output * inputs, inputs), bias is null ? 0 : bias[output]);
                        Assert.Equal(BitConverter.SingleToInt32Bits(expected), BitConverter.SingleToInt32Bits(y[(row * outputs) + output]));
                    }
                }
            },
            iter: 150);
    }

    [Theory]
    [InlineData(1, 784, 512)]
    [InlineData(33, 30, 64)]
    [InlineData(128, 512, 10)]
    public void It_is_the_layer_of_torch(int rows, int inputs, int outputs)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        var (x, weights, bias) = (randn(rows, inputs, generator: generator), randn(outputs, inputs, generator: generator), randn(outputs, generator: generator));
        var y = Forward(x.data<float>().ToArray(), weights.data<float>().ToArray(), bias.data<float>().ToArray(), rows, inputs, outputs, 1);
        var exact = nn.functional.linear(x.to(float64), weights.to(float64), bias.to(float64)).data<double>().ToArray();
        // a sum of n products, each of a magnitude about 1: errors of about n / 8 roundings of sqrt(n)
        Assert.Equal(exact, y.Select(value => (double)value), (one, other) => Math.Abs(one - other) < 1e-6 * inputs);
    }

    [Fact]
    public void What_is_no_number_stays_in_its_row_and_is_not_lost()
    {
        float[] x = [1, float.PositiveInfinity, 1, 1, 1, float.NaN, 2, 2, 2];
        var y = Forward(x, [1, 1, 1, 0.5f, 0.5f, 0.5f], [0, 1], 3, 3, 2, 1);
        Assert.Equal([float.PositiveInfinity, float.PositiveInfinity, float.NaN, float.NaN, 6, 4], y);
    }

    private static float Defined(ReadOnlySpan<float> x, ReadOnlySpan<float> weights, float bias)
    {
        Span<float> chains = stackalloc float[8];
        chains.Clear();
        for (var i = 0; i < (x.Length + 7) / 8 * 8; i++)
            chains[i % 8] = float.FusedMultiplyAdd(i < x.Length ? x[i] : 0, i < x.Length ? weights[i] : 0, chains[i % 8]);
        return ((chains[0] + chains[1]) + (chains[2] + chains[3])) + ((chains[4] + chains[5]) + (chains[6] + chains[7])) + bias;
    }

    private static float[] Values(SplitMix64 random, int count) => [.. Enumerable.Range(0, count).Select(_ => (random.Next(2_000_001) - 1_000_000) / 300_000f)];

    private static unsafe float[] Forward(float[] x, float[] weights, float[]? bias, int rows, int inputs, int outputs, int threads)
    {
        var y = new float[rows * outputs];
        fixed (float* px = x, pw = weights, pb = bias, py = y)
            DenseKernel.Forward(px, pw, pb, py, rows, inputs, outputs, threads);
        return y;
    }
}
