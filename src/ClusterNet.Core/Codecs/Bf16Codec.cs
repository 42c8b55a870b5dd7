using System.Numerics;
using System.Runtime.CompilerServices;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Core.Codecs;

/// <summary>Two values in a word. What is lost of a finite value is exact, since it fits a float32.</summary>
internal sealed class Bf16Codec : IGradientCodec
{
    public GradientCodec Kind => GradientCodec.Bf16;

    public int Words(int length) => Bf16.Words(length);

    public void Encode(ReadOnlySpan<float> gradient, ReadOnlySpan<float> residual, Span<float> lost, Span<float> words)
    {
        GradientCodecs.Check(this, gradient.Length, residual.Length, lost.Length, words.Length);
        var halves = Bf16.Halves(words);
        var i = 0;
        for (; i <= gradient.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            var low = Half(new Vector<float>(gradient[i..]), new Vector<float>(residual[i..]), out var lowLost);
            var next = i + Vector<float>.Count;
            var high = Half(new Vector<float>(gradient[next..]), new Vector<float>(residual[next..]), out var highLost);
            lowLost.CopyTo(lost[i..]);
            highLost.CopyTo(lost[next..]);
            Vector.Narrow(low, high).CopyTo(halves[i..]);
        }
        for (; i < gradient.Length; i++)
        {
            halves[i] = (ushort)Half(new Vector<float>(gradient[i]), new Vector<float>(residual[i]), out var left)[0];
            lost[i] = left[0];
        }
        halves[gradient.Length..].Clear();
    }

    public bool TryDecode(ReadOnlySpan<float> words, Span<float> values)
    {
        if (words.Length != Words(values.Length))
            return false;
        Bf16.Decode(words, values);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<uint> Half(Vector<float> gradient, Vector<float> residual, out Vector<float> lost)
    {
        var input = gradient + residual;
        var rounded = Bf16.Rounded(Vector.AsVectorUInt32(input));
        lost = input - Vector.AsVectorSingle(rounded);
        return rounded >>> 16;
    }
}
