using System.Runtime.InteropServices;
using ClusterNet.Core.Codecs;
using ClusterNet.Core.Jobs;
using CsCheck;

namespace ClusterNet.Core.Tests.Codecs;

/// <summary>
/// A codec loses only what it says and hands it on: decoded values and residual are the input again. Its bits follow from the values alone, as plain scalar code has them too, and whatever a stranger
/// sends is read within bounds or refused.
/// </summary>
public sealed class GradientCodecTests
{
    private static readonly TrainingSpec[] _specs =
    [
        new() { Codec = GradientCodec.Bf16 },
        new() { Codec = GradientCodec.Int8 },
        new() { Codec = GradientCodec.TopK },
        new() { Codec = GradientCodec.TopK, TopK = 0.3 },
        new() { Codec = GradientCodec.TopK, TopK = 1 },
    ];

    private static readonly Gen<(IGradientCodec Codec, int Length, int Seed)> _cases =
        Gen.Select(Gen.Int[0, _specs.Length - 1], Gen.OneOf(Gen.Int[1, 70], Gen.Int[1000, 1100], Gen.Int[2040, 3100]), Gen.Int)
            .Select((spec, length, seed) => (GradientCodecs.Of(_specs[spec])!, length, seed));

    [Fact]
    public void What_is_decoded_and_what_is_kept_are_the_input() => _cases.Sample(drawn =>
    {
        var (codec, length, seed) = drawn;
        var (gradient, residual) = (Values(length, seed), Values(length, seed + 1));
        var (decoded, lost) = RoundTrip(codec, gradient, residual);
        for (var i = 0; i < length; i++)
        {
            var input = gradient[i] + residual[i];
            Assert.Equal(input - decoded[i], lost[i]);
            if (codec.Kind == GradientCodec.Bf16)
            {
                Assert.Equal(input, decoded[i] + lost[i]);
                Assert.True(Math.Abs(lost[i]) <= Math.Abs(input) / 256);
            }
        }
    });

    [Fact]
    public void Int8_is_off_by_half_a_step_of_its_block() => Gen.Select(Gen.Int[1, 3000], Gen.Int).Sample((length, seed) =>
    {
        var gradient = Values(length, seed);
        var (_, lost) = RoundTrip(new Int8Codec(), gradient, new float[length]);
        for (var start = 0; start < length; start += 1024)
        {
            var end = Math.Min(length, start + 1024);
            var largest = gradient[start..end].Max(Math.Abs);
            Assert.All(lost[start..end], value => Assert.True(Math.Abs(value) <= largest / 254 * 1.0001));
        }
    });

    [Fact]
    public void Top_k_keeps_the_largest_of_each_block_and_the_first_of_equals() => Gen.Select(Gen.Int[1, 3000], Gen.Double[0.001, 1], Gen.Int).Sample((length, fraction, seed) =>
    {
        var random = new Random(seed);
        float[] gradient = [.. Enumerable.Range(0, length).Select(_ => (float)random.Next(-5, 6))];
        var (decoded, _) = RoundTrip(new TopKCodec(fraction), gradient, new float[length]);
        for (var start = 0; start < length; start += 1024)
        {
            var block = Enumerable.Range(start, Math.Min(1024, length - start)).ToArray();
            var kept = block.OrderByDescending(i => Math.Abs(gradient[i])).ThenBy(i => i).Take((int)Math.Ceiling(block.Length * fraction)).ToHashSet();
            Assert.All(block, i => Assert.Equal(kept.Contains(i) ? gradient[i] : 0, decoded[i]));
        }
    });

    [Fact]
    public void Over_many_steps_nothing_is_lost() => _cases.Sample(
        drawn =>
        {
            var (codec, length, seed) = drawn;
            var (residual, sent, given) = (new float[length], new double[length], new double[length]);
            for (var step = 0; step < 30; step++)
            {
                var gradient = Values(length, seed + step, 3);
                (var decoded, residual) = RoundTrip(codec, gradient, residual);
                for (var i = 0; i < length; i++)
                    (sent[i], given[i]) = (sent[i] + decoded[i], given[i] + gradient[i]);
            }
            for (var i = 0; i < length; i++)
                Assert.Equal(given[i], sent[i] + residual[i], 1e-3);
        },
        iter: 30);

    [Fact]
    public void The_bits_are_those_of_scalar_code() => _cases.Sample(drawn =>
    {
        var (codec, length, seed) = drawn;
        var gradient = Values(length, seed);
        var (decoded, _) = RoundTrip(codec, gradient, new float[length]);
        for (var i = 0; i < length; i++)
        {
            var block = gradient[(i / 1024 * 1024)..Math.Min(length, i / 1024 * 1024 + 1024)];
            var scale = block.Max(Math.Abs) / 127;
            var expected = codec.Kind switch
            {
                GradientCodec.Bf16 => ScalarBf16(gradient[i]),
                GradientCodec.Int8 => MathF.Round(gradient[i] / scale, MidpointRounding.ToEven) * scale,
                _ => decoded[i] == 0 ? 0 : gradient[i],
            };
            Assert.Equal(expected, decoded[i]);
        }
    });

    [Fact]
    public void Shards_that_are_cut_between_blocks_get_the_same_values() => _cases.Sample(drawn =>
    {
        var (codec, length, seed) = drawn;
        var (gradient, residual) = (Values(length, seed), Values(length, seed + 1));
        var (decoded, lost) = RoundTrip(codec, gradient, residual);
        var cut = Math.Min(length, 1024);
        var left = RoundTrip(codec, gradient[..cut], residual[..cut]);
        var right = RoundTrip(codec, gradient[cut..], residual[cut..]);
        Assert.Equal(decoded, (float[])[.. left.Decoded, .. right.Decoded]);
        Assert.Equal(lost, (float[])[.. left.Lost, .. right.Lost]);
    });

    [Fact]
    public void The_residual_may_be_written_where_it_was_read() => _cases.Sample(drawn =>
    {
        var (codec, length, seed) = drawn;
        var (gradient, residual) = (Values(length, seed), Values(length, seed + 1));
        var (_, lost) = RoundTrip(codec, gradient, residual);
        codec.Encode(gradient, residual, residual, new float[codec.Words(length)]);
        Assert.Equal(lost, residual);
    });

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void What_is_not_finite_stays_so(float value) => _cases.Sample(drawn =>
    {
        var (codec, length, seed) = drawn;
        var gradient = Values(length, seed);
        gradient[length / 2] = value;
        var (decoded, _) = RoundTrip(codec, gradient, new float[length]);
        Assert.False(float.IsFinite(decoded[length / 2]));
    });

    [Fact]
    public void The_smallest_and_the_largest_values_survive() => Assert.All(_specs, spec =>
    {
        var codec = GradientCodecs.Of(spec)!;
        foreach (var value in new[] { float.Epsilon, 100 * float.Epsilon, 1e38f, -1e38f, 0f, -0f })
        {
            var gradient = new float[40];
            gradient.AsSpan().Fill(value);
            var (decoded, lost) = RoundTrip(codec, gradient, new float[40]);
            Assert.All(decoded.Zip(lost), pair => Assert.Equal(value, pair.First + pair.Second, Math.Abs(value) * 1e-6f));
        }
    });

    [Fact]
    public void Whatever_a_stranger_sends_is_read_within_bounds_or_refused() => Gen.Select(_cases, Gen.Int[-3, 3], Gen.Bool).Sample((drawn, more, spoiled) =>
    {
        var (codec, length, seed) = drawn;
        var random = new Random(seed);
        var words = new float[Math.Max(0, codec.Words(length) + more)];
        if (spoiled && more == 0)
            codec.Encode(Values(length, seed), new float[length], new float[length], words);
        var bytes = MemoryMarshal.AsBytes(words.AsSpan());
        if (!spoiled)
            random.NextBytes(bytes);
        else if (bytes.Length > 0)
            bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
        var isRead = codec.TryDecode(words, new float[length]);
        Assert.False(isRead && more != 0);
    });

    [Fact]
    public void Places_out_of_range_or_out_of_order_are_refused()
    {
        var codec = new TopKCodec(2.0 / 1024);
        var words = new float[codec.Words(1030)];
        codec.Encode(Values(1030, 1), new float[1030], new float[1030], words);
        var values = new float[1030];
        Assert.True(codec.TryDecode(words, values));
        foreach (var (first, second) in new (ushort, ushort)[] { (5, 5), (6, 5), (5, 1024), (65535, 65535) })
        {
            var was = words[0];
            words[0] = BitConverter.UInt32BitsToSingle((uint)second << 16 | first);
            Assert.False(codec.TryDecode(words, values));
            words[0] = was;
        }
        var scales = new float[new Int8Codec().Words(8)];
        scales[0] = -1;
        Assert.False(new Int8Codec().TryDecode(scales, new float[8]));
    }

    [Fact]
    public void Weights_are_rounded_as_they_travel() => Gen.Select(Gen.Int[0, 200], Gen.Int).Sample((length, seed) =>
    {
        var weights = Values(length, seed);
        var words = new float[Bf16.Words(length)];
        Bf16.Encode(weights, words);
        var decoded = new float[length];
        Bf16.Decode(words, decoded);
        Assert.Equal((float[])[.. weights.Select(ScalarBf16)], decoded);
        Bf16.Round(weights);
        Assert.Equal(decoded, weights);
        Bf16.Round(weights);
        Assert.Equal(decoded, weights);
    });

    private static float ScalarBf16(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        var lower = bits & 0xFFFF;
        var upper = bits >> 16;
        return BitConverter.UInt32BitsToSingle((lower > 0x8000 || (lower == 0x8000 && upper % 2 == 1) ? upper + 1 : upper) << 16);
    }

    private static (float[] Decoded, float[] Lost) RoundTrip(IGradientCodec codec, float[] gradient, float[] residual)
    {
        var words = new float[codec.Words(gradient.Length)];
        words.AsSpan().Fill(float.NaN);
        var (decoded, lost) = (new float[gradient.Length], new float[gradient.Length]);
        codec.Encode(gradient, residual, lost, words);
        Assert.True(codec.TryDecode(words, decoded));
        return (decoded, lost);
    }

    private static float[] Values(int length, int seed, int magnitudes = 20)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, length).Select(_ => (float)((random.NextDouble() * 2 - 1) * Math.Pow(2, random.Next(-magnitudes, 3))))];
    }
}
