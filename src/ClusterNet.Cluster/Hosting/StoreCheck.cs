using Akka.Cluster;

namespace ClusterNet.Cluster.Hosting;

/// <summary>
/// All nodes of a cluster that keep something keep it in one store: a job that moves to another node is found there. Each such node carries the store's identity as one more role, so that
/// it is seen when that is not so.
/// </summary>
internal static class StoreCheck
{
    private const string Prefix = "store-";

    /// <summary>The role that tells which store a node has; none where it has none.</summary>
    public static IReadOnlyList<string> RolesOf(INodeStore store) => store.Id.Length == 0 ? [] : [Prefix + store.Id];

    /// <summary>What is wrong, seen from a node that has just joined; null where nothing is.</summary>
    public static string? Fault(ClusterEvent.CurrentClusterState state, Member self)
    {
        var own = Of(self);
        if (own is null)
            return null;
        var other = state.Members.FirstOrDefault(member => member.Status is MemberStatus.Up or MemberStatus.Joining or MemberStatus.WeaklyUp && Of(member) is { } store && store != own);
        return other is null
            ? null
            : $"this node and {NodeAddress.Of(other.Address)} keep their jobs in different stores; give all nodes with the roles {Roles.Coordinator}, {Roles.Parameters} or {Roles.Inference} the same PostgreSQL database "
                + "(store.postgres), or give this node roles that need none";
    }

    private static string? Of(Member member) => member.Roles.FirstOrDefault(role => role.StartsWith(Prefix, StringComparison.Ordinal));
}
