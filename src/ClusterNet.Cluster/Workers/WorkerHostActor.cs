using Akka.Actor;
using Akka.Event;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Plans;
using ClusterNet.Data;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Training;
using static ClusterNet.Cluster.Workers.WorkerProtocol;

namespace ClusterNet.Cluster.Workers;

/// <summary>The one actor of a node that starts and stops its workers, by the name <see cref="Name"/>.</summary>
internal sealed class WorkerHostActor : ReceiveActor
{
    public const string Name = "workers";

    private readonly ModelCatalog _catalog;
    private readonly Replies.Capacity _capacity;
    private readonly JobData _data;
    private readonly Dictionary<JobId, List<IActorRef>> _workers = [];
    private readonly HashSet<IActorRef> _asking = [];
    private readonly List<IActorRef> _awaitingLeave = [];
    private readonly List<IActorRef> _awaitingTrial = [];
    private Replies.Trial? _trial;
    private IActorRef? _preparer;
    private bool _leaves;

    public WorkerHostActor(ModelCatalog catalog, Replies.Capacity capacity, DataFolders folders)
    {
        (_catalog, _capacity, _data) = (catalog, capacity, new JobData(folders));
        Receive<Queries.GetCapacity>(_ => TellCapacity());
        Receive<Queries.GetTrial>(_ => TellTrial());
        Receive<Replies.Trial>(trial => Tried(trial));
        Receive<Commands.Leave>(_ => Leave());
        Receive<Commands.Prepare>(Prepare);
        Receive<Commands.Enlist>(Enlist);
        Receive<Commands.Dismiss>(dismiss => Dismiss(dismiss.Job));
        Receive<Terminated>(terminated =>
        {
            _asking.Remove(terminated.ActorRef);
            foreach (var workers in _workers.Values)
                workers.Remove(terminated.ActorRef);
            TellWhenLeft();
        });
    }

    /// <param name="catalog">the models that jobs may name</param>
    /// <param name="capacity">what the node can have</param>
    /// <param name="folders">what jobs may read here</param>
    public static Props PropsFor(ModelCatalog catalog, Replies.Capacity capacity, DataFolders folders) => Props.Create(() => new WorkerHostActor(catalog, capacity, folders));

    /// <summary>A worker that fails to start or to stop is not started again: its job hears of it.</summary>
    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(_ => Directive.Stop);

    private void TellCapacity()
    {
        if (_asking.Add(Sender))
            Context.Watch(Sender);
        Sender.Tell(_leaves ? _capacity with { Workers = 0 } : _capacity);
    }

    /// <summary>Of many jobs that are handed in one after the other the data of one are kept, not of all.</summary>
    private void Prepare(Commands.Prepare prepare)
    {
        _preparer?.Tell(PoisonPill.Instance);
        _preparer = Context.ActorOf(PreparerActor.PropsFor(_catalog, _data));
        _preparer.Forward(prepare);
    }

    /// <summary>Tried when somebody asks for the first time: it takes libtorch.</summary>
    private void TellTrial()
    {
        if (_trial is not null)
        {
            Sender.Tell(_trial);
            return;
        }
        _awaitingTrial.Add(Sender);
        if (_awaitingTrial.Count == 1)
            Context.ActorOf(TrialActor.Props).Tell(new Queries.GetTrial());
    }

    private void Tried(Replies.Trial trial)
    {
        _trial = trial;
        foreach (var waiting in _awaitingTrial)
            waiting.Tell(trial);
        _awaitingTrial.Clear();
    }

    /// <summary>Coordinators open generations without the workers here, and then let them go.</summary>
    private void Leave()
    {
        _leaves = true;
        _awaitingLeave.Add(Sender);
        foreach (var asking in _asking)
            asking.Tell(_capacity with { Workers = 0 });
        TellWhenLeft();
    }

    private void TellWhenLeft()
    {
        if (!_leaves || _workers.Values.Any(workers => workers.Count > 0))
            return;
        foreach (var waiting in _awaitingLeave)
            waiting.Tell(new Replies.Left());
        _awaitingLeave.Clear();
    }

    private void Enlist(Commands.Enlist enlist)
    {
        // who asked for more than was announced has old news
        if (_leaves || enlist.Spec.Training.ThreadsPerWorker > _capacity.ThreadsPerWorker)
            return;
        if (!_workers.TryGetValue(enlist.Job, out var workers))
            _workers.Add(enlist.Job, workers = []);
        foreach (var worker in workers)
            worker.Forward(enlist);
        while (workers.Count < Math.Min(enlist.Count, _capacity.Workers))
            workers.Add(Context.Watch(Context.ActorOf(WorkerActor.PropsFor(enlist, Sender, _catalog, _data, WorkerPace.Of(workers.Count)))));
    }

    private void Dismiss(JobId job)
    {
        if (!_workers.Remove(job, out var workers))
            return;
        foreach (var worker in workers)
            Context.Stop(worker);
        TellWhenLeft();
    }

    /// <summary>Tries the processor on a thread of its own, answers and stops.</summary>
    private sealed class TrialActor : ReceiveActor
    {
        public TrialActor() => Receive<Queries.GetTrial>(_ =>
        {
            Sender.Tell(new Replies.Trial(Try()));
            Context.Stop(Self);
        });

        public static Props Props { get; } = Akka.Actor.Props.Create<TrialActor>().WithDispatcher(Hosting.Dispatchers.Compute);

        private static string Try()
        {
            try
            {
                return ProcessorTrial.Sha256();
            }
#pragma warning disable CA1031 // without libtorch no job can be prepared here: the reason is told then
            catch (Exception exception)
#pragma warning restore CA1031
            {
                Context.GetLogger().Warning(exception, "This node's processor can't be tried");
                return string.Empty;
            }
        }
    }

    /// <summary>Prepares one job on a thread of its own and answers. For a while it keeps what it has read, so that the job's workers find it and nothing is read twice; then, or when the next job comes, it stops.</summary>
    private sealed class PreparerActor : ReceiveActor
    {
        private static readonly TimeSpan Kept = TimeSpan.FromSeconds(30);

        private readonly ModelCatalog _catalog;
        private readonly JobData _data;
        private PreparedData? _kept;

        public PreparerActor(ModelCatalog catalog, JobData data)
        {
            (_catalog, _data) = (catalog, data);
            Receive<Commands.Prepare>(prepare =>
            {
                Sender.Tell(Prepare(prepare.Spec));
                if (_kept is null)
                    Context.Stop(Self);
                else
                    Context.SetReceiveTimeout(Kept);
            });
            Receive<ReceiveTimeout>(_ => Context.Stop(Self));
        }

        public static Props PropsFor(ModelCatalog catalog, JobData data) =>
            Props.Create(() => new PreparerActor(catalog, data)).WithDispatcher(Hosting.Dispatchers.Compute);

        private object Prepare(JobSpec spec)
        {
            try
            {
                var parts = _data.Prepare(spec.Data, spec.Training.Seed);
                using var model = _catalog.Build(spec.Model, spec.Training.Loss, parts.Preparation.Signature, spec.Training.Seed, spec.Training.ThreadsPerWorker);
                using var loss = LossFunction.For(spec.Training.Loss, parts);
                using var computer = new GradientComputer(model, loss, parts.Training);
                var plan = new JobPlan(
                    model.Layout, parts.Training.Count, parts.Validation.Count, parts.Test.Count, parts.Preparation.ToJson(), parts.Fingerprint)
                {
                    // asynchronous training adds gradients in no order: there are no bits to keep
                    Arithmetic = spec.Training.IsAsynchronous ? null : TrialGradient.Sha256(computer, BatchPlan.Of(spec.Training, parts.Training.Count), model.Layout.Length),
                };
                _kept = parts;
                return new Replies.Prepared(plan);
            }
            catch (InputException input)
            {
                return new Replies.Rejected(input.Faults) { IsOfNode = _data.Lacks(spec.Data) };
            }
#pragma warning disable CA1031 // whatever a reader or a user's model throws is the answer to who asked
            catch (Exception exception)
#pragma warning restore CA1031
            {
                Context.GetLogger().Error(exception, "Job {Job} can't be prepared", spec.Name);
                return new Replies.Rejected([new Fault(string.Empty, $"{exception.GetType().Name}: {exception.Message}")]) { IsOfNode = true };
            }
        }
    }
}
