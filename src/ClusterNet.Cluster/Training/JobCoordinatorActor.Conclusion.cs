using Akka.Actor;
using Akka.Event;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Data;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;
using ClusterNet.Data.Preparation;
using static ClusterNet.Cluster.Training.TrainingProtocol;

namespace ClusterNet.Cluster.Training;

/// <summary>
/// Evaluation, and the end of a job: the selected weights are digested, evaluated on every part, written to the store by the shards, and registered as a model version. If anyone dies
/// on the way, a new generation leads back here.
/// </summary>
internal sealed partial class JobCoordinatorActor
{
    /// <summary>Of one answer of a worker, so that it fits a frame: metrics have the scores of all their samples.</summary>
    private const int MostBytesOfMetrics = 512 << 10;

    private DataSignature? _signature;

    private DataSignature Signature => _signature ??= FittedPreparation.FromJson(_state.Plan!.PreparationJson).Signature;

    /// <summary>Has all workers evaluate their runs of the parts' chunks, merges what they answer, and goes on with it.</summary>
    private void Evaluate(
        IReadOnlyList<WorkerProtocol.DataPart> parts,
        ParameterProtocol.WeightsSelection selection,
        Action<IReadOnlyDictionary<WorkerProtocol.DataPart, MetricAccumulator>> goOn)
    {
        _telemetry!.Phase(TelemetryNames.Activities.Evaluation, Run.Until, Run.Active.Count);
        var lacking = new Dictionary<(WorkerProtocol.DataPart Part, int First), (IActorRef Worker, int Count)>();
        var most = Math.Max(1, MostBytesOfMetrics / (EvaluationChunks.Length * MetricAccumulator.BytesOfSample(Signature.Task, Signature.Classes.Count)));
        foreach (var part in parts)
        {
            var runs = SlicePlan.DealRuns(EvaluationChunks.Count(SamplesOf(part)), Ready.Count);
            foreach (var (worker, run) in Ready.Zip(runs))
            {
                for (var done = 0; done < run.Count; done += most)
                    lacking.Add((part, run.First + done), (worker, Math.Min(most, run.Count - done)));
            }
        }
        var merged = parts.ToDictionary(part => part, _ => NewAccumulator());
        Become(() => Evaluating(selection, lacking, merged, goOn));
        Repeat(() =>
        {
            foreach (var (part, first) in lacking.Keys)
            {
                var (worker, count) = lacking[(part, first)];
                worker.Tell(new WorkerProtocol.Commands.Evaluate(_job, _state.Generation, selection, part, first, count));
            }
        });
    }

    private void Evaluating(
        ParameterProtocol.WeightsSelection selection,
        Dictionary<(WorkerProtocol.DataPart Part, int First), (IActorRef Worker, int Count)> lacking,
        Dictionary<WorkerProtocol.DataPart, MetricAccumulator> merged,
        Action<IReadOnlyDictionary<WorkerProtocol.DataPart, MetricAccumulator>> goOn)
    {
        Command<WorkerProtocol.Replies.Evaluated>(
            done => done.Generation == _state.Generation && done.Selection == selection,
            done =>
            {
                if (!lacking.Remove((done.Part, done.FirstChunk)))
                    return;
                merged[done.Part].Merge(MetricAccumulator.FromBytes(done.Metrics.Span));
                if (lacking.Count == 0)
                    goOn(merged);
            });
        Command<Commands.Interrupt>(_ => Interrupt());
        WhileRunning();
    }

    private MetricAccumulator NewAccumulator() => new(Signature.Task, Signature.Classes.Count);

    private int SamplesOf(WorkerProtocol.DataPart part) => part switch
    {
        WorkerProtocol.DataPart.Training => _state.Plan!.TrainingSamples,
        WorkerProtocol.DataPart.Validation => _state.Plan!.ValidationSamples,
        _ => _state.Plan!.TestSamples,
    };

    private ParameterProtocol.WeightsSelection Selection =>
        Evaluates && Spec.Training.Select == VersionSelection.Best ? ParameterProtocol.WeightsSelection.Best : ParameterProtocol.WeightsSelection.Current;

    private void Conclude(long step)
    {
        if (AwaitsCheckpoint(step))
        {
            _afterCheckpoint = () =>
            {
                if (!AwaitsCheckpoint(step))
                {
                    _afterCheckpoint = null;
                    AtBoundary(step);
                }
            };
            _repeat = () => TakeCheckpoint(step);
            Become(() => Concluding(() => { }));
            return;
        }
        if (_state.HandedOver is { } handedOver && Selection == ParameterProtocol.WeightsSelection.Best && handedOver.Step == BestStep)
            Complete(step, handedOver);
        else
            MakeVersion(step, isHandOver: false);
    }

    /// <summary>What is handed over are the current weights, which are the best so far: workers have them, and go on with them.</summary>
    private ParameterProtocol.WeightsSelection SelectionOf(bool isHandOver) => isHandOver ? ParameterProtocol.WeightsSelection.Current : Selection;

    private long? BestStep => Epochs.LastOrDefault(epoch => epoch.IsBest)?.Step;

    /// <summary>From digest to registry; every phase may be done again.</summary>
    private void MakeVersion(long step, bool isHandOver)
    {
        Become(() => Concluding(() => Command<WorkerProtocol.Replies.Digested>(
            digested => digested.Generation == _state.Generation,
            digested => Digested(step, digested, isHandOver))));
        Repeat(() => Ready[0].Tell(new WorkerProtocol.Commands.Digest(_job, _state.Generation, SelectionOf(isHandOver))));
    }

    /// <summary>A phase of the conclusion: an interruption that comes now is answered at the end.</summary>
    private void Concluding(Action phase)
    {
        phase();
        Command<Commands.Interrupt>(_ => _interrupting.Add(Sender));
        WhileRunning();
    }

    private void Digested(long step, WorkerProtocol.Replies.Digested digested, bool isHandOver)
    {
        if (!digested.AllFinite)
        {
            End(JobStatus.Failed, "training diverged: a weight is not a finite number; lower training.optimizer.learning-rate or bound the gradient (training.clip)", false);
            return;
        }
        WorkerProtocol.DataPart[] parts = [.. Enum.GetValues<WorkerProtocol.DataPart>().Where(part => SamplesOf(part) > 0)];
        Evaluate(parts, SelectionOf(isHandOver), results =>
        {
            var reports = results.ToDictionary(result => result.Key, result => result.Value.Report());
            Reserve(new Conclusion(
                step,
                digested.Sha256,
                reports.ToDictionary(report => NameOf(report.Key), report => report.Value.Values),
                LossToStore(reports[WorkerProtocol.DataPart.Training]),
                isHandOver));
        });
    }

    /// <summary>Balanced class weights as the numbers they came to: who evaluates the version later has no training part to balance by.</summary>
    private LossSpec LossToStore(MetricReport training)
    {
        var loss = Spec.Training.Loss;
        if (!loss.BalancedClassWeights)
            return loss;
        var counts = training.Confusion.Select(row => row.Sum()).ToArray();
        return loss with
        {
            BalancedClassWeights = false,
            ClassWeights = Signature.Classes.Zip(counts, (label, count) => (Label: label, Count: count)).ToDictionary(pair => pair.Label, pair => training.Samples / ((double)counts.Length * Math.Max(1, pair.Count))),
        };
    }

    private void Reserve(Conclusion conclusion)
    {
        if (conclusion.IsHandOver)
        {
            ReserveForHandOver(conclusion);
            return;
        }
        if (_state.Reserved is { } number)
        {
            Publish(conclusion, number);
            return;
        }
        Become(() => Concluding(() => Command<ModelProtocol.Replies.Reserved>(reserved => Persist(new Events.VersionReserved(reserved.Version), persisted =>
        {
            if (_state.Reserved is not null)
                return;
            _state.Apply(persisted);
            Publish(conclusion, persisted.Version);
        }))));
        Repeat(() => _environment.Models.Tell(new ModelProtocol.Commands.Reserve(Spec.Name, _job), Self));
    }

    private void Publish(Conclusion conclusion, ModelVersionId version)
    {
        _telemetry!.Phase(TelemetryNames.Activities.Publish, conclusion.Step, Run.Active.Count);
        var parts = new IReadOnlyList<ShardRange>?[Run.Shards.Length];
        Become(() => Concluding(() =>
        {
            Command<ParameterProtocol.Replies.Published>(published => published.Generation == _state.Generation, published =>
            {
                parts[published.Shard.Index] = published.Parts;
                if (parts.All(part => part is not null))
                    Register(conclusion, Stored(conclusion, version, [.. parts.SelectMany(part => part!)]));
            });
            Command<ParameterProtocol.Replies.PublishFailed>(failed => failed.Generation == _state.Generation, failed =>
                _log.Error("Job {Job}: shard {Shard} could not store its part of {Version}: {Reason}; trying again", _job, failed.Shard.Index, version, failed.Reason));
        }));
        Repeat(() =>
        {
            for (var i = 0; i < parts.Length; i++)
            {
                if (parts[i] is null)
                    Run.Shards[i]!.Tell(new ParameterProtocol.Commands.Publish(new ShardId(_job, i), _state.Generation, version, SelectionOf(conclusion.IsHandOver)));
            }
        });
    }

    private ModelProtocol.StoredVersion Stored(Conclusion conclusion, ModelVersionId version, IReadOnlyList<ShardRange> parts)
    {
        var plan = _state.Plan!;
        var selected = Selection == ParameterProtocol.WeightsSelection.Best ? BestStep ?? conclusion.Step : conclusion.Step;
        return new ModelProtocol.StoredVersion(
            new ModelVersion(version, _job, selected, Spec.Training.Seed, Spec.Model, Signature, plan.DataFingerprint, plan.Layout.Length, conclusion.Sha256, conclusion.Metrics, Now) { Libraries = LibraryVersions.All },
            conclusion.Loss,
            plan.PreparationJson,
            parts);
    }

    private void Register(Conclusion conclusion, ModelProtocol.StoredVersion stored)
    {
        var (step, version) = (conclusion.Step, stored.Version);
        var made = new Events.VersionHandedOver(version.Id, version.Step, version.WeightsSha256, version.Metrics);
        Become(() => Concluding(() => Command<ModelProtocol.Replies.Registered>(_ =>
        {
            if (conclusion.IsHandOver)
                Label(made, () => HandedOver(step, made));
            else if (Spec.Training.Publish is not null)
                Label(made, () => Complete(step, made));
            else
                Complete(step, made);
        })));
        Repeat(() => _environment.Models.Tell(new ModelProtocol.Commands.Register(stored), Self));
    }

    private void Complete(long step, Events.VersionHandedOver version)
    {
        var seconds = TrainingTime.TotalSeconds;
        var result = new JobResult(
            version.Version,
            step,
            (step - 1) / Run.Batches.StepsPerEpoch + 1,
            seconds > 0 ? Run.SamplesIn(step) / seconds : 0,
            version.WeightsSha256,
            version.Step,
            version.Metrics)
        {
            MaxStaleness = Run.MaxStaleness,
        };
        var history = Run.HistoryUpTo(step, includeEpochAtStep: true);
        Persist(new Events.JobCompleted(result, history.Epochs, history.Losses, Now) { Ledger = history.Ledger, Paces = history.Paces }, completed =>
        {
            _state.Apply(completed);
            LeaveRun(deleteCheckpoints: false);
        });
    }

    private static string NameOf(WorkerProtocol.DataPart part) => part switch
    {
        WorkerProtocol.DataPart.Training => "training",
        WorkerProtocol.DataPart.Validation => "validation",
        _ => "test",
    };

    /// <summary>What is known of a job's end, or of a version that is handed over, while its version is made.</summary>
    /// <param name="Step">the last step</param>
    /// <param name="Sha256">digest of the selected weights</param>
    /// <param name="Metrics">by part and metric</param>
    /// <param name="Loss">what it was trained with, class weights as numbers</param>
    /// <param name="IsHandOver">whether the job goes on behind it</param>
    private sealed record Conclusion(long Step, string Sha256, IReadOnlyDictionary<string, IReadOnlyDictionary<string, double>> Metrics, LossSpec Loss, bool IsHandOver);
}
