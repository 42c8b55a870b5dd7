using System.Numerics;
using ClusterNet.Core.Metrics;
using CsCheck;

namespace ClusterNet.Core.Tests.Metrics;

/// <summary>The promise that sums are exact and rounded once, whatever the addends.</summary>
public sealed class ExactSumTests
{
    private static readonly Gen<double> AnyFinite = Gen.OneOf(
        Gen.ULong.Select(BitConverter.UInt64BitsToDouble).Where(double.IsFinite),
        Gen.Double[-1, 1],
        Gen.OneOf([.. new[] { 0.0, -0.0, double.Epsilon, -double.Epsilon, double.MaxValue, -double.MaxValue, double.BitIncrement(1), 1e-308, 1e16 }.Select(Gen.Const)]));

    [Fact]
    public void One_number_comes_back_as_it_is() => AnyFinite.Sample(value => Assert.Equal(value, SumOf([value]).Value));

    [Fact]
    public void The_sum_is_the_rational_one_rounded_to_nearest_even() => AnyFinite.Array[1, 30].Sample(values =>
    {
        var units = values.Aggregate(BigInteger.Zero, (sum, value) => sum + UnitsOf(value));
        var actual = SumOf(values).Value;
        Assert.Equal(units, SumOf(values).Units);
        if (double.IsFinite(actual))
        {
            // no neighbour is nearer, and of two equally near ones the even one is taken
            var error = BigInteger.Abs(UnitsOf(actual) - units);
            foreach (var neighbour in new[] { double.BitDecrement(actual), double.BitIncrement(actual) }.Where(double.IsFinite))
            {
                var other = BigInteger.Abs(UnitsOf(neighbour) - units);
                Assert.True(error < other || (error == other && (BitConverter.DoubleToInt64Bits(actual) & 1) == 0));
            }
        }
        else
        {
            Assert.True(BigInteger.Abs(units) > UnitsOf(double.MaxValue));
        }
    });

    [Fact]
    public void Order_and_parts_do_not_matter() => Gen.Select(AnyFinite.Array[0, 50], Gen.Int).Sample((values, seed) =>
    {
        var random = new Random(seed);
        var shuffled = values.ToArray();
        random.Shuffle(shuffled);
        var cut = random.Next(shuffled.Length + 1);
        var merged = SumOf(shuffled[cut..]);
        merged.Add(SumOf(shuffled[..cut]));
        Assert.Equal(SumOf(values).Units, merged.Units);
        Assert.Equal(BitConverter.DoubleToInt64Bits(SumOf(values).Value), BitConverter.DoubleToInt64Bits(merged.Value));
    });

    [Fact]
    public void Small_addends_survive_large_ones_that_cancel() => Assert.Equal(1e-300, SumOf([1e300, 1e-300, 1, -1e300, -1]).Value);

    [Fact]
    public void What_is_not_finite_behaves_as_in_ieee_addition()
    {
        Assert.Equal(double.NaN, SumOf([1, double.NaN]).Value);
        Assert.Equal(double.PositiveInfinity, SumOf([1, double.PositiveInfinity]).Value);
        Assert.Equal(double.NegativeInfinity, SumOf([double.NegativeInfinity, double.MaxValue]).Value);
        Assert.Equal(double.NaN, SumOf([double.NegativeInfinity, double.PositiveInfinity]).Value);
        Assert.Equal(double.PositiveInfinity, SumOf([double.MaxValue, double.MaxValue]).Value);
        Assert.Equal(double.MaxValue, SumOf([double.MaxValue, double.MaxValue, -double.MaxValue]).Value);
    }

    [Fact]
    public void Written_and_read_it_is_the_same_sum() => AnyFinite.Array[0, 20].Sample(values =>
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        SumOf(values).Write(writer);
        var reader = new MetricReader(stream.ToArray());
        var read = ExactSum.Read(ref reader);
        Assert.True(reader.IsAtEnd);
        Assert.Equal(SumOf(values).Units, read.Units);
    });

    private static ExactSum SumOf(double[] values)
    {
        var sum = new ExactSum();
        foreach (var value in values)
            sum.Add(value);
        return sum;
    }

    // value / 2^-1074, by the definition of the format
    private static BigInteger UnitsOf(double value)
    {
        var bits = BitConverter.DoubleToInt64Bits(value);
        var exponent = (int)((bits >> 52) & 0x7FF);
        BigInteger mantissa = bits & ((1L << 52) - 1);
        var magnitude = exponent == 0 ? mantissa : (mantissa + (1L << 52)) * BigInteger.Pow(2, exponent - 1);
        return value < 0 ? -magnitude : magnitude;
    }
}
