using Akka.Actor;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Training;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;
using static ClusterNet.Cluster.Training.TrainingProtocol;

namespace ClusterNet.Cluster.Tests.Training;

/// <summary>
/// A coordinator leads a job through any loss of workers, shards or itself: whoever is gone leads to a new generation, nothing is committed that is not whole, and what is told of an older
/// generation is not believed.
/// </summary>
public class JobCoordinatorTests : CoordinatorTests
{
    [Fact]
    public async Task A_job_goes_from_submission_to_a_registered_model()
    {
        var (coordinator, generation) = await StartAsync();
        foreach (var (worker, node) in Workers.Zip([new TreeNode(1, 0), new TreeNode(1, 1)]))
        {
            var assign = await worker.ExpectMsgAsync<WorkerProtocol.Commands.Assign>();
            Assert.Equal((0, 10), (assign.Step, assign.Until));
            Assert.Equal(node, Assert.Single(assign.Nodes));
            Assert.Equal(Shard.Ref, Assert.Single(assign.Shards));
        }
        await ReachAsync(coordinator, generation, 10);
        Shard.Send(coordinator, new ParameterProtocol.Replies.CheckpointSaved(new ShardId(TestJobs.Id, 0), generation, 10));
        await Workers[0].ExpectMsgAsync<WorkerProtocol.Commands.Digest>();
        Workers[0].Reply(new WorkerProtocol.Replies.Digested(TestJobs.Id, generation, "abc", true));
        // four samples are one chunk: one worker evaluates it
        var evaluate = await FishAsync<WorkerProtocol.Commands.Evaluate>(Workers);
        evaluate.Worker.Send(coordinator, new WorkerProtocol.Replies.Evaluated(
            TestJobs.Id, generation, evaluate.Message.Selection, evaluate.Message.Part, evaluate.Message.FirstChunk, evaluate.Message.Chunks, Metrics(0.25)));
        Assert.Equal(new ModelProtocol.Commands.Reserve("test", TestJobs.Id), await Models.ExpectMsgAsync<ModelProtocol.Commands.Reserve>());
        Models.Reply(new ModelProtocol.Replies.Reserved(new ModelVersionId("test", 3)));
        await FishShardAsync<ParameterProtocol.Commands.Publish>();
        Shard.Send(coordinator, new ParameterProtocol.Replies.Published(new ShardId(TestJobs.Id, 0), generation, [new ShardRange(0, 9)]));
        var register = await Models.ExpectMsgAsync<ModelProtocol.Commands.Register>();
        Assert.Equal("abc", register.Stored.Version.WeightsSha256);
        Models.Reply(new ModelProtocol.Replies.Registered(new ModelVersionId("test", 3)));
        await FishAsync<WorkerProtocol.Commands.Dismiss>([Host]);
        await Shards.FishForMessageAsync<ParameterProtocol.Commands.Close>(_ => true);
        var details = await coordinator.Ask<JobDetails>(new Queries.GetDetails(TestJobs.Id));
        Assert.Equal(JobStatus.Completed, details.Summary.Status);
        Assert.Equal(new ModelVersionId("test", 3), details.Result!.Version);
        Assert.Equal(10, details.Losses.Count);
        Assert.Equal(Enumerable.Range(1, 10).Select(epoch => new EpochVisits(epoch, epoch, 4, 4, true)), details.Ledger);
        Assert.Equal("start", Assert.Single(details.Generations).Reason);
        Assert.Equal(0.25, details.Result.Metrics["training"]["loss"]);
    }

    [Fact]
    public async Task A_large_part_is_evaluated_in_runs_whose_metrics_fit_a_message_each_chunk_once()
    {
        const int Samples = 1_000_000;
        var (coordinator, generation) = await StartAsync(plan => plan with { ValidationSamples = Samples });
        // the end of the first epoch
        await ReachAsync(coordinator, generation, 1);
        foreach (var (worker, run) in Workers.Zip(SlicePlan.DealRuns(EvaluationChunks.Count(Samples), Workers.Length)))
        {
            var chunks = new List<int>();
            while (chunks.Count < run.Count)
            {
                var evaluate = (WorkerProtocol.Commands.Evaluate)await worker.FishForMessageAsync(message => message is WorkerProtocol.Commands.Evaluate);
                Assert.Equal(WorkerProtocol.DataPart.Validation, evaluate.Part);
                Assert.InRange(evaluate.Chunks * EvaluationChunks.Length * MetricAccumulator.BytesOfSample(LearningTask.Classification, 2), 1, 512 << 10);
                chunks.AddRange(Enumerable.Range(evaluate.FirstChunk, evaluate.Chunks));
            }
            Assert.Equal(Enumerable.Range(run.First, run.Count), chunks.Order());
        }
    }

    [Fact]
    public async Task A_job_says_that_it_lacks_nodes_once_it_knows_and_not_before()
    {
        IActorRef coordinator = null!;
        await EventFilter.Warning(contains: "no node is up").ExpectAsync(0, async () => (coordinator, _) = await StartAsync());
        await EventFilter.Warning(contains: "no node is up").ExpectOneAsync(() =>
        {
            Tell(coordinator);
            return Task.CompletedTask;
        });
    }

    [Fact]
    public async Task A_lost_worker_opens_a_generation_in_which_the_others_have_its_slices_and_nothing_is_rolled_back()
    {
        var (coordinator, generation) = await StartAsync();
        await Workers[1].ExpectMsgAsync<WorkerProtocol.Commands.Assign>();
        Sys.Stop(Workers[0].Ref);
        var open = await Shards.FishForMessageAsync<ParameterProtocol.Commands.Open>(open => open.Generation > generation);
        Assert.Null(open.RestoreStep);
        Shard.Send(coordinator, new ParameterProtocol.Replies.Opened(open.Shard, open.Generation, 6));
        var assign = await Workers[1].ExpectMsgAsync<WorkerProtocol.Commands.Assign>();
        Assert.Equal((6, 10), (assign.Step, assign.Until));
        Assert.Equal(TreeNode.Root(4), Assert.Single(assign.Nodes));
        // what the old generation says is not believed
        Workers[1].Send(coordinator, new WorkerProtocol.Replies.Reached(TestJobs.Id, generation, 10));
        Assert.Equal(JobStatus.Training, (await coordinator.Ask<JobProgress>(new Queries.GetProgress(TestJobs.Id))).Status);
        await Workers[1].ExpectNoMsgAsync(TimeSpan.Zero);
    }

    [Fact]
    public async Task A_journal_that_refuses_is_named_and_asked_again_later_and_the_job_goes_on_from_what_it_holds()
    {
        var (coordinator, generation) = await StartAsync();
        await WatchAsync(coordinator);
        Shard.Send(coordinator, Steps(generation, 0, 9));
        Store.FailWrites = nameof(Events.CheckpointCommitted);
        await EventFilter.Error(contains: "did not take CheckpointCommitted: the disk is full").ExpectOneAsync(async () =>
        {
            Shard.Send(coordinator, new ParameterProtocol.Replies.CheckpointSaved(new ShardId(TestJobs.Id, 0), generation, 4));
            await ExpectTerminatedAsync(coordinator);
        });
        Assert.True(Running.HasJournalFailed(TestJobs.Id));

        Store.FailWrites = null;
        var next = Create();
        // it was brought back, and says that the job is under way, before it asks anything of the journal
        Assert.Equal(JobStatus.Preparing, (await next.Ask<JobProgress>(new Queries.GetProgress(TestJobs.Id))).Status);
        await Nodes.FishForMessageAsync<WorkerNodesProtocol.Subscribe>(_ => true);
        Assert.False(Running.HasJournalFailed(TestJobs.Id));
        Tell(next, Here);
        await Host.FishForMessageAsync<WorkerProtocol.Commands.Enlist>(_ => true);
        Enlist(next);
        var open = await Shards.FishForMessageAsync<ParameterProtocol.Commands.Open>(open => open.Generation > generation);
        Assert.Equal(0, open.RestoreStep);
    }

    [Fact]
    public async Task A_lost_shard_takes_all_back_to_the_last_committed_checkpoint()
    {
        var (coordinator, generation) = await StartAsync();
        Shard.Send(coordinator, Steps(generation, 0, 9));
        Shard.Send(coordinator, new ParameterProtocol.Replies.CheckpointSaved(new ShardId(TestJobs.Id, 0), generation, 4));
        Assert.Equal([4], (await FishShardAsync<ParameterProtocol.Commands.KeepCheckpoints>()).Steps);
        Shard.Send(coordinator, new ParameterProtocol.Replies.CheckpointFailed(new ShardId(TestJobs.Id, 0), generation, 8, "disk full"));
        Assert.Equal([4], (await coordinator.Ask<JobDetails>(new Queries.GetDetails(TestJobs.Id))).CommittedCheckpoints);
        Sys.Stop(Shard.Ref);
        var open = await Shards.FishForMessageAsync<ParameterProtocol.Commands.Open>(open => open.Generation > generation);
        Assert.Equal(4, open.RestoreStep);
        var details = await coordinator.Ask<JobDetails>(new Queries.GetDetails(TestJobs.Id));
        Assert.Equal(4, details.Progress.Step);
        Assert.Equal([1, 2, 3, 4], details.Losses.Select(loss => loss.Step));
    }

    [Fact]
    public async Task A_checkpoint_that_cannot_be_read_gives_way_to_an_older_one()
    {
        var (coordinator, generation) = await StartAsync();
        Shard.Send(coordinator, Steps(generation, 0, 9));
        foreach (var step in new[] { 4, 8 })
        {
            Shard.Send(coordinator, new ParameterProtocol.Replies.CheckpointSaved(new ShardId(TestJobs.Id, 0), generation, step));
            await FishShardAsync<ParameterProtocol.Commands.KeepCheckpoints>();
        }
        Sys.Stop(Shard.Ref);
        var open = await Shards.FishForMessageAsync<ParameterProtocol.Commands.Open>(open => open.RestoreStep == 8);
        var successor = CreateTestProbe();
        successor.Send(coordinator, new ParameterProtocol.Replies.OpenFailed(open.Shard, open.Generation, 8, "its checksum is wrong"));
        Assert.Equal(4, (await Shards.FishForMessageAsync<ParameterProtocol.Commands.Open>(older => older.Generation > open.Generation)).RestoreStep);
        Assert.Equal([4], (await coordinator.Ask<JobDetails>(new Queries.GetDetails(TestJobs.Id))).CommittedCheckpoints);
    }

    [Fact]
    public async Task An_interrupted_job_is_committed_where_it_stood_and_its_successor_resumes_there()
    {
        var (coordinator, generation) = await StartAsync();
        var asking = CreateTestProbe();
        asking.Send(coordinator, new Commands.Interrupt(TestJobs.Id));
        await Workers[0].FishForMessageAsync<WorkerProtocol.Commands.Hold>(_ => true);
        Shard.Send(coordinator, Steps(generation, 0, 7));
        Workers[0].Send(coordinator, new WorkerProtocol.Replies.Reached(TestJobs.Id, generation, 7));
        Assert.Equal(7, (await FishShardAsync<ParameterProtocol.Commands.TakeCheckpoint>()).Step);
        await asking.ExpectNoMsgAsync(TimeSpan.Zero);
        Shard.Send(coordinator, new ParameterProtocol.Replies.CheckpointSaved(new ShardId(TestJobs.Id, 0), generation, 7));
        await asking.ExpectMsgAsync<Replies.Accepted>();
        Watch(coordinator);
        coordinator.Tell(PoisonPill.Instance);
        await ExpectTerminatedAsync(coordinator);

        var successor = Create();
        Assert.Equal(JobStatus.Interrupted, (await successor.Ask<JobProgress>(new Queries.GetProgress(TestJobs.Id))).Status);
        asking.Send(successor, new Commands.Resume(TestJobs.Id));
        await asking.ExpectMsgAsync<Replies.Accepted>();
        Tell(successor, Here);
        Enlist(successor);
        var open = await Shards.FishForMessageAsync<ParameterProtocol.Commands.Open>(open => open.Generation > generation);
        Assert.Equal(7, open.RestoreStep);
    }

    [Fact]
    public async Task A_loss_that_is_no_number_fails_the_job_and_says_at_which_step()
    {
        var (coordinator, generation) = await StartAsync();
        Shard.Send(coordinator, new ParameterProtocol.Replies.StepsDone(new ShardId(TestJobs.Id, 0), generation, 0, [new(4, 1, SampleVisits.OfAll(4)), new(4, double.NaN)]));
        await FishAsync<WorkerProtocol.Commands.Dismiss>([Host]);
        var progress = await coordinator.Ask<JobProgress>(new Queries.GetProgress(TestJobs.Id));
        Assert.Equal(JobStatus.Failed, progress.Status);
        Assert.Contains("step 2", progress.Failure, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(new[] { 0, 1, 2 }, "3 visits, 4 expected")]
    [InlineData(new[] { 0, 1, 2, 2 }, "4 visits, 4 expected, other samples")]
    public async Task An_epoch_that_lost_a_sample_or_saw_one_twice_fails_the_job(int[] visited, string expected)
    {
        var (coordinator, generation) = await StartAsync();
        Shard.Send(coordinator, Steps(generation, 0, 3));
        Shard.Send(coordinator, new ParameterProtocol.Replies.StepsDone(new ShardId(TestJobs.Id, 0), generation, 3, [new(4, 2, SampleVisits.Of(visited))]));
        await FishAsync<WorkerProtocol.Commands.Dismiss>([Host]);
        var details = await coordinator.Ask<JobDetails>(new Queries.GetDetails(TestJobs.Id));
        Assert.Equal(JobStatus.Failed, details.Progress.Status);
        Assert.Contains(expected, details.Progress.Failure, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_job_that_is_not_there_is_refused()
    {
        var refused = Assert.IsType<Replies.Refused>(await Create().Ask(new Queries.GetProgress(TestJobs.Id)));
        Assert.Contains("no such job", refused.Faults[0].Message, StringComparison.Ordinal);
    }
}
