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

    /// <summary>What it is told.</summary>
    public static class Commands
    {
        /// <summary>
        /// A piece of a request that no message between nodes has room for. The next is sent when this one is answered by <see cref="Replies.PieceTaken"/>; the last one is not: whoever sends it gets
        /// the answer to the request.
        /// </summary>
        /// <param name="Request">which request: drawn by who sends it</param>
        /// <param name="Index">from 0, in order</param>
        /// <param name="Count">of pieces</param>
        /// <param name="Serializer">of the request</param>
        /// <param name="Manifest">of the request</param>
        /// <param name="Bytes">a part of the request as its serializer writes it</param>
        public sealed record Piece(string Request, int Index, int Count, int Serializer, string Manifest, ReadOnlyMemory<byte> Bytes);
    }

    /// <summary>What it answers.</summary>
    public static class Replies
    {
        /// <summary>The nodes as the asked one sees them, the oldest first.</summary>
        public sealed record Members(IReadOnlyList<NodeStatus> Nodes);

        /// <summary>A piece is here: the next may come.</summary>
        public sealed record PieceTaken(string Request, int Index);

        /// <summary>To a question whose answer may take long: somebody is at it. More of them come, and then the answer. See <c>LongQuestionActor</c>.</summary>
        public sealed record AtWork;

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
