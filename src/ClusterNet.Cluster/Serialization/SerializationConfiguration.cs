using System.Collections.Frozen;
using System.Text;
using Akka.Configuration;

namespace ClusterNet.Cluster.Serialization;

/// <summary>What an actor system needs to know of ClusterNet's serializers. The one place that lists them.</summary>
public static class SerializationConfiguration
{
    private static readonly (string Name, Type Serializer, CodecTable Table)[] Protocols =
    [
        ("clusternet-parameters", typeof(ParameterSerializer), ParameterSerializer.Table),
        ("clusternet-workers", typeof(WorkerSerializer), WorkerSerializer.Table),
        ("clusternet-training", typeof(TrainingSerializer), TrainingSerializer.Table),
        ("clusternet-models", typeof(ModelSerializer), ModelSerializer.Table),
        ("clusternet-serving", typeof(ServingSerializer), ServingSerializer.Table),
        ("clusternet-access", typeof(AccessSerializer), AccessSerializer.Table),
        ("clusternet-lane", typeof(LaneSerializer), LaneSerializer.Table),
    ];

    /// <summary>
    /// HOCON to put before the rest of a system's configuration: serializers, one binding for each type of message, and strictness, so that a message without a serializer is an
    /// error where it is first written and never falls back to a serializer that takes any type. Bytes written by such a serializer are not read either.
    /// </summary>
    public static string Hocon { get; } = Write();

    /// <summary><see cref="Hocon"/>, parsed.</summary>
    public static Config Config { get; } = ConfigurationFactory.ParseString(Hocon);

    /// <summary>Every type that can be sent to another node or stored.</summary>
    internal static IEnumerable<Type> Messages => Protocols.SelectMany(protocol => protocol.Table.Codecs).Select(codec => codec.Type);

    /// <summary>The messages that travel by the lane, by type.</summary>
    internal static FrozenDictionary<Type, LaneCodec> LaneTypes { get; } =
        Protocols.SelectMany(protocol => protocol.Table.Codecs).Select(codec => codec.Lane).OfType<LaneCodec>().ToFrozenDictionary(codec => codec.Type);

    /// <summary>The same, by manifest.</summary>
    internal static FrozenDictionary<string, LaneCodec> LaneManifests { get; } = LaneTypes.Values.ToFrozenDictionary(codec => codec.Manifest, StringComparer.Ordinal);

    private static string Write()
    {
        // a binding by interface would take what has no codec, and say so later: the types themselves are bound
        var serializers = new StringBuilder();
        var bindings = new StringBuilder();
        foreach (var (name, serializer, table) in Protocols)
        {
            serializers.AppendLine($"    {name} = \"{NameOf(serializer)}\"");
            foreach (var codec in table.Codecs)
                bindings.AppendLine($"    \"{NameOf(codec.Type)}\" = {name}");
        }
        return $$"""
            akka.actor {
              serialization-settings.allow-unregistered-types = off
              serializers {
                json = "{{NameOf(typeof(RefusingSerializer))}}"
            {{serializers}}
              }
              serialization-bindings {
            {{bindings}}
              }
            }
            """;
    }

    private static string NameOf(Type type) => $"{type.FullName}, {type.Assembly.GetName().Name}";
}
