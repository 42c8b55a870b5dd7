using System.Runtime.Serialization;
using Akka.Actor;
using Akka.Configuration;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Lanes;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Tests.Serialization;

/// <summary>In a real actor system messages pass through their serializers, actors keep their identity between nodes, and what has no serializer is refused.</summary>
public sealed class StrictSystemTests() : TestKit(Verified)
{
    private static readonly Config Verified = ConfigurationFactory.ParseString("akka.actor.serialize-messages = on").WithFallback(SerializationConfiguration.Config);

    private static readonly ShardId Shard = new(new JobId("job-1"), 0);

    [Fact]
    public void A_message_passes_between_actors_as_a_copy()
    {
        var shard = CreateTestProbe();
        var norms = new ParameterProtocol.Commands.ShareNorms(Shard, 1, 4, 0, [1, 2, 3], IsAnswer: false);
        shard.Ref.Tell(norms, TestActor);

        var received = shard.ExpectMsg<ParameterProtocol.Commands.ShareNorms>();
        StructuralComparer.AssertSame(norms, received);
        Assert.NotSame(norms.Partials, received.Partials);

        shard.Reply(new ParameterProtocol.Replies.Refused(Shard, Generation.None, 4, ParameterProtocol.RefusalReason.NotYet));
        ExpectMsg<ParameterProtocol.Replies.Refused>();
    }

    [Fact]
    public void An_actor_in_a_message_is_the_same_actor()
    {
        var worker = CreateTestProbe();
        worker.Ref.Tell(new WorkerProtocol.Commands.Assign(Shard.Job, Generation.None, 0, 10, [new TreeNode(2, 0)], [TestActor]));
        var assign = worker.ExpectMsg<WorkerProtocol.Commands.Assign>();
        Assert.Equal(TestActor, Assert.Single(assign.Shards));
        assign.Shards[0].Tell(new WorkerProtocol.Replies.Enlisted(Shard.Job));
        ExpectMsg<WorkerProtocol.Replies.Enlisted>();
    }

    [Fact]
    public void A_type_without_a_serializer_is_refused()
    {
        var error = Assert.Throws<SerializationException>(() => Sys.Serialization.FindSerializerFor(new Stranger("x")));
        Assert.Contains(nameof(Stranger), error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_type_that_only_looks_like_a_message_is_refused() =>
        Assert.Throws<SerializationException>(() => Sys.Serialization.FindSerializerFor(new Impostor(Shard)));

    [Fact]
    public void Bytes_for_a_serializer_that_makes_any_type_are_refused()
    {
        var bytes = System.Text.Encoding.UTF8.GetBytes("""{"Text":"x"}""");
        Assert.Throws<SerializationException>(() => Sys.Serialization.Deserialize(bytes, 1, typeof(Stranger).AssemblyQualifiedName));
    }

    private sealed record Stranger(string Text);

    private sealed record Impostor(ShardId Shard) : ParameterProtocol.IShardMessage;
}

/// <summary>Two systems on loopback: what one sends, the other gets, actors included.</summary>
public sealed class TwoSystemsTests
{
    private static readonly Config Remote = ConfigurationFactory.ParseString("""
        akka {
          loglevel = ERROR
          actor.provider = remote
          remote.dot-netty.tcp {
            hostname = 127.0.0.1
            port = 0
          }
        }
        """).WithFallback(SerializationConfiguration.Config);

    [Fact]
    public async Task A_shard_on_another_node_is_told_of_a_worker_and_answers_it()
    {
        using var workerNode = (ExtendedActorSystem)ActorSystem.Create("nodes", Remote);
        using var shardNode = (ExtendedActorSystem)ActorSystem.Create("nodes", Remote);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var shard = new ShardId(new JobId("job-1"), 0);
        var setup = new ParameterProtocol.ShardSetup(JobSpecs.Full.Training, 100, new ParameterLayout([("w", [3])]), 1, 10);

        var pulled = new TaskCompletionSource<ParameterProtocol.Queries.PullInitial>(TaskCreationOptions.RunContinuationsAsynchronously);
        var weights = SampleMessages.Tensor(1, float.NaN, -0f);
        Lane.Get(shardNode);
        var worker = workerNode.ActorOf(
            Props.Create(() => new Replier<ParameterProtocol.Queries.PullInitial>(pulled, new ParameterProtocol.Replies.Pulled(shard, Generation.None, 0, weights))), "worker");
        var opened = new TaskCompletionSource<ParameterProtocol.Replies.Pulled>(TaskCreationOptions.RunContinuationsAsynchronously);
        shardNode.ActorOf(Props.Create(() => new ShardStandIn(opened)), "shard");

        var remote = workerNode.ActorSelection(new RootActorPath(shardNode.Provider.DefaultAddress) / "user" / "shard");
        (await remote.ResolveOne(TimeSpan.FromSeconds(20), patience.Token)).Tell(new ParameterProtocol.Commands.Open(shard, Generation.None, setup, null, worker), worker);

        Assert.Equal(new ShardRange(0, 3), (await pulled.Task.WaitAsync(patience.Token)).Range);
        StructuralComparer.AssertSame(weights, (await opened.Task.WaitAsync(patience.Token)).Weights);
        await Task.WhenAll(workerNode.Terminate(), shardNode.Terminate());
    }

    private sealed class Replier<T> : ReceiveActor
    {
        public Replier(TaskCompletionSource<T> seen, object reply) => Receive<T>(message =>
        {
            seen.TrySetResult(message);
            Lane.Get(Context.System).Tell(Sender, reply, Self);
        });
    }

    private sealed class ShardStandIn : ReceiveActor
    {
        public ShardStandIn(TaskCompletionSource<ParameterProtocol.Replies.Pulled> pulled)
        {
            Receive<ParameterProtocol.Commands.Open>(open =>
                open.WeightsSource.Tell(new ParameterProtocol.Queries.PullInitial(open.Shard, open.Generation, open.Setup.Plan.Ranges[0])));
            Receive<ParameterProtocol.Replies.Pulled>(message => pulled.TrySetResult(message));
        }
    }
}
