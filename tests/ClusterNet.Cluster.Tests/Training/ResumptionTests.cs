using Akka.Actor;
using Akka.TestKit;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Training.TrainingProtocol;

namespace ClusterNet.Cluster.Tests.Training;

/// <summary>A job that was under way goes on by itself where that is wanted; one that a user stopped never does.</summary>
public sealed class ResumptionTests : CoordinatorTests
{
    [Fact]
    public async Task A_job_whose_process_was_killed_waits_to_be_resumed_where_a_user_decides()
    {
        await KillAsync((await StartAsync()).Coordinator);
        Running.Remove(TestJobs.Id);
        var successor = Create();
        Assert.Equal(JobStatus.Interrupted, await StatusAsync(successor));
        Assert.IsType<Replies.Accepted>(await successor.Ask(new Commands.Cancel(TestJobs.Id)));
        Assert.IsType<Replies.Refused>(await successor.Ask(new Commands.Resume(TestJobs.Id)));
    }

    [Fact]
    public async Task It_goes_on_by_itself_where_that_is_wanted()
    {
        var (coordinator, generation) = await StartAsync();
        await KillAsync(coordinator);
        Running.Remove(TestJobs.Id);
        await GoesOnAsync(Create(resumesByItself: true), generation);
    }

    [Fact]
    public async Task A_coordinator_that_dies_in_a_living_process_goes_on_in_any_case()
    {
        var (coordinator, generation) = await StartAsync();
        await KillAsync(coordinator);
        var successor = Create();
        Assert.Equal(JobStatus.Preparing, await StatusAsync(successor));
        await GoesOnAsync(successor, generation);
    }

    [Fact]
    public async Task A_coordinator_that_fails_again_and_again_fails_the_job_and_says_what_with()
    {
        Nodes.SetAutoPilot(new DelegateAutoPilot((asker, message) =>
        {
            asker.Tell(new WorkerNodesProtocol.Changed([Here]), Nodes.Ref);
            return AutoPilot.KeepRunning;
        }));
        var tries = 0;
        var coordinator = Create(hostAt: _ => throw new InvalidOperationException($"no host, try {Interlocked.Increment(ref tries)}"));
        coordinator.Tell(new Commands.Submit(TestJobs.Id, Spec, TestJobs.PlanOf(Spec, TestJobs.Layout(9))));
        await ExpectMsgAsync<Replies.Accepted>();
        var noted = await Directory.FishForMessageAsync<Commands.Note>(note => !note.IsUnderWay);
        Assert.Equal(JobStatus.Failed, noted.Summary!.Status);
        Assert.Contains("failed 5 times in a row: InvalidOperationException: no host, try 5;", (await coordinator.Ask<JobProgress>(new Queries.GetProgress(TestJobs.Id))).Failure, StringComparison.Ordinal);
        // who tries again may do so; where it can't be begun it is as it was
        Assert.IsType<Replies.Accepted>(await coordinator.Ask(new Commands.Resume(TestJobs.Id)));
        await AwaitAssertAsync(() => Assert.Equal(6, Volatile.Read(ref tries)));
        Directory.Send(coordinator, new Commands.Nudge(TestJobs.Id));
        Assert.Equal(noted.Summary, (await Directory.FishForMessageAsync<Commands.Note>(note => !note.IsUnderWay)).Summary);
    }

    [Fact]
    public void Failures_count_from_the_checkpoint_that_was_reached_last()
    {
        var running = new RunningJobs();
        running.Crashed(TestJobs.Id, 0, "of no job that runs here");
        Assert.Equal(0, running.CrashesOf(TestJobs.Id));
        running.Add(TestJobs.Id);
        foreach (var (step, count) in new[] { (0, 1), (0, 2), (10, 1), (10, 2), (10, 3), (20, 1) })
        {
            running.Crashed(TestJobs.Id, step, $"at {step}");
            running.Add(TestJobs.Id);
            Assert.Equal((count, $"at {step}"), (running.CrashesOf(TestJobs.Id), running.LastCrashOf(TestJobs.Id)));
        }
        running.Remove(TestJobs.Id);
        Assert.Equal(0, running.CrashesOf(TestJobs.Id));
    }

    [Fact]
    public async Task A_nudge_wakes_it()
    {
        var (coordinator, generation) = await StartAsync();
        await KillAsync(coordinator);
        Running.Remove(TestJobs.Id);
        var successor = Create();
        Directory.Send(successor, new Commands.Nudge(TestJobs.Id));
        await GoesOnAsync(successor, generation);
    }

    [Fact]
    public async Task A_job_that_was_interrupted_is_not_woken()
    {
        var (coordinator, generation) = await StartAsync();
        await KillAsync(coordinator);
        Running.Remove(TestJobs.Id);
        var successor = Create();
        Assert.IsType<Replies.Accepted>(await successor.Ask(new Commands.Interrupt(TestJobs.Id)));
        var noted = await Directory.FishForMessageAsync<Commands.Note>(note => !note.IsUnderWay);
        Assert.Equal(JobStatus.Interrupted, noted.Summary!.Status);
        Assert.Equal(noted.Summary, await successor.Ask<JobSummary>(new Queries.GetSummary(TestJobs.Id)));
        Directory.Send(successor, new Commands.Nudge(TestJobs.Id));
        Assert.Equal(noted, await Directory.ExpectMsgAsync<Commands.Note>());
        await KillAsync(successor);
        var third = Create(resumesByItself: true);
        Assert.Equal(JobStatus.Interrupted, await StatusAsync(third));
        Assert.IsType<Replies.Accepted>(await third.Ask(new Commands.Resume(TestJobs.Id)));
        await GoesOnAsync(third, generation);
    }

    [Fact]
    public async Task The_directory_wakes_what_is_under_way_until_it_is_at_rest()
    {
        var region = CreateTestProbe();
        var directory = Sys.ActorOf(JobDirectoryActor.PropsFor(_ => region.Ref, resumesByItself: true, TimeProvider.System));
        var job = (await directory.Ask<Replies.Allocated>(new Commands.Allocate("a"))).Job;
        var other = (await directory.Ask<Replies.Allocated>(new Commands.Allocate("b"))).Job;
        foreach (var under in new[] { job, other })
            Assert.True((await directory.Ask<Replies.Noted>(new Commands.Note(under, true))).IsUnderWay);
        await region.FishForMessageAsync<Commands.Nudge>(nudge => nudge.Job == job);
        Assert.False((await directory.Ask<Replies.Noted>(new Commands.Note(job, false))).IsUnderWay);
        await KillAsync(directory);

        var later = CreateTestProbe();
        var successor = Sys.ActorOf(JobDirectoryActor.PropsFor(_ => later.Ref, resumesByItself: true, TimeProvider.System));
        Assert.Equal([job, other], (await successor.Ask<Replies.Jobs>(new Queries.ListJobs())).Ids);
        Assert.Equal(other, (await later.ExpectMsgAsync<Commands.Nudge>()).Job);
        Assert.Equal(other, (await later.ExpectMsgAsync<Commands.Nudge>()).Job);
        var patient = Sys.ActorOf(JobDirectoryActor.PropsFor(_ => Nobody.Instance, resumesByItself: false, TimeProvider.System));
        Assert.Equal(2, (await patient.Ask<Replies.Jobs>(new Queries.ListJobs())).Ids.Count);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_directory_knows_what_jobs_at_rest_came_to_and_wakes_nobody_for_it(bool resumesByItself)
    {
        var directory = Start();
        Assert.False((await directory.Ask<Replies.Known>(new Queries.HasJob(new("a-1")))).IsKnown);
        var jobs = new List<JobId>();
        foreach (var name in new[] { "a", "b", "c", "d" })
            jobs.Add((await directory.Ask<Replies.Allocated>(new Commands.Allocate(name))).Job);
        Assert.True((await directory.Ask<Replies.Known>(new Queries.HasJob(new("a-1")))).IsKnown);
        Assert.Empty(await AtRestAsync(directory));
        foreach (var job in jobs.Take(3).Reverse())
        {
            await directory.Ask<Replies.Noted>(new Commands.Note(job, true));
            await directory.Ask<Replies.Noted>(new Commands.Note(job, false) { Summary = Summary(job, JobStatus.Interrupted) });
        }
        Assert.Equal(jobs.Take(3).Select(job => Summary(job, JobStatus.Interrupted)), await AtRestAsync(directory));
        // one goes on, of another it was not heard that it went on
        await directory.Ask<Replies.Noted>(new Commands.Note(jobs[0], true));
        await directory.Ask<Replies.Noted>(new Commands.Note(jobs[1], false) { Summary = Summary(jobs[1], JobStatus.Completed) });
        JobSummary[] expected = [Summary(jobs[1], JobStatus.Completed), Summary(jobs[2], JobStatus.Interrupted)];
        Assert.Equal(expected, await AtRestAsync(directory));
        await KillAsync(directory);
        Assert.Equal(expected, await AtRestAsync(Start()));

        IActorRef Start() => Sys.ActorOf(JobDirectoryActor.PropsFor(_ => Nobody.Instance, resumesByItself, TimeProvider.System));

        static async Task<IReadOnlyList<JobSummary>> AtRestAsync(IActorRef directory) => (await directory.Ask<Replies.Jobs>(new Queries.ListJobs())).AtRest;

        static JobSummary Summary(JobId job, JobStatus status) => new(job, status, 3, 4, DateTimeOffset.UnixEpoch, null);
    }

    [Fact]
    public async Task One_request_has_one_id_however_often_it_is_asked_for_and_whoever_is_the_directory()
    {
        var region = CreateTestProbe();
        var request = new Commands.Allocate("a") { Request = "0f" };
        var directory = Sys.ActorOf(JobDirectoryActor.PropsFor(_ => region.Ref, resumesByItself: true, TimeProvider.System));
        // the second comes while the first is written
        var ids = await Task.WhenAll(directory.Ask<Replies.Allocated>(request), directory.Ask<Replies.Allocated>(request), directory.Ask<Replies.Allocated>(request with { Request = "f0" }));
        Assert.Equal(["a-1", "a-1", "a-2"], ids.Select(allocated => allocated.Job.Value));
        await KillAsync(directory);

        var successor = Sys.ActorOf(JobDirectoryActor.PropsFor(_ => region.Ref, resumesByItself: true, TimeProvider.System));
        Assert.Equal("a-1", (await successor.Ask<Replies.Allocated>(request)).Job.Value);
        Assert.Equal("a-3", (await successor.Ask<Replies.Allocated>(new Commands.Allocate("a"))).Job.Value);
        Assert.Equal("a-4", (await successor.Ask<Replies.Allocated>(new Commands.Allocate("a"))).Job.Value);
    }

    private static async Task<JobStatus> StatusAsync(IActorRef coordinator) => (await coordinator.Ask<JobProgress>(new Queries.GetProgress(TestJobs.Id))).Status;

    private async Task KillAsync(IActorRef actor)
    {
        Watch(actor);
        actor.Tell(Kill.Instance);
        await ExpectTerminatedAsync(actor);
    }

    private async Task GoesOnAsync(IActorRef coordinator, Generation generation)
    {
        Tell(coordinator, Here);
        await Nodes.FishForMessageAsync(message => message is WorkerNodesProtocol.Subscribe);
        Tell(coordinator, Here);
        Enlist(coordinator);
        var open = await Shards.FishForMessageAsync<ParameterProtocol.Commands.Open>(open => open.Generation > generation);
        Assert.Equal(0, open.RestoreStep);
    }
}
