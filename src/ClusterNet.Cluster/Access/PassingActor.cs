using Akka.Actor;
using ClusterNet.Cluster.Serving;
using static ClusterNet.Cluster.Access.AccessProtocol;

namespace ClusterNet.Cluster.Access;

/// <summary>
/// Passes one question about a model on to a node that answers such, and its answer back. An answer changes nothing there, so where the node is lost or leaves meanwhile the next one is asked: nobody waits for a node that is gone.
/// An answer may take long: meanwhile there are signs of life. Lives for one question.
/// </summary>
internal sealed class PassingActor : ReceiveActor
{
    /// <summary>For a node to say that it is there; from then on the cluster tells when it is lost, however long the answer takes.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    private readonly ServingProtocol.IVersionMessage _question;
    private readonly IActorRef _asker;
    private readonly IReadOnlyList<(ActorPath Actor, string Name)> _nodes;
    private readonly bool _leavesNode;
    private readonly ICancelable _signsOfLife;
    private IActorRef? _asked;
    private IActorRef? _sending;
    private int _turn = -1;

    public PassingActor(ServingProtocol.IVersionMessage question, IActorRef asker, IReadOnlyList<(ActorPath Actor, string Name)> nodes, bool leavesNode)
    {
        (_question, _asker, _nodes, _leavesNode) = (question, asker, nodes, leavesNode);
        _signsOfLife = SignsOfLife.Start(Context, asker);
        Receive<ActorIdentity>(identity => identity.MessageId is int turn && turn == _turn && _asked is null, identity => Ask(identity.Subject));
        Receive<ActorIdentity>(_ => { });
        Receive<ReceiveTimeout>(_ => Next());
        Receive<Terminated>(lost => lost.ActorRef.Equals(_asked), _ => Next());
        Receive<Terminated>(_ => { });
        Receive<ServingProtocol.Replies.PredictFailed>(failed => failed.Kind == ServingProtocol.FailureKind.Unavailable && HasNext, _ => Next());
        Receive<Replies.Unavailable>(_ => HasNext, _ => Next());
        // the other node's, which says no more than that it is there
        Receive<Replies.AtWork>(_ => { });
        ReceiveAny(answer =>
        {
            _asker.Tell(answer, Sender);
            Context.Stop(Self);
        });
    }

    private bool HasNext => _turn < _nodes.Count - 1;

    /// <param name="question">about a version</param>
    /// <param name="asker">who gets the answer</param>
    /// <param name="nodes">who can answer, in the order in which they are asked, and how messages call their nodes: the access actors of other nodes, or the inference host of this one</param>
    /// <param name="leavesNode">whether they are on other nodes, so that a large question goes in pieces</param>
    public static Props PropsFor(ServingProtocol.IVersionMessage question, IActorRef asker, IReadOnlyList<(ActorPath Actor, string Name)> nodes, bool leavesNode) =>
        Props.Create(() => new PassingActor(question, asker, nodes, leavesNode));

    protected override void PreStart() => Next();

    protected override void PostStop() => _signsOfLife.Cancel();

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
        Context.ActorSelection(_nodes[_turn].Actor).Tell(new Identify(_turn), Self);
        Context.SetReceiveTimeout(Patience);
    }

    private void Ask(IActorRef? actor)
    {
        if (actor is null)
        {
            Next();
            return;
        }
        Context.SetReceiveTimeout(null);
        _asked = Context.Watch(actor);
        if (_leavesNode && PieceSenderActor.IsNeededFor(_question))
            (_sending = Context.ActorOf(PieceSenderActor.PropsFor(actor.Tell))).Tell(_question, Self);
        else
            actor.Tell(_question, Self);
    }
}
