using Akka.Actor;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Tests.Models;
using ClusterNet.Cluster.Training;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;
using ClusterNet.Core.Parameters;
using static ClusterNet.Cluster.Training.TrainingProtocol;

namespace ClusterNet.Cluster.Tests.Training;

/// <summary>A coordinator of a job of two workers and one shard, with probes for all that surrounds it.</summary>
public abstract class CoordinatorTests : TestKit
{
    private protected static readonly WorkerNode Here = new(new Address("akka.tcp", "test", "here", 1), 1, 8, 8);
    private protected static readonly WorkerNode There = new(new Address("akka.tcp", "test", "there", 2), 2, 8, 8);

    private protected TestProbe Shards { get; }

    private protected TestProbe Models { get; }

    private protected TestProbe Host { get; }

    private protected TestProbe[] Workers { get; }

    private protected TestProbe Shard { get; }

    private protected TestProbe Nodes { get; }

    private protected TestProbe OtherHost { get; }

    private protected TestProbe Directory { get; }

    private protected TestStore Store => TestStore.Of(Sys);

    private protected RunningJobs Running { get; } = new();

    private protected Dictionary<IActorRef, Address> Elsewhere { get; } = [];

    protected CoordinatorTests()
        : base(NodeConfiguration.Cluster.WithFallback("akka.test.single-expect-default = 30s").WithFallback(TestStore.Config))
    {
        (Shards, Models, Host, Shard) = (CreateTestProbe(), CreateTestProbe(), CreateTestProbe(), CreateTestProbe());
        (Nodes, Directory, OtherHost) = (CreateTestProbe(), CreateTestProbe(), CreateTestProbe());
        Workers = [CreateTestProbe(), CreateTestProbe()];
    }

    private protected static JobSpec Spec => TestJobs.Xor(training => training with { Workers = 2 });

    private protected static byte[] Metrics(double loss)
    {
        var metrics = new MetricAccumulator(LearningTask.Classification, 2);
        metrics.Add([0.5f, 0.5f], 0, loss, 1);
        return metrics.ToBytes();
    }

    private protected static ParameterProtocol.Replies.StepsDone Steps(Generation generation, long first, int count) =>
        new(new ShardId(TestJobs.Id, 0), generation, first, [.. Enumerable.Repeat(new StepStatistics(4, 2, SampleVisits.OfAll(4)), count)]);

    private protected IActorRef Create(bool resumesByItself = false, Func<Address, ICanTell>? hostAt = null) => Sys.ActorOf(JobCoordinatorActor.PropsFor(
        TestJobs.Id,
        new JobCoordinatorActor.Environment(
            Shards.Ref,
            Models.Ref,
            Directory.Ref,
            Nodes.Ref,
            hostAt ?? (address => address.Equals(Here.Address) ? Host.Ref : OtherHost.Ref),
            actor => Elsewhere.GetValueOrDefault(actor, Here.Address),
            Running,
            resumesByItself,
            TimeProvider.System)));

    private protected void Tell(IActorRef coordinator, params WorkerNode[] nodes) => coordinator.Tell(new WorkerNodesProtocol.Changed(nodes), Nodes.Ref);

    private protected async Task<(IActorRef Coordinator, Generation Generation)> StartAsync(Func<WorkerProtocol.JobPlan, WorkerProtocol.JobPlan>? change = null)
    {
        var coordinator = Create();
        var plan = TestJobs.PlanOf(Spec, TestJobs.Layout(9));
        coordinator.Tell(new Commands.Submit(TestJobs.Id, Spec, change?.Invoke(plan) ?? plan));
        await ExpectMsgAsync<Replies.Accepted>();
        await Nodes.ExpectMsgAsync<WorkerNodesProtocol.Subscribe>();
        Tell(coordinator, Here);
        Assert.Equal(2, (await Host.ExpectMsgAsync<WorkerProtocol.Commands.Enlist>()).Count);
        Enlist(coordinator);
        var open = await Shards.ExpectMsgAsync<ParameterProtocol.Commands.Open>();
        Assert.Equal(0, open.RestoreStep);
        Shard.Send(coordinator, new ParameterProtocol.Replies.Opened(open.Shard, open.Generation, 0));
        await Shard.ExpectMsgAsync<ParameterProtocol.Commands.Meet>();
        return (coordinator, open.Generation);
    }

    private protected void Enlist(IActorRef coordinator)
    {
        foreach (var worker in Workers)
            worker.Send(coordinator, new WorkerProtocol.Replies.Enlisted(TestJobs.Id));
    }

    private protected async Task ReachAsync(IActorRef coordinator, Generation generation, int version)
    {
        Shard.Send(coordinator, Steps(generation, 0, version));
        foreach (var worker in Workers)
            worker.Send(coordinator, new WorkerProtocol.Replies.Reached(TestJobs.Id, generation, version));
        await Task.CompletedTask;
    }

    private protected async Task<T> FishShardAsync<T>() => (T)await Shard.FishForMessageAsync(message => message is T);

    private protected static async Task<(TestProbe Worker, T Message)> FishAsync<T>(TestProbe[] probes)
    {
        var waiting = probes.ToDictionary(probe => (Task)probe.FishForMessageAsync(message => message is T).AsTask(), probe => probe);
        var first = await Task.WhenAny(waiting.Keys);
        return (waiting[first], (T)((Task<object>)first).Result);
    }
}
