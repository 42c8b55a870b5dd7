using Akka.Actor;
using Akka.Event;
using Akka.Persistence;
using ClusterNet.Cluster.Lanes;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using static ClusterNet.Cluster.Parameters.ParameterProtocol;

namespace ClusterNet.Cluster.Parameters;

/// <summary>
/// One shard of one job, an entity of Cluster.Sharding. Checkpoints go straight to the snapshot store, with the step as their sequence number: a cut that is taken again after a
/// failure overwrites itself with the same bits, and a store that is down fails a checkpoint and nothing else.
/// </summary>
internal sealed class ParameterShardActor : ReceiveActor, IWithTimers
{
    private static readonly TimeSpan ReportInterval = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan RepeatInterval = TimeSpan.FromSeconds(2);

    private readonly IActorRef _store;
    private readonly Lane _lane = Lane.Get(Context.System);
    private readonly JobLog _log;
    private readonly HashSet<IActorRef> _waiting = [];
    private readonly List<StepStatistics> _unreported = [];
    private readonly Dictionary<IActorRef, (IActorRef Asker, Generation Generation)> _publishing = [];
    private readonly List<ShardRange> _published = [];
    private ParameterShardState? _state;
    private ShardTelemetry? _telemetry;
    private IActorRef _coordinator = ActorRefs.Nobody;
    private IReadOnlyList<IActorRef> _shards = [];
    private Commands.Open? _opening;
    private IShardMessage? _answer;
    private bool _reportPlanned;

    public ParameterShardActor(IActorRef store)
    {
        _store = store;
        _log = new JobLog(Context.GetLogger(), () => _state?.Shard.Job, () => (_state?.Generation.Number ?? -1, _state?.Version ?? -1));
        Receive<Commands.Open>(Open);
        Receive<LoadSnapshotResult>(Loaded);
        Receive<LoadSnapshotFailed>(failure =>
        {
            NodeTelemetry.StoreFailed("load");
            OpenFailed(failure.Cause.Message);
        });
        Receive<Replies.Pulled>(Initialized);
        Receive<Commands.Meet>(meet => meet.Generation == _state?.Generation, Meet);
        Receive<Commands.Push>(Push);
        Receive<Commands.ShareNorms>(ShareNorms);
        Receive<Queries.Pull>(Pull);
        Receive<Queries.PullSelected>(PullSelected);
        Receive<Commands.MarkBest>(MarkBest);
        Receive<Commands.TakeCheckpoint>(take => IsCurrent(take.Generation) && _state!.Version == take.Step, _ => SaveCheckpoint());
        Receive<Commands.KeepCheckpoints>(keep => DeleteCheckpoints(keep.Steps.Count == 0 ? -1 : keep.Steps[0] - 1));
        Receive<SaveSnapshotSuccess>(Saved);
        Receive<SaveSnapshotFailure>(SaveFailed);
        Receive<DeleteSnapshotsFailure>(failure => _log.Warning("Shard {Shard}: old checkpoints were not deleted: {Reason}", _state?.Shard, failure.Cause.Message));
        Receive<Commands.Publish>(publish => IsCurrent(publish.Generation), Publish);
        Receive<WeightsProtocol.Saved>(PartSaved);
        Receive<WeightsProtocol.SaveFailed>(PartFailed);
        Receive<Commands.Close>(Close);
        Receive<Tick>(tick => OnTick(tick));
        // answers to what needs none
        Receive<DeleteSnapshotsSuccess>(_ => { });
        Receive<Commands.Meet>(_ => { });
        Receive<Commands.TakeCheckpoint>(_ => { });
        Receive<Commands.Publish>(_ => { });
    }

    private enum Tick
    {
        Report,
        RepeatOpening,
        RepeatNorms,
    }

    /// <inheritdoc/>
    public ITimerScheduler Timers { get; set; } = null!;

    public static Props PropsFor(ActorSystem system) =>
        Props.Create(() => new ParameterShardActor(Persistence.Instance.Apply(system).SnapshotStoreFor(string.Empty))).WithDispatcher(Hosting.Dispatchers.Parameters);

    /// <summary>A shard that threw has lost its weights: only its end is noticed by the coordinator, a restart is not.</summary>
    protected override void PostRestart(Exception reason)
    {
        _log.Error(reason, "A parameter shard failed; its job goes back to its last checkpoint");
        Context.Stop(Self);
    }

    private bool IsCurrent(Generation generation) => _state is { HasWeights: true } && generation == _state.Generation && _opening is null;

    private static string PersistenceIdOf(ShardId shard) => $"shard-{shard.Job}-{shard.Index}";

    private void Open(Commands.Open open)
    {
        _state ??= new ParameterShardState(open.Shard, open.Setup);
        _telemetry ??= new ShardTelemetry(open.Shard);
        if (open.Generation < _state.Generation)
            return;
        _coordinator = Sender;
        if (open.Generation == _state.Generation)
        {
            // asked again: the answer was lost, or is still to come
            if (_answer is not null)
                _coordinator.Tell(_answer);
            return;
        }
        _answer = null;
        _telemetry.Enter(open.Trace);
        _state.Enter(open.Generation);
        _waiting.Clear();
        _shards = [];
        if (open.RestoreStep is null)
        {
            _opening = null;
            if (_state.HasWeights)
                TellOpened();
            else
                Answer(new Replies.OpenFailed(open.Shard, open.Generation, -1, "the shard has no weights to go on with"));
            return;
        }
        _unreported.Clear();
        _opening = open;
        RequestState();
    }

    private void RequestState()
    {
        var (shard, step) = (_opening!.Shard, _opening.RestoreStep!.Value);
        if (step == 0)
            _opening.WeightsSource.Tell(new Queries.PullInitial(shard, _opening.Generation, _state!.Range));
        else
            _store.Tell(new LoadSnapshot(PersistenceIdOf(shard), new SnapshotSelectionCriteria(step, DateTime.MaxValue, step, null), step));
        Timers.StartSingleTimer(Tick.RepeatOpening, Tick.RepeatOpening, RepeatInterval);
    }

    private void Loaded(LoadSnapshotResult result)
    {
        if (_opening is not { RestoreStep: > 0 and var step })
            return;
        if (result.Snapshot?.Snapshot is not ShardCheckpoint checkpoint || checkpoint.Step != step)
        {
            OpenFailed("it is not in the store");
            return;
        }
        try
        {
            _state!.Restore(checkpoint);
        }
        catch (InvalidDataException fault)
        {
            OpenFailed(fault.Message);
            return;
        }
        TellOpened();
    }

    private void Initialized(Replies.Pulled initial)
    {
        if (_opening is { RestoreStep: 0 } && initial.Generation == _opening.Generation && initial.Weights.Length == _state!.Range.Length)
        {
            _state.Initialize(initial.Weights.Span);
            TellOpened();
        }
        initial.Weights.Release();
    }

    private void OpenFailed(string reason)
    {
        if (_opening is not { } opening)
            return;
        _log.Error("Shard {Shard}: checkpoint of step {Step} can't be read: {Reason}", opening.Shard, opening.RestoreStep, reason);
        Timers.Cancel(Tick.RepeatOpening);
        _opening = null;
        Answer(new Replies.OpenFailed(opening.Shard, opening.Generation, opening.RestoreStep!.Value, reason));
    }

    private void TellOpened()
    {
        Timers.Cancel(Tick.RepeatOpening);
        _opening = null;
        Answer(new Replies.Opened(_state!.Shard, _state.Generation, _state.Version));
    }

    private void Answer(IShardMessage answer)
    {
        _answer = answer;
        _coordinator.Tell(answer);
    }

    private void Meet(Commands.Meet meet)
    {
        _shards = meet.Shards;
        ShareOwnNorms();
    }

    private void Push(Commands.Push push)
    {
        if (_state is null || _opening is not null)
        {
            push.Gradient.Release();
            Sender.Tell(new Replies.Refused(push.Shard, push.Generation, push.Step, RefusalReason.NotYet));
            return;
        }
        var span = _telemetry!.Push(push.Trace, push.Step);
        var outcome = _state.Offer(push);
        _telemetry.Pushed(outcome, span);
        switch (outcome)
        {
            case PushOutcome.Wait or PushOutcome.ExchangeNorms or PushOutcome.Advanced:
                _waiting.Add(Sender);
                Act(outcome);
                break;
            case PushOutcome.AlreadyDone:
                AnswerWith(Sender, _state.Version);
                break;
            default:
                Sender.Tell(new Replies.Refused(push.Shard, _state.Generation, push.Step, ReasonOf(outcome)));
                break;
        }
    }

    private void ShareNorms(Commands.ShareNorms norms)
    {
        if (_state is null || _opening is not null)
            return;
        // who is in a round that is over here may have missed it
        var isOver = norms.Step < _state.Version || (norms.Step == _state.Version && norms.Round < _state.OpenRound?.Round);
        Act(_state.Offer(norms));
        if (isOver && !norms.IsAnswer && _state.OwnNorms(norms.Step, norms.Round) is { } own)
            Sender.Tell(new Commands.ShareNorms(norms.Shard with { Index = norms.From }, _state.Shard.Index, norms.Step, norms.Round, own, IsAnswer: true));
    }

    private void Act(PushOutcome outcome)
    {
        if (outcome == PushOutcome.ExchangeNorms)
            ShareOwnNorms();
        else if (outcome == PushOutcome.Advanced)
            Advance();
    }

    /// <summary>Tells the other shards what they need of this one. Repeated until this one has what it needs of them: then they have it too, or will ask.</summary>
    private void ShareOwnNorms()
    {
        if (_state?.OpenRound is not { } round || _shards.Count == 0)
            return;
        var own = _state.OwnNorms(_state.Version, round.Round)!;
        for (var i = 0; i < _shards.Count; i++)
        {
            if (i != _state.Shard.Index)
                _shards[i].Tell(new Commands.ShareNorms(_state.Shard with { Index = i }, _state.Shard.Index, _state.Version, round.Round, own, IsAnswer: false));
        }
        Timers.StartSingleTimer(Tick.RepeatNorms, Tick.RepeatNorms, RepeatInterval);
    }

    private void Advance()
    {
        var state = _state!;
        _telemetry!.Updated(staleness: 0);
        foreach (var worker in _waiting)
            AnswerWith(worker, state.Version);
        _waiting.Clear();
        if (state.Shard.Index == 0)
            PlanReport();
        if (IsDue(state.Version))
            SaveCheckpoint();
    }

    private bool IsDue(long version)
    {
        var setup = _state!.Setup;
        return version == setup.TotalSteps || (setup.Training.Checkpoint.Every > 0 && version % setup.Training.Checkpoint.Every == 0);
    }

    private void PlanReport()
    {
        var state = _state!;
        _unreported.Add(state.LastStep);
        if (state.Version % state.Setup.StepsPerEpoch == 0 || state.Version == state.Setup.TotalSteps)
            Report();
        else if (!_reportPlanned)
        {
            _reportPlanned = true;
            Timers.StartSingleTimer(Tick.Report, Tick.Report, ReportInterval);
        }
    }

    private void Report()
    {
        if (_unreported.Count == 0)
            return;
        _coordinator.Tell(new Replies.StepsDone(_state!.Shard, _state.Generation, _state.Version - _unreported.Count, [.. _unreported]));
        _unreported.Clear();
    }

    private void Pull(Queries.Pull pull)
    {
        if (_state is null || _opening is not null || pull.Generation > _state.Generation)
            Sender.Tell(new Replies.Refused(pull.Shard, pull.Generation, pull.Version, RefusalReason.NotYet));
        else if (pull.Generation < _state.Generation)
            Sender.Tell(new Replies.Refused(pull.Shard, _state.Generation, pull.Version, RefusalReason.StaleGeneration));
        else
            AnswerWith(Sender, pull.Version);
    }

    private void AnswerWith(IActorRef worker, long version)
    {
        var state = _state!;
        if (state.Weights(version) is { } weights)
            _lane.Tell(worker, new Replies.Pulled(state.Shard, state.Generation, version, weights), Self);
        else
            worker.Tell(new Replies.Refused(state.Shard, state.Generation, version, version > state.Version ? RefusalReason.NotYet : RefusalReason.StaleStep));
    }

    private void PullSelected(Queries.PullSelected pull)
    {
        if (!IsCurrent(pull.Generation))
        {
            Sender.Tell(new Replies.Refused(pull.Shard, pull.Generation, -1, RefusalReason.StaleGeneration));
            return;
        }
        var (weights, version) = _state!.Selected(pull.Selection);
        _lane.Tell(Sender, new Replies.Pulled(pull.Shard, pull.Generation, version, weights), Self);
    }

    private void MarkBest(Commands.MarkBest mark)
    {
        if (IsCurrent(mark.Generation) && (_state!.BestStep == mark.Step || _state.MarkBest(mark.Step)))
            Sender.Tell(new Replies.BestMarked(mark.Shard, mark.Generation, mark.Step));
    }

    private void SaveCheckpoint()
    {
        var checkpoint = _state!.Checkpoint();
        _telemetry!.Saving(checkpoint);
        _store.Tell(new SaveSnapshot(new SnapshotMetadata(PersistenceIdOf(checkpoint.Shard), checkpoint.Step, DateTime.UtcNow), checkpoint));
    }

    private void Saved(SaveSnapshotSuccess saved)
    {
        _telemetry?.Saved(saved.Metadata.SequenceNr, succeeded: true);
        if (_state is null)
            return;
        if (_state.Shard.Index == 0)
            Report();
        _coordinator.Tell(new Replies.CheckpointSaved(_state.Shard, _state.Generation, saved.Metadata.SequenceNr));
    }

    private void SaveFailed(SaveSnapshotFailure failure)
    {
        _telemetry?.Saved(failure.Metadata.SequenceNr, succeeded: false);
        if (_state is null)
            return;
        _log.Error("Shard {Shard}: checkpoint of step {Step} was not saved: {Reason}", _state.Shard, failure.Metadata.SequenceNr, failure.Cause.Message);
        _coordinator.Tell(new Replies.CheckpointFailed(_state.Shard, _state.Generation, failure.Metadata.SequenceNr, failure.Cause.Message));
    }

    private void DeleteCheckpoints(long upTo)
    {
        if (upTo >= 0 && _state is not null)
            _store.Tell(new DeleteSnapshots(PersistenceIdOf(_state.Shard), new SnapshotSelectionCriteria(upTo)));
    }

    private void Publish(Commands.Publish publish)
    {
        if (_publishing.Count > 0)
            return;
        _published.Clear();
        var state = _state!;
        var (weights, _) = state.Selected(publish.Selection);
        foreach (var part in WeightsProtocol.Split(state.Range))
        {
            var payload = TensorPayload.Of(weights.Buffer, part with { Offset = weights.Offset + part.Offset - state.Range.Offset });
            _publishing.Add(Context.ActorOf(WeightsPartActor.PropsForSave(publish.Version, part, payload)), (Sender, publish.Generation));
            _published.Add(part);
        }
        weights.Release();
    }

    private void PartSaved(WeightsProtocol.Saved saved)
    {
        if (_publishing.Remove(Sender, out var asked) && _publishing.Count == 0)
            asked.Asker.Tell(new Replies.Published(_state!.Shard, asked.Generation, [.. _published]));
    }

    private void PartFailed(WeightsProtocol.SaveFailed failed)
    {
        if (!_publishing.Remove(Sender, out var asked))
            return;
        _publishing.Clear();
        asked.Asker.Tell(new Replies.PublishFailed(_state!.Shard, asked.Generation, failed.Reason));
    }

    private void Close(Commands.Close close)
    {
        if (_state is not null && close.Generation < _state.Generation)
            return;
        if (close.DeleteCheckpoints)
            _store.Tell(new DeleteSnapshots(PersistenceIdOf(close.Shard), new SnapshotSelectionCriteria(long.MaxValue)));
        Context.Parent.Tell(new Akka.Cluster.Sharding.Passivate(PoisonPill.Instance));
    }

    private void OnTick(Tick tick)
    {
        switch (tick)
        {
            case Tick.Report:
                _reportPlanned = false;
                Report();
                break;
            case Tick.RepeatOpening when _opening is not null:
                RequestState();
                break;
            case Tick.RepeatNorms:
                ShareOwnNorms();
                break;
        }
    }

    private static RefusalReason ReasonOf(PushOutcome outcome) => outcome switch
    {
        PushOutcome.StaleGeneration => RefusalReason.StaleGeneration,
        PushOutcome.StaleStep => RefusalReason.StaleStep,
        PushOutcome.Malformed => RefusalReason.Malformed,
        _ => RefusalReason.NotYet,
    };
}
