using Akka.Actor;

namespace ClusterNet.Cluster.Access;

/// <summary>How a program's questions reach a cluster's access actor.</summary>
internal interface IClusterRoad
{
    /// <summary>Where the cluster is, for messages about it.</summary>
    string Place { get; }

    /// <summary>Whether samples to predict go to another node, in messages of bounded size.</summary>
    bool LeavesNode { get; }

    /// <summary>Asks. A question that is lost, or whose answer is, ends with the patience.</summary>
    /// <exception cref="AskTimeoutException">no answer came in time</exception>
    Task<object> AskAsync(object message, TimeSpan patience, CancellationToken cancel);
}

/// <summary>From within: this process has a node.</summary>
/// <param name="access">the node's access actor</param>
/// <param name="place">where the cluster is, for messages about it</param>
/// <param name="servesItself">whether this node answers predictions</param>
internal sealed class LocalRoad(IActorRef access, string place, bool servesItself) : IClusterRoad
{
    public string Place { get; } = place;

    public bool LeavesNode => !servesItself;

    public Task<object> AskAsync(object message, TimeSpan patience, CancellationToken cancel) => access.Ask<object>(message, patience, cancel);
}
