using Akka.Actor;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Serving;

/// <summary>Requests: where they are, when they are due, and what comes back.</summary>
internal sealed partial class ServingRouterActor
{
    /// <summary>How much later than the inference actor this one answers what is due: the actor knows more about it.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(100);

    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(1);

    private readonly Dictionary<long, Pending> _pending = [];
    private readonly List<Pending> _parked = [];

    /// <summary>Nodes that compute other bits of a version than the one that loaded it first.</summary>
    private readonly Dictionary<ModelVersionId, HashSet<IActorRef>> _standBack = [];
    private readonly Alarm _due = new(Context.Self, Tick.Due);
    private long _last;

    /// <summary>A request of this process. Answered by <see cref="ServedPrediction"/> or <see cref="Replies.Refused"/>.</summary>
    /// <param name="Request">what is asked</param>
    /// <param name="Ticket">the caller's own, for <see cref="Cancel"/></param>
    public sealed record Serve(PredictRequest Request, object Ticket) : INoSerializationVerificationNeeded;

    /// <summary>Whoever wanted the answer is gone.</summary>
    public sealed record Cancel(object Ticket) : INoSerializationVerificationNeeded;

    private void ReceiveRequests()
    {
        Receive<Serve>(serve => Accept(serve.Request, serve.Ticket));
        Receive<PredictRequest>(request => Accept(request, null));
        Receive<Replies.Inferred>(inferred => Answer(inferred.Request, inferred.Served));
        Receive<Replies.InferFailed>(Failed);
        Receive<Cancel>(cancel => Forget(pending => ReferenceEquals(pending.Ticket, cancel.Ticket)));
        Receive<Commands.Withdraw>(_ => Forget(pending => pending.Asker.Equals(Sender)));
        Receive<Tick>(tick => tick == Tick.Due, _ => Expire());
        Receive<GetView>(_ => Sender.Tell(ViewNow()));
    }

    private void Accept(PredictRequest request, object? ticket)
    {
        var patience = request.Timeout ?? _options.Of(request.Model).DefaultTimeout;
        var pending = new Pending(++_last, Sender, request, ticket, Now + patience);
        _pending.Add(pending.Id, pending);
        _due.Set(pending.Due + Grace, pending.Since);
        if (_routes.IsKnown)
            Decide(pending);
        else
            Park(pending);
    }

    private void Decide(Pending pending)
    {
        var request = pending.Request;
        var route = _routes.Decide(request.Model, request.Version, request.Key, _draw(), Now);
        // the registry is to know of it before anybody deletes the version
        if (_routes.HasNewUse)
            AskTable();
        if (route.Version is { } version)
        {
            pending.Version = version;
            if (route.Shadows.Count > 0)
                SendToShadows(pending, route.Shadows);
            Send(pending);
        }
        else if (route.Kind == FailureKind.UnknownModel && !pending.WasParked)
        {
            // it may have been registered a moment ago
            Park(pending);
        }
        else
        {
            Refuse(pending, route.Kind, [route.Fault!], route.Kind == FailureKind.Unavailable ? Soon : null);
        }
    }

    /// <summary>To the node that has the least to do, of those that have not been tried, and of those that have the version in memory where any has.</summary>
    private void Send(Pending pending)
    {
        var (model, settings) = (pending.Request.Model, _options.Of(pending.Request.Model));
        var standBack = _standBack.GetValueOrDefault(pending.Version);
        var excluded = standBack is null ? pending.Tried : pending.Tried is null ? standBack : [.. pending.Tried, .. standBack];
        IActorRef? host = null;
        if (_kept.Contains(pending.Version) && _warm.NodesOf(pending.Version) is { Count: > 0 } warm)
        {
            // who is to have it no longer answers until one that is to has it
            host = _replicas.Choose(model, settings.Replicas, settings.Placement, excluded, warm) ?? _replicas.Choose(model, 0, settings.Placement, excluded, warm);
        }
        host ??= _replicas.Choose(model, settings.Replicas, settings.Placement, excluded);
        // what nobody else can answer is answered by who stands back
        var takesOtherBits = standBack is not null && host is null;
        host ??= _replicas.Choose(model, settings.Replicas, settings.Placement, pending.Tried);
        if (host is null)
        {
            var (kind, faults, retryAfter) = pending.Failure
                ?? (FailureKind.Unavailable, [new Fault(pending.Version.ToString(), "no node that could answer is up: start one with the role inference, or try again in a moment")], Soon);
            Refuse(pending, kind, faults, retryAfter);
            return;
        }
        pending.Host = host;
        _replicas.Sent(host);
        host.Tell(
            new Queries.Infer(pending.Id, pending.Version, pending.Request.Input)
            {
                Patience = pending.Due - Now,
                Priority = pending.Request.Priority,
                TakesOtherBits = takesOtherBits,
                Trace = pending.Request.Trace,
            },
            Self);
    }

    private void Answer(long id, ServedPrediction served)
    {
        // a second answer, of a node that was given up on too early, says the same
        if (!_pending.Remove(id, out var pending))
        {
            ShadowEnded(id, served.Prediction.Outputs);
            return;
        }
        Leave(pending);
        Heard(pending.Version, pending.Host, true);
        Ended(pending, null);
        pending.Asker.Tell(served, Self);
        CompareWith(pending, served.Prediction.Outputs);
    }

    private void Failed(Replies.InferFailed failed)
    {
        if (!_pending.TryGetValue(failed.Request, out var pending))
        {
            ShadowEnded(failed.Request, null);
            return;
        }
        // of a node that was given up on: another one is asked by now
        if (pending.Host is null || !pending.Host.Path.Address.Equals(Sender.Path.Address))
            return;
        if (failed.HasOtherBits)
        {
            if (!_standBack.TryGetValue(pending.Version, out var standBack))
                _standBack.Add(pending.Version, standBack = []);
            standBack.Add(pending.Host);
            Leave(pending);
            pending.Host = null;
            Send(pending);
            return;
        }
        // another node may have what this one lacks, or less to do
        if (failed.Kind is FailureKind.Unavailable or FailureKind.LoadFailed or FailureKind.Overloaded && pending.Due > Now)
        {
            if (failed.Kind != FailureKind.Overloaded)
                Heard(pending.Version, pending.Host, false);
            pending.Failure = (failed.Kind, failed.Faults, failed.RetryAfter);
            Again(pending);
            return;
        }
        Refuse(pending, failed.Kind, failed.Faults, failed.RetryAfter);
    }

    private void Again(Pending pending)
    {
        Leave(pending);
        if (pending.Host is { } host)
            (pending.Tried ??= []).Add(host);
        pending.Host = null;
        Send(pending);
    }

    /// <summary>A node is gone, or may be: what it has not answered goes to another one.</summary>
    private void SendElsewhere(IActorRef host)
    {
        foreach (var pending in _pending.Values.Where(pending => host.Equals(pending.Host)).ToArray())
        {
            pending.Failure = (FailureKind.Unavailable, [new Fault(pending.Version.ToString(), "the node that was to answer is gone, and no other one could: try again")], Soon);
            // one that had too much to do before may have less by now
            pending.Tried = null;
            Again(pending);
        }
    }

    private void Forget(Func<Pending, bool> isConcerned)
    {
        foreach (var pending in _pending.Values.Where(isConcerned).ToArray())
        {
            _pending.Remove(pending.Id);
            Leave(pending);
            pending.Host?.Tell(new Commands.Cancel(pending.Id, pending.Version), Self);
        }
    }

    private void Refuse(Pending pending, FailureKind kind, IReadOnlyList<Fault> faults, TimeSpan? retryAfter)
    {
        _pending.Remove(pending.Id);
        Leave(pending);
        Ended(pending, kind);
        pending.Asker.Tell(new Replies.Refused(kind, faults, retryAfter), Self);
    }

    private void Leave(Pending pending)
    {
        if (pending.Host is { } host)
            _replicas.Answered(host);
    }

    private void Park(Pending pending)
    {
        pending.WasParked = true;
        AskTable();
        pending.Question = _question;
        _parked.Add(pending);
    }

    private void RouteParked()
    {
        if (_parked.Count == 0 || !_routes.IsKnown)
            return;
        var ripe = _parked.Where(pending => pending.Question <= _answered).ToArray();
        _parked.RemoveAll(pending => pending.Question <= _answered);
        foreach (var pending in ripe.Where(pending => _pending.ContainsKey(pending.Id)))
            Decide(pending);
    }

    /// <summary>A registry that does not answer for long keeps nobody waiting.</summary>
    private void RefuseParked()
    {
        var now = Now;
        foreach (var pending in _parked.Where(pending => now - pending.Since > _options.RegistryPatience).ToArray())
        {
            _parked.Remove(pending);
            if (_pending.ContainsKey(pending.Id))
                Refuse(pending, FailureKind.Unavailable, [new Fault(pending.Request.Model, "the registry of models does not answer: try again")], Soon);
        }
    }

    /// <summary>The inference actor answers what is due; this is for what it can't, since it is gone or was never reached.</summary>
    private void Expire()
    {
        var now = Now;
        _due.Reset();
        foreach (var late in _pending.Values.Where(pending => pending.Due <= now).ToArray())
            Refuse(late, FailureKind.DeadlineExceeded, [new Fault(late.Request.Model, "the request was not answered within its time: give it more, or try again when less waits")], null);
        _parked.RemoveAll(pending => !_pending.ContainsKey(pending.Id));
        if (_pending.Count > 0)
            _due.Set(_pending.Values.Min(pending => pending.Due) + Grace, now);
    }

    private void RefuseAll()
    {
        foreach (var pending in _pending.Values)
            pending.Asker.Tell(new Replies.Refused(FailureKind.Unavailable, [new Fault(pending.Request.Model, "this node is stopping: ask another one")], Soon), ActorRefs.NoSender);
        _pending.Clear();
    }

    private View ViewNow()
    {
        var entries = _routes.Models.Select(model => _routes.EntryOf(model)!).ToArray();
        var failures = new Dictionary<ModelVersionId, string>();
        foreach (var version in entries.SelectMany(entry => entry.Versions.Select(number => new ModelVersionId(entry.Model, number))))
        {
            if (_routes.FailureOf(version) is { } reason)
                failures.Add(version, reason);
        }
        return new View(_routes.IsKnown, entries, entries.ToDictionary(entry => entry.Model, entry => _routes.SharesOf(entry.Model), StringComparer.Ordinal), failures, new Dictionary<ModelVersionId, ShadowStatistics>(_shadows), [.. _replicas.Usable], _hasCaughtUp ? [] : [.. Lacking()]);
    }

    /// <summary>A request that is not answered yet.</summary>
    private sealed class Pending(long id, IActorRef asker, PredictRequest request, object? ticket, TimeSpan due)
    {
        public long Id { get; } = id;

        public IActorRef Asker { get; } = asker;

        public PredictRequest Request { get; } = request;

        public object? Ticket { get; } = ticket;

        public TimeSpan Since { get; } = Now;

        public TimeSpan Due { get; } = due;

        public ModelVersionId Version { get; set; }

        public IActorRef? Host { get; set; }

        public HashSet<IActorRef>? Tried { get; set; }

        /// <summary>What the last node said that could not answer.</summary>
        public (FailureKind Kind, IReadOnlyList<Fault> Faults, TimeSpan? RetryAfter)? Failure { get; set; }

        /// <summary>The question to the registry that it waits for the answer to.</summary>
        public long Question { get; set; }

        public bool WasParked { get; set; }

        public List<Shadowed>? Shadows { get; set; }
    }
}
