using ClusterNet.Learning.Kernels;
using CsCheck;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Tests;

/// <summary>Probabilities are as exact as a float can be, whatever the logits.</summary>
public sealed class ProbabilitiesTests
{
    [Fact]
    public void The_exponential_is_within_an_ulp() => Gen.Double[-709, 709].Sample(x => Math.Abs(Probabilities.Exp(x) - Math.Exp(x)) <= 3e-16 * Math.Exp(x) || x < -708, iter: 100_000);

    [Theory]
    [InlineData(0, 1)]
    [InlineData(-1000, 0)]
    [InlineData(1000, double.PositiveInfinity)]
    [InlineData(double.NegativeInfinity, 0)]
    [InlineData(double.PositiveInfinity, double.PositiveInfinity)]
    [InlineData(double.NaN, double.NaN)]
    public void The_exponential_has_its_ends(double x, double expected) => Assert.Equal(expected, Probabilities.Exp(x));

    [Fact]
    public void The_logarithm_is_within_two_ulps() =>
        Gen.OneOf(Gen.Double[1e-300, 1e300], Gen.Double[0.5, 2], Gen.Double[-1e-9, 1e-9].Select(x => 1 + x)).Sample(x => Math.Abs(Probabilities.Log(x) - Math.Log(x)) <= 5e-16 * Math.Abs(Math.Log(x)), iter: 100_000);

    [Theory]
    [InlineData(1, 0)]
    [InlineData(double.PositiveInfinity, double.PositiveInfinity)]
    [InlineData(double.NaN, double.NaN)]
    public void The_logarithm_has_its_ends(double x, double expected) => Assert.Equal(expected, Probabilities.Log(x));

    [Fact]
    public void A_row_is_the_softmax_of_torch_and_sums_to_one()
    {
        Gen.Select(Gen.Int[1, 300], Gen.Int[1, 4], Gen.Float[0.1f, 60], Gen.Int[0, 1000]).Sample(
            (columns, rows, scale, seed) =>
            {
                using var scope = NewDisposeScope();
                using var generator = new Generator((ulong)seed);
                var logits = randn(rows, columns, generator: generator).mul(scale);
                var probabilities = new float[rows * columns];
                Probabilities.Softmax(logits.data<float>().ToArray(), columns, probabilities);
                var exact = logits.to(float64).softmax(1).data<double>().ToArray();
                // half a unit in the last place of a float
                Assert.Equal(exact, probabilities.Select(value => (double)value), (one, other) => Math.Abs(one - other) <= (6e-8 * one) + 1e-45);
                Assert.All(probabilities.Chunk(columns), row => Assert.Equal(1, row.Sum(value => (double)value), 1e-6));
            },
            iter: 200);
    }

    [Fact]
    public void What_is_no_number_stays_in_its_row_and_is_not_lost()
    {
        var probabilities = new float[8];
        Probabilities.Softmax([0, float.NaN, 3, float.NegativeInfinity, float.PositiveInfinity, 1, 0, 0], 2, probabilities);
        Assert.Equal([float.NaN, float.NaN, 1, 0, float.NaN, float.NaN, 0.5f, 0.5f], probabilities);
    }

    [Fact]
    public void Two_classes_share_what_one_logit_says()
    {
        var probabilities = new float[8];
        Probabilities.Sigmoid([0, 1000, -1000, float.NaN], probabilities);
        Assert.Equal([0.5f, 0.5f, 0, 1, 1, 0, float.NaN, float.NaN], probabilities);
    }
}
