using Akka.Actor;

namespace ClusterNet.Cluster.Lanes;

/// <summary>
/// The road that messages with tensors take. On the same node that is a plain <see cref="ICanTell.Tell"/>, by reference. The message's hold on its tensor passes to the lane either way: the receiver gives it
/// back where it is local, the lane where the bytes have gone to another node. At most once, in order for each pair of sender and receiver.
/// </summary>
public sealed class Lane : IExtension
{
    /// <summary>The lane of a node.</summary>
    public static Lane Get(ActorSystem system)
    {
        ArgumentNullException.ThrowIfNull(system);
        return system.WithExtension<Lane, LaneExtension>();
    }

    /// <summary>Sends a message with tensors.</summary>
    /// <param name="target">to whom</param>
    /// <param name="message">of a type that is written as a frame</param>
    /// <param name="sender">from whom</param>
#pragma warning disable CA1822 // the lane is an instance: it will have connections
    public void Tell(IActorRef target, object message, IActorRef sender)
#pragma warning restore CA1822
    {
        ArgumentNullException.ThrowIfNull(target);
        target.Tell(message, sender);
    }
}

/// <summary>Makes the lane of a node, once.</summary>
public sealed class LaneExtension : ExtensionIdProvider<Lane>
{
    /// <inheritdoc/>
    public override Lane CreateExtension(ExtendedActorSystem system) => new();
}
