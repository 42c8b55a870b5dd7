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
[System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001", Justification = "an actor disposes of what it owns in PostStop")]
internal sealed partial class InferenceActor : ReceiveActor, IWithTimers
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
    private readonly HashSet<IActorRef> _preparing = [];
    private readonly VersionGauge _gauge;
    private readonly ComputePace _pace = new();

    /// <summary>Rings when the first is due: most requests are answered long before, and need no timer of their own.</summary>
    private readonly Alarm _due = new(Context.Self, Tick.Due);

    /// <summary>Rings when what waits for more has waited enough.</summary>
    private readonly Alarm _delay = new(Context.Self, Tick.Delayed);
    private IReadOnlyList<Waiting> _running = [];
    private long _runningSamples;
    private ModelProtocol.StoredVersion? _stored;
    private IActorRef _runner = ActorRefs.Nobody;
    private string _crash = "the actor stopped";
    private TimeSpan _since;
    private TimeSpan _taken;
    private TimeSpan _lastBatch;
    private string _arithmetic = "";
    private string? _firstArithmetic;
    private bool _standsBack;
    private bool _merges;
    private bool _planned;
    private bool _draining;

    public InferenceActor(ModelVersionId version, IActorRef registry, ServedModelLoader loader, ServingSettings settings, VersionGauge gauge)
    {
        _gauge = gauge;
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
        Delayed,
        Due,
    }

    /// <inheritdoc/>
    public ITimerScheduler Timers { get; set; } = null!;

    private static TimeSpan Now => Context.System.Scheduler.MonotonicClock;

    /// <param name="version">what it answers for</param>
    /// <param name="registry">of models</param>
    /// <param name="loader">makes the model on the runner's thread</param>
    /// <param name="settings">bounds</param>
    /// <param name="gauge">where it says how it is</param>
    public static Props PropsFor(ModelVersionId version, IActorRef registry, ServedModelLoader loader, ServingSettings settings, VersionGauge? gauge = null) =>
        Props.Create(() => new InferenceActor(version, registry, loader, settings, gauge ?? new VersionGauge(version)));

    /// <summary>To the host: nothing is left to do here. Answered by <see cref="Drain"/> once no more requests are sent here.</summary>
    public sealed record Retire(ModelVersionId Version) : INoSerializationVerificationNeeded;

    /// <summary>To the host: it takes so much to have this version in memory. Answered by <see cref="Room"/>, or the actor is stopped.</summary>
    public sealed record Takes(ModelVersionId Version, long Bytes) : INoSerializationVerificationNeeded;

    /// <summary>From the host: there is room for it.</summary>
    public sealed record Room : INoSerializationVerificationNeeded;

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
        IReadOnlyList<Fault> faults = [new Fault(_version.ToString(), "the node stopped serving it before it answered: try again")];
        AnswerAll(FailureKind.Unavailable, faults, Soon);
        TellPrepared(faults);
        _telemetry.Close();
        _due.Dispose();
        _delay.Dispose();
    }

    /// <inheritdoc/>
    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(exception =>
    {
        _crash = $"{exception.GetType().Name}: {exception.Message}";
        return Directive.Stop;
    });

    private void Finding()
    {
        Receive<ModelProtocol.Replies.Found>(found =>
        {
            _firstArithmetic = found.Arithmetic;
            _stored = found.Stored;
            _gauge.Is(ServingState.Loading);
            Context.Parent.Tell(new Takes(_version, (long)found.Stored.Version.Parameters * sizeof(float)));
            Become(WaitingForRoom);
        });
        Receive<Tick>(tick => tick == Tick.Check, _ =>
        {
            if (Now - _since < _settings.RegistryPatience)
                Find();
            else
                Fail(FailureKind.LoadFailed, [new Fault(_version.ToString(), "the registry of models does not answer: try again")]);
        });
        AcceptWhileLoading();
    }

    private void WaitingForRoom()
    {
        Receive<Room>(_ => Load());
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
        Receive<ModelRunnerActor.Ready>(ready =>
        {
            _merges = ready.IsQuickerTogether;
            (_arithmetic, _standsBack) = (ready.Arithmetic, false);
            CompareArithmetic(_firstArithmetic);
            _since = Now;
            _gauge.Is(_draining ? ServingState.Draining : ServingState.Ready);
            _log.Info("{Version} is loaded", _version);
            Become(Serving);
            TellPrepared([]);
            _delay.Reset();
            PlanBatch();
            StopIfDrained();
        });
        Receive<ModelRunnerActor.BuildFailed>(failed => Fail(FailureKind.LoadFailed, failed.Faults));
        Receive<Terminated>(_ => Fail(FailureKind.LoadFailed, [new Fault(_version.ToString(), _crash)]));
        AcceptWhileLoading();
    }

    private void AcceptWhileLoading()
    {
        Receive<Commands.Cancel>(Cancel);
        Receive<Commands.Prepare>(_ =>
        {
            _preparing.Add(Sender);
        });
        Receive<Commands.Release>(_ => { });
        Receive<IVersionMessage>(Enqueue);
        Receive<Tick>(tick => tick == Tick.Due, _ => Expire());
        Receive<ModelProtocol.Replies.Unknown>(unknown => Fail(FailureKind.UnknownModel, [unknown.Fault]));
        Receive<Drain>(_ => _draining = true);
        // the answer to a question that was asked again, and a registry that is starting again: the next check asks once more
        Receive<ModelProtocol.Replies.Found>(_ => { });
        Receive<ModelProtocol.Replies.There>(_ => { });
        Receive<Status.Failure>(_ => { });
        Receive<Tick>(_ => { });
    }

    private void Serving()
    {
        Receive<Commands.Cancel>(Cancel);
        Receive<Commands.Prepare>(_ =>
        {
            _since = Now;
            Sender.Tell(new Replies.Prepared(_version, []));
        });
        Receive<Commands.Release>(_ => Context.Parent.Tell(new Retire(_version)));
        Receive<Queries.Infer>(infer => _standsBack && !infer.TakesOtherBits, StandBack);
        Receive<IVersionMessage>(request =>
        {
            _since = Now;
            Enqueue(request);
            PlanBatch();
        });
        Receive<Tick>(tick => tick == Tick.RunBatch, _ => RunBatch());
        Receive<Tick>(tick => tick == Tick.Check, _ => Check());
        Receive<Tick>(tick => tick == Tick.Due, _ => Expire());
        Receive<Tick>(tick => tick == Tick.Delayed, _ =>
        {
            _delay.Reset();
            PlanBatch(isDelayed: true);
        });
        Receive<ModelRunnerActor.Computed>(Answer);
        Receive<ModelProtocol.Replies.There>(there => CompareArithmetic(there.Arithmetic));
        // to what was noted, and to a question that was asked again
        Receive<ModelProtocol.Replies.Found>(found => CompareArithmetic(found.Arithmetic));
        Receive<ModelProtocol.Replies.Unknown>(unknown => Fail(FailureKind.UnknownModel, [unknown.Fault]));
        Receive<Status.Failure>(_ => { });
        Receive<Terminated>(_ => Reload());
        Receive<Drain>(_ =>
        {
            _draining = true;
            _gauge.Is(ServingState.Draining);
            PlanBatch(isDelayed: true);
            StopIfDrained();
        });
    }

    private void Failed(FailureKind kind, IReadOnlyList<Fault> faults)
    {
        Receive<Commands.Cancel>(_ => { });
        Receive<Commands.Prepare>(_ => Sender.Tell(new Replies.Prepared(_version, faults)));
        Receive<Commands.Release>(_ => Context.Parent.Tell(new Retire(_version)));
        Receive<IVersionMessage>(request => Reply(Arrived(request), new Replies.PredictFailed(_version, kind, faults)));
        Receive<Tick>(tick => tick == Tick.Retire, _ => Context.Parent.Tell(new Retire(_version)));
        Receive<Drain>(_ => Context.Stop(Self));
        ReceiveAny(_ => { }); // what was under way when it failed
    }

    private void Find() => _registry.Tell(new ModelProtocol.Queries.Find(_version.Model, _version.Version));

    private void Load()
    {
        _gauge.Is(ServingState.Loading);
        _loaded.Clear();
        foreach (var part in _stored!.Parts)
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
        Load();
    }

    private void Check()
    {
        // a version may be deleted while it is in memory
        _registry.Tell(new ModelProtocol.Queries.IsThere(_version));
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
        _gauge.Is(kind == FailureKind.UnknownModel ? ServingState.Unloaded : ServingState.Failed, string.Join("; ", faults));
        AnswerAll(kind, faults);
        TellPrepared(faults);
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
}
