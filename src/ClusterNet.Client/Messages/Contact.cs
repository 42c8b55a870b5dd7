using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace ClusterNet.Client.Messages;

/// <summary>A node as its 'is ready at' line has it.</summary>
internal sealed record Contact(string Host, int Port)
{
    public static Contact Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var colon = text.LastIndexOf(':');
        return colon > 0 && int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and <= IPEndPoint.MaxPort && !text.Contains('/', StringComparison.Ordinal)
            ? new Contact(text[..colon], port)
            : throw new ArgumentException($"'{text}' is no address of a node: HOST:PORT, as its 'is ready at' line says");
    }

    /// <summary>The address that this machine has towards it: what the node can answer to.</summary>
    public string OwnAddress()
    {
        try
        {
            // nothing is sent: the system only chooses the way
            using var probe = new UdpClient(Host.Trim('[', ']'), Port);
            var own = ((IPEndPoint)probe.Client.LocalEndPoint!).Address;
            return (own.IsIPv4MappedToIPv6 ? own.MapToIPv4() : own).ToString();
        }
        catch (SocketException error)
        {
            throw new PredictionFailedException(FailureKind.Unavailable, $"there is no way to {Host}: {error.Message}", inner: error);
        }
    }

    public override string ToString() => FormattableString.Invariant($"{Host}:{Port}");
}
