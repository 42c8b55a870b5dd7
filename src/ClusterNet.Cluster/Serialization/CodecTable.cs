using System.Runtime.Serialization;
using Akka.Actor;
using ClusterNet.Cluster.Parameters;
using Google.Protobuf;

namespace ClusterNet.Cluster.Serialization;

/// <summary>How one type of message is written and read.</summary>
/// <param name="Type">the message</param>
/// <param name="Manifest">its name in stores and on the wire: never changes</param>
/// <param name="Write">message to bytes</param>
/// <param name="Read">bytes to message, in an actor system that knows the actors it names</param>
/// <param name="Lane">how it travels by the lane; null for what does not. What does has no bytes for Akka: writing and reading refuse</param>
internal sealed record Codec(Type Type, string Manifest, Func<object, byte[]> Write, Func<byte[], ExtendedActorSystem, object> Read, LaneCodec? Lane = null);

/// <summary>How a message with tensors travels by the lane.</summary>
/// <param name="Type">the message</param>
/// <param name="Manifest">its name on the wire: never changes</param>
/// <param name="Head">all but the tensors</param>
/// <param name="Tensors">the tensors, in the order they are read; the message's holds on them</param>
/// <param name="Read">the message of a head, which lies in bytes from an offset on with a length, and tensors</param>
internal sealed record LaneCodec(
    Type Type, string Manifest, Func<object, IMessage> Head, Func<object, IReadOnlyList<TensorPayload>> Tensors, Func<byte[], int, int, ITensors, object> Read);

/// <summary>The messages of one protocol. What can be sent or stored is exactly what stands in a table.</summary>
/// <param name="protocol">for errors</param>
internal sealed class CodecTable(string protocol)
{
    private readonly Dictionary<Type, Codec> _byType = [];
    private readonly Dictionary<string, Codec> _byManifest = new(StringComparer.Ordinal);

    // nothing is written or read but by a table
    static CodecTable() => _ = WireDescriptors.All;

    /// <summary>All messages.</summary>
    public IReadOnlyCollection<Codec> Codecs => _byType.Values;

    /// <summary>A message that is one protobuf message.</summary>
    public CodecTable Add<T, TWire>(string manifest, Func<T, TWire> write, Func<TWire, T> read)
        where T : notnull
        where TWire : IMessage<TWire>, new() => Add(manifest, write, (wire, _) => read(wire));

    /// <summary>A message that is one protobuf message and names actors.</summary>
    public CodecTable Add<T, TWire>(string manifest, Func<T, TWire> write, Func<TWire, ExtendedActorSystem, T> read)
        where T : notnull
        where TWire : IMessage<TWire>, new() =>
        Add(new Codec(typeof(T), manifest, message => WireMessage.Write(write((T)message)), (bytes, system) => read(WireMessage.Read<TWire>(bytes), system)));

    /// <summary>What is stored with tensors, as a frame: a protobuf message at its head, raw values behind, a checksum over all.</summary>
    /// <param name="manifest">never changes</param>
    /// <param name="head">all but the tensors; says how long each is</param>
    /// <param name="tensors">the tensors, in the order they are read</param>
    /// <param name="read">puts both together</param>
    /// <param name="damaged">says from the head what is damaged, e.g. "checkpoint of shard x"</param>
    public CodecTable AddFrame<T, TWire>(
        string manifest, Func<T, TWire> head, Func<T, IEnumerable<ReadOnlyMemory<float>>> tensors, Func<TWire, TensorFrame, T> read, Func<TWire, string> damaged)
        where T : notnull
        where TWire : IMessage<TWire>, new() =>
        Add(new Codec(
            typeof(T),
            manifest,
            message => TensorFrame.Write(head((T)message), [.. tensors((T)message)]),
            (bytes, _) => TensorFrame.Read(bytes, read, damaged)));

    /// <summary>A message with tensors that travels by the lane, and by nothing else.</summary>
    /// <param name="manifest">never changes; no message of any protocol that travels by the lane has the same</param>
    /// <param name="head">all but the tensors; says how long each is</param>
    /// <param name="tensors">the tensors, in the order they are read</param>
    /// <param name="read">puts both together</param>
    public CodecTable AddTensors<T, TWire>(string manifest, Func<T, TWire> head, Func<T, IReadOnlyList<TensorPayload>> tensors, Func<TWire, ITensors, T> read)
        where T : notnull
        where TWire : IMessage<TWire>, new() =>
        Add(new Codec(
            typeof(T),
            manifest,
            _ => throw OnTheWrongRoad<T>(manifest),
            (_, _) => throw OnTheWrongRoad<T>(manifest),
            new LaneCodec(
                typeof(T),
                manifest,
                message => head((T)message),
                message => tensors((T)message),
                (bytes, offset, length, payloads) => read(WireMessage.Read<TWire>(bytes, offset, length), payloads))));

    /// <summary>The codec of a message.</summary>
    /// <exception cref="SerializationException">it is not of this protocol</exception>
    public Codec Of(object message) => _byType.TryGetValue(message?.GetType() ?? typeof(void), out var codec)
        ? codec
        : throw new SerializationException($"{message?.GetType().FullName ?? "null"} is not a message of the {protocol} protocol: it needs a codec and a manifest there");

    /// <summary>The codec of a manifest.</summary>
    /// <exception cref="SerializationException">there is none</exception>
    public Codec Of(string manifest) => _byManifest.TryGetValue(manifest ?? "", out var codec)
        ? codec
        : throw new SerializationException($"'{manifest}' is not a manifest of the {protocol} protocol: the sender, or whoever stored it, runs a newer version of ClusterNet");

    private static SerializationException OnTheWrongRoad<T>(string manifest) =>
        new($"{typeof(T).Name} ({manifest}) carries tensors, which travel by the lane and not by Akka.Remote: send it with Lane.Get(system).Tell(target, message, sender)");

    private CodecTable Add(Codec codec)
    {
        _byType.Add(codec.Type, codec);
        _byManifest.Add(codec.Manifest, codec);
        return this;
    }
}
