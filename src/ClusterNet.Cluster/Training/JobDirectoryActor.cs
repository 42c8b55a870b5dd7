using Akka.Actor;
using Akka.Persistence;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Training.TrainingProtocol;

namespace ClusterNet.Cluster.Training;

/// <summary>
/// The event-sourced list of all jobs of a store, a singleton: gives out ids and never one twice, and keeps jobs going. A coordinator tells it when its job is under way and when it is at rest; one that dies is woken by a nudge,
/// wherever its entity then belongs. What a job is, its coordinator knows; of one at rest the directory keeps the line that lists have.
/// </summary>
internal sealed class JobDirectoryActor : ReceivePersistentActor, IWithTimers
{
    private static readonly TimeSpan NudgeInterval = TimeSpan.FromSeconds(1);

    /// <summary>A coordinator that can't recover, since the store is down, is woken less and less often.</summary>
    private const int LongestPause = 4;

    private readonly Func<ActorSystem, ICanTell> _region;
    private readonly List<JobId> _jobs = [];
    private readonly HashSet<JobId> _known = [];
    private readonly Dictionary<string, JobId> _requests = [];
    private readonly HashSet<JobId> _underWay = [];
    private readonly Dictionary<JobId, int> _unanswered = [];
    private readonly Dictionary<JobId, JobSummary> _atRest = [];

    public JobDirectoryActor(Func<ActorSystem, ICanTell> region, bool resumesByItself, TimeProvider time)
    {
        _region = region;
        Recover<Events.JobAllocated>(Apply);
        Recover<Events.JobNoted>(noted =>
        {
            Apply(noted);
            // else only what comes to be under way in the life of this process is kept going
            if (!resumesByItself)
                _underWay.Clear();
        });
        Command<Commands.Allocate>(allocate => Allocate(allocate, time));
        Command<Commands.Note>(note => Note(note, time));
        Command<Queries.ListJobs>(_ => Sender.Tell(new Replies.Jobs([.. _jobs]) { AtRest = [.. _jobs.Where(_atRest.ContainsKey).Select(job => _atRest[job])] }));
        Command<Queries.HasJob>(query => Sender.Tell(new Replies.Known(query.Job, _known.Contains(query.Job))));
        Command<Tick>(_ => Nudge());
    }

    private enum Tick
    {
        Nudge,
    }

    /// <inheritdoc/>
    public override string PersistenceId => "jobs";

    /// <inheritdoc/>
    public ITimerScheduler Timers { get; set; } = null!;

    /// <param name="region">where coordinators are, once it is there</param>
    /// <param name="resumesByItself">whether what was under way when all processes died is woken too</param>
    /// <param name="time">the clock</param>
    public static Props PropsFor(Func<ActorSystem, ICanTell> region, bool resumesByItself, TimeProvider time) =>
        Props.Create(() => new JobDirectoryActor(region, resumesByItself, time));

    /// <inheritdoc/>
    protected override void OnPersistFailure(Exception cause, object @event, long sequenceNr)
    {
        NodeTelemetry.StoreFailed("journal");
        base.OnPersistFailure(cause, @event, sequenceNr);
    }

    protected override void PreStart()
    {
        base.PreStart();
        Timers.StartPeriodicTimer(Tick.Nudge, Tick.Nudge, NudgeInterval);
    }

    private void Allocate(Commands.Allocate allocate, TimeProvider time)
    {
        if (_requests.TryGetValue(allocate.Request, out var given))
        {
            Sender.Tell(new Replies.Allocated(given));
            return;
        }
        Persist(new Events.JobAllocated(FreeId(allocate.Name), time.GetUtcNow()) { Request = allocate.Request }, allocated =>
        {
            Apply(allocated);
            Sender.Tell(new Replies.Allocated(allocated.Job));
        });
    }

    private void Note(Commands.Note note, TimeProvider time)
    {
        _unanswered.Remove(note.Job);
        if (_underWay.Contains(note.Job) == note.IsUnderWay && _atRest.GetValueOrDefault(note.Job) == note.Summary)
        {
            Sender.Tell(new Replies.Noted(note.Job, note.IsUnderWay));
            return;
        }
        Persist(new Events.JobNoted(note.Job, note.IsUnderWay, time.GetUtcNow()) { Summary = note.Summary }, noted =>
        {
            Apply(noted);
            Sender.Tell(new Replies.Noted(noted.Job, noted.IsUnderWay));
        });
    }

    private void Nudge()
    {
        foreach (var job in _underWay)
        {
            var missed = _unanswered.GetValueOrDefault(job);
            _unanswered[job] = missed + 1;
            if (missed < LongestPause || missed % LongestPause == 0)
                _region(Context.System).Tell(new Commands.Nudge(job), Self);
        }
    }

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
        if (allocated.Request.Length > 0)
            _requests[allocated.Request] = allocated.Job;
    }

    private void Apply(Events.JobNoted noted)
    {
        if (noted.IsUnderWay)
            _underWay.Add(noted.Job);
        else
            _underWay.Remove(noted.Job);
        if (noted.Summary is { } summary)
            _atRest[noted.Job] = summary;
        else
            _atRest.Remove(noted.Job);
    }
}
