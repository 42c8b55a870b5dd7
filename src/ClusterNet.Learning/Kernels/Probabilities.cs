using System.Numerics.Tensors;

namespace ClusterNet.Learning.Kernels;

/// <summary>What logits mean, in double precision and with an exponential and a logarithm of our own, so that the bits are the same on every processor: libraries choose how they sum and which approximation they take.</summary>
internal static class Probabilities
{
    /// <summary>Below it the exponential is no double above 0 that a sum would notice; above <see cref="Greatest"/> it is none at all.</summary>
    private const double Least = -708;
    private const double Greatest = 709;

    /// <summary>ln 2 as a number whose products with up to 11 bits are exact, and what it lacks.</summary>
    private const double Ln2High = 0.69314718036912382;
    private const double Ln2Low = 1.9082149292705877e-10;

    private const double Sqrt2 = 1.4142135623730951;

    /// <summary>1 / n!, from 13 down to 2.</summary>
    private static readonly double[] _inverseFactorials = [.. Enumerable.Range(2, 12).Reverse().Select(n => 1 / Enumerable.Range(2, n - 1).Aggregate(1.0, (product, factor) => product * factor))];

    /// <summary>exp(y) over the sum of exp of its row.</summary>
    /// <param name="logits">[rows, columns], row-major</param>
    /// <param name="columns">at least 1</param>
    /// <param name="probabilities">receives [rows, columns]; a row with what is no number, or with an infinite greatest, is no number</param>
    public static void Softmax(ReadOnlySpan<float> logits, int columns, Span<float> probabilities)
    {
        const int Few = 256;
        Span<double> powers = columns <= Few ? stackalloc double[columns] : new double[columns];
        for (var first = 0; first < logits.Length; first += columns)
        {
            var row = logits.Slice(first, columns);
            double greatest = TensorPrimitives.Max(row);
            var sum = 0.0;
            for (var i = 0; i < columns; i++)
                sum += powers[i] = Exp(row[i] - greatest);
            for (var i = 0; i < columns; i++)
                probabilities[first + i] = (float)(powers[i] / sum);
        }
    }

    /// <summary>1 - p and p for each logit y, p = 1 / (1 + exp(-y)).</summary>
    /// <param name="logits">[rows]</param>
    /// <param name="probabilities">receives [rows, 2]</param>
    public static void Sigmoid(ReadOnlySpan<float> logits, Span<float> probabilities)
    {
        for (var i = 0; i < logits.Length; i++)
        {
            var p = 1 / (1 + Exp(-(double)logits[i]));
            (probabilities[2 * i], probabilities[(2 * i) + 1]) = ((float)(1 - p), (float)p);
        }
    }

    /// <summary>e to the x: 2^k times the Taylor series of the rest, which is at most ln 2 / 2. Within about an ulp.</summary>
    internal static double Exp(double x)
    {
        if (!(x >= Least))
            return double.IsNaN(x) ? double.NaN : 0;
        if (x > Greatest)
            return double.PositiveInfinity;
        var k = Math.Round(x * (1 / (Ln2High + Ln2Low)));
        var rest = Math.FusedMultiplyAdd(-k, Ln2Low, Math.FusedMultiplyAdd(-k, Ln2High, x));
        var series = 0.0;
        foreach (var factor in _inverseFactorials)
            series = Math.FusedMultiplyAdd(series, rest, factor);
        series = Math.FusedMultiplyAdd(Math.FusedMultiplyAdd(series, rest, 1), rest, 1);
        return series * BitConverter.Int64BitsToDouble((1023 + (long)k) << 52);
    }

    /// <summary>The natural logarithm: k ln 2 plus that of the rest r, which is between the roots of 1/2 and 2, by 2 (s + s³/3 + s⁵/5 + ...) with s = (r - 1) / (r + 1). Within about two ulps.</summary>
    /// <param name="x">at least the least normal number above 0; infinity and what is no number give themselves</param>
    internal static double Log(double x)
    {
        if (!(x <= double.MaxValue))
            return x;
        var bits = BitConverter.DoubleToInt64Bits(x);
        var (k, rest) = ((int)(bits >> 52) - 1023, BitConverter.Int64BitsToDouble((bits & 0xFFFFFFFFFFFFF) | (1023L << 52)));
        if (rest > Sqrt2)
            (k, rest) = (k + 1, rest / 2);
        var s = (rest - 1) / (rest + 1);
        var square = s * s;
        var series = 0.0;
        for (var n = 23; n >= 3; n -= 2)
            series = Math.FusedMultiplyAdd(series, square, 1.0 / n);
        return Math.FusedMultiplyAdd(k, Ln2High, Math.FusedMultiplyAdd(k, Ln2Low, 2 * Math.FusedMultiplyAdd(series * square, s, s)));
    }
}
