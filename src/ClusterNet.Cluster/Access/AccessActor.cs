using System.Runtime.Serialization;
using Akka.Actor;
using Akka.Cluster;
using Akka.Event;
using Akka.Hosting;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Training;
using ClusterNet.Cluster.Workers;

namespace ClusterNet.Cluster.Access;

/// <summary>The key of a node's access actor in the actor registry.</summary>
public sealed class ClusterAccess
{
    private ClusterAccess()
    {
    }
}

/// <summary>
/// The door of a node: whatever a program asks of the cluster comes here, from within or by Akka's receptionist, and goes on to the actor that answers it, on whichever node that is.
/// The answer goes straight to who asked.
/// </summary>
internal sealed class AccessActor : ReceiveActor
{
    /// <summary>The actor's name on every node.</summary>
    public const string Name = "access";

    // requests that come in pieces, all together: many times the largest that the command line sends
    private const long MostPiecesBytes = 512L << 20;
    private static readonly TimeSpan PiecesPatience = TimeSpan.FromSeconds(60);

    private readonly PieceBook _pieces = new(MostPiecesBytes, PiecesPatience, TimeProvider.System);
    private readonly Akka.Cluster.Cluster _cluster = Akka.Cluster.Cluster.Get(Context.System);
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private int _turn;

    public AccessActor(Targets targets)
    {
        Receive<AccessProtocol.Queries.GetMembers>(_ => Sender.Tell(Members()));
        Receive<TrainingProtocol.IJobMessage>(message => targets.Jobs.Tell(message, Sender));
        Receive<TrainingProtocol.Commands.Allocate>(message => targets.Directory.Tell(message, Sender));
        Receive<TrainingProtocol.Queries.ListJobs>(message => targets.Directory.Tell(message, Sender));
        Receive<TrainingProtocol.Queries.HasJob>(message => targets.Directory.Tell(message, Sender));
        Receive<ModelProtocol.IModelMessage>(message => targets.Models.Tell(message, Sender));
        Receive<ModelProtocol.Queries.List>(message => targets.Models.Tell(message, Sender));
        Receive<ModelProtocol.Queries.GetTable>(message => targets.Models.Tell(message, Sender));
        Receive<PredictRequest>(request => targets.Serving.Tell(request, Sender));
        Receive<ServingProtocol.IVersionMessage>(PassOn);
        Receive<WorkerProtocol.Commands.Prepare>(Prepare);
        Receive<AccessProtocol.Commands.Piece>(Take);
    }

    public static Props PropsFor(Targets targets) => Props.Create(() => new AccessActor(targets));

    private Member[] Able(string role) =>
    [
        .. _cluster.State.Members
            .Where(member => member.Status == MemberStatus.Up && member.HasRole(role) && !_cluster.State.Unreachable.Contains(member))
            .Order(Member.AgeOrdering),
    ];

    private void Prepare(WorkerProtocol.Commands.Prepare prepare)
    {
        var able = Able(Roles.Worker);
        if (able.Length == 0)
            TellThatNoneIsUp(Roles.Worker);
        else
            Context.ActorOf(PreparationRouter.PropsFor(prepare, Sender, able.ToDictionary(member => PathOn(member) / "user" / WorkerHostActor.Name, NameOf)));
    }

    /// <summary>To this node where it has the role, else to one of those that have it, each time another first.</summary>
    private void PassOn(ServingProtocol.IVersionMessage question)
    {
        var able = Able(Roles.Inference);
        if (able.Length == 0)
        {
            TellThatNoneIsUp(Roles.Inference);
        }
        else if (able.FirstOrDefault(IsSelf) is { } here)
        {
            Context.ActorOf(PassingActor.PropsFor(question, Sender, [(Self.Path.Root / "user" / InferenceHostActor.Name, NameOf(here))], leavesNode: false));
        }
        else
        {
            var first = _turn++ % able.Length;
            Context.ActorOf(PassingActor.PropsFor(question, Sender, [.. able.Skip(first).Concat(able.Take(first)).Select(member => (PathOn(member) / "user" / Name, NameOf(member)))], leavesNode: true));
        }
    }

    private void TellThatNoneIsUp(string role) => Sender.Tell(new AccessProtocol.Replies.Unavailable($"no node with the role {role} is up; start one, or wait until it is"));

    private bool IsSelf(Member member) => member.UniqueAddress.Equals(_cluster.SelfUniqueAddress);

    private ActorPath PathOn(Member member) => IsSelf(member) ? Self.Path.Root : new RootActorPath(member.Address);

    private static string NameOf(Member member) => NodeAddress.Of(member.Address).ToString();

    private void Take(AccessProtocol.Commands.Piece piece)
    {
        switch (_pieces.Take(piece, out var whole))
        {
            case PieceBook.Outcome.Taken:
                Sender.Tell(new AccessProtocol.Replies.PieceTaken(piece.Request, piece.Index));
                break;
            case PieceBook.Outcome.Whole:
                TakeWhole(piece, whole);
                break;
            case PieceBook.Outcome.Full:
                Sender.Tell(new AccessProtocol.Replies.Unavailable($"the node has no room for more requests as large as this one: all together may have {MostPiecesBytes >> 20} MB; ask for less at once, or later"));
                break;
            default:
                Sender.Tell(new AccessProtocol.Replies.Unavailable("a part of the request was lost on its way; ask again"));
                break;
        }
    }

    private void TakeWhole(AccessProtocol.Commands.Piece last, byte[] whole)
    {
        try
        {
            var message = Context.System.Serialization.Deserialize(whole, last.Serializer, last.Manifest);
            // nothing else is sent in pieces
            if (message is ServingProtocol.IVersionMessage)
                Self.Forward(message);
            else
                Sender.Tell(new AccessProtocol.Replies.Unavailable($"{message.GetType().Name} is no request for a model"));
        }
        catch (SerializationException exception)
        {
            _log.Warning("A request that came in pieces can't be read: {Reason}", exception.Message);
            Sender.Tell(new AccessProtocol.Replies.Unavailable("the request can't be read: it comes from a program of another version"));
        }
    }

    private AccessProtocol.Replies.Members Members() => new(
    [
        .. _cluster.State.Members.Order(Member.AgeOrdering).Select(member => new NodeStatus(
            NodeAddress.Of(member.Address),
            member.Status.ToString().ToLowerInvariant(),
            !_cluster.State.Unreachable.Contains(member),
            [.. member.Roles.Where(Roles.All.Contains).Order(StringComparer.Ordinal)])),
    ]);

    /// <summary>Where requests go.</summary>
    /// <param name="Jobs">the region of coordinators, or a proxy of it</param>
    /// <param name="Directory">of jobs</param>
    /// <param name="Models">the registry</param>
    /// <param name="Serving">this node's router</param>
    internal sealed record Targets(ICanTell Jobs, ICanTell Directory, ICanTell Models, ICanTell Serving);
}

/// <summary>Adds the access actor to a node.</summary>
internal static class AccessHosting
{
    /// <summary>Every node has one. Comes after jobs, directory and registry, or their proxies.</summary>
    public static AkkaConfigurationBuilder AddAccess(this AkkaConfigurationBuilder builder) => builder.WithActors((system, registry) =>
    {
        var targets = new AccessActor.Targets(registry.Get<JobRegion>(), registry.Get<JobDirectory>(), registry.Get<ModelRegistry>(), registry.Get<ServingRouter>());
        var access = system.ActorOf(AccessActor.PropsFor(targets), AccessActor.Name);
        Akka.Cluster.Tools.Client.ClusterClientReceptionist.Get(system).RegisterService(access);
        registry.Register<ClusterAccess>(access);
    });
}
