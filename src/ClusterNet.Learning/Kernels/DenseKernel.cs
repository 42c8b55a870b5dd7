using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace ClusterNet.Learning.Kernels;

/// <summary>
/// Outputs of a dense layer, y = x Wᵀ + b, whose bits depend on the row of x, W and b alone: not on the number of rows, where they lie, the processor, or the threads. Each output is eight chains of fused multiply-adds, the i-th over
/// inputs i, i + 8, i + 16, ..., with zeros behind the last input; then ((0+1)+(2+3)) + ((4+5)+(6+7)) of the chains; then plus the bias. Every path below computes just that.
/// </summary>
/// <remarks>
/// Libraries choose an order of adding by the sizes, so that a lone sample has other bits than the same sample in a batch. Four rows by three outputs are computed at once: twelve sums and what they are made of fill the registers
/// of AVX2, and each value that is loaded takes part in three or four of them.
/// </remarks>
internal static unsafe class DenseKernel
{
    private const int Chains = 8;
    private const int TileRows = 4;
    private const int TileOutputs = 3;
    private const int LoneOutputs = 4;

    /// <summary>Weights that are used for all rows before the next ones are: they stay in the second cache.</summary>
    private const int BlockBytes = 120_000;

    /// <summary>Multiplications below which another thread costs more than it saves.</summary>
    private const long WorthAThread = 1 << 20;

    /// <summary>Computes all outputs.</summary>
    /// <param name="x">[rows, inputs], row-major</param>
    /// <param name="weights">[outputs, inputs], row-major</param>
    /// <param name="bias">[outputs]; null for zeros</param>
    /// <param name="y">receives [rows, outputs], row-major; overlaps nothing</param>
    /// <param name="rows">of x</param>
    /// <param name="inputs">of the layer</param>
    /// <param name="outputs">of the layer</param>
    /// <param name="threads">the most that compute, this one included</param>
    public static void Forward(float* x, float* weights, float* bias, float* y, int rows, int inputs, int outputs, int threads)
    {
        if (inputs % Chains == 0)
        {
            Forward(new Layer(x, weights, null, null, bias, y, rows, inputs, outputs), rows, inputs, outputs, threads);
            return;
        }
        var ends = (float*)NativeMemory.AllocZeroed(((nuint)rows + (nuint)outputs) * Chains, sizeof(float));
        try
        {
            var weightEnds = ends + ((nint)rows * Chains);
            CopyEnds(x, rows, inputs, ends);
            CopyEnds(weights, outputs, inputs, weightEnds);
            Forward(new Layer(x, weights, ends, weightEnds, bias, y, rows, inputs, outputs), rows, inputs, outputs, threads);
        }
        finally
        {
            NativeMemory.Free(ends);
        }
    }

    private static void Forward(Layer layer, int rows, int inputs, int outputs, int threads)
    {
        var parts = (int)Math.Min(Math.Min(threads, outputs), (long)rows * inputs * outputs / WorthAThread);
        if (parts <= 1)
            layer.Compute(0, outputs);
        else
            Parallel.For(0, parts, new ParallelOptions { MaxDegreeOfParallelism = parts }, part => layer.Compute((int)((long)outputs * part / parts), (int)((long)outputs * (part + 1) / parts)));
    }

    /// <summary>Copies what lies behind the last whole eight of each row.</summary>
    private static void CopyEnds(float* matrix, int rows, int inputs, float* ends)
    {
        var whole = inputs & -Chains;
        for (var row = 0; row < rows; row++)
            new ReadOnlySpan<float>(matrix + ((nint)row * inputs) + whole, inputs - whole).CopyTo(new Span<float>(ends + ((nint)row * Chains), Chains));
    }

    // the ends, [rows, 8] and [outputs, 8]: what lies behind the last whole eight inputs, and zeros; null where nothing does
    private readonly struct Layer(float* x, float* weights, float* xEnds, float* weightEnds, float* bias, float* y, int rows, int inputs, int outputs)
    {
        private readonly float* _x = x;
        private readonly float* _weights = weights;
        private readonly float* _xEnds = xEnds;
        private readonly float* _weightEnds = weightEnds;
        private readonly float* _bias = bias;
        private readonly float* _y = y;
        private readonly int _rows = rows;
        private readonly nint _inputs = inputs;
        private readonly nint _outputs = outputs;

        /// <summary>The outputs from first to end, of all rows.</summary>
        public void Compute(int first, int end)
        {
            const int Step = TileOutputs * LoneOutputs;
            var block = Math.Max(1, BlockBytes / sizeof(float) / (int)_inputs / Step) * Step;
            for (; first < end; first += block)
                ComputeBlock(first, Math.Min(end, first + block));
        }

        private void ComputeBlock(int first, int end)
        {
            var row = 0;
            for (; row + TileRows <= _rows; row += TileRows)
            {
                var output = first;
                for (; output + TileOutputs <= end; output += TileOutputs)
                    Tile(row, output);
                for (; output < end; output++)
                {
                    for (var i = 0; i < TileRows; i++)
                        One(row + i, output);
                }
            }
            for (; row < _rows; row++)
            {
                var output = first;
                for (; output + LoneOutputs <= end; output += LoneOutputs)
                    Lone(row, output);
                for (; output < end; output++)
                    One(row, output);
            }
        }

        /// <summary>Four rows by three outputs. It calls nothing, or the sums would not stay in registers.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Tile(int row, int output)
        {
            Vector256<float> s00 = default, s01 = default, s02 = default, s10 = default, s11 = default, s12 = default;
            Vector256<float> s20 = default, s21 = default, s22 = default, s30 = default, s31 = default, s32 = default;
            float* x0 = _x + (row * _inputs), w0 = _weights + (output * _inputs);
            for (nint stride = _inputs, whole = _inputs & -Chains; ; stride = whole = Chains)
            {
                float* x1 = x0 + stride, x2 = x1 + stride, x3 = x2 + stride, w1 = w0 + stride, w2 = w1 + stride;
                for (nint i = 0; i < whole; i += Chains)
                {
                    Vector256<float> a = Vector256.Load(w0 + i), b = Vector256.Load(w1 + i), c = Vector256.Load(w2 + i);
                    var value = Vector256.Load(x0 + i);
                    s00 = Vector256.FusedMultiplyAdd(value, a, s00);
                    s01 = Vector256.FusedMultiplyAdd(value, b, s01);
                    s02 = Vector256.FusedMultiplyAdd(value, c, s02);
                    value = Vector256.Load(x1 + i);
                    s10 = Vector256.FusedMultiplyAdd(value, a, s10);
                    s11 = Vector256.FusedMultiplyAdd(value, b, s11);
                    s12 = Vector256.FusedMultiplyAdd(value, c, s12);
                    value = Vector256.Load(x2 + i);
                    s20 = Vector256.FusedMultiplyAdd(value, a, s20);
                    s21 = Vector256.FusedMultiplyAdd(value, b, s21);
                    s22 = Vector256.FusedMultiplyAdd(value, c, s22);
                    value = Vector256.Load(x3 + i);
                    s30 = Vector256.FusedMultiplyAdd(value, a, s30);
                    s31 = Vector256.FusedMultiplyAdd(value, b, s31);
                    s32 = Vector256.FusedMultiplyAdd(value, c, s32);
                }
                var ends = _xEnds + ((nint)row * Chains);
                if (_xEnds == null || x0 == ends)
                    break;
                x0 = ends;
                w0 = _weightEnds + ((nint)output * Chains);
            }
            StoreColumn(row, output, Sums(s00, s10, s20, s30));
            StoreColumn(row, output + 1, Sums(s01, s11, s21, s31));
            StoreColumn(row, output + 2, Sums(s02, s12, s22, s32));
        }

        /// <summary>One row by four outputs.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Lone(int row, int output)
        {
            Vector256<float> s0 = default, s1 = default, s2 = default, s3 = default;
            float* x = _x + (row * _inputs), w0 = _weights + (output * _inputs);
            for (nint stride = _inputs, whole = _inputs & -Chains; ; stride = whole = Chains)
            {
                float* w1 = w0 + stride, w2 = w1 + stride, w3 = w2 + stride;
                for (nint i = 0; i < whole; i += Chains)
                {
                    var value = Vector256.Load(x + i);
                    s0 = Vector256.FusedMultiplyAdd(value, Vector256.Load(w0 + i), s0);
                    s1 = Vector256.FusedMultiplyAdd(value, Vector256.Load(w1 + i), s1);
                    s2 = Vector256.FusedMultiplyAdd(value, Vector256.Load(w2 + i), s2);
                    s3 = Vector256.FusedMultiplyAdd(value, Vector256.Load(w3 + i), s3);
                }
                var ends = _xEnds + ((nint)row * Chains);
                if (_xEnds == null || x == ends)
                    break;
                x = ends;
                w0 = _weightEnds + ((nint)output * Chains);
            }
            var sums = Sums(s0, s1, s2, s3) + (_bias == null ? Vector128<float>.Zero : Vector128.Load(_bias + output));
            sums.Store(_y + (row * _outputs) + output);
        }

        /// <summary>One output of one row.</summary>
        private void One(int row, int output)
        {
            var sum = Vector256<float>.Zero;
            float* x = _x + (row * _inputs), w = _weights + (output * _inputs);
            var whole = _inputs & -Chains;
            for (nint i = 0; i < whole; i += Chains)
                sum = Vector256.FusedMultiplyAdd(Vector256.Load(x + i), Vector256.Load(w + i), sum);
            if (_xEnds != null)
                sum = Vector256.FusedMultiplyAdd(Vector256.Load(_xEnds + ((nint)row * Chains)), Vector256.Load(_weightEnds + ((nint)output * Chains)), sum);
            _y[(row * _outputs) + output] = Sum(sum) + BiasOf(output);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private void StoreColumn(int row, int output, Vector128<float> sums)
        {
            sums += Vector128.Create(BiasOf(output));
            var y = _y + (row * _outputs) + output;
            y[0] = sums[0];
            y[_outputs] = sums[1];
            y[2 * _outputs] = sums[2];
            y[3 * _outputs] = sums[3];
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private float BiasOf(int output) => _bias == null ? 0 : _bias[output];

        /// <summary>The sum of the lanes of each of four.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector128<float> Sums(Vector256<float> a, Vector256<float> b, Vector256<float> c, Vector256<float> d)
        {
            if (!Avx.IsSupported)
                return Vector128.Create(Sum(a), Sum(b), Sum(c), Sum(d));
            var pairs = Avx.HorizontalAdd(Avx.HorizontalAdd(a, b), Avx.HorizontalAdd(c, d));
            return pairs.GetLower() + pairs.GetUpper();
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static float Sum(Vector256<float> of) => ((of[0] + of[1]) + (of[2] + of[3])) + ((of[4] + of[5]) + (of[6] + of[7]));
    }
}
