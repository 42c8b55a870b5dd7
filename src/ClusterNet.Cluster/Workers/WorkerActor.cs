using Akka.Actor;
using Akka.Event;
using ClusterNet.Cluster.Lanes;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Core.Codecs;
using ClusterNet.Core.Data;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;
using ClusterNet.Data;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Native;
using ClusterNet.Learning.Training;
using static ClusterNet.Cluster.Workers.WorkerProtocol;

namespace ClusterNet.Cluster.Workers;

/// <summary>
/// Computes gradients of one job on a thread of its own. A step: compute the assigned tree nodes, push each to every shard, receive the new weights from every shard. A pushed gradient is not
/// written again before every shard has let go of it, and is pushed again if no answer comes: shards drop duplicates. This part: data, model, generations. Steps, training without waiting, residuals of a
/// lossy codec, and what is done with selected weights are in the others.
/// </summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001", Justification = "an actor disposes of what it owns in PostStop")]
internal sealed partial class WorkerActor : ReceiveActor, IWithTimers
{
    private static readonly TimeSpan RepeatInterval = TimeSpan.FromSeconds(5);

    private readonly Commands.Enlist _job;
    private IActorRef _coordinator;
    private readonly ModelCatalog _catalog;
    private readonly JobData _data;
    private readonly Lane _lane = Lane.Get(Context.System);
    private readonly JobLog _log;
    private readonly WorkerTelemetry _telemetry;
    private readonly WorkerState _state = new();
    private readonly List<(TreeNode Node, ReductionTree.Part[] Parts)> _pushed = [];
    private readonly WorkerPace _pace;
    private readonly ClaimState? _claims;
    private readonly ResidualStore? _residuals;
    private readonly TensorBufferPool _gradients;
    private readonly BatchPlan _batches;
    private readonly ShardPlan _plan;
    private IReadOnlyList<IActorRef> _shards = [];
    private PreparedData? _parts;
    private TrainableModel? _model;
    private LossFunction? _loss;
    private GradientComputer? _computer;
    private Evaluator? _evaluator;

    public WorkerActor(Commands.Enlist job, IActorRef coordinator, ModelCatalog catalog, JobData data, WorkerPace pace)
    {
        _job = job;
        _coordinator = coordinator;
        _catalog = catalog;
        _data = data;
        _pace = pace;
        _log = new JobLog(Context.GetLogger(), () => job.Job, () => (_state.Generation.Number, _state.Version));
        _telemetry = new WorkerTelemetry(job.Job);
        _gradients = new TensorBufferPool(job.Plan.Layout.Length);
        _batches = BatchPlan.Of(job.Spec.Training, job.Plan.TrainingSamples);
        _plan = new ShardPlan(job.Plan.Layout.Length, job.Spec.Training.Shards);
        _claims = job.Spec.Training.IsAsynchronous ? ClaimState.Of(job.Spec.Training) : null;
        _residuals = GradientCodecs.Of(job.Spec.Training) is { } codec ? new ResidualStore(codec, _plan, job.Plan.Layout.Length) : null;
        Receive<Tick>(tick => Guarded(() => OnTick(tick)));
        Receive<Commands.Enlist>(_ => Announce());
        Receive<Commands.Release>(_ => Context.Stop(Self));
        Receive<Commands.Assign>(assign => Guarded(() => Assign(assign)));
        Receive<Commands.Continue>(IsOfNow, go => Guarded(() => Continue(go)));
        Receive<Commands.Hold>(hold => hold.Generation == _state.Generation, _ => Hold());
        Receive<Commands.SendResiduals>(send => send.Generation == _state.Generation, send => SendResiduals(send.Version));
        Receive<ParameterProtocol.Replies.Pulled>(pulled => Guarded(() => Pulled(pulled)));
        Receive<ParameterProtocol.Replies.ResidualKept>(kept => Guarded(() => ResidualKept(kept)));
        Receive<ParameterProtocol.Replies.Refused>(Refused);
        Receive<ParameterProtocol.Queries.PullInitial>(AnswerInitial);
        Receive<Commands.Evaluate>(evaluate => evaluate.Generation == _state.Generation, evaluate => Guarded(() => WithWeights(evaluate, evaluate.Selection)));
        Receive<Commands.Digest>(digest => digest.Generation == _state.Generation, digest => Guarded(() => WithWeights(digest, digest.Selection)));
        ReceiveAny(message => _log.Debug("Worker of {Job}: {Message} is not of this generation", _job.Job, message.GetType().Name));
    }

    private enum Tick
    {
        Start,
        Repeat,
    }

    /// <inheritdoc/>
    public ITimerScheduler Timers { get; set; } = null!;

    public static Props PropsFor(Commands.Enlist job, IActorRef coordinator, ModelCatalog catalog, JobData data, WorkerPace? pace = null) =>
        Props.Create(() => new WorkerActor(job, coordinator, catalog, data, pace ?? WorkerPace.Full)).WithDispatcher(Hosting.Dispatchers.Compute);

    protected override void PreStart() => Self.Tell(Tick.Start);

    protected override void PostStop()
    {
        _telemetry.Abandon();
        LetGo();
        _computer?.Dispose();
        _evaluator?.Dispose();
        _loss?.Dispose();
        _model?.Dispose();
    }

    private bool IsOfNow(Commands.Continue go) => go.Generation == _state.Generation;

    /// <summary>
    /// What fails here fails again anywhere, since the computation is the same: the job ends with the reason. Not so the start: data and program are this node's, and a worker that has none is none.
    /// </summary>
    private void Guarded(Action work)
    {
        try
        {
            work();
        }
        catch (InputException fault)
        {
            _coordinator.Tell(new Replies.WorkFailed(_job.Job, _state.Generation, fault.Message) { Loggable = JobLog.WithoutData(fault) });
        }
        catch (ClusterException fault)
        {
            _coordinator.Tell(new Replies.WorkFailed(_job.Job, _state.Generation, fault.Message));
        }
#pragma warning disable CA1031 // whatever libtorch or a user's model throws becomes the job's failure, not the node's
        catch (Exception exception)
#pragma warning restore CA1031
        {
            _log.Error(exception, "Worker of {Job} can't compute step {Step}", _job.Job, _state.Version);
            _coordinator.Tell(new Replies.WorkFailed(_job.Job, _state.Generation, $"{exception.GetType().Name}: {exception.Message}"));
        }
        if (_evaluator is null)
            Context.Stop(Self);
    }

    private void OnTick(Tick tick)
    {
        if (tick == Tick.Start)
            Start();
        else if (_lackingSelected.Count > 0)
            PullSelected();
        else
            AskAgain();
    }

    private void Start()
    {
        var spec = _job.Spec;
        var training = spec.Training;
        _parts = _data.Load(spec.Data, training.Seed, _job.Plan);
        var signature = _parts.Preparation.Signature;
        _model = _catalog.Build(spec.Model, training.Loss, signature, training.Seed, training.ThreadsPerWorker);
        if (!_model.Layout.Entries.Select(entry => (entry.Name, entry.Length)).SequenceEqual(_job.Plan.Layout.Entries.Select(entry => (entry.Name, entry.Length))))
            throw new InputException("model", $"model '{spec.Model.Kind}' has other parameters here than where the job was submitted; run the same program on every node");
        _loss = LossFunction.For(training.Loss, _parts);
        _computer = new GradientComputer(_model, _loss, _parts.Training);
        RequireArithmetic();
        _evaluator = new Evaluator(_model, _loss);
        _coordinator.Tell(new Replies.Enlisted(_job.Job));
    }

    /// <summary>A worker that computes other bits than the job began with would make the model depend on which slices it has.</summary>
    private void RequireArithmetic()
    {
        if (_job.Plan.Arithmetic is not { } planned || TrialGradient.Sha256(_computer!, _batches, _job.Plan.Layout.Length) is var own && own == planned)
            return;
        var difference = $"this node's processor or libraries compute other bits than the job began with (trial gradient {own[..12]} here, {planned[..12]} there)";
        if (!TorchLoader.AcceptsOtherArithmetic)
            throw new ClusterException($"{difference}; have nodes of one kind, or start all of them with {TorchLoader.PortableVariable}=1 before a job is handed in; to go on all the same with weights that depend on it, {TorchLoader.AcceptVariable}=1");
        _log.Warning("Job {Job}: {Difference}, and go on all the same ({Variable}): its weights are not those that it would have had", _job.Job, difference, TorchLoader.AcceptVariable);
    }

    /// <summary>The coordinator asks again: it may be another one now, or may not have heard.</summary>
    private void Announce()
    {
        _coordinator = Sender;
        if (_computer is not null)
            _coordinator.Tell(new Replies.Enlisted(_job.Job));
    }

    private void AnswerInitial(ParameterProtocol.Queries.PullInitial pull)
    {
        // the module may have been trained since: the initial weights are those of another build from the same seed
        using var fresh = _catalog.Build(_job.Spec.Model, _job.Spec.Training.Loss, _parts!.Preparation.Signature, _job.Spec.Training.Seed, _job.Spec.Training.ThreadsPerWorker);
        var buffer = new TensorBufferPool(pull.Range.Length).Rent();
        fresh.Weights.Slice(pull.Range.Offset, pull.Range.Length).CopyTo(buffer.Span);
        _lane.Tell(Sender, new ParameterProtocol.Replies.Pulled(pull.Shard, pull.Generation, 0, new TensorPayload(buffer, 0, pull.Range.Length)), Self);
    }

    private TrainingSpec Spec => _job.Spec.Training;

    private ShardId ShardOf(int index) => new(_job.Job, index);

    private void Assign(Commands.Assign assign)
    {
        if (assign.Generation <= _state.Generation)
            return;
        LetGo();
        _shards = assign.Shards;
        _telemetry.Enter(assign.Trace);
        _answers.Clear();
        _selected = null;
        _awaitingSelected.Clear();
        _lackingSelected.Clear();
        _late = [];
        var lacksWeights = _state.Enter(assign);
        _claims?.Enter(_shards.Count, assign.Step);
        _residuals?.Enter(assign.Step, assign.Nodes, _shards.Count);
        if (lacksWeights || _claims is not null || _residuals is not null)
            AskAgain();
        if (!lacksWeights && _claims is null)
            GoOn();
    }

    private void Continue(Commands.Continue go)
    {
        _telemetry.Continue(go.Trace);
        _answers.Clear();
        _selected = null;
        _state.Continue(go.Until);
        GoOn();
    }

    private void Hold()
    {
        if (_claims is not null || Spec.BackupWorkers > 0)
        {
            var furthest = Math.Min(_state.Until, _claims?.Furthest ?? _state.Awaited);
            _state.Continue(furthest);
            _coordinator.Tell(new Replies.Held(_job.Job, _state.Generation, furthest));
            return;
        }
        _state.Hold();
        if (_state.Stands)
            TellReached(_state.Version);
    }

    private void TellReached(long version) => _coordinator.Tell(new Replies.Reached(_job.Job, _state.Generation, version));

    private void GoOn()
    {
        if (_claims is not null)
            GoOnClaiming(_claims);
        else if (_state.Stands)
            TellReached(_state.Version);
        else if (_state.MayCompute && _residuals is not { IsComplete: false })
            ComputeStep();
    }

    /// <summary>Asks for whatever is lacking: at the start, and when no answer came.</summary>
    private void AskAgain()
    {
        if (_claims is not null)
            AskForClaim(_claims);
        else
            Ask();
        AskForResiduals();
        Timers.StartSingleTimer(Tick.Repeat, Tick.Repeat, RepeatInterval);
    }

    private SampleSet PartOf(DataPart part) => part switch
    {
        DataPart.Training => _parts!.Training,
        DataPart.Validation => _parts!.Validation,
        _ => _parts!.Test,
    };
}
