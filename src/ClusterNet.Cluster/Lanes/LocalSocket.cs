using System.Net.Sockets;
using System.Security.Cryptography;

namespace ClusterNet.Cluster.Lanes;

/// <summary>
/// How nodes of one machine reach each other's lanes: Unix sockets with names of Linux's abstract kind, which vanish with their process and are seen only within their network namespace. A transfer takes less than
/// half of what it takes by TCP on loopback. Who listens tells the name; who finds nobody by that name, since he is on another machine or in another container, goes by TCP. All else, TLS and handshake too, is the same.
/// </summary>
internal static class LocalSocket
{
    private const string Prefix = "clusternet-lane-";
    private const int RandomBytes = 16;
    private const int ConnectMilliseconds = 100;

    /// <summary>Whether this system has such names.</summary>
    public static bool IsSupported => OperatingSystem.IsLinux();

    /// <summary>Whether it is a name that a lane may have: nobody is led to sockets of other programs.</summary>
    public static bool IsName(string name) =>
        name.Length == Prefix.Length + (2 * RandomBytes) && name.StartsWith(Prefix, StringComparison.Ordinal) && name.Skip(Prefix.Length).All(char.IsAsciiHexDigitLower);

    /// <summary>Listens by a name that nobody else has.</summary>
    /// <exception cref="SocketException">the system does not let it</exception>
    public static (Socket Socket, string Name) Listen(int backlog)
    {
        var name = Prefix + RandomNumberGenerator.GetHexString(2 * RandomBytes, lowercase: true);
        var socket = Make();
        try
        {
            socket.Bind(At(name));
            socket.Listen(backlog);
            return (socket, name);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Connects by a name; null where nobody listens by it here, or has no room now.</summary>
    public static Socket? Connect(string name)
    {
        var socket = Make();
        try
        {
            // Who listens but has no room would have it wait, for as long as it likes. A socket that connects without blocking is no way out: .NET watches it from then on, and wakes a thread whenever the peer has read.
            socket.SendTimeout = ConnectMilliseconds;
            socket.Connect(At(name));
            socket.SendTimeout = 0;
            return socket;
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }
    }

    /// <summary>Where a name leads.</summary>
    public static UnixDomainSocketEndPoint At(string name) => new("\0" + name);

    /// <summary>One of its kind, not connected.</summary>
    public static Socket Make() => new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
}
