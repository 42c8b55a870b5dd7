using Akka.Cluster;

namespace ClusterNet.Cluster.Hosting;

/// <summary>A node's name travels as one more role: the cluster's own gossip tells everybody.</summary>
internal static class NodeNameRole
{
    private const string Prefix = "name-";

    /// <summary>The role of a name.</summary>
    public static string For(string name) => Prefix + name;

    /// <summary>The name of a node; null where it does not tell.</summary>
    public static string? Of(Member member) => member.Roles.FirstOrDefault(role => role.StartsWith(Prefix, StringComparison.Ordinal))?[Prefix.Length..];
}
