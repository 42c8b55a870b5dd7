using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Core.Codecs;

/// <summary>
/// Writes gradients as fewer 4-byte words and reads them back. Works in blocks of <see cref="ShardPlan.BlockLength"/> values, the unit that shards are cut by: what a slice's gradient is
/// decoded to does not depend on how many shards there are. The same bits on every machine, whatever the width of its vectors. What is not finite stays not finite.
/// </summary>
public interface IGradientCodec
{
    /// <summary>Which one it is.</summary>
    GradientCodec Kind { get; }

    /// <summary>The 4-byte words that <paramref name="length"/> values take, exactly.</summary>
    int Words(int length);

    /// <summary>Writes gradient + residual, and leaves what was lost as the new residual (Karimireddy et al. 2019, algorithm 2).</summary>
    /// <param name="gradient">the values; the first is the first of a block</param>
    /// <param name="residual">what earlier calls lost; as long</param>
    /// <param name="lost">receives gradient + residual - decoded; as long, may be <paramref name="residual"/> itself</param>
    /// <param name="words">receives <see cref="Words"/> words</param>
    void Encode(ReadOnlySpan<float> gradient, ReadOnlySpan<float> residual, Span<float> lost, Span<float> words);

    /// <summary>Reads what <see cref="Encode"/>, or a stranger, wrote.</summary>
    /// <param name="words">from anywhere</param>
    /// <param name="values">receives the values; undefined where the words are refused</param>
    /// <returns>whether the words are what this codec writes for so many values</returns>
    bool TryDecode(ReadOnlySpan<float> words, Span<float> values);
}

/// <summary>The codecs there are.</summary>
public static class GradientCodecs
{
    /// <summary>The codec of a training; null where gradients travel as they are.</summary>
    public static IGradientCodec? Of(TrainingSpec training)
    {
        ArgumentNullException.ThrowIfNull(training);
        return training.Codec switch
        {
            GradientCodec.Fp32 => null,
            GradientCodec.Bf16 => new Bf16Codec(),
            GradientCodec.Int8 => new Int8Codec(),
            GradientCodec.TopK => new TopKCodec(training.TopK),
            _ => throw new ArgumentException($"no codec {training.Codec}", nameof(training)),
        };
    }

    /// <summary>Throws unless all are of the lengths that belong together.</summary>
    internal static void Check(IGradientCodec codec, int gradient, int residual, int lost, int words)
    {
        if (residual != gradient || lost != gradient || words != codec.Words(gradient))
            throw new ArgumentException($"{gradient} values with {residual} and {lost} of residual do not go into {words} words");
    }
}
