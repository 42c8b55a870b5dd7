using Akka.Actor;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Serving;

/// <summary>One per node: passes requests on to the actor of their version, which it starts at the first and lets go when nobody asks any more.</summary>
internal sealed class InferenceHostActor : ReceiveActor
{
    /// <summary>The actor's name on every node that serves.</summary>
    public const string Name = "inference";

    private readonly Dictionary<ModelVersionId, IActorRef> _versions = [];
    private readonly Func<ModelVersionId, Props> _propsFor;
    private IActorRef? _drained;

    public InferenceHostActor(Func<ModelVersionId, Props> propsFor)
    {
        _propsFor = propsFor;
        Receive<IVersionMessage>(_ => _drained is not null, request => Sender.Tell(Refused(request.Version)));
        Receive<IVersionMessage>(request => ActorOf(request.Version).Forward(request));
        Receive<InferenceActor.Retire>(OnRetire);
        Receive<InferenceActor.Drain>(_ => Drain());
        Receive<Terminated>(OnTerminated);
    }

    /// <param name="registry">of models</param>
    /// <param name="loader">makes models ready</param>
    /// <param name="settings">bounds</param>
    public static Props PropsFor(IActorRef registry, ServedModelLoader loader, ServingSettings settings) =>
        PropsFor(version => InferenceActor.PropsFor(version, registry, loader, settings));

    /// <param name="propsFor">of the actor of a version</param>
    internal static Props PropsFor(Func<ModelVersionId, Props> propsFor) => Props.Create(() => new InferenceHostActor(propsFor));

    private static Replies.PredictFailed Refused(ModelVersionId version) =>
        new(version, FailureKind.Overloaded, [new Fault(version.ToString(), "the node is leaving the cluster: try again")]);

    /// <summary>The node leaves: what is here is answered, nothing new is taken. Answered by <see cref="InferenceActor.Drain"/> when all is done.</summary>
    private void Drain()
    {
        _drained = Sender;
        foreach (var actor in Context.GetChildren())
            actor.Tell(new InferenceActor.Drain());
        TellDrained();
    }

    private void TellDrained()
    {
        if (_drained is not null && !Context.GetChildren().Any())
            _drained.Tell(new InferenceActor.Drain());
    }

    private IActorRef ActorOf(ModelVersionId version)
    {
        if (!_versions.TryGetValue(version, out var actor))
            _versions.Add(version, actor = Context.Watch(Context.ActorOf(_propsFor(version))));
        return actor;
    }

    /// <summary>From here on requests go to a new actor; those sent before are ahead of the answer, so none is lost.</summary>
    private void OnRetire(InferenceActor.Retire retire)
    {
        if (_versions.TryGetValue(retire.Version, out var actor) && actor.Equals(Sender))
            _versions.Remove(retire.Version);
        Sender.Tell(new InferenceActor.Drain());
    }

    private void OnTerminated(Terminated terminated)
    {
        foreach (var (version, _) in _versions.Where(pair => pair.Value.Equals(terminated.ActorRef)).ToArray())
            _versions.Remove(version);
        TellDrained();
    }
}
