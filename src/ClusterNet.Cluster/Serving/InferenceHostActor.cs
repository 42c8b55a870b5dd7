using Akka.Actor;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Serving;

/// <summary>
/// One per node: passes requests on to the actor of their version, which it starts at the first and lets go when nobody asks any more. Who may ask for any version could have all of them loaded: beyond the bounds the one that was not asked for
/// the longest time is let go.
/// </summary>
internal sealed class InferenceHostActor : ReceiveActor
{
    /// <summary>The actor's name on every node that serves.</summary>
    public const string Name = "inference";

    /// <summary>The place in the order of use of a version that nobody has asked yet.</summary>
    private const long NeverAsked = 0;

    private readonly Dictionary<ModelVersionId, IActorRef> _versions = [];
    private readonly Dictionary<ModelVersionId, VersionGauge> _gauges = [];
    private readonly Dictionary<ModelVersionId, (long Asked, long Bytes)> _uses = [];
    private readonly Func<ModelVersionId, VersionGauge, Props> _propsFor;
    private readonly HostBounds _bounds;
    private IActorRef? _drained;
    private long _asked;

    public InferenceHostActor(Func<ModelVersionId, VersionGauge, Props> propsFor, HostBounds bounds)
    {
        (_propsFor, _bounds) = (propsFor, bounds);
        Receive<Queries.GetStatus>(_ => Sender.Tell(new Replies.Status([.. _gauges.Values.Select(gauge => gauge.Read())])));
        Receive<IVersionMessage>(_ => _drained is not null, Refuse);
        // what is not here has nothing to take out or to let go
        Receive<Commands.Cancel>(cancel => _versions.GetValueOrDefault(cancel.Version)?.Forward(cancel));
        Receive<Commands.Release>(release => _versions.GetValueOrDefault(release.Version)?.Forward(release));
        Receive<Commands.Prepare>(prepare => prepare.IfRoom, PrepareIfRoom);
        Receive<IVersionMessage>(request => Asked(request.Version).Forward(request));
        Receive<InferenceActor.Takes>(OnTakes);
        Receive<InferenceActor.Retire>(OnRetire);
        Receive<InferenceActor.Drain>(_ => Drain());
        Receive<Terminated>(OnTerminated);
    }

    /// <param name="registry">of models</param>
    /// <param name="loader">makes models ready</param>
    /// <param name="settings">bounds</param>
    public static Props PropsFor(IActorRef registry, ServedModelLoader loader, ServingSettings settings) =>
        PropsFor((version, gauge) => InferenceActor.PropsFor(version, registry, loader, settings, gauge), HostBounds.OfThisProcess);

    /// <param name="propsFor">of the actor of a version</param>
    internal static Props PropsFor(Func<ModelVersionId, Props> propsFor) => PropsFor((version, _) => propsFor(version), HostBounds.OfThisProcess);

    /// <param name="propsFor">of the actor of a version, which says how it is by the gauge</param>
    /// <param name="bounds">of all versions together</param>
    internal static Props PropsFor(Func<ModelVersionId, VersionGauge, Props> propsFor, HostBounds bounds) => Props.Create(() => new InferenceHostActor(propsFor, bounds));

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

    private IActorRef Asked(ModelVersionId version)
    {
        _uses[version] = (++_asked, _uses.GetValueOrDefault(version).Bytes);
        return ActorOf(version);
    }

    private void PrepareIfRoom(Commands.Prepare prepare)
    {
        if (!_versions.ContainsKey(prepare.Version) && _versions.Count >= _bounds.MostVersions)
        {
            Sender.Tell(new Replies.Prepared(prepare.Version, [NoRoom(prepare.Version)]));
            return;
        }
        _uses.TryAdd(prepare.Version, (NeverAsked, 0));
        ActorOf(prepare.Version).Forward(prepare);
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

    /// <summary>A version is to be loaded: others make room for it.</summary>
    private void OnTakes(InferenceActor.Takes takes)
    {
        if (!Sender.Equals(_versions.GetValueOrDefault(takes.Version)))
        {
            // it answers what it was asked before, and is gone
            Sender.Tell(new InferenceActor.Room());
            return;
        }
        _uses[takes.Version] = (_uses[takes.Version].Asked, takes.Bytes);
        var (count, bytes) = (_versions.Count, _versions.Keys.Sum(version => _uses[version].Bytes));
        if (bytes > _bounds.MostBytes && count > 1 && _uses[takes.Version].Asked == NeverAsked)
        {
            // whoever asked for it if there is room is told so: what was passed on to it may not have been read yet, and comes before this
            Sender.Tell(PoisonPill.Instance);
            Forget(takes.Version);
            return;
        }
        foreach (var idle in _versions.Keys.Where(version => version != takes.Version).OrderBy(version => _uses[version].Asked).ToArray())
        {
            if (count <= _bounds.MostVersions && bytes <= _bounds.MostBytes)
                break;
            _versions[idle].Tell(new Commands.Release(idle));
            (count, bytes) = (count - 1, bytes - _uses[idle].Bytes);
        }
        Sender.Tell(new InferenceActor.Room());
    }

    /// <summary>From here on requests go to a new actor; those sent before are ahead of the answer, so none is lost.</summary>
    private void OnRetire(InferenceActor.Retire retire)
    {
        if (_versions.TryGetValue(retire.Version, out var actor) && actor.Equals(Sender))
            Forget(retire.Version);
        Sender.Tell(new InferenceActor.Drain());
    }

    private void OnTerminated(Terminated terminated)
    {
        foreach (var (version, _) in _versions.Where(pair => pair.Value.Equals(terminated.ActorRef)).ToArray())
            Forget(version);
        foreach (var gone in _gauges.Keys.Where(version => !_versions.ContainsKey(version)).ToArray())
            _gauges.Remove(gone);
        TellDrained();
    }

    private static Fault NoRoom(ModelVersionId version) => new(version.ToString(), "the node has no room for it beside what it has loaded");

    private void Forget(ModelVersionId version)
    {
        _versions.Remove(version);
        _uses.Remove(version);
    }
}

/// <summary>What all versions that a node has loaded may take together.</summary>
/// <param name="MostVersions">each has a thread of its own</param>
/// <param name="MostBytes">of their weights; one that has more is loaded alone</param>
internal sealed record HostBounds(int MostVersions, long MostBytes)
{
    /// <summary>Half of the memory that the process may have.</summary>
    public static HostBounds OfThisProcess { get; } = new(256, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 2);
}
