namespace ClusterNet.Core.Optimizers;

/// <summary>
/// Functions whose <see cref="Math"/> counterparts call the platform's C library, which may round differently elsewhere. These use only additions, multiplications and
/// divisions in a fixed order, so that a step's constants are the same bits on every machine.
/// </summary>
internal static class PortableMath
{
    /// <summary><paramref name="value"/> to the power of <paramref name="exponent"/>, at least 0, by repeated squaring.</summary>
    public static double Power(double value, long exponent)
    {
        var result = 1.0;
        for (var square = value; exponent > 0; exponent >>= 1, square *= square)
        {
            if ((exponent & 1) != 0)
                result *= square;
        }
        return result;
    }

    /// <summary>The cosine of pi times <paramref name="turn"/>, for 0 to 1: its Taylor series to the 22nd degree on the first quarter.</summary>
    public static double CosPi(double turn)
    {
        if (turn > 0.5)
            return -CosPi(1 - turn);
        var square = Math.PI * turn * (Math.PI * turn);
        var series = 1.0;
        for (var degree = 22; degree > 0; degree -= 2)
            series = 1 - square / (degree * (degree - 1)) * series;
        return series;
    }
}
