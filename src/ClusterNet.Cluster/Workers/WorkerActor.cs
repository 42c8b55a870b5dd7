using Akka.Actor;
using Akka.Event;
using ClusterNet.Cluster.Lanes;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Core.Data;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;
using ClusterNet.Data;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Training;
using static ClusterNet.Cluster.Workers.WorkerProtocol;

namespace ClusterNet.Cluster.Workers;

/// <summary>
/// Computes gradients of one job on a thread of its own. A step: compute the assigned tree nodes, push each to every shard, receive the new weights from every shard. A pushed gradient is not
/// written again before every shard has let go of it, and is pushed again if no answer comes: shards drop duplicates.
/// </summary>
#pragma warning disable CA1001 // an actor disposes of what it owns in PostStop
internal sealed class WorkerActor : ReceiveActor, IWithTimers
#pragma warning restore CA1001
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
    private readonly List<(TreeNode Node, ReductionTree.Part Part)> _pushed = [];
    private readonly TensorBufferPool _gradients;
    private readonly BatchPlan _batches;
    private readonly ShardPlan _plan;
    private IReadOnlyList<IActorRef> _shards = [];
    private PreparedData? _parts;
    private TrainableModel? _model;
    private LossFunction? _loss;
    private GradientComputer? _computer;
    private Evaluator? _evaluator;
    private ParameterProtocol.WeightsSelection? _selected;
    private readonly Queue<(object Request, IActorRef Asker)> _awaitingSelected = new();
    private readonly HashSet<int> _lackingSelected = [];

    public WorkerActor(Commands.Enlist job, IActorRef coordinator, ModelCatalog catalog, JobData data)
    {
        _job = job;
        _coordinator = coordinator;
        _catalog = catalog;
        _data = data;
        _log = new JobLog(Context.GetLogger(), () => job.Job, () => (_state.Generation.Number, _state.Version));
        _telemetry = new WorkerTelemetry(job.Job);
        _gradients = new TensorBufferPool(job.Plan.Layout.Length);
        _batches = BatchPlan.Of(job.Spec.Training, job.Plan.TrainingSamples);
        _plan = new ShardPlan(job.Plan.Layout.Length, job.Spec.Training.Shards);
        Receive<Tick>(tick => Guarded(() => OnTick(tick)));
        Receive<Commands.Enlist>(_ => Announce());
        Receive<Commands.Assign>(assign => Guarded(() => Assign(assign)));
        Receive<Commands.Continue>(IsOfNow, go => Guarded(() => Continue(go)));
        Receive<Commands.Hold>(hold => hold.Generation == _state.Generation, _ => Hold());
        Receive<ParameterProtocol.Replies.Pulled>(pulled => Guarded(() => Pulled(pulled)));
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

    public static Props PropsFor(Commands.Enlist job, IActorRef coordinator, ModelCatalog catalog, JobData data) =>
        Props.Create(() => new WorkerActor(job, coordinator, catalog, data)).WithDispatcher(Hosting.Dispatchers.Compute);

    protected override void PreStart() => Self.Tell(Tick.Start);

    protected override void PostStop()
    {
        _telemetry.Abandon();
        _computer?.Dispose();
        _evaluator?.Dispose();
        _loss?.Dispose();
        _model?.Dispose();
    }

    private bool IsOfNow(Commands.Continue go) => go.Generation == _state.Generation;

    /// <summary>What fails here fails again anywhere, since the computation is the same: the job ends with the reason.</summary>
    private void Guarded(Action work)
    {
        try
        {
            work();
        }
        catch (InputException fault)
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
    }

    private void OnTick(Tick tick)
    {
        if (tick == Tick.Start)
            Start();
        else if (_state.Lacking.Count > 0)
            Ask();
        else
            PullSelected();
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
        var counts = signature.Task == LearningTask.Classification ? LossFunction.ClassCounts(_parts.Training, signature.Classes.Count) : null;
        _loss = new LossFunction(training.Loss, signature, counts);
        _computer = new GradientComputer(_model, _loss, _parts.Training);
        _evaluator = new Evaluator(_model, _loss);
        _coordinator.Tell(new Replies.Enlisted(_job.Job));
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
        fresh.Weights.Slice(pull.Range.Offset, pull.Range.Length).CopyTo(buffer.Array);
        _lane.Tell(Sender, new ParameterProtocol.Replies.Pulled(pull.Shard, pull.Generation, 0, new TensorPayload(buffer, 0, pull.Range.Length)), Self);
    }

    private void Assign(Commands.Assign assign)
    {
        if (assign.Generation <= _state.Generation)
            return;
        LetGo();
        _shards = assign.Shards;
        _telemetry.Enter(assign.Trace);
        _selected = null;
        _awaitingSelected.Clear();
        _lackingSelected.Clear();
        if (_state.Enter(assign))
            Ask();
        else
            GoOn();
    }

    private void Continue(Commands.Continue go)
    {
        _telemetry.Continue(go.Trace);
        _state.Continue(go.Until);
        GoOn();
    }

    private void Hold()
    {
        _state.Hold();
        if (_state.Stands)
            TellReached();
    }

    private void TellReached() => _coordinator.Tell(new Replies.Reached(_job.Job, _state.Generation, _state.Version));

    private void GoOn()
    {
        if (_state.Stands)
            TellReached();
        else if (_state.MayCompute)
            ComputeStep();
    }

    private void ComputeStep()
    {
        var step = _state.Version;
        _telemetry.Begin(_state.Generation, step);
        foreach (var node in _state.Nodes)
        {
            var part = _computer!.ComputeNode(step, node, _batches, _gradients);
            _pushed.Add((node, part));
            for (var i = 0; i < _shards.Count; i++)
                Push(i, step, node, part);
        }
        _telemetry.Computed();
        _state.Await(step + 1);
        Timers.StartSingleTimer(Tick.Repeat, Tick.Repeat, RepeatInterval);
    }

    private void Push(int shard, long step, TreeNode node, ReductionTree.Part part) => _lane.Tell(
        _shards[shard],
        new ParameterProtocol.Commands.Push(new ShardId(_job.Job, shard), _state.Generation, step, node, TensorPayload.Of(part.Buffer, _plan.Ranges[shard]), part.Statistics) { Trace = _telemetry.Trace },
        Self);

    /// <summary>Asks the shards whose weights are lacking, by pushing again where a step was computed, by pulling where not.</summary>
    private void Ask()
    {
        foreach (var shard in _state.Lacking)
        {
            foreach (var (node, part) in _pushed)
                Push(shard, _state.Awaited - 1, node, part);
            if (_pushed.Count == 0)
                _shards[shard].Tell(new ParameterProtocol.Queries.Pull(new ShardId(_job.Job, shard), _state.Generation, _state.Awaited));
        }
        Timers.StartSingleTimer(Tick.Repeat, Tick.Repeat, RepeatInterval);
    }

    private void Pulled(ParameterProtocol.Replies.Pulled pulled)
    {
        var index = pulled.Shard.Index;
        var isSelected = pulled.Generation == _state.Generation && _lackingSelected.Remove(index);
        var isAwaited = isSelected || _state.Accept(index, pulled.Generation, pulled.Version);
        if (isAwaited)
        {
            var range = _plan.Ranges[index];
            pulled.Weights.Span.CopyTo(_model!.Weights.Slice(range.Offset, range.Length));
        }
        pulled.Weights.Release();
        if (isSelected && _lackingSelected.Count == 0)
        {
            AnswerSelected();
        }
        else if (isAwaited && !isSelected && _state.Lacking.Count == 0)
        {
            _telemetry.End();
            LetGo();
            GoOn();
        }
    }

    private void LetGo()
    {
        Timers.Cancel(Tick.Repeat);
        foreach (var (_, part) in _pushed)
            part.Release();
        _pushed.Clear();
    }

    private void Refused(ParameterProtocol.Replies.Refused refused)
    {
        // a new generation, or the repetition by the timer, resolves it
        if (refused.Reason != ParameterProtocol.RefusalReason.NotYet)
            _log.Debug("Worker of {Job}: shard {Shard} refuses step {Step}: {Reason}", _job.Job, refused.Shard.Index, refused.Step, refused.Reason);
    }

    /// <summary>Does what needs selected weights at once where they are here, else pulls them first.</summary>
    private void WithWeights(object request, ParameterProtocol.WeightsSelection selection)
    {
        if (_lackingSelected.Count == 0 && (_selected == selection || (_selected is null && selection == ParameterProtocol.WeightsSelection.Current && _state.Stands)))
        {
            Answer(request, Sender);
            return;
        }
        _awaitingSelected.Enqueue((request, Sender));
        if (_lackingSelected.Count > 0)
            return;
        _selected = selection;
        _lackingSelected.UnionWith(Enumerable.Range(0, _shards.Count));
        _state.Forget();
        PullSelected();
    }

    private void PullSelected()
    {
        foreach (var shard in _lackingSelected)
            _shards[shard].Tell(new ParameterProtocol.Queries.PullSelected(new ShardId(_job.Job, shard), _state.Generation, _selected!.Value));
        if (_lackingSelected.Count > 0)
            Timers.StartSingleTimer(Tick.Repeat, Tick.Repeat, RepeatInterval);
    }

    private void AnswerSelected()
    {
        Timers.Cancel(Tick.Repeat);
        while (_awaitingSelected.TryDequeue(out var waiting))
            Answer(waiting.Request, waiting.Asker);
    }

    private void Answer(object request, IActorRef asker)
    {
        switch (request)
        {
            case Commands.Evaluate evaluate:
                var metrics = _evaluator!.Evaluate(PartOf(evaluate.Part), evaluate.FirstChunk, evaluate.Chunks);
                asker.Tell(new Replies.Evaluated(_job.Job, evaluate.Generation, evaluate.Selection, evaluate.Part, evaluate.FirstChunk, evaluate.Chunks, metrics.ToBytes()));
                break;
            case Commands.Digest digest:
                var weights = _model!.Weights;
                asker.Tell(new Replies.Digested(_job.Job, digest.Generation, WeightsDigest.Sha256(weights), WeightsDigest.AllFinite(weights)));
                break;
        }
    }

    private SampleSet PartOf(DataPart part) => part switch
    {
        DataPart.Training => _parts!.Training,
        DataPart.Validation => _parts!.Validation,
        _ => _parts!.Test,
    };
}
