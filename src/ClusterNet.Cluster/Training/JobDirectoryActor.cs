using Akka.Actor;
using Akka.Persistence;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Training.TrainingProtocol;

namespace ClusterNet.Cluster.Training;

/// <summary>The event-sourced list of all jobs of a store, a singleton: gives out ids and never one twice. What a job is, its coordinator knows.</summary>
internal sealed class JobDirectoryActor : ReceivePersistentActor
{
    private readonly List<JobId> _jobs = [];
    private readonly HashSet<JobId> _known = [];

    public JobDirectoryActor(TimeProvider time)
    {
        Recover<Events.JobAllocated>(Apply);
        Command<Commands.Allocate>(allocate => Persist(new Events.JobAllocated(FreeId(allocate.Name), time.GetUtcNow()), allocated =>
        {
            Apply(allocated);
            Sender.Tell(new Replies.Allocated(allocated.Job));
        }));
        Command<Queries.ListJobs>(_ => Sender.Tell(new Replies.Jobs([.. _jobs])));
    }

    /// <inheritdoc/>
    public override string PersistenceId => "jobs";

    public static Props PropsFor(TimeProvider time) => Props.Create(() => new JobDirectoryActor(time));

    private JobId FreeId(string name)
    {
        for (var number = 1; ; number++)
        {
            var candidate = new JobId($"{name}-{number}");
            if (!_known.Contains(candidate))
                return candidate;
        }
    }

    private void Apply(Events.JobAllocated allocated)
    {
        if (_known.Add(allocated.Job))
            _jobs.Add(allocated.Job);
    }
}
