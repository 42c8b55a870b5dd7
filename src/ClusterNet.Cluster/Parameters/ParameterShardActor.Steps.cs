using Akka.Actor;
using ClusterNet.Core.Parameters;
using static ClusterNet.Cluster.Parameters.ParameterProtocol;

namespace ClusterNet.Cluster.Parameters;

/// <summary>The life of a step: what is pushed, norms of other shards, answers, and what the coordinator hears of it.</summary>
internal sealed partial class ParameterShardActor
{
    private long? _reportedStaleness;

    private IReadOnlyList<TreeNode> LateNodes => _state is { Shard.Index: 0 } state ? state.Late : [];

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
        _telemetry.Pushed(outcome, _state.WasRepeated, span);
        switch (outcome)
        {
            case PushOutcome.Advanced when _state.Setup.Training.IsAsynchronous:
                AnswerApplied(push);
                Act(outcome);
                break;
            case PushOutcome.Wait or PushOutcome.ExchangeNorms or PushOutcome.Advanced:
                _waiting.Add(Sender);
                Act(outcome);
                break;
            case PushOutcome.Applied:
                _telemetry.Updated(_state.LastStaleness);
                AnswerApplied(push);
                break;
            case PushOutcome.AlreadyDone when _state.Setup.Training.IsAsynchronous:
                AnswerApplied(push);
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
        foreach (var (step, round, partials) in _state!.NewNorms)
            Share(step, round, partials);
        if (outcome == PushOutcome.ExchangeNorms)
            Timers.StartSingleTimer(Tick.RepeatNorms, Tick.RepeatNorms, RepeatInterval);
        else if (outcome == PushOutcome.Advanced)
            Advance();
    }

    /// <summary>Tells the other shards again what they need of this one, until this one has what it needs of them: then they have it too, or will ask.</summary>
    private void ShareAgain()
    {
        if (_state?.OpenRound is not { } open || _shards.Count == 0)
            return;
        Share(_state.Version, open.Round, _state.OwnNorms(_state.Version, open.Round)!);
        Timers.StartSingleTimer(Tick.RepeatNorms, Tick.RepeatNorms, RepeatInterval);
    }

    private void Share(long step, int round, double[] partials)
    {
        for (var i = 0; i < _shards.Count; i++)
        {
            if (i != _state!.Shard.Index)
                _shards[i].Tell(new Commands.ShareNorms(_state.Shard with { Index = i }, _state.Shard.Index, step, round, partials, IsAnswer: false));
        }
    }

    private void Advance()
    {
        var state = _state!;
        _telemetry!.Updated(state.LastStaleness);
        foreach (var worker in _waiting)
            AnswerWith(worker, state.Version);
        _waiting.Clear();
        PlanReport();
        ServeWaiting();
        SaveWhereDue();
    }

    private void PlanReport()
    {
        var state = _state!;
        if (state.Shard.Index == 0)
            _unreported.AddRange(state.StepsDone);
        else if (state.MaxStaleness is null)
            return;
        if (state.Version % state.Setup.StepsPerEpoch == 0 || IsDue(state.Version))
            Report();
        else if (!_reportPlanned)
        {
            _reportPlanned = true;
            Timers.StartSingleTimer(Tick.Report, Tick.Report, ReportInterval);
        }
    }

    private void Report()
    {
        if (_unreported.Count == 0 && (_state is null || _state.MaxStaleness == _reportedStaleness))
            return;
        _coordinator.Tell(new Replies.StepsDone(_state!.Shard, _state.Generation, _state.Version - _unreported.Count, [.. _unreported]) { MaxStaleness = _state.MaxStaleness });
        _reportedStaleness = _state.MaxStaleness;
        _unreported.Clear();
    }

    private void Pull(Queries.Pull pull)
    {
        if (_state is null || _opening is not null || pull.Generation > _state.Generation)
            Sender.Tell(new Replies.Refused(pull.Shard, pull.Generation, pull.Version, RefusalReason.NotYet));
        else if (pull.Generation < _state.Generation)
            Sender.Tell(new Replies.Refused(pull.Shard, _state.Generation, pull.Version, RefusalReason.StaleGeneration));
        else if (_state.Setup.Training.IsAsynchronous)
            PullWithoutWaiting(pull);
        else if (pull.Version == _state.Version + 1)
            _waiting.Add(Sender);
        else
            AnswerWith(Sender, pull.Version);
    }

    private void AnswerWith(IActorRef worker, long version)
    {
        var state = _state!;
        // others may have gone on without the one that asks: it catches up
        if (state.Setup.Training.BackupWorkers > 0 && version < state.Version - 1)
            version = state.Version;
        if (state.WeightsToSend(version) is { } weights)
            _lane.Tell(worker, new Replies.Pulled(state.Shard, state.Generation, version, weights) { Codec = state.Setup.Training.PullCodec, Late = LateNodes }, Self);
        else
            worker.Tell(new Replies.Refused(state.Shard, state.Generation, version, version > state.Version ? RefusalReason.NotYet : RefusalReason.StaleStep));
    }

    /// <summary>A buffer that some worker who waits for the next weights, or asks right now, reads where it lies.</summary>
    private TensorBuffer? RentForWorkers(int length)
    {
        foreach (var worker in _waiting)
        {
            if (_lane.Rent(worker, length) is { } buffer)
                return buffer;
        }
        return _lane.Rent(Sender, length);
    }

    private void PullSelected(Queries.PullSelected pull)
    {
        if (!IsCurrent(pull.Generation))
        {
            Sender.Tell(new Replies.Refused(pull.Shard, pull.Generation, -1, RefusalReason.StaleGeneration));
            return;
        }
        var (weights, version) = _state!.Selected(pull.Selection);
        _lane.Tell(Sender, new Replies.Pulled(pull.Shard, pull.Generation, version, weights) { IsSelected = true }, Self);
    }

    private static RefusalReason ReasonOf(PushOutcome outcome) => outcome switch
    {
        PushOutcome.StaleGeneration => RefusalReason.StaleGeneration,
        PushOutcome.StaleStep => RefusalReason.StaleStep,
        PushOutcome.Malformed => RefusalReason.Malformed,
        _ => RefusalReason.NotYet,
    };
}
