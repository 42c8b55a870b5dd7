using Akka.Actor;
using Akka.Event;
using Akka.Persistence;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using static ClusterNet.Cluster.Models.ModelProtocol;

namespace ClusterNet.Cluster.Models;

/// <summary>
/// The one registry of a cluster. It answers a command once its events are journalled. When the journal fails, the actor says so to whoever asked and stops, as it can't know
/// what was written; whoever supervises it starts it anew, and it reads what was. No snapshots: a version is two small events, and a store of a thousand recovers in a moment.
/// </summary>
internal sealed class ModelRegistryActor : ReceivePersistentActor
{
    private static readonly TimeSpan RouterPatience = TimeSpan.FromSeconds(30);

    private readonly ModelRegistryState _state = new();
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private readonly Dictionary<ModelVersionId, HashSet<ShardRange>> _deleting = [];
    private readonly List<(IActorRef Asker, Replies.Deleted Reply)> _waiting = [];
    private readonly Dictionary<IActorRef, (TimeSpan Heard, IReadOnlyList<ModelVersionId> Used)> _routers = [];

    public ModelRegistryActor()
    {
        Recover<object>(@event => _state.Apply(@event), @event => @event is not (SnapshotOffer or RecoveryCompleted));
        Recover<RecoveryCompleted>(_ => DeleteWeights(_state.WeightsToDelete));

        Command<Commands.Reserve>(reserve => Do(_state.Decide(reserve), Sender.Tell));
        Command<Commands.Register>(register => Do(_state.Decide(register), Sender.Tell));
        Command<Commands.Delete>(Delete);
        Command<Queries.Find>(find => Sender.Tell(_state.Answer(find)));
        Command<Queries.IsThere>(query => Sender.Tell(_state.Answer(query)));
        Command<Queries.List>(_ => Sender.Tell(_state.List()));
        Command<Commands.SetLabel>(label => Do(_state.Decide(label), Sender.Tell));
        Command<Commands.NoteArithmetic>(note => Do(_state.Decide(note), Sender.Tell));
        Command<Commands.SetTraffic>(SetTraffic);
        Command<Queries.GetTable>(query =>
        {
            // who numbers its questions asks again
            if (query.Question > 0)
                _routers[Sender] = (Context.System.Scheduler.MonotonicClock, query.Used);
            Sender.Tell(new Replies.Table(LastSequenceNr, query.Revision == LastSequenceNr ? null : _state.Entries()) { Question = query.Question, Used = [.. UsedAnywhere()] });
        });
        Command<WeightsProtocol.Deleted>(PartDeleted);
        Command<WeightsProtocol.DeleteFailed>(PartNotDeleted);
    }

    /// <inheritdoc/>
    public override string PersistenceId => "models";

    public static Props PropsFor() => Props.Create(() => new ModelRegistryActor());

    /// <inheritdoc/>
    protected override void OnPersistFailure(Exception cause, object @event, long sequenceNr)
    {
        NodeTelemetry.StoreFailed("journal");
        RefuseSender(cause, @event);
        base.OnPersistFailure(cause, @event, sequenceNr);
    }

    /// <inheritdoc/>
    protected override void OnPersistRejected(Exception cause, object @event, long sequenceNr)
    {
        RefuseSender(cause, @event);
        base.OnPersistRejected(cause, @event, sequenceNr);
        // of a deletion of several versions, some events may be in and others not
        Context.Stop(Self);
    }

    /// <inheritdoc/>
    protected override void PostStop()
    {
        // what was promised is journalled; the weights are deleted at the next start
        foreach (var (asker, reply) in _waiting)
            asker.Tell(reply);
        base.PostStop();
    }

    private void RefuseSender(Exception cause, object @event) =>
        Sender.Tell(new Status.Failure(new ClusterException($"the store did not take the registry's {@event.GetType().Name}: {StoreFault.ReasonOf(cause)}", cause)));

    private void Do(RegistryDecision decision, Action<object> answer)
    {
        if (decision.Events.Count == 0)
        {
            answer(decision.Reply);
            return;
        }
        var left = decision.Events.Count;
        PersistAll(decision.Events, @event =>
        {
            _state.Apply(@event);
            if (--left > 0)
                return;
            TellRouters();
            answer(decision.Reply);
        });
    }

    private void SetTraffic(Commands.SetTraffic command)
    {
        if (command.Reason is { } reason)
            _log.Warning("The traffic of {Model} is changed by itself: {Reason}", command.Model, reason);
        Do(_state.Decide(command), Sender.Tell);
    }

    /// <summary>Who has asked for the table a moment ago learns at once that it has changed; who is gone does not ask again.</summary>
    private void TellRouters()
    {
        ForgetRouters();
        if (_routers.Count == 0)
            return;
        var table = new Replies.Table(LastSequenceNr, _state.Entries());
        foreach (var router in _routers.Keys)
            router.Tell(table);
    }

    private HashSet<ModelVersionId> UsedAnywhere()
    {
        ForgetRouters();
        return [.. _routers.Values.SelectMany(router => router.Used)];
    }

    private void ForgetRouters()
    {
        var now = Context.System.Scheduler.MonotonicClock;
        foreach (var (gone, _) in _routers.Where(router => now - router.Value.Heard > RouterPatience).ToArray())
            _routers.Remove(gone);
    }

    private void Delete(Commands.Delete delete)
    {
        var asker = Sender;
        Do(_state.Decide(delete, UsedAnywhere()), reply =>
        {
            if (reply is not Replies.Deleted deleted)
            {
                asker.Tell(reply);
                return;
            }
            _log.Info("Deleted {Versions}", string.Join(", ", deleted.Versions));
            _waiting.Add((asker, deleted));
            DeleteWeights(_state.WeightsToDelete.Where(stored => deleted.Versions.Contains(stored.Version.Id)));
        });
    }

    private void DeleteWeights(IEnumerable<StoredVersion> versions)
    {
        foreach (var stored in versions.Where(stored => stored.Parts.Count > 0))
        {
            var version = stored.Version.Id;
            _deleting[version] = [.. stored.Parts];
            foreach (var part in stored.Parts)
                Context.ActorOf(WeightsPartActor.PropsForDelete(version, part));
        }
        AnswerWaiting();
    }

    private void PartDeleted(WeightsProtocol.Deleted part)
    {
        if (!_deleting.TryGetValue(part.Version, out var left) || !left.Remove(part.Range) || left.Count > 0)
            return;
        Persist(new Events.WeightsDeleted(part.Version), @event =>
        {
            _state.Apply(@event);
            _deleting.Remove(part.Version);
            AnswerWaiting();
        });
    }

    private void PartNotDeleted(WeightsProtocol.DeleteFailed failed)
    {
        _log.Error("{Reason}; tried again when the registry starts again", failed.Reason);
        _deleting.Remove(failed.Version);
        AnswerWaiting();
    }

    private void AnswerWaiting()
    {
        foreach (var waiting in _waiting.Where(waiting => !waiting.Reply.Versions.Any(_deleting.ContainsKey)).ToArray())
        {
            waiting.Asker.Tell(waiting.Reply);
            _waiting.Remove(waiting);
        }
    }
}
