using Akka.Actor;
using Akka.Event;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Serving;

/// <summary>
/// Answers for one version on one node: finds it, loads it, queues requests, and hands them batch by batch to its <see cref="ModelRunnerActor"/>, which has the model and a thread of
/// its own. This one never computes, so it refuses at once when too much waits, and it knows who waits: whatever fails, every request is answered.
/// </summary>
internal sealed class InferenceActor : ReceiveActor, IWithTimers
{
    private readonly ModelVersionId _version;
    private readonly IActorRef _registry;
    private readonly ServedModelLoader _loader;
    private readonly ServingSettings _settings;
    private readonly InferenceQueue<Waiting> _queue;
    private readonly ServingTelemetry _telemetry;
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private readonly Dictionary<ShardRange, TensorPayload> _loaded = [];
    private readonly Dictionary<IActorRef, ShardRange> _loading = [];
    private IReadOnlyList<Waiting> _running = [];
    private ModelProtocol.StoredVersion? _stored;
    private IActorRef _runner = ActorRefs.Nobody;
    private string _crash = "the actor stopped";
    private TimeSpan _since;
    private bool _planned;
    private bool _draining;

    public InferenceActor(ModelVersionId version, IActorRef registry, ServedModelLoader loader, ServingSettings settings)
    {
        _version = version;
        _registry = registry;
        _loader = loader;
        _settings = settings;
        _queue = new(settings.MaxBatchSamples, settings.MaxWaitingRequests, settings.MaxWaitingSamples);
        _telemetry = new ServingTelemetry(version, () => _queue.Count);
        Become(Finding);
    }

    private enum Tick
    {
        Check,
        Retire,
        RunBatch,
    }

    /// <inheritdoc/>
    public ITimerScheduler Timers { get; set; } = null!;

    private static TimeSpan Now => Context.System.Scheduler.MonotonicClock;

    /// <param name="version">what it answers for</param>
    /// <param name="registry">of models</param>
    /// <param name="loader">makes the model on the runner's thread</param>
    /// <param name="settings">bounds</param>
    public static Props PropsFor(ModelVersionId version, IActorRef registry, ServedModelLoader loader, ServingSettings settings) =>
        Props.Create(() => new InferenceActor(version, registry, loader, settings));

    /// <summary>To the host: nothing is left to do here. Answered by <see cref="Drain"/> once no more requests are sent here.</summary>
    public sealed record Retire(ModelVersionId Version) : INoSerializationVerificationNeeded;

    /// <summary>From the host: no more requests come; stop when those that wait are answered.</summary>
    public sealed record Drain : INoSerializationVerificationNeeded;

    /// <inheritdoc/>
    protected override void PreStart()
    {
        _since = Now;
        Find();
        Timers.StartPeriodicTimer(Tick.Check, Tick.Check, _settings.CheckInterval);
    }

    /// <inheritdoc/>
    protected override void PostStop()
    {
        AnswerAll(FailureKind.ComputeFailed, [new Fault(_version.ToString(), "the node stopped serving it before it answered: try again")]);
        _telemetry.Close();
    }

    /// <inheritdoc/>
    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(exception =>
    {
        _crash = $"{exception.GetType().Name}: {exception.Message}";
        return Directive.Stop;
    });

    private void Finding()
    {
        Receive<ModelProtocol.Replies.Found>(found => Load(found.Stored));
        Receive<Tick>(tick => tick == Tick.Check, _ =>
        {
            if (Now - _since < _settings.RegistryPatience)
                Find();
            else
                Fail(FailureKind.LoadFailed, [new Fault(_version.ToString(), "the registry of models does not answer: try again")]);
        });
        AcceptWhileLoading();
    }

    private void Loading()
    {
        Receive<WeightsProtocol.Loaded>(part =>
        {
            _loaded.Add(part.Range, part.Values);
            _loading.Remove(Context.Unwatch(Sender));
            if (_loading.Count == 0)
                BuildModel();
        });
        Receive<WeightsProtocol.LoadFailed>(failed => Fail(FailureKind.LoadFailed, [new Fault(_version.ToString(), failed.Reason)]));
        Receive<Terminated>(_ => Fail(FailureKind.LoadFailed, [new Fault(_version.ToString(), _crash)]));
        AcceptWhileLoading();
    }

    private void Building()
    {
        Receive<ModelRunnerActor.Ready>(_ =>
        {
            _since = Now;
            Become(Serving);
            PlanBatch();
            StopIfDrained();
        });
        Receive<ModelRunnerActor.BuildFailed>(failed => Fail(FailureKind.LoadFailed, failed.Faults));
        Receive<Terminated>(_ => Fail(FailureKind.LoadFailed, [new Fault(_version.ToString(), _crash)]));
        AcceptWhileLoading();
    }

    private void AcceptWhileLoading()
    {
        Receive<IVersionMessage>(Enqueue);
        Receive<ModelProtocol.Replies.Unknown>(unknown => Fail(FailureKind.UnknownModel, [unknown.Fault]));
        Receive<Drain>(_ => _draining = true);
        // the answer to a question that was asked again, and a registry that is starting again: the next check asks once more
        Receive<ModelProtocol.Replies.Found>(_ => { });
        Receive<Status.Failure>(_ => { });
        Receive<Tick>(_ => { });
    }

    private void Serving()
    {
        Receive<IVersionMessage>(request =>
        {
            _since = Now;
            Enqueue(request);
            PlanBatch();
        });
        Receive<Tick>(tick => tick == Tick.RunBatch, _ => RunBatch());
        Receive<Tick>(tick => tick == Tick.Check, _ => Check());
        Receive<ModelRunnerActor.Computed>(Answer);
        Receive<ModelProtocol.Replies.Found>(_ => { });
        Receive<ModelProtocol.Replies.Unknown>(unknown => Fail(FailureKind.UnknownModel, [unknown.Fault]));
        Receive<Status.Failure>(_ => { });
        Receive<Terminated>(_ => Reload());
        Receive<Drain>(_ =>
        {
            _draining = true;
            StopIfDrained();
        });
    }

    private void Failed(FailureKind kind, IReadOnlyList<Fault> faults)
    {
        Receive<IVersionMessage>(request => Reply(Arrived(request), new Replies.PredictFailed(_version, kind, faults)));
        Receive<Tick>(tick => tick == Tick.Retire, _ => Context.Parent.Tell(new Retire(_version)));
        Receive<Drain>(_ => Context.Stop(Self));
        ReceiveAny(_ => { }); // what was under way when it failed
    }

    private void Find() => _registry.Tell(new ModelProtocol.Queries.Find(_version.Model, _version.Version));

    private void Load(ModelProtocol.StoredVersion stored)
    {
        _stored = stored;
        _loaded.Clear();
        foreach (var part in stored.Parts)
            _loading.Add(Context.Watch(Context.ActorOf(WeightsPartActor.PropsForLoad(_version, part))), part);
        Become(Loading);
    }

    private void BuildModel()
    {
        Become(Building);
        _runner = Context.Watch(Context.ActorOf(ModelRunnerActor.PropsFor(_loader)));
        _runner.Tell(new ModelRunnerActor.Build(_stored!, [.. _stored!.Parts.Select(part => (part, _loaded[part]))]));
        _loaded.Clear();
    }

    /// <summary>The computation crashed: those it was for are told, the others wait for the model to be loaded anew.</summary>
    private void Reload()
    {
        _log.Error("The computation of {Version} failed, it is loaded again: {Reason}", _version, _crash);
        AnswerRunning(FailureKind.ComputeFailed, [new Fault(_version.ToString(), $"the computation failed: {_crash}")]);
        Load(_stored!);
    }

    private void Enqueue(IVersionMessage request)
    {
        var (samples, alone) = request is Queries.Evaluate evaluate ? (evaluate.Samples.Count, true) : (((Queries.Predict)request).Samples.Count, false);
        var waiting = Arrived(request);
        if (!_queue.Offer(waiting, samples, alone))
        {
            var fault = new Fault(_version.ToString(), $"{_queue.Count} requests with {_queue.Samples} samples wait already: try again later");
            Reply(waiting, new Replies.PredictFailed(_version, FailureKind.Overloaded, [fault]));
        }
    }

    /// <summary>By a message to itself, so that the requests that are in the mailbox by then are computed together with this one.</summary>
    private void PlanBatch()
    {
        if (_planned || _running.Count > 0 || _queue.Count == 0)
            return;
        _planned = true;
        Self.Tell(Tick.RunBatch);
    }

    private void RunBatch()
    {
        _planned = false;
        var before = _queue.Samples;
        _running = _queue.Take();
        _telemetry.Taken(_running.Select(one => one.Arrival), before - _queue.Samples);
        _runner.Tell(new ModelRunnerActor.Compute([.. _running.Select(one => one.Request)]));
    }

    private void Answer(ModelRunnerActor.Computed computed)
    {
        _telemetry.BatchEnded();
        foreach (var (one, reply) in _running.Zip(computed.Replies))
            Reply(one, reply);
        _running = [];
        _since = Now;
        PlanBatch();
        StopIfDrained();
    }

    private void Check()
    {
        // a version may be deleted while it is in memory
        Find();
        if (_running.Count == 0 && _queue.Count == 0 && Now - _since >= _settings.IdleAfter)
            Context.Parent.Tell(new Retire(_version));
    }

    private void StopIfDrained()
    {
        if (_draining && _running.Count == 0 && _queue.Count == 0)
            Context.Stop(Self);
    }

    private void Fail(FailureKind kind, IReadOnlyList<Fault> faults)
    {
        if (kind == FailureKind.LoadFailed)
            _log.Error("{Version} can't be served: {Reason}", _version, string.Join("; ", faults));
        AnswerAll(kind, faults);
        if (!_runner.IsNobody())
        {
            Context.Unwatch(_runner);
            Context.Stop(_runner);
        }
        foreach (var (part, _) in _loading)
            Context.Unwatch(part);
        _loading.Clear();
        Timers.CancelAll();
        Become(() => Failed(kind, faults));
        if (kind == FailureKind.UnknownModel)
            Context.Parent.Tell(new Retire(_version)); // it may be registered the next moment
        else
            Timers.StartSingleTimer(Tick.Retire, Tick.Retire, _settings.RetryLoadAfter);
    }

    private void AnswerAll(FailureKind kind, IReadOnlyList<Fault> faults)
    {
        AnswerRunning(kind, faults);
        foreach (var waiting in _queue.Clear())
            Reply(waiting, new Replies.PredictFailed(_version, kind, faults));
    }

    private void AnswerRunning(FailureKind kind, IReadOnlyList<Fault> faults)
    {
        _telemetry.BatchEnded();
        foreach (var waiting in _running)
            Reply(waiting, new Replies.PredictFailed(_version, kind, faults));
        _running = [];
    }

    private Waiting Arrived(IVersionMessage request) => new(Sender, request, _telemetry.Arrived((request as ITraced)?.Trace));

    private void Reply(Waiting waiting, object reply)
    {
        // first, so that who has the answer finds it counted
        _telemetry.Answered(waiting.Arrival, reply is Replies.PredictFailed failed ? failed.Kind.ToString() : "answered");
        waiting.Asker.Tell(reply);
    }

    /// <summary>A request that is not answered yet.</summary>
    private sealed record Waiting(IActorRef Asker, IVersionMessage Request, ServingTelemetry.Arrival Arrival);
}
