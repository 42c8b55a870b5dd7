using System.Runtime.Serialization;
using Akka.Actor;
using Akka.Configuration;
using Akka.Serialization;

namespace ClusterNet.Cluster.Serialization;

/// <summary>
/// Stands where Akka's Newtonsoft serializer would. Not allowing unregistered types stops that one from writing, but not from reading: whoever can send a message could name it, and any type for it
/// to make.
/// </summary>
internal sealed class RefusingSerializer : Serializer
{
    /// <param name="system">unused</param>
    /// <param name="settings">those that Akka has for the serializer that stood here; unused, but given</param>
    public RefusingSerializer(ExtendedActorSystem system, Config settings)
        : base(system) => _ = settings;

    /// <summary>That of Akka's Newtonsoft serializer.</summary>
    public override int Identifier => 1;

    /// <inheritdoc/>
    public override bool IncludeManifest => true;

    /// <inheritdoc/>
    public override byte[] ToBinary(object obj) => throw new SerializationException($"{obj?.GetType().FullName ?? "null"} has no serializer");

    /// <inheritdoc/>
    public override object FromBinary(byte[] bytes, Type type) =>
        throw new SerializationException($"bytes for {type?.FullName ?? "any type"} were written by a serializer that takes any type: ClusterNet reads none of these");
}
