using Akka.Actor;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;

namespace ClusterNet.Cluster.Training;

/// <summary>
/// What other ways of training than the plain synchronous one ask of a coordinator. Backup workers: who is behind at a boundary is not waited for. Asynchronous training: a checkpoint is a boundary where all stand,
/// since nowhere else is there one state. Both: one worker that stands stops nobody, so an interruption asks all how far they are and leads them to the furthest. Lossy codecs: what they lost belongs to a checkpoint.
/// </summary>
internal sealed partial class JobCoordinatorActor
{
    private readonly Dictionary<IActorRef, long> _held = [];

    /// <summary>Whether others go on where one worker is held.</summary>
    private bool HoldsAll => Spec.Training.IsAsynchronous || Backups > 0;

    /// <summary>Active workers that are backups.</summary>
    private int Backups => Math.Max(0, Math.Min(Spec.Training.BackupWorkers, Run.Active.Count - 1));

    /// <summary>Who does what while no step runs: the active workers, but for one that is still behind.</summary>
    private IReadOnlyList<IActorRef> Ready => Backups == 0 ? Run.Active : [.. Run.Active.Where(Run.Standing.Contains)];

    /// <summary>The nodes of each worker; who comes behind those that share the slices is a backup. Where items are claimed nobody has nodes of its own.</summary>
    private IReadOnlyList<(IReadOnlyList<TreeNode> Nodes, int? Backup, bool IsActive)> Deal(int workers)
    {
        if (Spec.Training.IsAsynchronous)
            return [.. Enumerable.Range(0, workers).Select((IReadOnlyList<TreeNode>, int?, bool) (_) => ([], null, true))];
        var backups = Math.Max(0, Math.Min(Spec.Training.BackupWorkers, workers - 1));
        var deal = SlicePlan.Deal(Spec.Training.Slices, workers - backups);
        return
        [
            .. deal.Select((IReadOnlyList<TreeNode>, int?, bool) (nodes) => (nodes, null, nodes.Count > 0)),
            .. Enumerable.Range(0, backups).Select((IReadOnlyList<TreeNode>, int?, bool) (backup) => ([], backup, true)),
        ];
    }

    private long NextBoundary(long step)
    {
        var boundary = Boundaries.Next(step + 1, Run.Batches, Run.TotalSteps, Evaluates);
        var every = Spec.Training.Checkpoint.Every;
        return Spec.Training.IsAsynchronous && every > 0 ? Math.Min(boundary, (step / every + 1) * every) : boundary;
    }

    private void HoldAll()
    {
        foreach (var worker in Run.Active)
        {
            if (!_held.ContainsKey(worker))
                worker.Tell(new WorkerProtocol.Commands.Hold(_job, _state.Generation));
        }
    }

    private void Held(WorkerProtocol.Replies.Held held)
    {
        if (!IsToStand || !Run.Active.Contains(Sender))
            return;
        _held[Sender] = held.Version;
        if (_held.Count < Run.Active.Count)
            return;
        _repeat = null;
        Run.Until = _held.Values.Max();
        Run.Standing.Clear();
        _held.Clear();
        foreach (var worker in Run.Active)
            worker.Tell(new WorkerProtocol.Commands.Continue(_job, _state.Generation, Run.Until) { Trace = _telemetry!.Trace });
    }

    /// <summary>Everyone stands, and goes on once the checkpoint is committed or has failed.</summary>
    private void SaveAtBoundary(long step)
    {
        _afterCheckpoint = () =>
        {
            if (AwaitsCheckpoint(step))
                return;
            _afterCheckpoint = null;
            AtBoundary(step);
        };
        Become(() => Concluding(() => { }));
        Repeat(() => TakeCheckpoint(step));
    }

    private void AskForResiduals(long step)
    {
        if (Spec.Training.Codec == Core.Jobs.GradientCodec.Fp32)
            return;
        foreach (var worker in Run.Active)
            worker.Tell(new WorkerProtocol.Commands.SendResiduals(_job, _state.Generation, step));
    }
}
