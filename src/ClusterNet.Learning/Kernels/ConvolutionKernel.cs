using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace ClusterNet.Learning.Kernels;

/// <summary>
/// A convolution of one picture, whose bits depend on the picture, the weights and the bias alone: not on the processor, the threads or a batch. Each output is one chain of fused multiply-adds that begins with the bias and goes over the
/// rows of the window, the columns of a row and the channels of a place, in that order, the zeros around the picture included.
/// </summary>
/// <remarks>
/// A picture lies with its channels side by side, [height, width, channels], and its border of zeros around it, so that a row of a window is one run of values. Six places by sixteen output channels are computed at once: twelve sums and
/// what they are made of fill the registers of AVX2.
/// </remarks>
internal static unsafe class ConvolutionKernel
{
    /// <summary>Output channels of a panel.</summary>
    private const int PanelChannels = 16;

    /// <summary>Places that are computed at once.</summary>
    private const int TilePlaces = 6;

    /// <summary>Values of a register.</summary>
    private const int Lanes = 8;

    /// <summary>Multiplications below which another thread costs more than it saves.</summary>
    private const long WorthAThread = 1 << 20;

    /// <summary>Floats that <see cref="Pack"/> writes.</summary>
    /// <param name="channels">that come in</param>
    /// <param name="outputs">channels that go out</param>
    /// <param name="window">places of a window</param>
    /// <exception cref="OverflowException">too many</exception>
    public static int PackedLength(int channels, int outputs, int window) => checked((outputs + PanelChannels - 1) / PanelChannels * PanelChannels * ((channels * window) + 1));

    /// <summary>Puts the weights as the kernel reads them: panels of sixteen outputs, the bias in front, each with zeros behind the last output.</summary>
    /// <param name="weights">[outputs, channels, window], row-major, as torch has them</param>
    /// <param name="bias">[outputs]; empty for zeros</param>
    /// <param name="channels">that come in</param>
    /// <param name="outputs">channels that go out</param>
    /// <param name="window">places of a window</param>
    /// <param name="packed">receives <see cref="PackedLength"/> values</param>
    public static void Pack(ReadOnlySpan<float> weights, ReadOnlySpan<float> bias, int channels, int outputs, int window, Span<float> packed)
    {
        packed.Clear();
        var panel = ((channels * window) + 1) * PanelChannels;
        for (var output = 0; output < outputs; output++)
        {
            var target = packed[((output / PanelChannels * panel) + (output % PanelChannels))..];
            target[0] = bias.IsEmpty ? 0 : bias[output];
            var source = weights.Slice(output * channels * window, channels * window);
            for (var place = 0; place < window; place++)
            {
                for (var channel = 0; channel < channels; channel++)
                    target[((place * channels) + channel + 1) * PanelChannels] = source[(channel * window) + place];
            }
        }
    }

    /// <summary>A table of places whose length is a multiple of <see cref="TilePlaces"/>: the last one is computed again to fill it.</summary>
    public static Place[] Table(IReadOnlyList<Place> places) =>
        [.. places, .. Enumerable.Repeat(places[^1], ((places.Count + TilePlaces - 1) / TilePlaces * TilePlaces) - places.Count)];

    /// <summary>Computes all outputs.</summary>
    /// <param name="x">the picture with its border</param>
    /// <param name="packed">of <see cref="Pack"/></param>
    /// <param name="y">receives the outputs, where the places say</param>
    /// <param name="places">of <see cref="Table"/></param>
    /// <param name="sizes">of the window</param>
    /// <param name="isRectified">what is below 0 becomes 0</param>
    /// <param name="threads">the most that compute, this one included</param>
    public static void Forward(float* x, float* packed, float* y, Place[] places, WindowSizes sizes, bool isRectified, int threads)
    {
        var tiles = places.Length / TilePlaces;
        var panels = (sizes.Outputs + PanelChannels - 1) / PanelChannels;
        var parts = (int)Math.Min(Math.Min(threads, tiles), (long)places.Length * sizes.Outputs * sizes.Rows * sizes.RowLength / WorthAThread);
        if (parts <= 1)
            Compute(0, tiles);
        else
            Parallel.For(0, parts, new ParallelOptions { MaxDegreeOfParallelism = parts }, part => Compute((int)((long)tiles * part / parts), (int)((long)tiles * (part + 1) / parts)));

        void Compute(int first, int end)
        {
            var length = (nint)((sizes.Rows * sizes.RowLength) + 1) * PanelChannels;
            var values = stackalloc float[TilePlaces * PanelChannels];
            fixed (Place* table = places)
            {
                for (var panel = 0; panel < panels; panel++)
                {
                    var outputs = Math.Min(PanelChannels, sizes.Outputs - (panel * PanelChannels));
                    for (var tile = table + (first * TilePlaces); tile < table + (end * TilePlaces); tile += TilePlaces)
                    {
                        var target = y + (panel * PanelChannels);
                        Tile(x, packed + (panel * length), outputs == PanelChannels ? target : null, values, tile, sizes, isRectified);
                        for (var i = 0; outputs < PanelChannels && i < TilePlaces; i++)
                            new ReadOnlySpan<float>(values + (i * PanelChannels), outputs).CopyTo(new Span<float>(target + tile[i].To, outputs));
                    }
                }
            }
        }
    }

    /// <summary>Six places by sixteen outputs, which go to y or, where it is null, to values, [6, 16]. It calls nothing, or the sums would not stay in registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile(float* x, float* packed, float* y, float* values, Place* places, WindowSizes sizes, bool isRectified)
    {
        float* x0 = x + places[0].From, x1 = x + places[1].From, x2 = x + places[2].From, x3 = x + places[3].From, x4 = x + places[4].From, x5 = x + places[5].From;
        Vector256<float> a0 = Vector256.Load(packed), b0 = Vector256.Load(packed + Lanes);
        Vector256<float> a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, b1 = b0, b2 = b0, b3 = b0, b4 = b0, b5 = b0;
        var w = packed + PanelChannels;
        nint length = sizes.RowLength, step = sizes.RowStep;
        for (var row = sizes.Rows; row > 0; row--)
        {
            for (nint i = 0; i < length; i++)
            {
                Vector256<float> a = Vector256.Load(w), b = Vector256.Load(w + Lanes);
                w += PanelChannels;
                var value = Vector256.Create(x0[i]);
                a0 = Vector256.FusedMultiplyAdd(value, a, a0);
                b0 = Vector256.FusedMultiplyAdd(value, b, b0);
                value = Vector256.Create(x1[i]);
                a1 = Vector256.FusedMultiplyAdd(value, a, a1);
                b1 = Vector256.FusedMultiplyAdd(value, b, b1);
                value = Vector256.Create(x2[i]);
                a2 = Vector256.FusedMultiplyAdd(value, a, a2);
                b2 = Vector256.FusedMultiplyAdd(value, b, b2);
                value = Vector256.Create(x3[i]);
                a3 = Vector256.FusedMultiplyAdd(value, a, a3);
                b3 = Vector256.FusedMultiplyAdd(value, b, b3);
                value = Vector256.Create(x4[i]);
                a4 = Vector256.FusedMultiplyAdd(value, a, a4);
                b4 = Vector256.FusedMultiplyAdd(value, b, b4);
                value = Vector256.Create(x5[i]);
                a5 = Vector256.FusedMultiplyAdd(value, a, a5);
                b5 = Vector256.FusedMultiplyAdd(value, b, b5);
            }
            x0 += step;
            x1 += step;
            x2 += step;
            x3 += step;
            x4 += step;
            x5 += step;
        }
        Store(y == null ? values : y + places[0].To, a0, b0, isRectified);
        Store(y == null ? values + PanelChannels : y + places[1].To, a1, b1, isRectified);
        Store(y == null ? values + (2 * PanelChannels) : y + places[2].To, a2, b2, isRectified);
        Store(y == null ? values + (3 * PanelChannels) : y + places[3].To, a3, b3, isRectified);
        Store(y == null ? values + (4 * PanelChannels) : y + places[4].To, a4, b4, isRectified);
        Store(y == null ? values + (5 * PanelChannels) : y + places[5].To, a5, b5, isRectified);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* y, Vector256<float> low, Vector256<float> high, bool isRectified)
    {
        if (isRectified)
            (low, high) = (Rectified(low), Rectified(high));
        low.Store(y);
        high.Store(y + Lanes);
    }

    /// <summary>What is below 0 becomes 0; what is no number stays so.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Rectified(Vector256<float> values) => Vector256.ConditionalSelect(Vector256.LessThan(values, Vector256<float>.Zero), Vector256<float>.Zero, values);
}

/// <summary>A place that is computed.</summary>
/// <param name="From">where its window begins in the picture that comes in</param>
/// <param name="To">where its outputs begin in the one that goes out</param>
internal readonly record struct Place(int From, int To);

/// <summary>A window and its outputs.</summary>
/// <param name="Outputs">channels that go out</param>
/// <param name="Rows">of the window</param>
/// <param name="RowLength">values of a row: its places by the channels that come in</param>
/// <param name="RowStep">values from a row's begin to the next one's</param>
internal readonly record struct WindowSizes(int Outputs, int Rows, int RowLength, int RowStep);
