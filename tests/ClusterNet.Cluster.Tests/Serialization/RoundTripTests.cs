using System.Runtime.Serialization;
using ClusterNet.Cluster.Serialization;

namespace ClusterNet.Cluster.Tests.Serialization;

/// <summary>What is sent or stored comes back as it was, whatever message it is; none is forgotten.</summary>
public sealed class RoundTripTests(SerializationFixture fixture) : IClassFixture<SerializationFixture>
{
    public static TheoryData<string> TypeNames => [.. SampleMessages.Types.Select(type => type.FullName!)];

    [Theory]
    [MemberData(nameof(TypeNames))]
    public void A_message_comes_back_as_it_was(string typeName)
    {
        var samples = fixture.Samples.Of(SampleMessages.Types.Single(type => type.FullName == typeName));
        Assert.True(samples.Count > 0, $"{typeName} crosses a boundary and has no sample in {nameof(SampleMessages)}: give it a codec in its protocol's serializer, and a sample");
        foreach (var sample in samples)
            StructuralComparer.AssertSame(sample, fixture.RoundTrip(sample));
    }

    [Fact]
    public void A_difference_anywhere_would_be_seen()
    {
        // each sample is compared with itself and with every other of its type: a comparison that sees nothing would let every test above pass
        foreach (var samples in SampleMessages.Types.Select(fixture.Samples.Of))
        {
            foreach (var (first, second) in samples.SelectMany((first, i) => samples.Skip(i + 1).Select(second => (first, second))))
                Assert.ThrowsAny<Xunit.Sdk.XunitException>(() => StructuralComparer.AssertSame(first, second));
        }
    }

    [Fact]
    public void Every_codec_is_for_a_message_of_a_protocol_and_the_other_way_round() =>
        Assert.Equal(SampleMessages.Types, SerializationConfiguration.Messages.OrderBy(type => type.FullName, StringComparer.Ordinal));

    [Fact]
    public void Writing_twice_gives_the_same_bytes()
    {
        foreach (var sample in fixture.Samples.ForAkka())
        {
            var serializer = fixture.SerializerOf(sample);
            Assert.Equal(serializer.ToBinary(sample), serializer.ToBinary(sample));
        }
    }

    [Fact]
    public void Manifests_are_short_and_say_their_protocol()
    {
        foreach (var sample in fixture.Samples.All())
            Assert.Matches("^[PWTMSAL]:[a-z-]{2,18}$", fixture.SerializerOf(sample).Manifest(sample));
    }

    [Fact]
    public void What_carries_tensors_is_refused_by_Akka_and_sent_to_the_lane()
    {
        var messages = fixture.Samples.All().Where(message => SerializationConfiguration.LaneTypes.ContainsKey(message.GetType())).ToArray();
        Assert.NotEmpty(messages);
        foreach (var message in messages)
        {
            var serializer = fixture.SerializerOf(message);
            Assert.Contains("Lane.Get(system).Tell", Assert.Throws<SerializationException>(() => serializer.ToBinary(message)).Message, StringComparison.Ordinal);
            Assert.Throws<SerializationException>(() => serializer.FromBinary([], serializer.Manifest(message)));
        }
    }
}
