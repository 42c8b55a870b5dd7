using Akka.Actor;
using Akka.Configuration;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Access;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;
using static ClusterNet.Cluster.Access.AccessProtocol;

namespace ClusterNet.Cluster.Tests.Access;

/// <summary>What takes long is waited for as long as somebody is at it, however long, and no longer. Time is the test's.</summary>
public class LongQuestionTests() : TestKit(
    ConfigurationFactory.ParseString("akka.scheduler.implementation = \"Akka.TestKit.TestScheduler, Akka.TestKit\"").WithFallback(NodeConfiguration.Cluster).WithFallback(SerializationConfiguration.Config))
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Silence = LongQuestionActor.Silence;
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(1);
    private static readonly ServingProtocol.Queries.Predict Question = new(new ModelVersionId("m", 1), new RawSamples.Array([2], new float[] { 1, 2 }, []));

    private TestScheduler Clock => (TestScheduler)Sys.Scheduler;

    [Fact]
    public async Task As_long_as_there_are_signs_of_life_the_answer_is_awaited_and_nothing_is_asked_again()
    {
        var node = CreateTestProbe();
        var answer = Ask(node);
        await node.ExpectMsgAsync("question", Patience);
        var asking = node.LastSender;
        for (var i = 0; i < 100; i++)
        {
            asking.Tell(new Replies.AtWork());
            await TakenByAsync(asking);
            Clock.Advance(Silence - Moment);
        }
        await node.ExpectNoMsgAsync(TimeSpan.Zero);
        Assert.False(answer.IsCompleted);
        asking.Tell("answer");
        Assert.Equal("answer", await answer);
    }

    [Fact]
    public async Task Who_falls_silent_is_asked_again_and_given_up_when_that_does_not_help()
    {
        var node = CreateTestProbe();
        var answer = Ask(node);
        await node.ExpectMsgAsync("question", Patience);
        Clock.Advance(Silence);
        await node.ExpectMsgAsync("question", Patience);
        node.Reply(new Replies.AtWork());
        await TakenByAsync(node.LastSender);
        for (var unheard = 1; unheard < LongQuestionActor.MostUnheard; unheard++)
        {
            Clock.Advance(Silence);
            await node.ExpectMsgAsync("question", Patience);
            await TakenByAsync(node.LastSender);
        }
        Assert.False(answer.IsCompleted);
        Clock.Advance(Silence);
        await Assert.ThrowsAsync<AskTimeoutException>(() => answer);
        await node.ExpectNoMsgAsync(TimeSpan.Zero);
    }

    [Fact]
    public async Task Who_does_not_want_to_wait_any_more_does_not()
    {
        using var cancel = new CancellationTokenSource();
        var node = CreateTestProbe();
        var answer = Ask(node, cancel.Token);
        await node.ExpectMsgAsync("question", Patience);
        await WatchAsync(node.LastSender);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answer);
        await ExpectTerminatedAsync(node.LastSender, Patience);
    }

    [Fact]
    public async Task Who_prepares_a_job_for_long_gives_signs_of_life_until_it_is_done()
    {
        var host = CreateTestProbe();
        var prepare = new WorkerProtocol.Commands.Prepare(TestJobs.Xor());
        Sys.ActorOf(PreparationRouter.PropsFor(prepare, TestActor, new Dictionary<ActorPath, string> { [host.Ref.Path] = "node" }));
        await host.ExpectMsgAsync<WorkerProtocol.Queries.GetCapacity>(Patience);
        host.Reply(new WorkerProtocol.Replies.Capacity(1, 8));
        await host.ExpectMsgAsync(prepare, Patience);
        await ExpectSignsUntilAsync(host, new WorkerProtocol.Replies.Prepared(TestJobs.PlanOf(TestJobs.Xor(), TestJobs.Layout(9))));
    }

    /// <summary>Who is asked first decides the job's arithmetic: it is not whoever loads its libraries first. But who never says of what kind it is holds nobody up.</summary>
    [Fact]
    public async Task Nodes_that_do_not_say_of_what_kind_they_are_are_waited_for_a_while()
    {
        TestProbe[] hosts = [CreateTestProbe(), CreateTestProbe()];
        var prepare = new WorkerProtocol.Commands.Prepare(TestJobs.Xor());
        IgnoreMessages<Replies.AtWork>();
        var router = Sys.ActorOf(PreparationRouter.PropsFor(prepare, TestActor, hosts.Select((host, i) => (host.Ref.Path, $"node-{i}")).ToDictionary()));
        foreach (var host in hosts)
        {
            await host.ExpectMsgAsync<WorkerProtocol.Queries.GetCapacity>(Patience);
            host.Reply(new WorkerProtocol.Replies.Capacity(1, 8));
            await host.ExpectMsgAsync<WorkerProtocol.Queries.GetTrial>(Patience);
        }
        hosts[1].Reply(new WorkerProtocol.Replies.Trial("0f"));
        for (var i = 1; i < 4; i++)
        {
            Clock.Advance(TimeSpan.FromSeconds(3));
            await TakenByAsync(router);
        }
        await hosts[1].ExpectNoMsgAsync(TimeSpan.Zero);
        Clock.Advance(TimeSpan.FromSeconds(3));
        await hosts[1].ExpectMsgAsync(prepare, Patience);
    }

    [Fact]
    public async Task Who_answers_for_long_gives_signs_of_life_until_it_is_done()
    {
        var host = CreateTestProbe();
        Sys.ActorOf(PassingActor.PropsFor(Question, TestActor, [(host.Ref.Path, "node")], leavesNode: false));
        await host.ExpectMsgAsync(Question, Patience);
        // another node's own signs are not passed on beside these
        host.Reply(new Replies.AtWork());
        await ExpectSignsUntilAsync(host, new ServingProtocol.Replies.PredictFailed(Question.Version, ServingProtocol.FailureKind.InvalidInput, []));
    }

    private async Task ExpectSignsUntilAsync(TestProbe host, object answer)
    {
        for (var i = 0; i < 100; i++)
        {
            Clock.Advance(SignsOfLife.Interval);
            await ExpectMsgAsync<Replies.AtWork>(Patience);
        }
        await WatchAsync(host.LastSender);
        host.Reply(answer);
        await ExpectMsgAsync(answer, Patience);
        await ExpectTerminatedAsync(host.LastSender, Patience);
        Clock.Advance(3 * SignsOfLife.Interval);
        await ExpectNoMsgAsync(TimeSpan.Zero);
    }

    /// <summary>Once it answers this it has taken what was sent before.</summary>
    private static async Task TakenByAsync(IActorRef asking) => await asking.Ask<ActorIdentity>(new Identify(null), Patience);

    private Task<object> Ask(TestProbe node, CancellationToken cancel = default) =>
        LongQuestion.AskAsync(Sys, "question", node.Ref.Tell, leavesNode: true, Silence, cancel);
}
