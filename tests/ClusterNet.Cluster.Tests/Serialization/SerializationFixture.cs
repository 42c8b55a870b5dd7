using Akka.Actor;
using Akka.Serialization;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Serialization;
using Google.Protobuf;

namespace ClusterNet.Cluster.Tests.Serialization;

/// <summary>An actor system that knows ClusterNet's serializers and nothing else that the project configures.</summary>
public sealed class SerializationFixture : IDisposable
{
    public SerializationFixture()
    {
        System = (ExtendedActorSystem)ActorSystem.Create("wire", SerializationConfiguration.Config);
        Samples = new SampleMessages(System.ActorOf(Props.Empty, "someone"));
    }

    public ExtendedActorSystem System { get; }

    internal SampleMessages Samples { get; }

    internal SerializerWithStringManifest SerializerOf(object message) => Assert.IsAssignableFrom<ProtocolSerializer>(System.Serialization.FindSerializerFor(message));

    internal object RoundTrip(object message)
    {
        if (SerializationConfiguration.LaneTypes.TryGetValue(message.GetType(), out var lane))
        {
            var head = lane.Head(message).ToByteArray();
            return lane.Read(head, 0, head.Length, new Copies(lane.Tensors(message)));
        }
        var serializer = SerializerOf(message);
        return System.Serialization.Deserialize(serializer.ToBinary(message), serializer.Identifier, serializer.Manifest(message));
    }

    public void Dispose() => System.Terminate().GetAwaiter().GetResult();

    /// <summary>The tensors as another node would have them.</summary>
    private sealed class Copies(IReadOnlyList<TensorPayload> tensors) : ITensors
    {
        private int _next;

        public TensorPayload Payload(int length)
        {
            Assert.Equal(tensors[_next].Length, length);
            return SampleMessages.Tensor(tensors[_next++].Span.ToArray());
        }
    }
}
