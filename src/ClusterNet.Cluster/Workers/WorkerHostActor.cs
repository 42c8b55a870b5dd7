using Akka.Actor;
using Akka.Event;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Learning.Models;
using static ClusterNet.Cluster.Workers.WorkerProtocol;

namespace ClusterNet.Cluster.Workers;

/// <summary>The one actor of a node that starts and stops its workers, by the name <see cref="Name"/>.</summary>
internal sealed class WorkerHostActor : ReceiveActor
{
    public const string Name = "workers";

    private readonly ModelCatalog _catalog;
    private readonly JobData _data = new();
    private readonly Dictionary<JobId, List<IActorRef>> _workers = [];

    public WorkerHostActor(ModelCatalog catalog)
    {
        _catalog = catalog;
        Receive<Commands.Prepare>(prepare => Context.ActorOf(PreparerActor.PropsFor(_catalog, _data)).Forward(prepare));
        Receive<Commands.Enlist>(Enlist);
        Receive<Commands.Dismiss>(dismiss => Dismiss(dismiss.Job));
        Receive<Terminated>(terminated =>
        {
            foreach (var workers in _workers.Values)
                workers.Remove(terminated.ActorRef);
        });
    }

    public static Props PropsFor(ModelCatalog catalog) => Props.Create(() => new WorkerHostActor(catalog));

    /// <summary>A worker that fails to start or to stop is not started again: its job hears of it.</summary>
    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(_ => Directive.Stop);

    private void Enlist(Commands.Enlist enlist)
    {
        if (!_workers.TryGetValue(enlist.Job, out var workers))
            _workers.Add(enlist.Job, workers = []);
        foreach (var worker in workers)
            worker.Forward(enlist);
        while (workers.Count < enlist.Count)
            workers.Add(Context.Watch(Context.ActorOf(WorkerActor.PropsFor(enlist, Sender, _catalog, _data, WorkerPace.Of(workers.Count)))));
    }

    private void Dismiss(JobId job)
    {
        if (!_workers.Remove(job, out var workers))
            return;
        foreach (var worker in workers)
            Context.Stop(worker);
    }

    /// <summary>Prepares one job on a thread of its own, answers and stops.</summary>
    private sealed class PreparerActor : ReceiveActor
    {
        public PreparerActor(ModelCatalog catalog, JobData data)
        {
            Receive<Commands.Prepare>(prepare =>
            {
                Sender.Tell(Prepare(prepare.Spec, catalog, data));
                Context.Stop(Self);
            });
        }

        public static Props PropsFor(ModelCatalog catalog, JobData data) =>
            Props.Create(() => new PreparerActor(catalog, data)).WithDispatcher(Hosting.Dispatchers.Compute);

        private static object Prepare(JobSpec spec, ModelCatalog catalog, JobData data)
        {
            try
            {
                var parts = data.Prepare(spec.Data, spec.Training.Seed);
                using var model = catalog.Build(spec.Model, spec.Training.Loss, parts.Preparation.Signature, spec.Training.Seed, spec.Training.ThreadsPerWorker);
                return new Replies.Prepared(new JobPlan(
                    model.Layout, parts.Training.Count, parts.Validation.Count, parts.Test.Count, parts.Preparation.ToJson(), parts.Fingerprint));
            }
            catch (InputException input)
            {
                return new Replies.Rejected(input.Faults);
            }
#pragma warning disable CA1031 // whatever a reader or a user's model throws is the answer to who asked
            catch (Exception exception)
#pragma warning restore CA1031
            {
                Context.GetLogger().Error(exception, "Job {Job} can't be prepared", spec.Name);
                return new Replies.Rejected([new Fault(string.Empty, $"{exception.GetType().Name}: {exception.Message}")]);
            }
        }
    }
}
