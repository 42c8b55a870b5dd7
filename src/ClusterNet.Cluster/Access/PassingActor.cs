using Akka.Actor;
using ClusterNet.Cluster.Serving;
using static ClusterNet.Cluster.Access.AccessProtocol;

namespace ClusterNet.Cluster.Access;

/// <summary>
/// Passes one question about a model on to another node and its answer back. An answer changes nothing there, so where the node is lost or leaves meanwhile the next one is asked: nobody waits for a node that is gone. Lives for one question.
/// </summary>
internal sealed class PassingActor : ReceiveActor
{
    /// <summary>For a node to say that it is there; from then on the cluster tells when it is lost, however long the answer takes.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    private readonly ServingProtocol.IVersionMessage _question;
    private readonly IActorRef _asker;
    private readonly IReadOnlyList<(ActorPath Access, string Name)> _nodes;
    private IActorRef? _asked;
    private IActorRef? _sending;
    private int _turn = -1;

    public PassingActor(ServingProtocol.IVersionMessage question, IActorRef asker, IReadOnlyList<(ActorPath Access, string Name)> nodes)
    {
        (_question, _asker, _nodes) = (question, asker, nodes);
        Receive<ActorIdentity>(identity => identity.MessageId is int turn && turn == _turn && _asked is null, identity => Ask(identity.Subject));
        Receive<ActorIdentity>(_ => { });
        Receive<ReceiveTimeout>(_ => Next());
        Receive<Terminated>(lost => lost.ActorRef.Equals(_asked), _ => Next());
        Receive<Terminated>(_ => { });
        Receive<ServingProtocol.Replies.PredictFailed>(failed => failed.Kind == ServingProtocol.FailureKind.Unavailable && HasNext, _ => Next());
        Receive<Replies.Unavailable>(_ => HasNext, _ => Next());
        ReceiveAny(answer =>
        {
            _asker.Tell(answer, Sender);
            Context.Stop(Self);
        });
    }

    private bool HasNext => _turn < _nodes.Count - 1;

    /// <param name="question">about a version</param>
    /// <param name="asker">who gets the answer</param>
    /// <param name="nodes">the access actors of nodes that can answer, in the order in which they are asked, and how messages call them</param>
    public static Props PropsFor(ServingProtocol.IVersionMessage question, IActorRef asker, IReadOnlyList<(ActorPath Access, string Name)> nodes) =>
        Props.Create(() => new PassingActor(question, asker, nodes));

    protected override void PreStart() => Next();

    private void Next()
    {
        _asked = null;
        // what was being sent to the node before goes nowhere, and must not say so later
        if (_sending is not null)
            Context.Stop(_sending);
        if (++_turn == _nodes.Count)
        {
            _asker.Tell(new Replies.Unavailable($"no node answered: {string.Join(", ", _nodes.Select(node => node.Name))} ended meanwhile or did not say that they are there; ask again"));
            Context.Stop(Self);
            return;
        }
        Context.ActorSelection(_nodes[_turn].Access).Tell(new Identify(_turn), Self);
        Context.SetReceiveTimeout(Patience);
    }

    private void Ask(IActorRef? access)
    {
        if (access is null)
        {
            Next();
            return;
        }
        Context.SetReceiveTimeout(null);
        _asked = Context.Watch(access);
        // the access actor of a node that has the role has it at hand
        if (PieceSenderActor.IsNeededFor(_question))
            (_sending = Context.ActorOf(PieceSenderActor.PropsFor(access.Tell))).Tell(_question, Self);
        else
            access.Tell(_question, Self);
    }
}
