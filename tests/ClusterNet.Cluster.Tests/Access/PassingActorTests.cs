using Akka.TestKit;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Access;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Tests.Access;

/// <summary>Whoever asks a model by way of a node that does not serve it is answered as long as one node does, and told when none does any more.</summary>
public class PassingActorTests : TestKit
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly ModelVersionId Version = new("m", 1);
    private static readonly Replies.PredictFailed Leaving = new(Version, FailureKind.Unavailable, [new Fault("m:1", "the node is leaving the cluster")]);
    private static readonly Replies.PredictFailed Wrong = new(Version, FailureKind.InvalidInput, [new Fault("samples", "too few columns")]);

    public PassingActorTests()
        : base(NodeConfiguration.Cluster.WithFallback(SerializationConfiguration.Config)) => IgnoreMessages<AccessProtocol.Replies.AtWork>();

    [Fact]
    public async Task The_first_node_is_asked_and_what_it_says_is_the_answer()
    {
        var nodes = Ask();
        await nodes[0].ExpectMsgAsync<Queries.Predict>(Patience);
        nodes[0].Reply(Wrong);
        Assert.Same(Wrong, await ExpectMsgAsync<Replies.PredictFailed>(Patience));
        await nodes[1].ExpectNoMsgAsync(TimeSpan.Zero);
    }

    [Fact]
    public async Task A_node_that_is_lost_or_leaves_is_followed_by_the_next()
    {
        var nodes = Ask();
        await nodes[0].ExpectMsgAsync<Queries.Predict>(Patience);
        Sys.Stop(nodes[0].Ref);
        await nodes[1].ExpectMsgAsync<Queries.Predict>(Patience);
        nodes[1].Reply(Leaving);
        await nodes[2].ExpectMsgAsync<Queries.Predict>(Patience);
        nodes[2].Reply(Wrong);
        Assert.Same(Wrong, await ExpectMsgAsync<Replies.PredictFailed>(Patience));
    }

    /// <summary>In pieces: the first is taken, then the node is lost. What was still being sent there says nothing later.</summary>
    [Fact]
    public async Task A_large_question_is_sent_to_the_next_node_from_its_beginning()
    {
        TestProbe[] nodes = [CreateTestProbe(), CreateTestProbe()];
        var question = new Queries.Predict(Version, new RawSamples.Array([2], new float[1 << 18], []));
        Sys.ActorOf(PassingActor.PropsFor(question, TestActor, [.. nodes.Select((node, i) => (node.Ref.Path, $"node-{i}"))], leavesNode: true));
        await nodes[0].ExpectMsgAsync<AccessProtocol.Commands.Piece>(Patience);
        var sending = nodes[0].LastSender;
        await WatchAsync(sending);
        Sys.Stop(nodes[0].Ref);
        await ExpectTerminatedAsync(sending, Patience);
        for (var index = 0; ; index++)
        {
            var piece = await nodes[1].ExpectMsgAsync<AccessProtocol.Commands.Piece>(Patience);
            Assert.Equal(index, piece.Index);
            if (index == piece.Count - 1)
                break;
            nodes[1].Reply(new AccessProtocol.Replies.PieceTaken(piece.Request, index));
        }
        nodes[1].Reply(Wrong);
        Assert.Same(Wrong, await ExpectMsgAsync<Replies.PredictFailed>(Patience));
    }

    [Fact]
    public async Task Where_none_is_left_the_asker_is_told_which_there_were()
    {
        var nodes = Ask();
        foreach (var node in nodes)
        {
            await node.ExpectMsgAsync<Queries.Predict>(Patience);
            Sys.Stop(node.Ref);
        }
        Assert.StartsWith("no node answered: node-0, node-1, node-2 ended meanwhile", (await ExpectMsgAsync<AccessProtocol.Replies.Unavailable>(Patience)).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_that_is_not_there_any_more_is_not_waited_for()
    {
        var gone = CreateTestProbe();
        Sys.Stop(gone.Ref);
        var there = CreateTestProbe();
        Sys.ActorOf(PassingActor.PropsFor(Question, TestActor, [(gone.Ref.Path, "gone"), (there.Ref.Path, "there")], leavesNode: true));
        await there.ExpectMsgAsync<Queries.Predict>(Patience);
    }

    private static Queries.Predict Question => new(Version, new RawSamples.Array([2], new float[] { 1, 2 }, []));

    private TestProbe[] Ask()
    {
        TestProbe[] nodes = [CreateTestProbe(), CreateTestProbe(), CreateTestProbe()];
        Sys.ActorOf(PassingActor.PropsFor(Question, TestActor, [.. nodes.Select((node, i) => (node.Ref.Path, $"node-{i}"))], leavesNode: true));
        return nodes;
    }
}
