using System.Runtime.Serialization;

namespace ClusterNet.Cluster.Serialization;

/// <summary>
/// The values of an enumeration and their numbers on the wire, matched by name: the order of the members in the code is not a promise, the numbers in the .proto file are. A member without a
/// number there is found when the table is made, not when it is first sent.
/// </summary>
internal sealed class WireEnum<T, TWire>
    where T : struct, Enum
    where TWire : struct, Enum
{
    private readonly Dictionary<T, TWire> _toWire = Enum.GetValues<T>().ToDictionary(value => value, value => Enum.Parse<TWire>(value.ToString()));
    private readonly Dictionary<TWire, T> _fromWire;

    public WireEnum() => _fromWire = _toWire.ToDictionary(entry => entry.Value, entry => entry.Key);

    /// <exception cref="SerializationException">not a member</exception>
    public TWire ToWire(T value) => _toWire.TryGetValue(value, out var wire) ? wire : throw new SerializationException($"{value} is not a {typeof(T).Name}");

    /// <exception cref="SerializationException">a number that this version does not know</exception>
    public T FromWire(TWire wire) => _fromWire.TryGetValue(wire, out var value) ? value : throw new SerializationException($"{wire} is not a {typeof(T).Name} that this version knows");
}
