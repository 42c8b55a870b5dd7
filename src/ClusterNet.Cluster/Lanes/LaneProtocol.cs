using Akka.Actor;

namespace ClusterNet.Cluster.Lanes;

/// <summary>What the actor at <c>/user/lane</c> of a node understands, and what a node is told of its connections.</summary>
public static class LaneProtocol
{
    /// <summary>The name of the actor.</summary>
    public const string ActorName = "lane";

    /// <summary>What it is asked.</summary>
    public static class Queries
    {
        /// <summary>Where is the lane of this node? Answered by <see cref="Replies.At"/>.</summary>
        public sealed record Where;
    }

    /// <summary>What it answers.</summary>
    public static class Replies
    {
        /// <summary>Where the lane listens.</summary>
        /// <param name="Host">to connect to</param>
        /// <param name="Port">to connect to</param>
        /// <param name="Uid">which incarnation of the node this is</param>
        public sealed record At(string Host, int Port, int Uid)
        {
            /// <summary>The name of the socket by which nodes on the same machine connect; null where there is none. See <see cref="LocalSocket"/>.</summary>
            public string? Local { get; init; }
        }
    }
}

/// <summary>
/// On the node's event stream: a connection with a peer ended that had been in use. A hint that the peer may be gone, long before a failure detector knows; it may be reachable all the same.
/// </summary>
/// <param name="Address">the peer's</param>
/// <param name="Uid">which incarnation of it</param>
public sealed record LaneDisconnected(Address Address, int Uid) : INoSerializationVerificationNeeded;
