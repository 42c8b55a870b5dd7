using Akka.Actor;
using Akka.Event;
using Akka.Persistence;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Lanes;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using static ClusterNet.Cluster.Parameters.ParameterProtocol;

namespace ClusterNet.Cluster.Parameters;

/// <summary>
/// One shard of one job, an entity of Cluster.Sharding. Checkpoints go straight to the snapshot store, with the step as their sequence number: a cut that is taken again after a
/// failure overwrites itself with the same bits, and a store that is down fails a checkpoint and nothing else. This part: generations. The life of a step, checkpoints, and training without waiting are in
/// the others.
/// </summary>
internal sealed partial class ParameterShardActor : ReceiveActor, IWithTimers
{
    private static readonly TimeSpan ReportInterval = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LeaveTime = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan RepeatInterval = TimeSpan.FromSeconds(2);

    // a store that is silent would have a connection held by each question
    private static readonly TimeSpan StoreRepeatInterval = TimeSpan.FromSeconds(10);

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
            LoadFailed(failure.Cause);
        });
        Receive<Replies.Pulled>(Initialized);
        Receive<Commands.Meet>(meet => meet.Generation == _state?.Generation, Meet);
        Receive<Commands.Push>(Push);
        Receive<Commands.ShareNorms>(ShareNorms);
        Receive<Commands.KeepResidual>(KeepResidual);
        Receive<Queries.Pull>(Pull);
        Receive<Queries.PullResidual>(PullResidual);
        Receive<Queries.PullSelected>(PullSelected);
        Receive<Commands.MarkBest>(MarkBest);
        Receive<Commands.TakeCheckpoint>(take => IsCurrent(take.Generation) && _state!.Version == take.Step, _ => TakeCheckpoint());
        Receive<Commands.KeepCheckpoints>(keep => DeleteCheckpoints(keep.Steps.Count == 0 ? -1 : keep.Steps[0] - 1));
        Receive<SaveSnapshotSuccess>(Saved);
        Receive<SaveSnapshotFailure>(SaveFailed);
        Receive<DeleteSnapshotsFailure>(failure => _log.Warning("Shard {Shard}: old checkpoints were not deleted: {Reason}", _state?.Shard, StoreFault.ReasonOf(failure.Cause)));
        Receive<Commands.Publish>(publish => IsCurrent(publish.Generation), Publish);
        Receive<WeightsProtocol.Saved>(PartSaved);
        Receive<WeightsProtocol.SaveFailed>(PartFailed);
        Receive<Commands.Close>(Close);
        Receive<Commands.HandOff>(_ => Leave());
        Receive<Commands.Go>(_ => Context.Stop(Self));
        Receive<Terminated>(_ => Context.Stop(Self));
        Receive<Tick>(tick => OnTick(tick));
        // answers to what needs none
        Receive<DeleteSnapshotsSuccess>(_ => { });
        Receive<Commands.Meet>(_ => { });
        Receive<Commands.TakeCheckpoint>(_ => { });
        Receive<Commands.Publish>(_ => { });
    }

    private enum Tick
    {
        Go,
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

    /// <summary>Memory that is shared with other nodes is not left to the garbage collector.</summary>
    protected override void PostStop() => _state?.Forget();

    private bool IsCurrent(Generation generation) => _state is { HasWeights: true } && generation == _state.Generation && _opening is null;

    private static string PersistenceIdOf(ShardId shard) => $"shard-{shard.Job}-{shard.Index}";

    private void Open(Commands.Open open)
    {
        _state ??= new ParameterShardState(open.Shard, open.Setup, RentForWorkers);
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
        LeaveClaims();
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
        Timers.StartSingleTimer(Tick.RepeatOpening, Tick.RepeatOpening, step == 0 ? RepeatInterval : StoreRepeatInterval);
    }

    private void Loaded(LoadSnapshotResult result)
    {
        // an answer to an earlier generation's question says nothing of this one's checkpoint
        if (_opening is not { RestoreStep: > 0 and var step } || result.ToSequenceNr != step)
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

    /// <summary>Only a checkpoint that is damaged gives way to an older one. A store that can't be reached does not: what is committed is there, and is asked for again.</summary>
    private void LoadFailed(Exception failure)
    {
        if (ShardCheckpoint.IsDamage(failure))
            OpenFailed(failure.Message);
        else if (_opening is { } opening)
        {
            _log.Error("Shard {Shard}: the store does not give the checkpoint of step {Step}: {Reason}; asking again", opening.Shard, opening.RestoreStep, StoreFault.ReasonOf(failure));
            Timers.StartSingleTimer(Tick.RepeatOpening, Tick.RepeatOpening, RepeatInterval);
        }
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
        OpenClaims();
        int[] missing = [.. _state!.MissingSlices];
        Answer(new Replies.Opened(_state.Shard, _state.Generation, _state.Version) { MissingSlices = missing.Length == _state.Setup.Training.Slices ? null : missing });
    }

    private void Answer(IShardMessage answer)
    {
        _answer = answer;
        _coordinator.Tell(answer);
    }

    private void Meet(Commands.Meet meet)
    {
        _shards = meet.Shards;
        ShareAgain();
    }

    private void Close(Commands.Close close)
    {
        if (_state is not null && close.Generation < _state.Generation)
            return;
        if (close.DeleteCheckpoints)
            _store.Tell(new DeleteSnapshots(PersistenceIdOf(close.Shard), new SnapshotSelectionCriteria(long.MaxValue)));
        Context.Parent.Tell(new Akka.Cluster.Sharding.Passivate(PoisonPill.Instance));
    }

    /// <summary>It is to move: it asks the coordinator for a checkpoint first, so that no step is lost, and goes when that is done, when there is no coordinator, or after a while.</summary>
    private void Leave()
    {
        if (_state is not { HasWeights: true } || _coordinator.IsNobody())
        {
            Context.Stop(Self);
            return;
        }
        Context.Watch(_coordinator);
        _coordinator.Tell(new Replies.Leaving(_state.Shard, _state.Generation));
        Timers.StartSingleTimer(Tick.Go, Tick.Go, LeaveTime);
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
            case Tick.Go:
                Context.Stop(Self);
                break;
            case Tick.RepeatNorms:
                ShareAgain();
                break;
        }
    }

}
