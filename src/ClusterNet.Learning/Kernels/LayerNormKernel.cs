using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace ClusterNet.Learning.Kernels;

/// <summary>
/// Layer normalisation (Ba, Kiros and Hinton 2016, equation 4): each row gets mean 0 and variance 1, then each value its scale and shift. Sums are eight chains, the i-th over values i, i + 8, ..., added up as in
/// <see cref="DenseKernel"/>; so the bits depend on the row alone.
/// </summary>
internal static class LayerNormKernel
{
    private const int Chains = 8;

    /// <summary>Computes all rows.</summary>
    /// <param name="x">[rows, width], row-major</param>
    /// <param name="width">values of a row</param>
    /// <param name="epsilon">is added to the variance</param>
    /// <param name="scale">[width]; empty for ones</param>
    /// <param name="shift">[width]; empty for zeros</param>
    /// <param name="y">receives [rows, width]</param>
    public static void Forward(ReadOnlySpan<float> x, int width, double epsilon, ReadOnlySpan<float> scale, ReadOnlySpan<float> shift, Span<float> y)
    {
        for (var first = 0; first < x.Length; first += width)
        {
            var row = y.Slice(first, width);
            TensorPrimitives.Subtract(x.Slice(first, width), Sum(x.Slice(first, width), areSquared: false) / width, row);
            var variance = (double)Sum(row, areSquared: true) / width;
            TensorPrimitives.Multiply(row, (float)(1 / Math.Sqrt(variance + epsilon)), row);
            if (!scale.IsEmpty)
                TensorPrimitives.Multiply(row, scale, row);
            if (!shift.IsEmpty)
                TensorPrimitives.Add(row, shift, row);
        }
    }

    private static float Sum(ReadOnlySpan<float> values, bool areSquared)
    {
        var whole = values[..(values.Length / Chains * Chains)];
        var sum = Vector256<float>.Zero;
        foreach (var eight in MemoryMarshal.Cast<float, Vector256<float>>(whole))
            sum = areSquared ? Vector256.FusedMultiplyAdd(eight, eight, sum) : sum + eight;
        Span<float> end = stackalloc float[Chains];
        end.Clear();
        values[whole.Length..].CopyTo(end);
        var last = Vector256.Create<float>(end);
        sum = areSquared ? Vector256.FusedMultiplyAdd(last, last, sum) : sum + last;
        return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
    }
}
