using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Core.Codecs;

/// <summary>
/// Of each block of 1,024 values the largest by magnitude (top-k sparsification with error feedback, Stich, Cordonnier and Jaggi 2018; by block rather than over the whole vector, so that neither shards
/// nor their number matter): their places, ascending, two in a word, then the values. Where magnitudes are equal the first come first; a NaN is larger than all numbers.
/// </summary>
/// <param name="fraction">of the values of a block, above 0 and at most 1; at least one value of each block travels</param>
internal sealed class TopKCodec(double fraction) : IGradientCodec
{
    private const int Block = ShardPlan.BlockLength;
    private const uint Magnitude = 0x7FFF_FFFF;

    public GradientCodec Kind => GradientCodec.TopK;

    public int Words(int length) => checked(length / Block * BlockWords(Block) + (length % Block == 0 ? 0 : BlockWords(length % Block)));

    public void Encode(ReadOnlySpan<float> gradient, ReadOnlySpan<float> residual, Span<float> lost, Span<float> words)
    {
        GradientCodecs.Check(this, gradient.Length, residual.Length, lost.Length, words.Length);
        for (var start = 0; start < gradient.Length; start += Block)
        {
            var length = Math.Min(Block, gradient.Length - start);
            var (count, size) = (Kept(length), BlockWords(length));
            var inputs = lost.Slice(start, length);
            TensorPrimitives.Add(gradient.Slice(start, length), residual.Slice(start, length), inputs);
            Take(inputs, MemoryMarshal.Cast<float, ushort>(words[..(size - count)]), words[(size - count)..size]);
            words = words[size..];
        }
    }

    public bool TryDecode(ReadOnlySpan<float> words, Span<float> values)
    {
        if (words.Length != Words(values.Length))
            return false;
        values.Clear();
        for (var start = 0; start < values.Length; start += Block)
        {
            var length = Math.Min(Block, values.Length - start);
            var (count, size) = (Kept(length), BlockWords(length));
            var places = MemoryMarshal.Cast<float, ushort>(words[..(size - count)]);
            var kept = words[(size - count)..size];
            var last = -1;
            for (var i = 0; i < count; i++)
            {
                if (places[i] <= last || places[i] >= length)
                    return false;
                last = places[i];
                values[start + last] = kept[i];
            }
            words = words[size..];
        }
        return true;
    }

    private int Kept(int length) => Math.Clamp((int)Math.Ceiling(length * fraction), 1, length);

    private int BlockWords(int length) => Kept(length) / 2 + Kept(length) % 2 + Kept(length);

    /// <summary>Moves the largest of <paramref name="values"/> out; what stays is what is lost.</summary>
    private static void Take(Span<float> values, Span<ushort> places, Span<float> kept)
    {
        var threshold = Threshold(values, kept.Length, out var above);
        var equal = kept.Length - above;
        var taken = 0;
        for (var i = 0; i < values.Length && taken < kept.Length; i++)
        {
            var key = BitConverter.SingleToUInt32Bits(values[i]) & Magnitude;
            if (key < threshold || (key == threshold && equal-- <= 0))
                continue;
            places[taken] = (ushort)i;
            kept[taken++] = values[i];
            values[i] = 0;
        }
        places[taken..].Clear();
    }

    /// <summary>The magnitude of the <paramref name="count"/>-th largest value as bits, which are in the same order, and how many are above it.</summary>
    private static uint Threshold(ReadOnlySpan<float> values, int count, out int above)
    {
        var threshold = 0u;
        for (var bit = 1u << 30; bit != 0; bit >>= 1)
        {
            if (AtLeast(values, threshold | bit) >= count)
                threshold |= bit;
        }
        above = threshold == Magnitude ? 0 : AtLeast(values, threshold + 1);
        return threshold;
    }

    private static int AtLeast(ReadOnlySpan<float> values, uint least)
    {
        var bound = new Vector<uint>(least);
        var magnitude = new Vector<uint>(Magnitude);
        var counts = Vector<uint>.Zero;
        var i = 0;
        for (; i <= values.Length - Vector<float>.Count; i += Vector<float>.Count)
            counts -= Vector.GreaterThanOrEqual(Vector.AsVectorUInt32(new Vector<float>(values[i..])) & magnitude, bound);
        var count = (int)Vector.Sum(counts);
        for (; i < values.Length; i++)
            count += (BitConverter.SingleToUInt32Bits(values[i]) & Magnitude) >= least ? 1 : 0;
        return count;
    }
}
