using Akka.TestKit;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Access;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Core.Faults;
using static ClusterNet.Cluster.Workers.WorkerProtocol;

namespace ClusterNet.Cluster.Tests.Access;

/// <summary>A job is prepared by a node that allows the threads that its workers want and has its data; one that lacks them or is lost is not the end of it.</summary>
public class PreparationRouterTests : TestKit
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly Replies.Capacity Enough = new(8, 4);
    private static readonly Replies.Prepared Plan = new(TestJobs.PlanOf(TestJobs.Xor(), TestJobs.Layout(9)));

    public PreparationRouterTests()
        : base(NodeConfiguration.Cluster.WithFallback(SerializationConfiguration.Config)) => IgnoreMessages<AccessProtocol.Replies.AtWork>();

    [Fact]
    public async Task The_node_that_allows_enough_prepares_the_job()
    {
        var (small, large, job) = (CreateTestProbe(), CreateTestProbe(), Job(4));
        Route(job, small, large);
        await AnswerAsync(small, new Replies.Capacity(8, 2));
        await AnswerAsync(large, new Replies.Capacity(1, 4));
        Assert.Same(job, await large.ExpectMsgAsync<Commands.Prepare>(Patience));
        large.Reply(Plan);
        Assert.Same(Plan, await ExpectMsgAsync<Replies.Prepared>(Patience));
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
    public async Task Where_all_that_could_are_leaving_it_is_to_be_submitted_again()
    {
        var (leaving, alsoLeaving) = (CreateTestProbe(), CreateTestProbe());
        Route(Job(1), leaving, alsoLeaving);
        await AnswerAsync(leaving, new Replies.Capacity(0, 3));
        await AnswerAsync(alsoLeaving, new Replies.Capacity(0, 3));
        Assert.Contains("are leaving the cluster; submit it again", (await ExpectMsgAsync<AccessProtocol.Replies.Unavailable>(Patience)).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_does_not_answer_is_not_taken_for_one_that_refuses()
    {
        var (silent, small, job) = (CreateTestProbe(), CreateTestProbe(), Job(4));
        Route(job, silent, small);
        await AnswerAsync(small, new Replies.Capacity(8, 2));
        await silent.ExpectMsgAsync<Queries.GetCapacity>(Patience);
        await AnswerAsync(silent, Enough);
        Assert.Same(job, await silent.ExpectMsgAsync<Commands.Prepare>(Patience));
    }

    [Fact]
    public async Task Where_a_node_lacks_the_data_another_prepares_the_job()
    {
        var (without, with) = (CreateTestProbe(), CreateTestProbe());
        Route(Job(1), without, with);
        await AnswerAsync(without, Enough);
        await AnswerAsync(with, Enough);
        await without.ExpectMsgAsync<Commands.Prepare>(Patience);
        without.Reply(Lacking("not here"));
        await with.ExpectMsgAsync<Commands.Prepare>(Patience);
        with.Reply(Plan);
        await ExpectMsgAsync<Replies.Prepared>(Patience);
    }

    [Fact]
    public async Task Where_all_lack_them_the_job_is_refused_with_the_nodes_that_do()
    {
        TestProbe[] nodes = [CreateTestProbe(), CreateTestProbe()];
        Route(Job(1), nodes);
        foreach (var node in nodes)
            await AnswerAsync(node, Enough);
        foreach (var node in nodes)
        {
            await node.ExpectMsgAsync<Commands.Prepare>(Patience);
            node.Reply(Lacking("not here"));
        }
        var faults = (await ExpectMsgAsync<Replies.Rejected>(Patience)).Faults;
        Assert.Equal(["not here (on node-0)", "not here (on node-1)"], faults.Select(fault => fault.Message));
    }

    [Fact]
    public async Task What_is_wrong_with_the_job_is_not_asked_of_every_node()
    {
        var (first, second) = (CreateTestProbe(), CreateTestProbe());
        Route(Job(1), first, second);
        await AnswerAsync(first, Enough);
        await AnswerAsync(second, Enough);
        await first.ExpectMsgAsync<Commands.Prepare>(Patience);
        first.Reply(new Replies.Rejected([new Fault("model.hidden", "too large")]));
        Assert.Equal("too large", Assert.Single((await ExpectMsgAsync<Replies.Rejected>(Patience)).Faults).Message);
        await second.ExpectNoMsgAsync(TimeSpan.Zero);
    }

    [Fact]
    public async Task A_node_that_is_lost_while_it_prepares_is_replaced_and_the_last_one_is_named()
    {
        var (first, second) = (CreateTestProbe(), CreateTestProbe());
        Route(Job(1), first, second);
        await AnswerAsync(first, Enough);
        await AnswerAsync(second, Enough);
        await first.ExpectMsgAsync<Commands.Prepare>(Patience);
        Sys.Stop(first.Ref);
        await second.ExpectMsgAsync<Commands.Prepare>(Patience);
        Sys.Stop(second.Ref);
        Assert.StartsWith("no node prepared the job: node-0, node-1 did not answer or ended meanwhile", (await ExpectMsgAsync<AccessProtocol.Replies.Unavailable>(Patience)).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_that_is_lost_before_its_turn_is_not_asked()
    {
        var (first, second) = (CreateTestProbe(), CreateTestProbe());
        Route(Job(1), first, second);
        await AnswerAsync(first, Enough);
        await AnswerAsync(second, Enough);
        await first.ExpectMsgAsync<Commands.Prepare>(Patience);
        Sys.Stop(second.Ref);
        first.Reply(Lacking("not here"));
        Assert.Equal("not here (on node-0)", Assert.Single((await ExpectMsgAsync<Replies.Rejected>(Patience)).Faults).Message);
    }

    /// <summary>In each order in which they may answer.</summary>
    [Theory]
    [InlineData(0, 1, 2)]
    [InlineData(0, 2, 1)]
    [InlineData(1, 0, 2)]
    [InlineData(1, 2, 0)]
    [InlineData(2, 0, 1)]
    [InlineData(2, 1, 0)]
    public async Task A_node_prepares_whose_kind_most_workers_are_of(params int[] order)
    {
        TestProbe[] nodes = [CreateTestProbe(), CreateTestProbe(), CreateTestProbe()];
        Route(Job(1), nodes);
        (int Workers, string Trial)[] says = [(8, "0d"), (5, "f0"), (4, "f0")];
        foreach (var i in order)
            await AnswerAsync(nodes[i], new Replies.Capacity(says[i].Workers, 4), says[i].Trial);
        var first = nodes[order.First(i => i > 0)];
        await first.ExpectMsgAsync<Commands.Prepare>(Patience);
        first.Reply(Lacking("not here"));
        // without that one the other kind has more
        await nodes[0].ExpectMsgAsync<Commands.Prepare>(Patience);
    }

    [Theory]
    [InlineData("0d", "f0", 0)]
    [InlineData("f0", "0d", 1)]
    [InlineData("", "f0", 1)]
    public async Task Where_two_kinds_have_as_many_it_is_always_the_same(string first, string second, int prepares)
    {
        TestProbe[] nodes = [CreateTestProbe(), CreateTestProbe()];
        Route(Job(1), nodes);
        await AnswerAsync(nodes[0], Enough, first);
        await AnswerAsync(nodes[1], Enough, second);
        await nodes[prepares].ExpectMsgAsync<Commands.Prepare>(Patience);
        nodes[prepares].Reply(Plan);
        await ExpectMsgAsync<Replies.Prepared>(Patience);
        await nodes[1 - prepares].ExpectNoMsgAsync(TimeSpan.Zero);
    }

    private static Replies.Rejected Lacking(string message) => new([new Fault("data.source", message)]) { IsOfNode = true };

    private static Commands.Prepare Job(int threads)
    {
        var spec = TestJobs.Xor();
        return new Commands.Prepare(spec with { Training = spec.Training with { ThreadsPerWorker = threads } });
    }

    private void Route(Commands.Prepare prepare, params TestProbe[] hosts) =>
        Sys.ActorOf(PreparationRouter.PropsFor(prepare, TestActor, hosts.Select((host, i) => (host.Ref.Path, $"node-{i}")).ToDictionary()));

    private static async Task AnswerAsync(TestProbe host, Replies.Capacity capacity, string? trial = "0f")
    {
        await host.ExpectMsgAsync<Queries.GetCapacity>(Patience);
        host.Reply(capacity);
        if (capacity is not { Workers: > 0, ThreadsPerWorker: >= 4 })
            return;
        await host.ExpectMsgAsync<Queries.GetTrial>(Patience);
        if (trial is not null)
            host.Reply(new Replies.Trial(trial));
    }
}
