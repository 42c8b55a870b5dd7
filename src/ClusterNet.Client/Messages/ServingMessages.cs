using System.Runtime.Serialization;
using Akka.Actor;
using Akka.Serialization;
using ClusterNet.Cluster.Serialization.Wire;
using Google.Protobuf;

namespace ClusterNet.Client.Messages;

/// <summary>Writes a request, or that nobody waits for its answer any more, and reads its two kinds of answer, by the numbers and names that nodes have for them. See serving.proto.</summary>
/// <param name="system">Akka's</param>
public sealed class ServingMessages(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    private const string RequestName = "S:request";
    private const string WithdrawName = "S:withdraw";
    private const string ServedName = "S:served";
    private const string RefusedName = "S:refused";

    /// <summary>Never changes.</summary>
    public override int Identifier => 7105;

    /// <inheritdoc/>
    public override string Manifest(object o) => o switch
    {
        ServingRequest => RequestName,
        ServingNothing => WithdrawName,
        _ => throw new SerializationException($"{o?.GetType().FullName ?? "null"} is not sent"),
    };

    /// <inheritdoc/>
    public override byte[] ToBinary(object obj) => obj is ServingRequest or ServingNothing ? ((IMessage)obj).ToByteArray() : throw new SerializationException($"{obj?.GetType().FullName ?? "null"} is not sent");

    /// <inheritdoc/>
    public override object FromBinary(byte[] bytes, string manifest)
    {
        try
        {
            return manifest switch
            {
                ServedName => ServingServed.Parser.ParseFrom(bytes),
                RefusedName => ServingRefused.Parser.ParseFrom(bytes),
                _ => throw new SerializationException($"'{manifest}' is no answer"),
            };
        }
        catch (InvalidProtocolBufferException error)
        {
            throw new SerializationException($"'{manifest}' can't be read: {error.Message}", error);
        }
    }
}

/// <summary>Stands where Akka's serializer would that takes any type, and takes none.</summary>
/// <param name="system">Akka's</param>
/// <param name="settings">those that Akka has for the serializer that stood here; unused, but given</param>
public sealed class NoOtherMessages(ExtendedActorSystem system, Akka.Configuration.Config settings) : Serializer(system)
{
    /// <summary>Those it was given.</summary>
    public Akka.Configuration.Config Settings { get; } = settings;

    /// <summary>That of Akka's Newtonsoft serializer.</summary>
    public override int Identifier => 1;

    /// <inheritdoc/>
    public override bool IncludeManifest => false;

    /// <inheritdoc/>
    public override byte[] ToBinary(object obj) => throw new SerializationException($"{obj?.GetType().FullName ?? "null"} has no serializer");

    /// <inheritdoc/>
    public override object FromBinary(byte[] bytes, Type type) => throw new SerializationException("bytes of a serializer that takes any type: none of these is read");
}
