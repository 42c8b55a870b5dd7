using Akka.Actor;
using Akka.Event;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Core.Faults;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Serving;

/// <summary>Requests: how they wait, when they are due, how they are computed together and answered.</summary>
internal sealed partial class InferenceActor
{
    /// <summary>When to try again where it is a matter of a moment.</summary>
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan LeastRetry = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan MostRetry = TimeSpan.FromSeconds(30);

    /// <summary>When what waits now may have been computed, by what the last batch took.</summary>
    private TimeSpan RetryAfter
    {
        get
        {
            var batches = 1 + (_queue.Samples / Math.Max(1, _settings.MaxBatchSamples));
            var estimate = TimeSpan.FromTicks((long)Math.Min(MostRetry.Ticks, (double)_lastBatch.Ticks * batches));
            return estimate < LeastRetry ? LeastRetry : estimate;
        }
    }

    private void Enqueue(IVersionMessage request)
    {
        var (samples, alone, priority, patience) = request switch
        {
            Queries.Infer infer => (infer.Input.Count, false, infer.Priority, infer.Patience),
            Queries.Predict predict => (predict.Samples.Count, false, PriorityLevels.Default, null),
            Queries.Evaluate evaluate => (evaluate.Samples.Count, true, PriorityLevels.Default, (TimeSpan?)null),
            _ => throw new ArgumentException($"{request.GetType().Name} is no request"),
        };
        var waiting = Arrived(request);
        if (patience is { } left)
            waiting.Due = left < TimeSpan.MaxValue - waiting.Since ? waiting.Since + left : TimeSpan.MaxValue;
        if (waiting.Due <= waiting.Since)
        {
            Reply(waiting, Late());
            return;
        }
        if (TooLate(waiting, samples, priority) is { } ahead)
        {
            var fault = new Fault(_version.ToString(), $"what waits already takes about {ahead.TotalMilliseconds:0} ms, longer than this request does: try again later, or give it more time");
            Reply(waiting, new Replies.PredictFailed(_version, FailureKind.Overloaded, [fault]) { RetryAfter = RetryAfter });
            return;
        }
        if (!_queue.Offer(waiting, samples, alone, priority))
        {
            var fault = new Fault(_version.ToString(), $"{_queue.Count} requests with {_queue.Samples} samples wait already: try again later");
            Reply(waiting, new Replies.PredictFailed(_version, FailureKind.Overloaded, [fault]) { RetryAfter = RetryAfter });
            return;
        }
        _gauge.Waits(_queue.Count);
        _due.Set(waiting.Due, waiting.Since);
    }

    /// <summary>How long it takes until the request would be answered, where that is after it is due. One that finds nothing in front of it is always tried.</summary>
    private TimeSpan? TooLate(Waiting waiting, int samples, int priority)
    {
        var ahead = _queue.SamplesAhead(priority) + _runningSamples;
        if (waiting.Due == TimeSpan.MaxValue || ahead == 0)
            return null;
        var left = _pace.Of(ahead + samples) - (_running.Count > 0 ? waiting.Since - _taken : TimeSpan.Zero);
        return left > waiting.Due - waiting.Since ? left : null;
    }

    /// <summary>Those that are due are answered now, whether they wait or are being computed.</summary>
    private void Expire()
    {
        var now = Now;
        _due.Reset();
        foreach (var late in _queue.Remove(waiting => waiting.Due <= now))
            Reply(late, Late());
        foreach (var late in _running.Where(waiting => waiting.Due <= now))
            Reply(late, Late());
        var next = _queue.Waiting.Concat(_running.Where(waiting => !waiting.IsAnswered)).Select(waiting => waiting.Due).DefaultIfEmpty(TimeSpan.MaxValue).Min();
        _gauge.Waits(_queue.Count);
        _due.Set(next, now);
        StopIfDrained();
    }

    /// <summary>
    /// Whoever asks the same gets the same bits: where this node computes others than the one that loaded the version first, as one with another kind of processor may, it leaves requests to nodes that compute those, and answers only what
    /// none of them can.
    /// </summary>
    private void CompareArithmetic(string? first)
    {
        if (_arithmetic.Length == 0)
            return;
        if (first is null)
        {
            _registry.Tell(new ModelProtocol.Commands.NoteArithmetic(_version, _arithmetic));
            return;
        }
        if (_standsBack == (first != _arithmetic))
            return;
        _standsBack = first != _arithmetic;
        if (!_standsBack)
            return;
        _log.Warning(
            "{Version} comes to other bits here than on the node that loaded it first: this node answers only what no other one can. Nodes with processors of one kind compute alike, and all do with CLUSTERNET_PORTABLE=1", _version);
        foreach (var waiting in _queue.Remove(waiting => waiting.Request is Queries.Infer { TakesOtherBits: false }))
        {
            waiting.IsAnswered = true;
            _telemetry.Answered(waiting.Arrival, "stood back");
            waiting.Asker.Tell(StoodBack((Queries.Infer)waiting.Request));
        }
        _gauge.Waits(_queue.Count);
    }

    private void StandBack(Queries.Infer infer) => Sender.Tell(StoodBack(infer));

    private Replies.InferFailed StoodBack(Queries.Infer infer) =>
        new(infer.Request, FailureKind.Unavailable, [new Fault(_version.ToString(), "comes to other bits on this node than on the one that loaded it first")], Soon) { HasOtherBits = true };

    private void Cancel(Commands.Cancel cancel)
    {
        foreach (var gone in _queue.Remove(waiting => waiting.Request is Queries.Infer infer && infer.Request == cancel.Request && waiting.Asker.Equals(Sender)))
        {
            gone.IsAnswered = true;
            _telemetry.Answered(gone.Arrival, "cancelled");
        }
        _gauge.Waits(_queue.Count);
        StopIfDrained();
    }

    /// <summary>By a message to itself, so that the requests that are in the mailbox by then are computed together with this one.</summary>
    private void PlanBatch(bool isDelayed = false)
    {
        if (_planned || _running.Count > 0 || _queue.Count == 0)
            return;
        if (_settings.MaxQueueDelay > TimeSpan.Zero && !isDelayed && !_queue.IsBatchFull && !_draining)
        {
            var now = Now;
            _delay.Set(now + _settings.MaxQueueDelay, now);
            return;
        }
        _planned = true;
        Self.Tell(Tick.RunBatch);
    }

    private void RunBatch()
    {
        _planned = false;
        // a late one must not take a place in the batch, even where the timer is late too
        if (_due.Due <= Now)
            Expire();
        var before = _queue.Samples;
        _taken = Now;
        var due = TimeSpan.MaxValue;
        _running = _queue.Take((waiting, samples) =>
        {
            // those that come along must not make one late that was in time
            due = waiting.Due < due ? waiting.Due : due;
            return _merges && _pace.Of(samples) <= due - _taken;
        });
        if (_running.Count == 0)
            return;
        foreach (var waiting in _running)
            waiting.Taken = _taken;
        _runningSamples = before - _queue.Samples;
        _gauge.Waits(_queue.Count);
        _telemetry.Taken(_running.Select(one => one.Arrival), _runningSamples);
        _runner.Tell(new ModelRunnerActor.Compute([.. _running.Select(one => one.Request)]));
    }

    private void Answer(ModelRunnerActor.Computed computed)
    {
        _telemetry.BatchEnded();
        _lastBatch = computed.Elapsed;
        _pace.Measured(computed.Elapsed, computed.Samples);
        _gauge.Computed(computed.Elapsed, computed.Samples);
        var now = Now;
        var answered = _running;
        (_running, _runningSamples) = ([], 0);
        _since = now;
        // the runner has work again before anybody is answered
        if (_queue.Count > 0)
            RunBatch();
        for (var i = 0; i < answered.Count; i++)
            Reply(answered[i], answered[i].Due <= now ? Late() : computed.Replies[i]);
        StopIfDrained();
    }

    private void AnswerAll(FailureKind kind, IReadOnlyList<Fault> faults, TimeSpan? retryAfter = null)
    {
        AnswerRunning(kind, faults, retryAfter);
        foreach (var waiting in _queue.Clear())
            Reply(waiting, new Replies.PredictFailed(_version, kind, faults) { RetryAfter = retryAfter });
        _gauge.Waits(0);
    }

    private void AnswerRunning(FailureKind kind, IReadOnlyList<Fault> faults, TimeSpan? retryAfter = null)
    {
        _telemetry.BatchEnded();
        foreach (var waiting in _running)
            Reply(waiting, new Replies.PredictFailed(_version, kind, faults) { RetryAfter = retryAfter });
        (_running, _runningSamples) = ([], 0);
    }

    private void TellPrepared(IReadOnlyList<Fault> faults)
    {
        foreach (var asker in _preparing)
            asker.Tell(new Replies.Prepared(_version, faults));
        _preparing.Clear();
    }

    private Replies.PredictFailed Late() => new(_version, FailureKind.DeadlineExceeded, [new Fault(_version.ToString(), "the request was not answered within its time: give it more, or try again when less waits")])
    {
        RetryAfter = RetryAfter,
    };

    private Waiting Arrived(IVersionMessage request)
    {
        _gauge.Arrived(DateTimeOffset.UtcNow);
        return new(Sender, request, _telemetry.Arrived((request as ITraced)?.Trace), Now);
    }

    private void Reply(Waiting waiting, object reply)
    {
        // what was due while it was computed has its answer
        if (waiting.IsAnswered)
            return;
        waiting.IsAnswered = true;
        var failed = reply as Replies.PredictFailed;
        var queued = waiting.Taken > waiting.Since ? waiting.Taken - waiting.Since : TimeSpan.Zero;
        // first, so that who has the answer finds it counted
        _telemetry.Answered(waiting.Arrival, failed is null ? "answered" : failed.Kind.ToString());
        if (failed is null)
            _gauge.Answered(queued, Now - waiting.Since);
        else
            _gauge.Failed(failed.Kind);
        if (waiting.Request is Queries.Infer infer)
        {
            reply = failed is null
                ? new Replies.Inferred(infer.Request, new ServedPrediction((Prediction)reply, _stored!.Version.WeightsSha256, queued, _lastBatch))
                : new Replies.InferFailed(infer.Request, failed.Kind, failed.Faults, failed.RetryAfter);
        }
        waiting.Asker.Tell(reply);
    }

    /// <summary>A request.</summary>
    private sealed class Waiting(IActorRef asker, IVersionMessage request, ServingTelemetry.Arrival arrival, TimeSpan since)
    {
        public IActorRef Asker { get; } = asker;

        public IVersionMessage Request { get; } = request;

        public ServingTelemetry.Arrival Arrival { get; } = arrival;

        public TimeSpan Since { get; } = since;

        /// <summary>When it is answered at the latest.</summary>
        public TimeSpan Due { get; set; } = TimeSpan.MaxValue;

        /// <summary>When it was handed to the runner.</summary>
        public TimeSpan Taken { get; set; }

        public bool IsAnswered { get; set; }
    }
}
