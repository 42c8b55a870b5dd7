using Akka.Actor;
using Akka.Persistence;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using static ClusterNet.Cluster.Parameters.ParameterProtocol;

namespace ClusterNet.Cluster.Tests.Parameters;

/// <summary>A shard answers everyone who pushed, once a step is complete; refuses what is out of place with a reason; and loses nothing when its store fails.</summary>
public class ParameterShardActorTests : TestKit
{
    private static readonly ShardId Shard = new(TestJobs.Id, 0);
    private static readonly ParameterLayout Layout = TestJobs.Layout(3);

    public ParameterShardActorTests()
        : base(NodeConfiguration.Cluster.WithFallback(SerializationConfiguration.Config).WithFallback("akka.persistence.snapshot-store.plugin = akka.persistence.snapshot-store.inmem"))
    {
    }

    private static ShardSetup Setup => TestJobs.Setup(Layout, new TrainingSpec { Slices = 2, Checkpoint = new CheckpointSpec(2, 2), Optimizer = new OptimizerSpec { Kind = OptimizerKind.Sgd, LearningRate = 1 } });

    [Fact]
    public async Task Both_pushers_get_the_weights_that_their_gradients_made()
    {
        var shard = await OpenAsync();
        var (one, two) = (CreateTestProbe(), CreateTestProbe());
        one.Send(shard, Push(0, new TreeNode(0, 0), 1, 0, 0));
        two.Send(shard, Push(0, new TreeNode(0, 1), 1, 2, 0));
        foreach (var worker in new[] { one, two })
        {
            var pulled = await worker.ExpectMsgAsync<Replies.Pulled>();
            Assert.Equal(1, pulled.Version);
            // initial 10, 20, 30; mean gradient (1 + 1) / 2, 2 / 2, 0; learning rate 1
            AssertWeights(pulled, 9f, 19f, 30f);
        }
        var done = await ExpectMsgAsync<Replies.StepsDone>();
        Assert.Equal(new StepStatistics(2, 6), Assert.Single(done.Statistics));
    }

    [Fact]
    public async Task A_push_seen_twice_changes_nothing()
    {
        var shard = await OpenAsync();
        var worker = CreateTestProbe();
        worker.Send(shard, Push(0, new TreeNode(0, 0), 1, 0, 0));
        worker.Send(shard, Push(0, new TreeNode(0, 0), 1, 0, 0));
        worker.Send(shard, Push(0, new TreeNode(0, 1), 1, 2, 0));
        AssertWeights(await worker.ExpectMsgAsync<Replies.Pulled>(), 9f, 19f, 30f);
        // a repeat of a step that is done is answered at once, so that a worker whose answer was lost goes on
        worker.Send(shard, Push(0, new TreeNode(0, 1), 1, 2, 0));
        AssertWeights(await worker.ExpectMsgAsync<Replies.Pulled>(), 9f, 19f, 30f);
    }

    [Fact]
    public async Task What_is_stale_is_refused_with_the_reason()
    {
        var shard = await OpenAsync();
        shard.Tell(new Commands.Open(Shard, new Generation(2), Setup, null, ActorRefs.Nobody));
        Assert.Equal(new Replies.Opened(Shard, new Generation(2), 0), await ExpectMsgAsync<Replies.Opened>());
        var worker = CreateTestProbe();
        worker.Send(shard, Push(0, new TreeNode(0, 0), 1, 0, 0));
        Assert.Equal(RefusalReason.StaleGeneration, (await worker.ExpectMsgAsync<Replies.Refused>()).Reason);
        worker.Send(shard, Push(5, new TreeNode(0, 0), 1, 0, 0) with { Generation = new Generation(2) });
        Assert.Equal(RefusalReason.NotYet, (await worker.ExpectMsgAsync<Replies.Refused>()).Reason);
        worker.Send(shard, new Queries.Pull(Shard, new Generation(1), 0));
        Assert.Equal(RefusalReason.StaleGeneration, (await worker.ExpectMsgAsync<Replies.Refused>()).Reason);
        worker.Send(shard, new Queries.Pull(Shard, new Generation(2), 7));
        Assert.Equal(RefusalReason.NotYet, (await worker.ExpectMsgAsync<Replies.Refused>()).Reason);
    }

    [Fact]
    public async Task A_new_incarnation_goes_back_to_a_checkpoint()
    {
        var shard = await OpenAsync();
        var worker = CreateTestProbe();
        for (var step = 0; step < 2; step++)
        {
            worker.Send(shard, Push(step, new TreeNode(1, 0), 2, 2, 2));
            await worker.ExpectMsgAsync<Replies.Pulled>();
        }
        Assert.Equal(2, (await FishForMessageAsync<Replies.CheckpointSaved>(_ => true)).Step);
        Watch(shard);
        shard.Tell(PoisonPill.Instance);
        await ExpectTerminatedAsync(shard);

        var successor = Sys.ActorOf(ParameterShardActor.PropsFor(Sys));
        successor.Tell(new Commands.Open(Shard, new Generation(2), Setup, 2, ActorRefs.Nobody));
        Assert.Equal(2, (await ExpectMsgAsync<Replies.Opened>()).Version);
        worker.Send(successor, new Queries.Pull(Shard, new Generation(2), 2));
        AssertWeights(await worker.ExpectMsgAsync<Replies.Pulled>(), 8f, 18f, 28f);
    }

    [Fact]
    public async Task A_checkpoint_that_is_not_there_is_reported()
    {
        var shard = Sys.ActorOf(ParameterShardActor.PropsFor(Sys));
        shard.Tell(new Commands.Open(Shard, new Generation(1), Setup, 4, ActorRefs.Nobody));
        Assert.Equal(4, (await ExpectMsgAsync<Replies.OpenFailed>()).RestoreStep);
        // nor can a shard without weights go on with what it has
        shard.Tell(new Commands.Open(Shard, new Generation(2), Setup, null, ActorRefs.Nobody));
        await ExpectMsgAsync<Replies.OpenFailed>();
    }

    [Fact]
    public async Task A_store_that_fails_fails_the_checkpoint_and_nothing_else()
    {
        var store = CreateTestProbe();
        var shard = await OpenAsync(store.Ref);
        var worker = CreateTestProbe();
        for (var step = 0; step < 2; step++)
        {
            worker.Send(shard, Push(step, new TreeNode(1, 0), 2, 2, 2));
            await worker.ExpectMsgAsync<Replies.Pulled>();
        }
        var save = await store.ExpectMsgAsync<SaveSnapshot>();
        Assert.Equal(2, save.Metadata.SequenceNr);
        store.Reply(new SaveSnapshotFailure(save.Metadata, new IOException("disk full")));
        var failed = await FishForMessageAsync<Replies.CheckpointFailed>(_ => true);
        Assert.Equal("disk full", failed.Reason);
        for (var step = 2; step < 4; step++)
        {
            worker.Send(shard, Push(step, new TreeNode(1, 0), 2, 2, 2));
            await worker.ExpectMsgAsync<Replies.Pulled>();
        }
        save = await store.ExpectMsgAsync<SaveSnapshot>();
        store.Reply(new SaveSnapshotSuccess(save.Metadata));
        Assert.Equal(4, (await FishForMessageAsync<Replies.CheckpointSaved>(_ => true)).Step);
    }

    [Fact]
    public async Task A_store_that_is_silent_holds_up_no_step_and_no_more_than_so_many_checkpoints()
    {
        var store = CreateTestProbe();
        var shard = await OpenAsync(store.Ref);
        var worker = CreateTestProbe();
        var saves = new Dictionary<long, SaveSnapshot>();
        Replies.CheckpointFailed? failed = null;
        for (var step = 0; step < 100; step++)
        {
            worker.Send(shard, Push(step, new TreeNode(1, 0), 2, 2, 2));
            await worker.ExpectMsgAsync<Replies.Pulled>();
        }
        failed = await FishForMessageAsync<Replies.CheckpointFailed>(_ => true);
        Assert.Contains("the store has not answered", failed.Reason, StringComparison.Ordinal);
        for (var step = 2L; step < failed.Step; step += 2)
            saves.Add(step, await store.ExpectMsgAsync<SaveSnapshot>(save => Assert.Equal(step, save.Metadata.SequenceNr)));
        await store.ExpectNoMsgAsync(TimeSpan.Zero);
        // once it answers the next is saved again
        store.Send(shard, new SaveSnapshotSuccess(saves[2].Metadata));
        Assert.Equal(2, (await FishForMessageAsync<Replies.CheckpointSaved>(_ => true)).Step);
        for (var step = 100; step < 102; step++)
        {
            worker.Send(shard, Push(step, new TreeNode(1, 0), 2, 2, 2));
            await worker.ExpectMsgAsync<Replies.Pulled>();
        }
        Assert.Equal(102, (await store.ExpectMsgAsync<SaveSnapshot>()).Metadata.SequenceNr);
    }

    [Fact]
    public async Task An_answer_to_an_earlier_generations_question_says_nothing_of_this_ones_checkpoint()
    {
        var store = CreateTestProbe();
        var shard = Sys.ActorOf(Props.Create(() => new ParameterShardActor(store)));
        shard.Tell(new Commands.Open(Shard, new Generation(1), Setup, 4, ActorRefs.Nobody));
        await store.ExpectMsgAsync<LoadSnapshot>();
        shard.Tell(new Commands.Open(Shard, new Generation(2), Setup, 2, ActorRefs.Nobody));
        await store.ExpectMsgAsync<LoadSnapshot>(load => Assert.Equal(2, load.ToSequenceNr));
        store.Send(shard, new LoadSnapshotResult(null, 4));
        await ExpectNoMsgAsync(TimeSpan.Zero);
        store.Send(shard, new LoadSnapshotResult(null, 2));
        Assert.Equal(2, (await ExpectMsgAsync<Replies.OpenFailed>()).RestoreStep);
    }

    [Fact]
    public async Task Shards_that_clip_by_the_norm_finish_a_step_together_and_only_then()
    {
        var layout = TestJobs.Layout(1025);
        var setup = TestJobs.Setup(layout, new TrainingSpec { Slices = 1, Clip = new ClipSpec(null, 1), Optimizer = new OptimizerSpec { Kind = OptimizerKind.Sgd, LearningRate = 1 } }, 2);
        var shards = Enumerable.Range(0, 2).Select(_ => Sys.ActorOf(ParameterShardActor.PropsFor(Sys))).ToArray();
        var worker = CreateTestProbe();
        for (var i = 0; i < 2; i++)
        {
            var id = new ShardId(TestJobs.Id, i);
            shards[i].Tell(new Commands.Open(id, new Generation(1), setup, 0, worker.Ref));
            await worker.ExpectMsgAsync<Queries.PullInitial>();
            worker.Reply(new Replies.Pulled(id, new Generation(1), 0, TestJobs.Payload(new float[setup.Plan.Ranges[i].Length])));
            await ExpectMsgAsync<Replies.Opened>();
        }
        for (var i = 0; i < 2; i++)
            shards[i].Tell(new Commands.Meet(new ShardId(TestJobs.Id, i), new Generation(1), shards));
        var gradient = Enumerable.Repeat(3f, 1025).ToArray();
        worker.Send(shards[0], PushOf(0, gradient[..1024]));
        worker.Send(shards[1], PushOf(1, gradient[1024..]));
        var expected = -3 * (float)(1 / (Math.Sqrt(9 * 1025) + 1e-6));
        for (var i = 0; i < 2; i++)
            Assert.All((await worker.ExpectMsgAsync<Replies.Pulled>()).Weights.Span.ToArray(), value => Assert.Equal(expected, value, 1e-6f));

        Commands.Push PushOf(int shard, float[] values) =>
            new(new ShardId(TestJobs.Id, shard), new Generation(1), 0, new TreeNode(0, 0), TestJobs.Payload(values), new StepStatistics(1, 1));
    }

    [Fact]
    public async Task A_shard_that_missed_a_round_of_norms_is_told_again_and_an_answer_is_not_answered()
    {
        var (shard, worker, other) = await WithTwoRoundsOfNormsAsync();
        worker.Send(shard, new Commands.Push(Shard, new Generation(1), 0, new TreeNode(0, 0), TestJobs.Payload(TestJobs.Values(1024, 2)), new StepStatistics(1, 1)));
        var first = await other.ExpectMsgAsync<Commands.ShareNorms>();
        Assert.Equal((0, false), (first.Round, first.IsAnswer));
        // the other shard's first round takes this one to its second; it has not seen the first of this one
        var otherNorms = first with { Shard = Shard, From = 1, Partials = [4] };
        other.Send(shard, otherNorms);
        Assert.Equal(1, (await other.ExpectMsgAsync<Commands.ShareNorms>()).Round);
        other.Send(shard, otherNorms);
        var again = await other.ExpectMsgAsync<Commands.ShareNorms>();
        Assert.Equal((0, true), (again.Round, again.IsAnswer));
        Assert.Equal(first.Partials, again.Partials);
        other.Send(shard, otherNorms with { IsAnswer = true });
        await other.ExpectNoMsgAsync(TimeSpan.Zero);
    }

    [Fact]
    public async Task A_shard_that_has_all_the_others_norms_when_its_own_are_there_tells_them_all_the_same()
    {
        var (shard, worker, other) = await WithTwoRoundsOfNormsAsync();
        for (var round = 0; round < 2; round++)
            other.Send(shard, new Commands.ShareNorms(Shard, 1, 0, round, round == 0 ? [4] : [4, 9], IsAnswer: false));
        worker.Send(shard, new Commands.Push(Shard, new Generation(1), 0, new TreeNode(0, 0), TestJobs.Payload(TestJobs.Values(1024, 2)), new StepStatistics(1, 1)));
        await worker.ExpectMsgAsync<Replies.Pulled>();
        // it waits for nothing any more, so that nothing would have it repeat what it had not said
        Assert.Equal(0, (await other.ExpectMsgAsync<Commands.ShareNorms>()).Round);
        Assert.Equal(1, (await other.ExpectMsgAsync<Commands.ShareNorms>()).Round);
        await other.ExpectNoMsgAsync(TimeSpan.Zero);
    }

    /// <summary>The first of two shards of a job that clips by norm and trains with LAMB, and what stands for its worker and for the other shard.</summary>
    private async Task<(IActorRef Shard, TestProbe Worker, TestProbe Other)> WithTwoRoundsOfNormsAsync()
    {
        var training = new TrainingSpec { Slices = 1, Clip = new ClipSpec(null, 1), Optimizer = new OptimizerSpec { Kind = OptimizerKind.Lamb, LearningRate = 1 } };
        var setup = TestJobs.Setup(TestJobs.Layout(1025), training, 2);
        var shard = Sys.ActorOf(ParameterShardActor.PropsFor(Sys));
        var (worker, other) = (CreateTestProbe(), CreateTestProbe());
        shard.Tell(new Commands.Open(Shard, new Generation(1), setup, 0, worker.Ref));
        await worker.ExpectMsgAsync<Queries.PullInitial>();
        worker.Reply(new Replies.Pulled(Shard, new Generation(1), 0, TestJobs.Payload(TestJobs.Values(1024, 1))));
        await ExpectMsgAsync<Replies.Opened>();
        shard.Tell(new Commands.Meet(Shard, new Generation(1), [shard, other.Ref]));
        return (shard, worker, other);
    }

    [Fact]
    public async Task With_backups_who_is_late_gets_the_latest_weights_and_backups_hear_of_it()
    {
        var shard = Sys.ActorOf(ParameterShardActor.PropsFor(Sys));
        var (source, early, late) = (CreateTestProbe(), CreateTestProbe(), CreateTestProbe());
        shard.Tell(new Commands.Open(Shard, new Generation(1), Setup with { Training = Setup.Training with { BackupWorkers = 1 } }, 0, source.Ref));
        await source.ExpectMsgAsync<Queries.PullInitial>();
        source.Reply(new Replies.Pulled(Shard, new Generation(1), 0, TestJobs.Payload(10, 20, 30)));
        await ExpectMsgAsync<Replies.Opened>();
        // a backup that has nothing to compute waits for the next version
        var backup = CreateTestProbe();
        backup.Send(shard, new Queries.Pull(Shard, new Generation(1), 1));
        for (var step = 0; step < 3; step++)
        {
            early.Send(shard, Push(step, new TreeNode(0, 0), 1, 2, 2));
            backup.Send(shard, Push(step, new TreeNode(0, 1), 1, 2, 2) with { IsCopy = true });
            Assert.Equal(new TreeNode(0, 1), Assert.Single((await early.ExpectMsgAsync<Replies.Pulled>()).Late));
            Assert.Equal(step + 1, (await backup.ExpectMsgAsync<Replies.Pulled>()).Version);
        }
        late.Send(shard, Push(0, new TreeNode(0, 1), 1, 2, 2));
        Assert.Equal(3, (await late.ExpectMsgAsync<Replies.Pulled>()).Version);
    }

    private static void AssertWeights(Replies.Pulled pulled, params float[] expected) => Assert.Equal(expected, pulled.Weights.Span.ToArray());

    private static Commands.Push Push(long step, TreeNode node, params float[] gradient) =>
        new(Shard, new Generation(1), step, node, TestJobs.Payload(gradient), new StepStatistics(node.SliceCount, 3 * node.SliceCount));

    private async Task<IActorRef> OpenAsync(IActorRef? store = null)
    {
        var props = store is null ? ParameterShardActor.PropsFor(Sys) : Props.Create(() => new ParameterShardActor(store));
        var shard = Sys.ActorOf(props);
        var source = CreateTestProbe();
        shard.Tell(new Commands.Open(Shard, new Generation(1), Setup, 0, source.Ref));
        await source.ExpectMsgAsync<Queries.PullInitial>();
        source.Reply(new Replies.Pulled(Shard, new Generation(1), 0, TestJobs.Payload(10, 20, 30)));
        Assert.Equal(0, (await ExpectMsgAsync<Replies.Opened>()).Version);
        return shard;
    }
}
