using System.Globalization;
using Akka.Actor;

namespace ClusterNet.Cluster.Hosting;

/// <summary>Where a node is reached: <c>HOST:PORT</c>, an IPv6 address in brackets.</summary>
public readonly record struct NodeAddress(string Host, int Port)
{
    /// <summary>The address of a member.</summary>
    internal static NodeAddress Of(Address address) => new(address.Host ?? "", address.Port ?? 0);

    /// <summary>Reads <c>HOST:PORT</c>; the port is within 1 to 65535.</summary>
    public static bool TryParse(string text, out NodeAddress address)
    {
        ArgumentNullException.ThrowIfNull(text);
        address = default;
        var colon = text.LastIndexOf(':');
        if (colon <= 0 || !int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port is < 1 or > 65535)
            return false;
        var host = text[..colon];
        var kind = Uri.CheckHostName(host);
        if (kind == UriHostNameType.Unknown || (kind == UriHostNameType.IPv6 && !host.StartsWith('[')))
            return false;
        address = new NodeAddress(host, port);
        return true;
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Host}:{Port}");

    /// <summary>As Akka writes it.</summary>
    internal Address ToAkka(string protocol) => new(protocol, NodeConfiguration.SystemName, Host, Port);
}
