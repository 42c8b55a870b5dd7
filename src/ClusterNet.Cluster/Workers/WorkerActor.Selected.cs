using Akka.Actor;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using static ClusterNet.Cluster.Workers.WorkerProtocol;

namespace ClusterNet.Cluster.Workers;

/// <summary>What is done while no step runs, with weights that are selected: evaluations and digests.</summary>
internal sealed partial class WorkerActor
{
    private readonly Queue<(object Request, IActorRef Asker)> _awaitingSelected = new();
    private readonly HashSet<int> _lackingSelected = [];
    private readonly Dictionary<object, object> _answers = [];
    private ParameterProtocol.WeightsSelection? _selected;

    /// <summary>Whether the weights that steps are computed with are those that the shards have.</summary>
    private bool HoldsExactWeights => _claims is null && Spec.PullCodec == WeightCodec.Fp32;

    /// <summary>Does what needs selected weights at once where they are here, else pulls them first.</summary>
    private void WithWeights(object request, ParameterProtocol.WeightsSelection selection)
    {
        if (_lackingSelected.Count == 0 && (_selected == selection || (_selected is null && selection == ParameterProtocol.WeightsSelection.Current && _state.Stands && HoldsExactWeights)))
        {
            Answer(request, Sender);
            return;
        }
        _awaitingSelected.Enqueue((request, Sender));
        if (_lackingSelected.Count > 0)
            return;
        _selected = selection;
        _lackingSelected.UnionWith(Enumerable.Range(0, _shards.Count));
        // the current weights, exact or newer than those at hand, serve for what comes next as well
        if (selection == ParameterProtocol.WeightsSelection.Best)
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

    /// <summary>A question is asked again while its answer is computed: then it is answered again, not computed again.</summary>
    private void Answer(object request, IActorRef asker)
    {
        if (!_answers.TryGetValue(request, out var answer))
            _answers.Add(request, answer = AnswerTo(request));
        asker.Tell(answer);
    }

    private object AnswerTo(object request)
    {
        if (request is Commands.Evaluate evaluate)
        {
            var metrics = _evaluator!.Evaluate(PartOf(evaluate.Part), evaluate.FirstChunk, evaluate.Chunks);
            return new Replies.Evaluated(_job.Job, evaluate.Generation, evaluate.Selection, evaluate.Part, evaluate.FirstChunk, evaluate.Chunks, metrics.ToBytes());
        }
        var weights = _model!.Weights;
        return new Replies.Digested(_job.Job, ((Commands.Digest)request).Generation, WeightsDigest.Sha256(weights), WeightsDigest.AllFinite(weights));
    }
}
