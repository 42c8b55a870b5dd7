using System.Runtime.InteropServices;
using System.Runtime.Serialization;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using CsCheck;

namespace ClusterNet.Cluster.Tests.Serialization;

/// <summary>Tensors keep every bit, and a stored one that has changed is refused.</summary>
public sealed class TensorFrameTests(SerializationFixture fixture) : IClassFixture<SerializationFixture>
{
    private static readonly ShardId Shard = new(new JobId("job-1"), 2);

    // every pattern of bits, so every NaN too
    private static readonly Gen<float[]> Values = Gen.Int.Select(BitConverter.Int32BitsToSingle).Array[0, 300];

    [Fact]
    public void Any_values_come_back_bit_by_bit() => Values.Sample(values =>
    {
        var pulled = (ParameterProtocol.Replies.Pulled)fixture.RoundTrip(new ParameterProtocol.Replies.Pulled(Shard, Generation.None, 1, SampleMessages.Tensor(values)));
        var same = MemoryMarshal.AsBytes<float>(values).SequenceEqual(MemoryMarshal.AsBytes(pulled.Weights.Span));
        pulled.Weights.Release();
        return same;
    });

    [Fact]
    public void A_checkpoint_comes_back_whole_whatever_slots_it_has() => Gen.Select(Values, Values.Array[0, 4], Values, Gen.Bool).Sample((weights, slots, best, marked) =>
    {
        var checkpoint = new ShardCheckpoint(
            Shard, 7, SampleMessages.Tensor(weights), [.. slots.Select(slot => SampleMessages.Tensor(slot))], marked ? SampleMessages.Tensor(best) : null, 5);
        StructuralComparer.AssertSame(checkpoint, fixture.RoundTrip(checkpoint));
    });

    [Fact]
    public void A_flipped_bit_in_a_checkpoint_is_found_and_named()
    {
        var checkpoint = new ShardCheckpoint(Shard, 700, SampleMessages.Tensor([.. Enumerable.Range(0, 64).Select(i => i / 3f)]), [SampleMessages.Tensor(new float[64])], null, 0);
        var serializer = fixture.SerializerOf(checkpoint);
        var bytes = serializer.ToBinary(checkpoint);
        var manifest = serializer.Manifest(checkpoint);
        for (var bit = 0; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            var error = Assert.Throws<SerializationException>(() => serializer.FromBinary(bytes, manifest));
            Assert.Contains("is damaged", error.Message, StringComparison.Ordinal);
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
        }

        bytes[^100] ^= 1;
        var named = Assert.Throws<SerializationException>(() => serializer.FromBinary(bytes, manifest));
        Assert.StartsWith("checkpoint of shard job-1/2 at step 700 is damaged", named.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_flipped_bit_in_the_weights_of_a_version_is_found_and_named()
    {
        var part = new WeightsPart(new ModelVersionId("digits", 3), new ShardRange(1024, 2), SampleMessages.Tensor(1, 2), new string('0', 64));
        var serializer = fixture.SerializerOf(part);
        var bytes = serializer.ToBinary(part);
        bytes[^33] ^= 0x80;
        var error = Assert.Throws<SerializationException>(() => serializer.FromBinary(bytes, serializer.Manifest(part)));
        Assert.StartsWith("weights of digits:3 from 1024 is damaged", error.Message, StringComparison.Ordinal);
    }
}
