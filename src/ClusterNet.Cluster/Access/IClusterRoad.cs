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

    /// <summary>Asks what may take long, and changes nothing however often it is asked. Ends when nobody gives a sign of life any more, see <see cref="LongQuestionActor"/>.</summary>
    /// <exception cref="AskTimeoutException">there were no signs of life</exception>
    Task<object> AskLongAsync(object question, CancellationToken cancel);
}

/// <summary>From within: this process has a node.</summary>
/// <param name="system">the node's</param>
/// <param name="access">its access actor</param>
/// <param name="place">where the cluster is, for messages about it</param>
/// <param name="servesItself">whether this node answers predictions</param>
internal sealed class LocalRoad(ActorSystem system, IActorRef access, string place, bool servesItself) : IClusterRoad
{
    public string Place { get; } = place;

    public bool LeavesNode => !servesItself;

    public Task<object> AskAsync(object message, TimeSpan patience, CancellationToken cancel) => access.Ask<object>(message, patience, cancel);

    public Task<object> AskLongAsync(object question, CancellationToken cancel) =>
        LongQuestion.AskAsync(system, question, access.Tell, leavesNode: false, LongQuestionActor.Silence, cancel);
}
