using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace ClusterNet.Learning.Kernels;

/// <summary>
/// The three products that training a dense layer takes, whose bits depend on their factors alone: not on the processor, the threads or what is computed at once. Each element is one chain of fused multiply-adds over what is summed, in
/// order: an output over the inputs, from its bias; the gradient of an input over the outputs, and that of a weight over the samples, from zero. A bias' gradient is sixteen sums, the i-th over samples i, i + 16, ..., added pairwise.
/// </summary>
/// <remarks>
/// What goes through the layers lies in panels of sixteen: values of sixteen samples side by side for each feature, [panel, feature, 16], with zeros behind the last sample, so that neither weights nor outputs have to be put in another order.
/// Six rows by the sixteen of a panel are computed at once: twelve sums and what they are made of fill the registers of AVX2.
/// </remarks>
internal static unsafe class PanelKernel
{
    /// <summary>Values of a panel that lie side by side.</summary>
    public const int Lanes = 16;

    private const int TileRows = 6;

    /// <summary>Room for a tile's values of one step.</summary>
    private const int StripWidth = 8;

    /// <summary>Tiles whose strips are made at once: their values in one row of the weights are whole cache lines.</summary>
    private const int BlockTiles = 8;

    /// <summary>Multiplications below which another thread costs more than it saves.</summary>
    private const long WorthAThread = 1 << 20;

    /// <summary>Panels that so many samples or features take.</summary>
    public static int PanelsOf(int count) => (count + Lanes - 1) / Lanes;

    /// <summary>Values of panels that have so many samples of so many features, or so many features of so many samples.</summary>
    /// <exception cref="OverflowException">too many</exception>
    public static int PaddedLength(int inPanels, int ofEach) => checked(PanelsOf(inPanels) * Lanes * ofEach);

    /// <summary>About so many rows, as they are computed at once.</summary>
    public static int RowsOf(int about) => Math.Max(1, about / TileRows) * TileRows;

    /// <summary>y = W x + b.</summary>
    /// <param name="weights">[outputs, inputs], row-major</param>
    /// <param name="bias">[outputs]; null for zeros</param>
    /// <param name="x">[panels, inputs, 16]</param>
    /// <param name="y">receives [panels, outputs, 16]</param>
    /// <param name="sizes">of the layer</param>
    /// <param name="threads">the most that compute, this one included</param>
    public static void Forward(float* weights, float* bias, float* x, float* y, PanelSizes sizes, int threads)
    {
        nint inputs = sizes.Inputs, outputs = sizes.Outputs;
        var panels = PanelsOf(sizes.Samples);
        Share(0, sizes.Outputs, (long)sizes.Samples * inputs, threads, (first, end) =>
        {
            for (var row = first; row < end;)
            {
                row = TileAt(row, first, end, out var rows);
                var start = bias == null ? null : bias + row;
                for (var panel = 0; panel < panels; panel++)
                    Compute(rows, weights + (row * inputs), inputs, 1, start, x + (panel * inputs * Lanes), y + (((panel * outputs) + row) * Lanes), Lanes, inputs);
                row += rows;
            }
        });
    }

    /// <summary>The gradient of what came in: Wᵀ dy.</summary>
    /// <param name="weights">[outputs, inputs], row-major</param>
    /// <param name="dy">[panels, outputs, 16]</param>
    /// <param name="dx">receives [panels, inputs, 16]</param>
    /// <param name="sizes">of the layer</param>
    /// <param name="threads">the most that compute, this one included</param>
    public static void BackwardInputs(float* weights, float* dy, float* dx, PanelSizes sizes, int threads)
    {
        nint inputs = sizes.Inputs, outputs = sizes.Outputs;
        var panels = PanelsOf(sizes.Samples);
        Share(0, sizes.Inputs, (long)sizes.Samples * outputs, threads, (first, end) =>
        {
            // a cache line between the strips, or all would begin in the same set of the cache
            var length = (outputs * StripWidth) + Lanes;
            using var strips = new Scratch(checked(BlockTiles * (int)length));
            for (var block = first; block < end; block += BlockTiles * TileRows)
            {
                var blockEnd = Math.Min(end, block + (BlockTiles * TileRows));
                CopyStrips(weights, sizes, block, blockEnd, strips.Values, length);
                for (var row = block; row < blockEnd;)
                {
                    var strip = strips.Values + ((row - block) / TileRows * length) + ((row - block) % TileRows);
                    row = TileAt(row, block, blockEnd, out var rows);
                    for (var panel = 0; panel < panels; panel++)
                        Compute(rows, strip, 1, StripWidth, null, dy + (panel * outputs * Lanes), dx + (((panel * inputs) + row) * Lanes), Lanes, outputs);
                    row += rows;
                }
            }
        });
    }

    /// <summary>The gradient of the weights: dy xᵀ.</summary>
    /// <param name="dy">[panels, outputs, 16]</param>
    /// <param name="xByFeatures">of <see cref="ByFeatures(float*, float*, int, int)"/></param>
    /// <param name="dw">receives rows of [outputs, inputs], row-major</param>
    /// <param name="begin">the first row</param>
    /// <param name="behind">the one behind the last</param>
    /// <param name="sizes">of the layer</param>
    /// <param name="threads">the most that compute, this one included</param>
    public static void BackwardWeights(float* dy, float* xByFeatures, float* dw, int begin, int behind, PanelSizes sizes, int threads)
    {
        nint samples = sizes.Samples, inputs = sizes.Inputs, outputs = sizes.Outputs;
        Share(begin, behind, (long)samples * inputs, threads, (first, end) =>
        {
            using var strips = new Scratch(checked(sizes.Samples * StripWidth));
            float* strip = strips.Values, partial = stackalloc float[TileRows * Lanes];
            for (var row = first; row < end;)
            {
                row = TileAt(row, first, end, out var rows);
                for (nint sample = 0; sample < samples; sample++)
                {
                    var source = dy + ((((sample / Lanes) * outputs) + row) * Lanes) + (sample % Lanes);
                    for (var i = 0; i < rows; i++)
                        strip[(sample * StripWidth) + i] = source[i * Lanes];
                }
                nint input = 0;
                for (; input + Lanes <= inputs; input += Lanes)
                    Compute(rows, strip, 1, StripWidth, null, xByFeatures + (input * samples), dw + (row * inputs) + input, inputs, samples);
                if (input < inputs)
                {
                    Compute(rows, strip, 1, StripWidth, null, xByFeatures + (input * samples), partial, Lanes, samples);
                    for (var i = 0; i < rows; i++)
                        new ReadOnlySpan<float>(partial + (i * Lanes), (int)(inputs - input)).CopyTo(new Span<float>(dw + ((row + i) * inputs) + input, (int)(inputs - input)));
                }
                row += rows;
            }
        });
    }

    /// <summary>The gradient of the bias: the sum of dy over the samples.</summary>
    /// <param name="dy">[panels, outputs, 16]</param>
    /// <param name="db">receives [outputs]</param>
    /// <param name="samples">at least 1</param>
    /// <param name="outputs">of the layer</param>
    public static void BackwardBias(float* dy, float* db, int samples, int outputs)
    {
        var panels = PanelsOf(samples);
        for (nint output = 0; output < outputs; output++)
        {
            Vector256<float> low = default, high = default;
            for (nint panel = 0; panel < panels; panel++)
            {
                var values = dy + (((panel * outputs) + output) * Lanes);
                low += Vector256.Load(values);
                high += Vector256.Load(values + 8);
            }
            db[output] = Sum(low, high);
        }
    }

    /// <summary>The sum of sixteen values, pairwise.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector256<float> low, Vector256<float> high)
    {
        var eight = low + high;
        var four = eight.GetLower() + eight.GetUpper();
        return (four[0] + four[2]) + (four[1] + four[3]);
    }

    /// <summary>Puts rows of samples into panels of samples.</summary>
    /// <param name="rows">[samples, features], row-major</param>
    /// <param name="panels">receives [panels, features, 16]</param>
    /// <param name="samples">at least 1</param>
    /// <param name="features">at least 1</param>
    public static void BySamples(float* rows, float* panels, int samples, int features)
    {
        for (nint first = 0; first < samples; first += Lanes)
        {
            var target = panels + (first * features);
            var count = (int)Math.Min(Lanes, samples - first);
            if (count < Lanes)
                new Span<float>(target, Lanes * features).Clear();
            for (nint feature = 0; feature < features; feature++)
                GatherTo(target + (feature * Lanes), rows + (first * features) + feature, features, count);
        }
    }

    /// <summary>Puts panels of samples into rows of samples.</summary>
    /// <param name="panels">[panels, features, 16]</param>
    /// <param name="rows">receives [samples, features], row-major</param>
    /// <param name="samples">at least 1</param>
    /// <param name="features">at least 1</param>
    public static void ToRows(float* panels, float* rows, int samples, int features)
    {
        for (nint sample = 0; sample < samples; sample++)
        {
            var source = panels + ((sample / Lanes) * Lanes * features) + (sample % Lanes);
            for (nint feature = 0; feature < features; feature++)
                rows[(sample * features) + feature] = source[feature * Lanes];
        }
    }

    /// <summary>Puts panels of samples into panels of features, with zeros behind the last feature.</summary>
    /// <param name="panels">[panels, features, 16]</param>
    /// <param name="byFeatures">receives [panels of features, samples, 16]</param>
    /// <param name="samples">at least 1</param>
    /// <param name="features">at least 1</param>
    public static void ByFeatures(float* panels, float* byFeatures, int samples, int features)
    {
        for (nint first = 0; first < features; first += Lanes)
        {
            var target = byFeatures + (first * samples);
            var count = (int)Math.Min(Lanes, features - first);
            if (count < Lanes)
                new Span<float>(target, Lanes * samples).Clear();
            for (nint sample = 0; sample < samples; sample++)
                GatherTo(target + (sample * Lanes), panels + ((((sample / Lanes) * features) + first) * Lanes) + (sample % Lanes), Lanes, count);
        }
    }

    /// <summary>Copies the columns of a block for each of its tiles, so that a tile reads side by side what it needs.</summary>
    private static void CopyStrips(float* weights, PanelSizes sizes, int block, int blockEnd, float* strips, nint length)
    {
        var columns = stackalloc int[BlockTiles];
        var tiles = (blockEnd - block + TileRows - 1) / TileRows;
        for (var tile = 0; tile < tiles; tile++)
            columns[tile] = TileAt(block + (tile * TileRows), block, blockEnd, out _);
        var count = Math.Min(TileRows, blockEnd - block);
        for (nint output = 0; output < sizes.Outputs; output++)
        {
            var source = weights + (output * sizes.Inputs);
            // what lies behind a tile's columns is copied with them where there is something
            var isLast = output == sizes.Outputs - 1;
            for (nint tile = 0; tile < tiles; tile++)
            {
                var strip = strips + (tile * length) + (output * StripWidth);
                if (isLast && columns[tile] + StripWidth > sizes.Inputs)
                    new ReadOnlySpan<float>(source + columns[tile], count).CopyTo(new Span<float>(strip, count));
                else
                    Vector256.Load(source + columns[tile]).Store(strip);
            }
        }
    }

    /// <summary>Puts up to sixteen values that lie apart side by side.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void GatherTo(float* target, float* source, nint stride, int count)
    {
        if (count == Lanes)
        {
            Store(target, Gather(source, stride), Gather(source + (8 * stride), stride));
            return;
        }
        for (var i = 0; i < count; i++)
            target[i] = source[i * stride];
    }

    /// <summary>Eight values that lie apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Gather(float* source, nint stride)
    {
        var second = source + (4 * stride);
        return Vector256.Create(source[0], source[stride], source[2 * stride], source[3 * stride], second[0], second[stride], second[2 * stride], second[3 * stride]);
    }

    /// <summary>relu: what is below 0 becomes 0; what is no number stays so.</summary>
    /// <param name="x">[length]</param>
    /// <param name="y">receives [length]</param>
    /// <param name="length">a multiple of 16</param>
    public static void Rectify(float* x, float* y, nint length)
    {
        for (nint i = 0; i < length; i += 8)
        {
            var value = Vector256.Load(x + i);
            Vector256.AndNot(value, Vector256.LessThan(value, Vector256<float>.Zero)).Store(y + i);
        }
    }

    /// <summary>The gradient of what goes into relu: where it gave 0 nothing changes what comes.</summary>
    /// <param name="y">[length], which relu gave</param>
    /// <param name="dy">[length]</param>
    /// <param name="dx">receives [length]</param>
    /// <param name="length">a multiple of 16</param>
    public static void BackwardRectify(float* y, float* dy, float* dx, nint length)
    {
        for (nint i = 0; i < length; i += 8)
            Vector256.AndNot(Vector256.Load(dy + i), Vector256.LessThanOrEqual(Vector256.Load(y + i), Vector256<float>.Zero)).Store(dx + i);
    }

    /// <summary>Multiplies value by value.</summary>
    /// <param name="a">[length]</param>
    /// <param name="b">[length]</param>
    /// <param name="c">receives [length]</param>
    /// <param name="length">a multiple of 16</param>
    public static void Multiply(float* a, float* b, float* c, nint length)
    {
        for (nint i = 0; i < length; i += 8)
            (Vector256.Load(a + i) * Vector256.Load(b + i)).Store(c + i);
    }

    /// <summary>Where the tile of a row begins, and how many rows are computed at once there: the last six overlap those before; of fewer than six each is computed by itself.</summary>
    private static int TileAt(int row, int first, int end, out int rows)
    {
        rows = end - first < TileRows ? 1 : TileRows;
        return Math.Min(row, end - rows);
    }

    /// <summary>Lets threads compute rows, from a first one to an end, side by side where that is worth it.</summary>
    private static void Share(int begin, int behind, long multiplicationsOfRow, int threads, Action<int, int> compute)
    {
        long rows = behind - begin;
        var parts = (int)Math.Min(Math.Min(threads, rows), rows * multiplicationsOfRow / WorthAThread);
        if (parts <= 1)
            compute(begin, behind);
        else
            Parallel.For(0, parts, new ParallelOptions { MaxDegreeOfParallelism = parts }, part => compute(begin + (int)(rows * part / parts), begin + (int)(rows * (part + 1) / parts)));
    }

    private static void Compute(int rows, float* a, nint row, nint step, float* start, float* b, float* c, nint stride, nint count)
    {
        if (rows == TileRows)
            Tile(a, row, step, start, b, c, stride, count);
        else
            One(a, step, start, b, c, count);
    }

    /// <summary>c[r, lane] = start[r] + a[r, 0] b[0, lane] + a[r, 1] b[1, lane] + ... for six rows and sixteen lanes. It calls nothing, or the sums would not stay in registers.</summary>
    /// <param name="a">six rows</param>
    /// <param name="row">from a row of a to the next</param>
    /// <param name="step">from a value of a row to the next</param>
    /// <param name="start">[6]; null for zeros</param>
    /// <param name="b">[count, 16]</param>
    /// <param name="c">receives six rows of 16</param>
    /// <param name="stride">from a row of c to the next</param>
    /// <param name="count">of what is summed</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile(float* a, nint row, nint step, float* start, float* b, float* c, nint stride, nint count)
    {
        Vector256<float> a0 = default, a1 = default, a2 = default, a3 = default, a4 = default, a5 = default;
        if (start != null)
        {
            (a0, a1, a2) = (Vector256.Create(start[0]), Vector256.Create(start[1]), Vector256.Create(start[2]));
            (a3, a4, a5) = (Vector256.Create(start[3]), Vector256.Create(start[4]), Vector256.Create(start[5]));
        }
        Vector256<float> b0 = a0, b1 = a1, b2 = a2, b3 = a3, b4 = a4, b5 = a5;
        float* r0 = a, r1 = r0 + row, r2 = r1 + row, r3 = r2 + row, r4 = r3 + row, r5 = r4 + row;
        for (nint at = 0; count > 0; count--, at += step, b += Lanes)
        {
            Vector256<float> low = Vector256.Load(b), high = Vector256.Load(b + 8);
            var value = Vector256.Create(r0[at]);
            a0 = Vector256.FusedMultiplyAdd(value, low, a0);
            b0 = Vector256.FusedMultiplyAdd(value, high, b0);
            value = Vector256.Create(r1[at]);
            a1 = Vector256.FusedMultiplyAdd(value, low, a1);
            b1 = Vector256.FusedMultiplyAdd(value, high, b1);
            value = Vector256.Create(r2[at]);
            a2 = Vector256.FusedMultiplyAdd(value, low, a2);
            b2 = Vector256.FusedMultiplyAdd(value, high, b2);
            value = Vector256.Create(r3[at]);
            a3 = Vector256.FusedMultiplyAdd(value, low, a3);
            b3 = Vector256.FusedMultiplyAdd(value, high, b3);
            value = Vector256.Create(r4[at]);
            a4 = Vector256.FusedMultiplyAdd(value, low, a4);
            b4 = Vector256.FusedMultiplyAdd(value, high, b4);
            value = Vector256.Create(r5[at]);
            a5 = Vector256.FusedMultiplyAdd(value, low, a5);
            b5 = Vector256.FusedMultiplyAdd(value, high, b5);
        }
        Store(c, a0, b0);
        Store(c += stride, a1, b1);
        Store(c += stride, a2, b2);
        Store(c += stride, a3, b3);
        Store(c += stride, a4, b4);
        Store(c + stride, a5, b5);
    }

    /// <summary>One row of what <see cref="Tile"/> computes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One(float* a, nint step, float* start, float* b, float* c, nint count)
    {
        var low = start == null ? Vector256<float>.Zero : Vector256.Create(*start);
        var high = low;
        for (; count > 0; count--, a += step, b += Lanes)
        {
            var value = Vector256.Create(*a);
            low = Vector256.FusedMultiplyAdd(value, Vector256.Load(b), low);
            high = Vector256.FusedMultiplyAdd(value, Vector256.Load(b + 8), high);
        }
        Store(c, low, high);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* c, Vector256<float> low, Vector256<float> high)
    {
        low.Store(c);
        high.Store(c + 8);
    }

    /// <summary>Native memory for a moment.</summary>
    private readonly ref struct Scratch(int length)
    {
        public readonly float* Values = (float*)System.Runtime.InteropServices.NativeMemory.AlignedAlloc((nuint)length * sizeof(float), 64);

        public void Dispose() => System.Runtime.InteropServices.NativeMemory.AlignedFree(Values);
    }
}

/// <summary>A dense layer and what goes through it.</summary>
/// <param name="Samples">at least 1</param>
/// <param name="Inputs">of the layer</param>
/// <param name="Outputs">of the layer</param>
internal readonly record struct PanelSizes(int Samples, int Inputs, int Outputs);
