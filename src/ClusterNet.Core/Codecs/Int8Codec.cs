using System.Numerics;
using System.Runtime.InteropServices;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Core.Codecs;

/// <summary>
/// Each block of 1,024 values as one word with its scale, the largest magnitude / 127, and a byte for each value: value / scale, rounded to nearest, ties to even (symmetric
/// quantisation, Alistarh et al. 2017 without its randomness: error feedback makes up for the bias). The scale of a block that holds a NaN or an infinity is not finite, and neither is what it is decoded to.
/// </summary>
internal sealed class Int8Codec : IGradientCodec
{
    private const int Block = ShardPlan.BlockLength;
    private const int Largest = 127;

    // 1.5 x 2^23: what is added to it is rounded to a whole number in its lowest bits
    private const float Rounder = 12_582_912f;

    public GradientCodec Kind => GradientCodec.Int8;

    public int Words(int length) => length / Block * (1 + Block / sizeof(float)) + (length % Block == 0 ? 0 : 1 + (length % Block + 3) / sizeof(float));

    public void Encode(ReadOnlySpan<float> gradient, ReadOnlySpan<float> residual, Span<float> lost, Span<float> words)
    {
        GradientCodecs.Check(this, gradient.Length, residual.Length, lost.Length, words.Length);
        for (var start = 0; start < gradient.Length; start += Block)
        {
            var length = Math.Min(Block, gradient.Length - start);
            var block = words[..Words(length)];
            var inputs = lost.Slice(start, length);
            var scale = Sum(gradient.Slice(start, length), residual.Slice(start, length), inputs) / Largest;
            var bytes = MemoryMarshal.Cast<float, sbyte>(block[1..]);
            block[0] = scale;
            if (!float.IsFinite(scale))
                bytes.Fill(1);
            else if (scale == 0)
                bytes.Clear();
            else
                Quantise(inputs, scale, bytes);
            Subtract(inputs, scale, bytes);
            bytes[length..].Clear();
            words = words[block.Length..];
        }
    }

    public bool TryDecode(ReadOnlySpan<float> words, Span<float> values)
    {
        if (words.Length != Words(values.Length))
            return false;
        for (var start = 0; start < values.Length; start += Block)
        {
            var part = values.Slice(start, Math.Min(Block, values.Length - start));
            var block = words[..Words(part.Length)];
            if (block[0] < 0)
                return false;
            Multiply(MemoryMarshal.Cast<float, sbyte>(block[1..]), block[0], part);
            words = words[block.Length..];
        }
        return true;
    }

    private static void Multiply(ReadOnlySpan<sbyte> bytes, float scale, Span<float> values)
    {
        var factor = new Vector<float>(scale);
        var i = 0;
        for (; i <= values.Length - Vector<sbyte>.Count; i += Vector<sbyte>.Count)
        {
            var (a, b, c, d) = Whole(new Vector<sbyte>(bytes[i..]));
            (a * factor).CopyTo(values[i..]);
            (b * factor).CopyTo(values[(i + Vector<float>.Count)..]);
            (c * factor).CopyTo(values[(i + 2 * Vector<float>.Count)..]);
            (d * factor).CopyTo(values[(i + 3 * Vector<float>.Count)..]);
        }
        for (; i < values.Length; i++)
            values[i] = bytes[i] * scale;
    }

    /// <summary>Sums, and the largest of their magnitudes: NaN where one is NaN.</summary>
    private static float Sum(ReadOnlySpan<float> gradient, ReadOnlySpan<float> residual, Span<float> sums)
    {
        var largest = Vector<uint>.Zero;
        var magnitude = new Vector<uint>(0x7FFF_FFFF);
        var i = 0;
        for (; i <= gradient.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            var sum = new Vector<float>(gradient[i..]) + new Vector<float>(residual[i..]);
            sum.CopyTo(sums[i..]);
            // without their signs floats are in the order of their bits, NaN above infinity
            largest = Vector.Max(largest, Vector.AsVectorUInt32(sum) & magnitude);
        }
        var most = 0u;
        for (var lane = 0; lane < Vector<uint>.Count; lane++)
            most = Math.Max(most, largest[lane]);
        for (; i < gradient.Length; i++)
        {
            sums[i] = gradient[i] + residual[i];
            most = Math.Max(most, BitConverter.SingleToUInt32Bits(sums[i]) & 0x7FFF_FFFF);
        }
        return BitConverter.UInt32BitsToSingle(most);
    }

    private static void Quantise(ReadOnlySpan<float> inputs, float scale, Span<sbyte> bytes)
    {
        var divisor = new Vector<float>(scale);
        var i = 0;
        for (; i <= inputs.Length - Vector<sbyte>.Count; i += Vector<sbyte>.Count)
        {
            var low = Vector.Narrow(Nearest(inputs[i..], divisor), Nearest(inputs[(i + Vector<float>.Count)..], divisor));
            var high = Vector.Narrow(Nearest(inputs[(i + 2 * Vector<float>.Count)..], divisor), Nearest(inputs[(i + 3 * Vector<float>.Count)..], divisor));
            Vector.Narrow(low, high).CopyTo(bytes[i..]);
        }
        for (; i < inputs.Length; i++)
            bytes[i] = (sbyte)Nearest(new Vector<float>(inputs[i]), divisor)[0];
    }

    private static Vector<int> Nearest(ReadOnlySpan<float> inputs, Vector<float> scale) => Nearest(new Vector<float>(inputs), scale);

    private static Vector<int> Nearest(Vector<float> inputs, Vector<float> scale)
    {
        // a scale so small that it was rounded itself could lead beyond a byte
        var bound = new Vector<float>(Largest);
        var quotient = Vector.Max(-bound, Vector.Min(bound, inputs / scale));
        return Vector.AsVectorInt32(quotient + new Vector<float>(Rounder)) - new Vector<int>(BitConverter.SingleToInt32Bits(Rounder));
    }

    private static void Subtract(Span<float> inputs, float scale, ReadOnlySpan<sbyte> bytes)
    {
        var factor = new Vector<float>(scale);
        var i = 0;
        for (; i <= inputs.Length - Vector<sbyte>.Count; i += Vector<sbyte>.Count)
        {
            var (a, b, c, d) = Whole(new Vector<sbyte>(bytes[i..]));
            Subtract(inputs[i..], a * factor);
            Subtract(inputs[(i + Vector<float>.Count)..], b * factor);
            Subtract(inputs[(i + 2 * Vector<float>.Count)..], c * factor);
            Subtract(inputs[(i + 3 * Vector<float>.Count)..], d * factor);
        }
        for (; i < inputs.Length; i++)
            inputs[i] -= bytes[i] * scale;
    }

    private static void Subtract(Span<float> inputs, Vector<float> decoded) => (new Vector<float>(inputs) - decoded).CopyTo(inputs);

    private static (Vector<float> A, Vector<float> B, Vector<float> C, Vector<float> D) Whole(Vector<sbyte> bytes)
    {
        Vector.Widen(bytes, out var low, out var high);
        Vector.Widen(low, out var a, out var b);
        Vector.Widen(high, out var c, out var d);
        return (Vector.ConvertToSingle(a), Vector.ConvertToSingle(b), Vector.ConvertToSingle(c), Vector.ConvertToSingle(d));
    }
}
