using ClusterNet.Cluster.Hosting;

namespace ClusterNet.Cluster.Access;

/// <summary>What a node's access actor understands beside the messages that it passes on.</summary>
public static class AccessProtocol
{
    /// <summary>What it is asked.</summary>
    public static class Queries
    {
        /// <summary>Which nodes there are. Answered by <see cref="Replies.Members"/>.</summary>
        public sealed record GetMembers;
    }

    /// <summary>What it answers.</summary>
    public static class Replies
    {
        /// <summary>The nodes as the asked one sees them, the oldest first.</summary>
        public sealed record Members(IReadOnlyList<NodeStatus> Nodes);

        /// <summary>To a request that no node can take now: it may be asked again.</summary>
        /// <param name="Reason">for people: what is missing, and what to do</param>
        public sealed record Unavailable(string Reason);
    }
}

/// <summary>A node as another one sees it.</summary>
/// <param name="Address">what others reach it by</param>
/// <param name="Status">joining, up, leaving, exiting, down, as Akka.Cluster has it</param>
/// <param name="Reachable">whether its heartbeats arrive</param>
/// <param name="Roles">what it does</param>
public sealed record NodeStatus(NodeAddress Address, string Status, bool Reachable, IReadOnlyList<string> Roles);
