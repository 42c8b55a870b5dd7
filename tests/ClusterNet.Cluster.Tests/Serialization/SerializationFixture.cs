using Akka.Actor;
using Akka.Serialization;
using ClusterNet.Cluster.Serialization;

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
        var serializer = SerializerOf(message);
        return System.Serialization.Deserialize(serializer.ToBinary(message), serializer.Identifier, serializer.Manifest(message));
    }

    public void Dispose() => System.Terminate().GetAwaiter().GetResult();
}
