using Akka.Actor;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Parameters.ParameterProtocol;

namespace ClusterNet.Cluster.Parameters;

/// <summary>
/// Training without waiting: who pushed is answered with the weights of the moment, from shard 0 with the next thing to compute as well, as soon as the bound on staleness allows one; who asks for weights
/// that suffice for a step is answered when they do.
/// </summary>
internal sealed partial class ParameterShardActor
{
    private readonly List<(IActorRef Worker, WorkItem? Applied)> _claiming = [];
    private readonly List<(IActorRef Worker, long Step)> _pulling = [];
    private ClaimBook<IActorRef>? _claims;

    private void LeaveClaims()
    {
        _claiming.Clear();
        _pulling.Clear();
        _awaitsResiduals = null;
    }

    private void OpenClaims()
    {
        var setup = _state!.Setup;
        if (_state.Shard.Index != 0 || !setup.Training.IsAsynchronous)
            return;
        _claims ??= new ClaimBook<IActorRef>(
            setup.Training.Slices, setup.Training.Workers, setup.TotalSteps, setup.Training.Consistency == ConsistencyMode.Ssp ? setup.Training.Staleness : null);
        _claims.Reset(_state.Version);
    }

    private void AnswerApplied(Commands.Push push)
    {
        var item = new WorkItem(push.Step, push.Node);
        _claims?.Done(Sender, item);
        if (_claims is null)
            AnswerNow(Sender, item, null);
        else
            Claim(Sender, item);
    }

    private void PullWithoutWaiting(Queries.Pull pull)
    {
        if (_claims is not null)
            Claim(Sender, null);
        else if (_state!.Suffices(pull.Version))
            AnswerNow(Sender, null, null);
        else
            _pulling.Add((Sender, pull.Version));
    }

    private void Claim(IActorRef worker, WorkItem? applied)
    {
        // who asks again is one who waits, and what was applied is to be told to it
        var before = _claiming.FindIndex(waiting => waiting.Worker.Equals(worker));
        if (before < 0)
            _claiming.Add((worker, applied));
        else if (applied is not null)
            _claiming[before] = (worker, applied);
        ServeWaiting();
    }

    private void ServeWaiting()
    {
        if (_state!.Setup.Training.IsAsynchronous)
        {
            _pulling.RemoveAll(pulling =>
            {
                if (!_state.Suffices(pulling.Step))
                    return false;
                AnswerNow(pulling.Worker, null, null);
                return true;
            });
            _claiming.RemoveAll(waiting =>
            {
                if (_claims!.Claim(waiting.Worker, _state.Version) is not { } claim)
                    return false;
                AnswerNow(waiting.Worker, waiting.Applied, claim);
                return true;
            });
        }
    }

    private void AnswerNow(IActorRef worker, WorkItem? applied, WorkItem? claim)
    {
        var state = _state!;
        _lane.Tell(
            worker,
            new Replies.Pulled(state.Shard, state.Generation, state.Version, state.WeightsToSend(state.Version)!.Value) { Codec = state.Setup.Training.PullCodec, Applied = applied, Claim = claim },
            Self);
    }
}
