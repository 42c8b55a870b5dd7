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
    private readonly Dictionary<ModelVersionId, VersionGauge> _gauges = [];
    private readonly Func<ModelVersionId, VersionGauge, Props> _propsFor;
    private IActorRef? _drained;

    public InferenceHostActor(Func<ModelVersionId, VersionGauge, Props> propsFor)
    {
        _propsFor = propsFor;
        Receive<Queries.GetStatus>(_ => Sender.Tell(new Replies.Status([.. _gauges.Values.Select(gauge => gauge.Read())])));
        Receive<IVersionMessage>(_ => _drained is not null, Refuse);
        // what is not here has nothing to take out or to let go
        Receive<Commands.Cancel>(cancel => _versions.GetValueOrDefault(cancel.Version)?.Forward(cancel));
        Receive<Commands.Release>(release => _versions.GetValueOrDefault(release.Version)?.Forward(release));
        Receive<IVersionMessage>(request => ActorOf(request.Version).Forward(request));
        Receive<InferenceActor.Retire>(OnRetire);
        Receive<InferenceActor.Drain>(_ => Drain());
        Receive<Terminated>(OnTerminated);
    }

    /// <param name="registry">of models</param>
    /// <param name="loader">makes models ready</param>
    /// <param name="settings">bounds</param>
    public static Props PropsFor(IActorRef registry, ServedModelLoader loader, ServingSettings settings) =>
        PropsFor((version, gauge) => InferenceActor.PropsFor(version, registry, loader, settings, gauge));

    /// <param name="propsFor">of the actor of a version</param>
    internal static Props PropsFor(Func<ModelVersionId, Props> propsFor) => PropsFor((version, _) => propsFor(version));

    /// <param name="propsFor">of the actor of a version, which says how it is by the gauge</param>
    internal static Props PropsFor(Func<ModelVersionId, VersionGauge, Props> propsFor) => Props.Create(() => new InferenceHostActor(propsFor));

    private void Refuse(IVersionMessage request)
    {
        IReadOnlyList<Fault> faults = [new Fault(request.Version.ToString(), "the node is leaving the cluster: try again")];
        var soon = TimeSpan.FromSeconds(1);
        object? reply = request switch
        {
            Queries.Infer infer => new Replies.InferFailed(infer.Request, FailureKind.Unavailable, faults, soon),
            Commands.Prepare prepare => new Replies.Prepared(prepare.Version, faults),
            Commands.Cancel or Commands.Release => null,
            _ => new Replies.PredictFailed(request.Version, FailureKind.Unavailable, faults) { RetryAfter = soon },
        };
        if (reply is not null)
            Sender.Tell(reply);
    }

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
        if (_versions.TryGetValue(version, out var actor))
            return actor;
        var gauge = _gauges[version] = new VersionGauge(version);
        actor = Context.Watch(Context.ActorOf(_propsFor(version, gauge)));
        _versions.Add(version, actor);
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
        foreach (var gone in _gauges.Keys.Where(version => !_versions.ContainsKey(version)).ToArray())
            _gauges.Remove(gone);
        TellDrained();
    }
}
