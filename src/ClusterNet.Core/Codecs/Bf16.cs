using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace ClusterNet.Core.Codecs;

/// <summary>Rounds float32 to its upper half, to nearest, ties to even; NaN stays NaN, what is too large becomes infinite.</summary>
public static class Bf16
{
    /// <summary>The 4-byte words that <paramref name="length"/> values take: two values each.</summary>
    public static int Words(int length) => length / 2 + length % 2;

    /// <summary>Rounds in place: what <see cref="Encode"/> and <see cref="Decode"/> make of the values.</summary>
    public static void Round(Span<float> values)
    {
        var i = 0;
        for (; i <= values.Length - Vector<float>.Count; i += Vector<float>.Count)
            Vector.AsVectorSingle(Rounded(Load(values, i))).CopyTo(values[i..]);
        for (; i < values.Length; i++)
            values[i] = BitConverter.UInt32BitsToSingle(Rounded(new Vector<uint>(BitConverter.SingleToUInt32Bits(values[i])))[0]);
    }

    /// <summary>Writes the values, two in each word, the first in its lower half; a last half is 0.</summary>
    /// <param name="values">to write</param>
    /// <param name="words">as many as <see cref="Words"/> says</param>
    public static void Encode(ReadOnlySpan<float> values, Span<float> words)
    {
        if (words.Length != Words(values.Length))
            throw new ArgumentException($"{values.Length} values do not go into {words.Length} words", nameof(words));
        var halves = Halves(words);
        var i = 0;
        for (; i <= values.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            var low = Rounded(Load(values, i));
            var high = Rounded(Load(values, i + Vector<float>.Count));
            Vector.Narrow(low >>> 16, high >>> 16).CopyTo(halves[i..]);
        }
        for (; i < values.Length; i++)
            halves[i] = (ushort)(Rounded(new Vector<uint>(BitConverter.SingleToUInt32Bits(values[i])))[0] >> 16);
        halves[values.Length..].Clear();
    }

    /// <summary>Reads the values.</summary>
    /// <param name="words">as many as <see cref="Words"/> says</param>
    /// <param name="values">receives them</param>
    /// <exception cref="ArgumentException">the words are not those of so many values</exception>
    public static void Decode(ReadOnlySpan<float> words, Span<float> values)
    {
        if (words.Length != Words(values.Length))
            throw new ArgumentException($"{words.Length} words are not {values.Length} values", nameof(words));
        var halves = MemoryMarshal.Cast<float, ushort>(words);
        var bits = MemoryMarshal.Cast<float, uint>(values);
        var i = 0;
        for (; i <= values.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector.Widen(new Vector<ushort>(halves[i..]), out var low, out var high);
            (low << 16).CopyTo(bits[i..]);
            (high << 16).CopyTo(bits[(i + Vector<uint>.Count)..]);
        }
        for (; i < values.Length; i++)
            bits[i] = (uint)halves[i] << 16;
    }

    /// <summary>The bits with a lower half of zeros. The elements of a tail take the same instructions as those of a whole vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<uint> Rounded(Vector<uint> bits)
    {
        var rounded = bits + new Vector<uint>(0x7FFF) + ((bits >>> 16) & Vector<uint>.One);
        // a NaN would be rounded to infinity, or over the sign: it keeps its upper half and is made quiet
        var isNaN = Vector.GreaterThan(bits & new Vector<uint>(0x7FFF_FFFF), new Vector<uint>(0x7F80_0000));
        return Vector.ConditionalSelect(isNaN, bits | new Vector<uint>(0x0040_0000), rounded) & new Vector<uint>(0xFFFF_0000);
    }

    internal static Span<ushort> Halves(Span<float> words) => MemoryMarshal.Cast<float, ushort>(words);

    private static Vector<uint> Load(ReadOnlySpan<float> values, int index) => Vector.AsVectorUInt32(new Vector<float>(values[index..]));
}
