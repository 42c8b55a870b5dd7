using Akka.Actor;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using ClusterNet.Learning.Models;
using static ClusterNet.Cluster.Workers.WorkerProtocol;

namespace ClusterNet.Cluster.Tests.Workers;

/// <summary>A worker computes what it was assigned and nothing else, asks again when no answer comes, and stops where it is told to.</summary>
public class WorkerActorTests : TestKit
{
    private static readonly Generation First = new(1);
    private readonly ModelCatalog _catalog = new(ModelCatalog.BuiltIn);
    private readonly TestProbe _shard;

    public WorkerActorTests()
        : base(NodeConfiguration.Cluster.WithFallback(SerializationConfiguration.Config)
            .WithFallback("akka.scheduler.implementation = \"Akka.TestKit.TestScheduler, Akka.TestKit\"")) => _shard = CreateTestProbe();

    private TestScheduler Clock => (TestScheduler)Sys.Scheduler;

    [Fact]
    public async Task It_pulls_computes_its_nodes_pushes_them_and_stops_at_its_bound()
    {
        var worker = await EnlistedAsync();
        worker.Tell(new Commands.Assign(TestJobs.Id, First, 0, 2, [new TreeNode(1, 0), new TreeNode(0, 2)], [_shard.Ref]));
        var pull = await _shard.ExpectMsgAsync<ParameterProtocol.Queries.Pull>();
        Assert.Equal(0, pull.Version);
        for (var version = 0; version < 2; version++)
        {
            _shard.Send(worker, Weights(version));
            var first = await _shard.ExpectMsgAsync<ParameterProtocol.Commands.Push>();
            var second = await _shard.ExpectMsgAsync<ParameterProtocol.Commands.Push>();
            Assert.Equal((version, new TreeNode(1, 0)), (first.Step, first.Node));
            Assert.Equal((version, new TreeNode(0, 2)), (second.Step, second.Node));
            // four samples in four slices: one in each
            Assert.Equal((2, 1), (first.Statistics.Weight, second.Statistics.Weight));
        }
        _shard.Send(worker, Weights(2));
        Assert.Equal(2, (await ExpectMsgAsync<Replies.Reached>()).Version);
        worker.Tell(new Commands.Continue(TestJobs.Id, First, 3));
        Assert.Equal(2, (await _shard.ExpectMsgAsync<ParameterProtocol.Commands.Push>()).Step);
    }

    [Fact]
    public async Task A_push_without_an_answer_is_pushed_again()
    {
        var worker = await EnlistedAsync();
        worker.Tell(new Commands.Assign(TestJobs.Id, First, 0, 2, [TreeNode.Root(4)], [_shard.Ref]));
        await _shard.ExpectMsgAsync<ParameterProtocol.Queries.Pull>();
        await NothingComesAsync(worker);
        await _shard.ExpectMsgAsync<ParameterProtocol.Queries.Pull>();
        _shard.Send(worker, Weights(0));
        var push = await _shard.ExpectMsgAsync<ParameterProtocol.Commands.Push>();
        var values = push.Gradient.Span.ToArray();
        await NothingComesAsync(worker);
        var again = await _shard.ExpectMsgAsync<ParameterProtocol.Commands.Push>();
        Assert.Equal(push.Node, again.Node);
        Assert.Equal(values, again.Gradient.Span.ToArray());
    }

    [Fact]
    public async Task A_held_worker_ends_its_step_and_stops()
    {
        var worker = await EnlistedAsync();
        worker.Tell(new Commands.Assign(TestJobs.Id, First, 0, 100, [TreeNode.Root(4)], [_shard.Ref]));
        await _shard.ExpectMsgAsync<ParameterProtocol.Queries.Pull>();
        _shard.Send(worker, Weights(0));
        await _shard.ExpectMsgAsync<ParameterProtocol.Commands.Push>();
        worker.Tell(new Commands.Hold(TestJobs.Id, First));
        _shard.Send(worker, Weights(1));
        Assert.Equal(1, (await ExpectMsgAsync<Replies.Reached>()).Version);
        await _shard.ExpectNoMsgAsync(TimeSpan.Zero);
    }

    [Fact]
    public async Task A_new_generation_abandons_the_old_one()
    {
        var worker = await EnlistedAsync();
        worker.Tell(new Commands.Assign(TestJobs.Id, First, 0, 100, [TreeNode.Root(4)], [_shard.Ref]));
        await _shard.ExpectMsgAsync<ParameterProtocol.Queries.Pull>();
        _shard.Send(worker, Weights(0));
        await _shard.ExpectMsgAsync<ParameterProtocol.Commands.Push>();
        var other = CreateTestProbe();
        worker.Tell(new Commands.Assign(TestJobs.Id, First.Next, 5, 100, [new TreeNode(0, 3)], [other.Ref]));
        Assert.Equal(5, (await other.ExpectMsgAsync<ParameterProtocol.Queries.Pull>()).Version);
        // late weights of the old generation are not taken for the new
        _shard.Send(worker, Weights(5));
        other.Send(worker, Weights(5) with { Generation = First.Next });
        var push = await other.ExpectMsgAsync<ParameterProtocol.Commands.Push>();
        Assert.Equal((5, new TreeNode(0, 3), First.Next), (push.Step, push.Node, push.Generation));
        await _shard.ExpectNoMsgAsync(TimeSpan.Zero);
    }

    [Fact]
    public async Task A_backup_waits_for_what_came_late_and_computes_that()
    {
        var worker = await EnlistedAsync(WithBackup);
        worker.Tell(new Commands.Assign(TestJobs.Id, First, 0, 100, [], [_shard.Ref]) { Backup = 0 });
        await _shard.ExpectMsgAsync<ParameterProtocol.Queries.Pull>();
        _shard.Send(worker, Weights(0));
        Assert.Equal(1, (await _shard.ExpectMsgAsync<ParameterProtocol.Queries.Pull>()).Version);
        _shard.Send(worker, Weights(1) with { Late = [new TreeNode(0, 3)] });
        var push = await _shard.ExpectMsgAsync<ParameterProtocol.Commands.Push>();
        Assert.Equal((1, new TreeNode(0, 3), true), (push.Step, push.Node, push.IsCopy));
    }

    [Fact]
    public async Task Who_was_overtaken_by_backups_catches_up_with_all_shards_at_one_version()
    {
        var worker = await EnlistedAsync(training => WithBackup(training) with { Shards = 1 });
        worker.Tell(new Commands.Assign(TestJobs.Id, First, 0, 7, [TreeNode.Root(4)], [_shard.Ref]));
        await _shard.ExpectMsgAsync<ParameterProtocol.Queries.Pull>();
        _shard.Send(worker, Weights(0));
        await _shard.ExpectMsgAsync<ParameterProtocol.Commands.Push>();
        _shard.Send(worker, Weights(5));
        Assert.Equal(5, (await _shard.ExpectMsgAsync<ParameterProtocol.Commands.Push>()).Step);
        // held with others, it says how far it may have gone and stands there
        worker.Tell(new Commands.Hold(TestJobs.Id, First));
        Assert.Equal(6, (await ExpectMsgAsync<Replies.Held>()).Version);
        _shard.Send(worker, Weights(6));
        Assert.Equal(6, (await ExpectMsgAsync<Replies.Reached>()).Version);
    }

    [Fact]
    public async Task A_lossy_codec_pushes_each_slice_and_gives_what_it_lost_before_a_checkpoint()
    {
        var worker = await EnlistedAsync(training => training with { Codec = GradientCodec.Bf16, Checkpoint = new CheckpointSpec(2, 2) });
        worker.Tell(new Commands.Assign(TestJobs.Id, First, 1, 100, [new TreeNode(1, 1)], [_shard.Ref]));
        await _shard.ExpectMsgAsync<ParameterProtocol.Queries.Pull>();
        foreach (var slice in new[] { 2, 3 })
            Assert.Equal((1, slice), await _shard.ExpectMsgAsync<ParameterProtocol.Queries.PullResidual>() is var asked ? (asked.Version, asked.Slice) : default);
        _shard.Send(worker, Weights(1));
        foreach (var slice in new[] { 2, 3 })
            _shard.Send(worker, new ParameterProtocol.Replies.ResidualKept(new ShardId(TestJobs.Id, 0), First, 1, slice, TestJobs.Payload()));
        foreach (var slice in new[] { 2, 3 })
        {
            var kept = await _shard.ExpectMsgAsync<ParameterProtocol.Commands.KeepResidual>();
            Assert.Equal((2, slice, 9), (kept.Version, kept.Slice, kept.Residual.Length));
            var push = await _shard.ExpectMsgAsync<ParameterProtocol.Commands.Push>();
            Assert.Equal((1, new TreeNode(0, slice), GradientCodec.Bf16, 5), (push.Step, push.Node, push.Codec, push.Gradient.Length));
        }
        // interrupted where it stands, it still knows what it had lost before
        worker.Tell(new Commands.SendResiduals(TestJobs.Id, First, 1));
        Assert.All((await _shard.ExpectMsgAsync<ParameterProtocol.Commands.KeepResidual>()).Residual.Span.ToArray(), value => Assert.Equal(0, value));
    }

    [Fact]
    public async Task Two_workers_start_from_the_same_initial_weights()
    {
        var (one, two) = (await EnlistedAsync(), await EnlistedAsync());
        var values = new List<float[]>();
        foreach (var worker in new[] { one, two })
        {
            worker.Tell(new ParameterProtocol.Queries.PullInitial(new ShardId(TestJobs.Id, 0), First, new ShardRange(0, 9)));
            values.Add((await ExpectMsgAsync<ParameterProtocol.Replies.Pulled>()).Weights.Span.ToArray());
        }
        Assert.Equal(values[0], values[1]);
        Assert.Contains(values[0], value => value != 0);
    }

    [Fact]
    public async Task Data_that_is_not_what_it_was_is_refused()
    {
        var spec = Spec;
        var plan = Plan(spec) with { DataFingerprint = new string('0', 64) };
        Sys.ActorOf(WorkerActor.PropsFor(new Commands.Enlist(TestJobs.Id, spec, plan, 1), TestActor, _catalog, new JobData(DataFolders.Any)));
        Assert.Contains("not what it was", (await ExpectMsgAsync<Replies.WorkFailed>(TimeSpan.FromSeconds(20))).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_computes_other_bits_than_the_job_began_with_does_not_work_on_it()
    {
        var spec = Spec;
        var plan = Plan(spec) with { Arithmetic = new string('0', 64) };
        var worker = Sys.ActorOf(WorkerActor.PropsFor(new Commands.Enlist(TestJobs.Id, spec, plan, 1), TestActor, _catalog, new JobData(DataFolders.Any)));
        Watch(worker);
        var failed = await ExpectMsgAsync<Replies.WorkFailed>(TimeSpan.FromSeconds(20));
        Assert.Equal(Generation.None, failed.Generation);
        Assert.Contains("compute other bits", failed.Reason, StringComparison.Ordinal);
        await ExpectTerminatedAsync(worker);
    }

    private static JobSpec Spec => TestJobs.Xor(training => training with { Loss = new LossSpec { Kind = LossKind.BinaryCrossEntropy } });

    private static ParameterProtocol.Replies.Pulled Weights(long version) =>
        new(new ShardId(TestJobs.Id, 0), First, version, TestJobs.Payload(TestJobs.Values(9, (int)version)));

    private JobPlan Plan(JobSpec spec)
    {
        var signature = ClusterNet.Data.DataPipeline.Load(spec.Data, spec.Training.Seed).Preparation.Signature;
        using var model = _catalog.Build(spec.Model, spec.Training.Loss, signature, spec.Training.Seed, 1);
        return TestJobs.PlanOf(spec, model.Layout);
    }

    private static TrainingSpec WithBackup(TrainingSpec training) => training with { BackupWorkers = 1 };

    /// <summary>Time passes for a worker that waits: what it is asked here it answers after it has set its timer.</summary>
    private async Task NothingComesAsync(IActorRef worker)
    {
        worker.Tell(new Commands.Enlist(TestJobs.Id, Spec, Plan(Spec), 1), TestActor);
        await ExpectMsgAsync<Replies.Enlisted>();
        Clock.Advance(TimeSpan.FromSeconds(5));
    }

    private async Task<IActorRef> EnlistedAsync(Func<TrainingSpec, TrainingSpec>? change = null)
    {
        var spec = Spec with { Training = (change ?? (same => same))(Spec.Training) };
        var worker = Sys.ActorOf(WorkerActor.PropsFor(new Commands.Enlist(TestJobs.Id, spec, Plan(spec), 1), TestActor, _catalog, new JobData(DataFolders.Any)));
        await ExpectMsgAsync<Replies.Enlisted>(TimeSpan.FromSeconds(20));
        return worker;
    }
}
