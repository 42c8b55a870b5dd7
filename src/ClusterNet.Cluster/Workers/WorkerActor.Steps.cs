using Akka.Actor;
using Akka.Event;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Core.Codecs;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Workers;

/// <summary>The life of a synchronous step: compute, push, receive the new weights. A backup worker computes what came late in the step before; who is overtaken by others catches up.</summary>
internal sealed partial class WorkerActor
{
    private IReadOnlyList<TreeNode> _late = [];

    // some that did not travel as those of a step do
    private bool _hasExactWeights = true;

    /// <summary>What it computes of the step at hand. A codec that loses something is applied to each slice by itself, so that the result does not depend on who has which slices.</summary>
    private IEnumerable<TreeNode> NodesToCompute => _state.Backup is { } backup ? _late.Skip(backup).Take(1)
        : _residuals is null ? _state.NodesOfStep
        : _state.NodesOfStep.SelectMany(node => Enumerable.Range(node.FirstSlice, node.SliceCount)).Select(slice => new TreeNode(0, slice));

    private void ComputeStep()
    {
        var step = _state.Version;
        _telemetry.Begin(_state.Generation, step);
        RoundWeights();
        foreach (var node in NodesToCompute)
            ComputeAndPush(step, node);
        _telemetry.Computed();
        _state.Await(step + 1);
        if (_pushed.Count == 0)
            Ask();
        Timers.StartSingleTimer(Tick.Repeat, Tick.Repeat, RepeatInterval);
    }

    /// <summary>A shard gets its part of the gradient as soon as it is there, while the parts of others, which lie in front of it, are still being computed.</summary>
    private void ComputeAndPush(long step, TreeNode node)
    {
        _residuals?.Begin(node.Index);
        var sent = new ReductionTree.Part[_shards.Count];
        void Send(int shard, ReductionTree.Part part)
        {
            sent[shard] = _residuals is null ? part : Encoded(step, node, shard, part);
            Push(shard, step, node, sent[shard]);
        }

        var since = _pace.Now;
        var parts = _computer!.ComputeNode(step, node, _batches, _plan.Ranges, _gradients, _pace.IsFull ? Send : null, _residuals is null ? shard => RentFor(shard, _plan.Ranges[shard].Length) : null);
        _pace.Linger(since, _claims is null ? _state.Nodes : null);
        if (!_pace.IsFull)
        {
            for (var shard = parts.Length - 1; shard >= 0; shard--)
                Send(shard, parts[shard]);
        }
        if (_residuals is not null)
            Release(parts);
        _pushed.Add((node, sent));
    }

    /// <summary>A shard's words of a gradient; where the next version is due for a checkpoint, it gets what was lost before it gets the words.</summary>
    private ReductionTree.Part Encoded(long step, TreeNode node, int shard, ReductionTree.Part part)
    {
        var words = _residuals!.Encode(node.Index, shard, part.Span, length => RentFor(shard, length));
        if (Spec.Checkpoint.IsDue(step + 1, _batches.TotalSteps(Spec)))
            SendResidual(step + 1, node.Index, shard);
        return new ReductionTree.Part(words, 0, words.Length, part.Statistics);
    }

    private TensorBuffer? RentFor(int shard, int length) => _lane.Rent(_shards[shard], length);

    /// <summary>Exact weights are here from the start, or were pulled for an evaluation: a step is computed with what would have travelled for it.</summary>
    private void RoundWeights()
    {
        if (Spec.PullCodec == WeightCodec.Bf16 && _hasExactWeights)
            Bf16.Round(_model!.Weights);
        _hasExactWeights = false;
    }

    private void Push(int shard, long step, TreeNode node, ReductionTree.Part part) => _lane.Tell(
        _shards[shard],
        new ParameterProtocol.Commands.Push(ShardOf(shard), _state.Generation, step, node, TensorPayload.Of(part.Buffer, new ShardRange(part.Offset, part.Length)), part.Statistics)
        {
            Codec = Spec.Codec,
            Basis = _claims?.Basis(shard),
            IsCopy = _state.Backup is not null,
            Trace = _telemetry.Trace,
        },
        Self);

    /// <summary>Asks the shards whose weights are lacking, by pushing again where a step was computed, by pulling where not.</summary>
    private void Ask()
    {
        foreach (var shard in _state.Lacking)
        {
            foreach (var (node, parts) in _pushed)
                Push(shard, _state.Awaited - 1, node, parts[shard]);
            if (_pushed.Count == 0)
                Pull(shard, _state.Awaited);
        }
    }

    private void Pull(int shard, long version) => _shards[shard].Tell(new ParameterProtocol.Queries.Pull(ShardOf(shard), _state.Generation, version));

    private void Pulled(ParameterProtocol.Replies.Pulled pulled)
    {
        var index = pulled.Shard.Index;
        if (pulled.Generation != _state.Generation)
            pulled.Weights.Release();
        else if (pulled.IsSelected)
            PulledSelected(index, pulled);
        else if (_claims is not null)
            PulledWithoutWaiting(_claims, index, pulled);
        else
            PulledInStep(index, pulled);
    }

    private void PulledSelected(int index, ParameterProtocol.Replies.Pulled pulled)
    {
        if (!_lackingSelected.Remove(index))
        {
            pulled.Weights.Release();
            return;
        }
        Load(index, pulled);
        if (_lackingSelected.Count == 0)
            AnswerSelected();
    }

    private void PulledInStep(int index, ParameterProtocol.Replies.Pulled pulled)
    {
        var isOvertaken = Spec.BackupWorkers > 0 && _state.Lacking.Count > 0 && pulled.Version > _state.Awaited;
        if (isOvertaken)
        {
            LetGo();
            _state.Await(pulled.Version);
        }
        if (!_state.Accept(index, pulled.Generation, pulled.Version))
        {
            pulled.Weights.Release();
            return;
        }
        if (index == 0)
            _late = pulled.Late;
        Load(index, pulled);
        if (_state.Lacking.Count == 0)
        {
            _telemetry.End();
            LetGo();
            GoOn();
        }
        else if (isOvertaken)
        {
            AskAgain();
        }
    }

    private void Load(int index, ParameterProtocol.Replies.Pulled pulled)
    {
        var range = _plan.Ranges[index];
        var weights = _model!.Weights.Slice(range.Offset, range.Length);
        if (pulled.Codec == WeightCodec.Bf16)
            Bf16.Decode(pulled.Weights.Span, weights);
        else
            pulled.Weights.Span.CopyTo(weights);
        _hasExactWeights |= pulled.Codec != WeightCodec.Bf16;
        pulled.Weights.Release();
    }

    private void LetGo()
    {
        Timers.Cancel(Tick.Repeat);
        foreach (var (_, parts) in _pushed)
            Release(parts);
        _pushed.Clear();
    }

    private static void Release(ReductionTree.Part[] parts)
    {
        foreach (var part in parts)
            part.Release();
    }

    private void Refused(ParameterProtocol.Replies.Refused refused)
    {
        // a new generation, or the repetition by the timer, resolves it
        if (refused.Reason != ParameterProtocol.RefusalReason.NotYet)
            _log.Debug("Worker of {Job}: shard {Shard} refuses step {Step}: {Reason}", _job.Job, refused.Shard.Index, refused.Step, refused.Reason);
    }
}
