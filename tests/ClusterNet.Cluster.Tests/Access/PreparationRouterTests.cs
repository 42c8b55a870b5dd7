using Akka.TestKit;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Access;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Serialization;
using static ClusterNet.Cluster.Workers.WorkerProtocol;

namespace ClusterNet.Cluster.Tests.Access;

/// <summary>A job whose workers want more torch threads than a node allows goes to a node that allows them, or is refused with what is allowed.</summary>
public class PreparationRouterTests() : TestKit(NodeConfiguration.Cluster.WithFallback(SerializationConfiguration.Config))
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task The_node_that_allows_enough_prepares_the_job()
    {
        var (small, large, job) = (CreateTestProbe(), CreateTestProbe(), Job(4));
        Route(job, small, large);
        await AnswerAsync(small, new Replies.Capacity(8, 2));
        await AnswerAsync(large, new Replies.Capacity(1, 4));
        Assert.Same(job, await large.ExpectMsgAsync<Commands.Prepare>(Patience));
        Assert.Equal(TestActor, large.LastSender);
    }

    [Fact]
    public async Task Where_none_does_the_job_is_refused_with_what_is_allowed()
    {
        var (small, leaving) = (CreateTestProbe(), CreateTestProbe());
        Route(Job(4), small, leaving);
        await AnswerAsync(small, new Replies.Capacity(8, 2));
        await AnswerAsync(leaving, new Replies.Capacity(0, 3));
        var fault = Assert.Single((await ExpectMsgAsync<Replies.Rejected>(Patience)).Faults);
        Assert.Equal("training.threads-per-worker", fault.Place);
        Assert.Contains("at most 3", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_does_not_answer_is_not_taken_for_one_that_refuses()
    {
        var (silent, small, job) = (CreateTestProbe(), CreateTestProbe(), Job(4));
        Route(job, silent, small);
        await AnswerAsync(small, new Replies.Capacity(8, 2));
        await silent.ExpectMsgAsync<Queries.GetCapacity>(Patience);
        Assert.Same(job, await silent.ExpectMsgAsync<Commands.Prepare>(Patience));
    }

    private static Commands.Prepare Job(int threads)
    {
        var spec = TestJobs.Xor();
        return new Commands.Prepare(spec with { Training = spec.Training with { ThreadsPerWorker = threads } });
    }

    private void Route(Commands.Prepare prepare, params TestProbe[] hosts) =>
        Sys.ActorOf(PreparationRouter.PropsFor(prepare, TestActor, [.. hosts.Select(host => Sys.ActorSelection(host.Ref.Path))]));

    private static async Task AnswerAsync(TestProbe host, Replies.Capacity capacity)
    {
        await host.ExpectMsgAsync<Queries.GetCapacity>(Patience);
        host.Reply(capacity);
    }
}
