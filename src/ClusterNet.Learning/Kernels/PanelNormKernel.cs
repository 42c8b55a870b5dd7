using System.Runtime.Intrinsics;

namespace ClusterNet.Learning.Kernels;

/// <summary>
/// Layer normalisation (Ba, Kiros and Hinton 2016, equation 4) of panels of samples, [panel, feature, 16], and its gradients. Sums over the features of a sample are one chain in their order; sums over samples are added as
/// <see cref="PanelKernel.BackwardBias"/> does. So the bits depend on what goes in alone.
/// </summary>
internal static unsafe class PanelNormKernel
{
    private const int Half = 8;

    /// <summary>y = scale n + shift with n = (x - mean) / sqrt(variance + epsilon).</summary>
    /// <param name="x">[panels, width, 16]</param>
    /// <param name="epsilon">above 0</param>
    /// <param name="scale">[width]</param>
    /// <param name="shift">[width]</param>
    /// <param name="y">receives [panels, width, 16]</param>
    /// <param name="normal">receives n, [panels, width, 16]</param>
    /// <param name="factors">receives 1 / sqrt(variance + epsilon), [panels, 16]</param>
    /// <param name="samples">at least 1</param>
    /// <param name="width">features</param>
    public static void Forward(float* x, float epsilon, float* scale, float* shift, float* y, float* normal, float* factors, int samples, int width)
    {
        for (nint half = 0; half < HalvesOf(samples); half++)
        {
            var begin = BeginOf(half, width);
            var mean = Vector256<float>.Zero;
            for (nint feature = 0; feature < width; feature++)
                mean += Vector256.Load(x + begin + (feature * PanelKernel.Lanes));
            mean /= Vector256.Create((float)width);
            var variance = Vector256<float>.Zero;
            for (nint feature = 0; feature < width; feature++)
            {
                var rest = Vector256.Load(x + begin + (feature * PanelKernel.Lanes)) - mean;
                variance = Vector256.FusedMultiplyAdd(rest, rest, variance);
            }
            var factor = Vector256<float>.One / Vector256.Sqrt((variance / Vector256.Create((float)width)) + Vector256.Create(epsilon));
            factor.Store(factors + (half * Half));
            for (nint feature = 0; feature < width; feature++)
            {
                var at = begin + (feature * PanelKernel.Lanes);
                var value = (Vector256.Load(x + at) - mean) * factor;
                value.Store(normal + at);
                Vector256.FusedMultiplyAdd(value, Vector256.Create(scale[feature]), Vector256.Create(shift[feature])).Store(y + at);
            }
        }
    }

    /// <summary>The gradient of the scale: the sum of dy n over the samples.</summary>
    /// <param name="dy">[panels, width, 16]</param>
    /// <param name="normal">of <see cref="Forward"/></param>
    /// <param name="gradient">receives [width]</param>
    /// <param name="samples">at least 1</param>
    /// <param name="width">features</param>
    public static void BackwardScale(float* dy, float* normal, float* gradient, int samples, int width)
    {
        for (nint feature = 0; feature < width; feature++)
        {
            Vector256<float> low = default, high = default;
            for (nint panel = 0; panel < PanelKernel.PanelsOf(samples); panel++)
            {
                var at = ((panel * width) + feature) * PanelKernel.Lanes;
                low = Vector256.FusedMultiplyAdd(Vector256.Load(dy + at), Vector256.Load(normal + at), low);
                high = Vector256.FusedMultiplyAdd(Vector256.Load(dy + at + Half), Vector256.Load(normal + at + Half), high);
            }
            gradient[feature] = PanelKernel.Sum(low, high);
        }
    }

    /// <summary>The gradient of what came in: factor (g - mean(g) - n mean(g n)) with g = scale dy, means over the features.</summary>
    /// <param name="dy">[panels, width, 16]</param>
    /// <param name="normal">of <see cref="Forward"/></param>
    /// <param name="factors">of <see cref="Forward"/></param>
    /// <param name="scale">[width]</param>
    /// <param name="dx">receives [panels, width, 16]</param>
    /// <param name="samples">at least 1</param>
    /// <param name="width">features</param>
    public static void BackwardInputs(float* dy, float* normal, float* factors, float* scale, float* dx, int samples, int width)
    {
        for (nint half = 0; half < HalvesOf(samples); half++)
        {
            var begin = BeginOf(half, width);
            Vector256<float> mean = default, along = default;
            for (nint feature = 0; feature < width; feature++)
            {
                var at = begin + (feature * PanelKernel.Lanes);
                var scaled = Vector256.Load(dy + at) * Vector256.Create(scale[feature]);
                mean += scaled;
                along = Vector256.FusedMultiplyAdd(scaled, Vector256.Load(normal + at), along);
            }
            mean /= Vector256.Create((float)width);
            along /= Vector256.Create((float)width);
            var factor = Vector256.Load(factors + (half * Half));
            for (nint feature = 0; feature < width; feature++)
            {
                var at = begin + (feature * PanelKernel.Lanes);
                var scaled = Vector256.Load(dy + at) * Vector256.Create(scale[feature]);
                (factor * (scaled - mean - (Vector256.Load(normal + at) * along))).Store(dx + at);
            }
        }
    }

    private static nint HalvesOf(int samples) => (nint)PanelKernel.PanelsOf(samples) * 2;

    /// <summary>Where the first feature of eight samples lies.</summary>
    private static nint BeginOf(nint half, int width) => (half / 2 * width * PanelKernel.Lanes) + (half % 2 * Half);
}
