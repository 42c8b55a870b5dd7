using Akka.Actor;
using Akka.Configuration;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Tests.Models;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Tests.Serving;

/// <summary>A router answers every request: with what the version's node says, or with what kept it from an answer; and what is tried beside never shows in an answer.</summary>
public sealed class ServingRouterActorTests : TestKit
{
    private static readonly Config Clustered = ConfigurationFactory.ParseString("""
        akka.actor.provider = cluster
        akka.remote.dot-netty.tcp { hostname = "127.0.0.1", port = 0 }
        akka.cluster.roles = [inference]
        akka.cluster.periodic-tasks-initial-delay = 100ms
        """).WithFallback(TestStore.Config);

    private static readonly ServingOptions Options = new() { CheckInterval = TimeSpan.FromMilliseconds(50), ReleaseAfter = TimeSpan.Zero };
    private readonly TestProbe _registry;
    private readonly TestProbe _host;
    private double _draw;

    public ServingRouterActorTests()
        : base(Clustered)
    {
        _registry = CreateTestProbe();
        _host = CreateTestProbe();
        _host.IgnoreMessages<object>(message => message is Queries.GetStatus or Commands.Prepare { IfRoom: true });
    }

    [Fact]
    public async Task A_request_waits_for_the_table_and_is_answered_by_the_version_of_the_traffic()
    {
        var router = await RouterAsync();
        var asker = Ask(router, new PredictRequest("m", Input) { Priority = 3, Timeout = TimeSpan.FromSeconds(20) });
        await TableAsync(router, Entry([1, 2], ("production", 1)));
        var infer = await _host.ExpectMsgAsync<Queries.Infer>();
        Assert.Equal((new ModelVersionId("m", 1), 3), (infer.Version, infer.Priority));
        Assert.True(infer.Patience <= TimeSpan.FromSeconds(20));
        _host.Reply(new Replies.Inferred(infer.Request, Served(1, 0.5f)));
        Assert.Equal(1, (await asker.ExpectMsgAsync<ServedPrediction>()).Prediction.Version.Version);
    }

    [Fact]
    public async Task What_is_unknown_is_asked_for_once_more_and_then_refused()
    {
        var router = await RouterAsync();
        await TableAsync(router, Entry([1]));
        var asker = Ask(router, new PredictRequest("m", Input) { Version = "2" });
        await TableAsync(router, Entry([1, 2]));
        Assert.Equal(2, (await _host.ExpectMsgAsync<Queries.Infer>()).Version.Version);
        var other = Ask(router, new PredictRequest("n", Input));
        await TableAsync(router, Entry([1, 2]));
        var refused = await other.ExpectMsgAsync<Replies.Refused>();
        Assert.Equal(FailureKind.UnknownModel, refused.Kind);
        Assert.Contains("m", refused.Faults[0].Candidates);
        await asker.ExpectNoMsgAsync(TimeSpan.Zero);
    }

    [Fact]
    public async Task What_no_other_node_can_take_over_is_refused_as_the_node_said()
    {
        var router = await RouterAsync();
        await TableAsync(router, Entry([1]));
        var asker = Ask(router, new PredictRequest("m", Input));
        var infer = await _host.ExpectMsgAsync<Queries.Infer>();
        _host.Reply(new Replies.InferFailed(infer.Request, FailureKind.Overloaded, [new Fault("m:1", "full")], TimeSpan.FromSeconds(3)));
        var refused = await asker.ExpectMsgAsync<Replies.Refused>();
        Assert.Equal((FailureKind.Overloaded, TimeSpan.FromSeconds(3)), (refused.Kind, refused.RetryAfter));
    }

    [Fact]
    public async Task A_node_that_stands_back_is_asked_for_other_bits_where_there_is_no_other_one()
    {
        var router = await RouterAsync();
        await TableAsync(router, Entry([1]));
        var asker = Ask(router, new PredictRequest("m", Input));
        var infer = await _host.ExpectMsgAsync<Queries.Infer>();
        Assert.False(infer.TakesOtherBits);
        _host.Reply(new Replies.InferFailed(infer.Request, FailureKind.Unavailable, [new Fault("m:1", "other bits")], null) { HasOtherBits = true });
        for (var i = 0; i < 2; i++)
        {
            // the second is asked so at once
            infer = await _host.ExpectMsgAsync<Queries.Infer>();
            Assert.True(infer.TakesOtherBits);
            _host.Reply(new Replies.Inferred(infer.Request, Served(1, 0.5f)));
            await asker.ExpectMsgAsync<ServedPrediction>();
            if (i == 0)
                asker = Ask(router, new PredictRequest("m", Input));
        }
    }

    [Fact]
    public async Task A_node_that_never_answers_does_not_keep_a_request_beyond_its_time()
    {
        var router = await RouterAsync();
        await TableAsync(router, Entry([1]));
        var asker = Ask(router, new PredictRequest("m", Input) { Timeout = TimeSpan.FromMilliseconds(20) });
        Assert.Equal(FailureKind.DeadlineExceeded, (await asker.ExpectMsgAsync<Replies.Refused>()).Kind);
    }

    [Fact]
    public async Task A_caller_that_goes_away_takes_its_request_out_of_the_queue()
    {
        var router = await RouterAsync();
        await TableAsync(router, Entry([1]));
        var ticket = new object();
        router.Tell(new ServingRouterActor.Serve(new PredictRequest("m", Input), ticket), CreateTestProbe());
        var infer = await _host.ExpectMsgAsync<Queries.Infer>();
        router.Tell(new ServingRouterActor.Cancel(ticket));
        Assert.Equal(new Commands.Cancel(infer.Request, infer.Version), await _host.ExpectMsgAsync<Commands.Cancel>());
    }

    [Fact]
    public async Task A_caller_elsewhere_that_waits_no_longer_takes_its_requests_out_of_the_queue_and_no_others()
    {
        var router = await RouterAsync();
        await TableAsync(router, Entry([1]));
        var (gone, other) = (Ask(router, new PredictRequest("m", Input)), Ask(router, new PredictRequest("m", Input)));
        var infers = new[] { await _host.ExpectMsgAsync<Queries.Infer>(), await _host.ExpectMsgAsync<Queries.Infer>() };
        router.Tell(new Commands.Withdraw(), gone);
        var cancelled = await _host.ExpectMsgAsync<Commands.Cancel>();
        Assert.Equal(infers[0].Request, cancelled.Request);
        // an answer that was on its way goes to nobody
        foreach (var infer in infers)
            _host.Send(router, new Replies.Inferred(infer.Request, Served(1)));
        await other.ExpectMsgAsync<ServedPrediction>();
        await gone.ExpectNoMsgAsync(TimeSpan.Zero);
    }

    [Fact]
    public async Task A_model_in_use_goes_over_when_the_next_version_is_ready_and_lets_the_old_one_go()
    {
        var router = await RouterAsync();
        await TableAsync(router, Entry([1, 2], ("production", 1)));
        await AnswersAsync(router, 1);
        await PushAsync(router, Entry([1, 2], ("production", 2)));
        Assert.Equal(2, (await _host.ExpectMsgAsync<Commands.Prepare>()).Version.Version);
        await AnswersAsync(router, 1);
        _host.Send(router, new Replies.Prepared(new("m", 2), []));
        // the old one is let go a moment later, before or after the next request
        var asker = Ask(router, new PredictRequest("m", Input));
        object[] messages = [await _host.ExpectMsgAsync<object>(), await _host.ExpectMsgAsync<object>()];
        Assert.Equal(1, messages.OfType<Commands.Release>().Single().Version.Version);
        var infer = messages.OfType<Queries.Infer>().Single();
        Assert.Equal(2, infer.Version.Version);
        _host.Send(router, new Replies.Inferred(infer.Request, Served(2, 1)));
        await asker.ExpectMsgAsync<ServedPrediction>();
    }

    [Fact]
    public async Task A_version_that_can_not_be_loaded_never_gets_a_request_and_the_view_says_why()
    {
        var router = await RouterAsync();
        await TableAsync(router, Entry([1, 2], ("production", 1)));
        await AnswersAsync(router, 1);
        await PushAsync(router, Entry([1, 2], ("production", 2)));
        await _host.ExpectMsgAsync<Commands.Prepare>();
        _host.IgnoreMessages<Commands.Prepare>(_ => true);
        _host.Send(router, new Replies.Prepared(new("m", 2), [new Fault("m:2", "damaged")]));
        await AnswersAsync(router, 1);
        var view = await router.Ask<ServingRouterActor.View>(new ServingRouterActor.GetView());
        Assert.Contains("damaged", view.Failures[new("m", 2)], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_shadow_computes_the_same_request_and_only_the_difference_is_kept()
    {
        var router = await RouterAsync();
        await TableAsync(router, Entry([1, 2], ("production", 1)) with { Traffic = TrafficSpec.Default with { Shadows = ["2"] } });
        foreach (var outputs in new float[]?[] { [0.5f], [0.25f], null })
        {
            var asker = Ask(router, new PredictRequest("m", Input));
            var (shadow, real) = (await _host.ExpectMsgAsync<Queries.Infer>(), await _host.ExpectMsgAsync<Queries.Infer>());
            Assert.Equal((2, 1, PriorityLevels.Lowest), (shadow.Version.Version, real.Version.Version, shadow.Priority));
            _host.Send(router, outputs is null ? new Replies.InferFailed(shadow.Request, FailureKind.Overloaded, [], null) : new Replies.Inferred(shadow.Request, Served(2, outputs)));
            _host.Send(router, new Replies.Inferred(real.Request, Served(1, 0.5f)));
            Assert.Equal(0.5f, (await asker.ExpectMsgAsync<ServedPrediction>()).Prediction.Outputs.Span[0]);
        }
        var view = await router.Ask<ServingRouterActor.View>(new ServingRouterActor.GetView());
        Assert.Equal(new ShadowStatistics(2, 1, 0.25, 1), view.Shadows[new("m", 2)]);
    }

    [Fact]
    public async Task The_registry_hears_at_once_of_a_version_that_is_asked()
    {
        var router = await RouterAsync();
        await TableAsync(router, Entry([1, 2], ("production", 1)));
        Ask(router, new PredictRequest("m", Input) { Version = "2" });
        await _host.ExpectMsgAsync<Queries.Infer>();
        var question = (ModelProtocol.Queries.GetTable)await _registry.FishForMessageAsync(message => message is ModelProtocol.Queries.GetTable { Used.Count: > 0 });
        Assert.Equal([new ModelVersionId("m", 2)], question.Used);
    }

    [Fact]
    public async Task A_canary_that_fails_is_taken_out_with_the_reason()
    {
        var traffic = new TrafficSpec([new("production", 1), new("2", 1)]) { Rollback = new("2") { MaxErrorRate = 0.5, LeastRequests = 4 } };
        var router = await RouterAsync();
        await TableAsync(router, Entry([1, 2], ("production", 1)) with { Traffic = traffic });
        _draw = 0.9;
        for (var i = 0; i < 4; i++)
        {
            var asker = Ask(router, new PredictRequest("m", Input));
            var infer = await _host.ExpectMsgAsync<Queries.Infer>();
            Assert.Equal(2, infer.Version.Version);
            _host.Reply(new Replies.InferFailed(infer.Request, FailureKind.ComputeFailed, [new Fault("m:2", "crash")], null));
            await asker.ExpectMsgAsync<Replies.Refused>();
        }
        var set = (ModelProtocol.Commands.SetTraffic)await _registry.FishForMessageAsync(message => message is ModelProtocol.Commands.SetTraffic);
        Assert.Equal([new TrafficArm("production", 1)], set.Traffic.Arms);
        Assert.Null(set.Traffic.Rollback);
        Assert.Same(traffic, set.Instead);
        Assert.Contains("4 of 4 requests to '2' failed", set.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_that_joins_loads_what_is_in_use_while_the_others_answer()
    {
        var router = await RouterAsync();
        await TableAsync(router, Entry([1]));
        await AnswersAsync(router, 1);
        using var other = new OtherNode(this);
        await other.JoinAsync();
        Assert.Equal(new Commands.Prepare(new("m", 1)) { IfRoom = true }, await other.Asked.FishForMessageAsync(message => message is Commands.Prepare));
        for (var i = 0; i < 3; i++)
        {
            // both are asked when both have it: the one that has less to do
            var (first, second) = (Ask(router, new PredictRequest("m", Input)), Ask(router, new PredictRequest("m", Input)));
            var infers = new[] { await _host.ExpectMsgAsync<Queries.Infer>(), await _host.ExpectMsgAsync<Queries.Infer>() };
            foreach (var infer in infers)
                _host.Send(router, new Replies.Inferred(infer.Request, Served(1, 1)));
            await first.ExpectMsgAsync<ServedPrediction>();
            await second.ExpectMsgAsync<ServedPrediction>();
        }
        other.Say(new Replies.Prepared(new("m", 1), []));
        await AwaitAssertAsync(async () =>
        {
            var askers = new[] { Ask(router, new PredictRequest("m", Input)), Ask(router, new PredictRequest("m", Input)) };
            var own = await _host.ExpectMsgAsync<Queries.Infer>();
            _host.Send(router, new Replies.Inferred(own.Request, Served(1, 1)));
            var infer = (Queries.Infer)await other.Asked.FishForMessageAsync(message => message is Queries.Infer, TimeSpan.FromMilliseconds(500));
            other.Say(new Replies.Inferred(infer.Request, Served(1, 2)));
            foreach (var asker in askers)
                await asker.ExpectMsgAsync<ServedPrediction>();
        });
    }

    [Fact]
    public async Task A_node_that_is_to_have_a_model_from_now_on_gets_requests_when_it_has_it()
    {
        var router = await RouterAsync(Options with { Defaults = new() { Replicas = 1 } });
        using var other = new OtherNode(this);
        // a model that belongs to the other node as soon as that is there
        var nodes = new ReplicaBook<string>(null);
        foreach (var address in new[] { Akka.Cluster.Cluster.Get(Sys).SelfAddress.ToString(), other.Address })
            nodes.Add(address, "", address);
        var model = Enumerable.Range(0, 1000).Select(number => $"m{number}").First(name => nodes.ReplicasOf(name, 1, [])[0] == other.Address);
        await TableAsync(router, Entry([1]) with { Model = model });
        await AnsweredHereAsync();
        await other.JoinAsync();
        await other.Asked.FishForMessageAsync(message => message is Commands.Prepare);
        await AnsweredHereAsync();
        other.Say(new Replies.Prepared(new(model, 1), []));
        await AwaitAssertAsync(async () =>
        {
            Ask(router, new PredictRequest(model, Input));
            await other.Asked.FishForMessageAsync(message => message is Queries.Infer, TimeSpan.FromMilliseconds(500));
        });

        async Task AnsweredHereAsync()
        {
            var asker = Ask(router, new PredictRequest(model, Input));
            _host.Send(router, new Replies.Inferred((await _host.ExpectMsgAsync<Queries.Infer>()).Request, Served(1, 1)));
            await asker.ExpectMsgAsync<ServedPrediction>();
        }
    }

    [Fact]
    public async Task A_node_that_starts_has_caught_up_when_it_has_what_is_in_use()
    {
        var router = await RouterAsync();
        await TableAsync(router, Entry([1, 2], ("production", 2)), new ModelVersionId("m", 2), new ModelVersionId("m", 1), new ModelVersionId("gone", 1));
        Assert.Equal([new ModelVersionId("m", 2)], await AwaitedAsync());
        _host.Send(router, new Replies.Prepared(new("m", 2), []));
        Assert.Empty(await AwaitedAsync());
        // what comes to be in use later is loaded and does not count
        await PushAsync(router, Entry([1, 2], ("production", 2), ("staging", 1)));
        Ask(router, new PredictRequest("m", Input) { Version = "staging" });
        await _host.ExpectMsgAsync<Queries.Infer>();
        Assert.Empty(await AwaitedAsync());

        async Task<IReadOnlyList<ModelVersionId>> AwaitedAsync() => (await router.Ask<ServingRouterActor.View>(new ServingRouterActor.GetView())).Awaited;
    }

    [Fact]
    public async Task A_version_that_can_not_be_loaded_keeps_no_node_from_having_caught_up()
    {
        var router = await RouterAsync();
        await TableAsync(router, Entry([1]), new ModelVersionId("m", 1));
        _host.Send(router, new Replies.Prepared(new("m", 1), [new Fault("m:1", "damaged")]));
        Assert.Empty((await router.Ask<ServingRouterActor.View>(new ServingRouterActor.GetView())).Awaited);
    }

    private static ModelInput Input => new ModelInput.Raw(FakeModel.Rows("0.5"));

    private static ServedPrediction Served(int version, params float[] outputs) => new(new Prediction(new("m", version), [], outputs), "", TimeSpan.Zero, TimeSpan.Zero);

    private static ModelEntry Entry(int[] versions, params (string Label, int Version)[] labels) =>
        new("m", versions, labels.ToDictionary(label => label.Label, label => label.Version), TrafficSpec.Default);

    /// <summary>A router on a node that is up, with the probe as its own host.</summary>
    private async Task<IActorRef> RouterAsync(ServingOptions? options = null)
    {
        var cluster = Akka.Cluster.Cluster.Get(Sys);
        await cluster.JoinAsync(cluster.SelfAddress);
        var router = Sys.ActorOf(ServingRouterActor.PropsFor(_registry, _host, options ?? Options, () => _draw));
        await AwaitAssertAsync(async () => Assert.Single((await router.Ask<ServingRouterActor.View>(new ServingRouterActor.GetView())).Hosts));
        return router;
    }

    /// <summary>Answers the router's latest question.</summary>
    private async Task TableAsync(IActorRef router, ModelEntry entry, params ModelVersionId[] used)
    {
        // a question that is asked from now on can't be behind what the test sent before
        await router.Ask<ServingRouterActor.View>(new ServingRouterActor.GetView());
        var question = (ModelProtocol.Queries.GetTable)await _registry.FishForMessageAsync(message => message is ModelProtocol.Queries.GetTable && !_registry.HasMessages);
        router.Tell(new ModelProtocol.Replies.Table(question.Revision + 1, [entry]) { Question = question.Question, Used = used }, _registry);
    }

    private async Task PushAsync(IActorRef router, ModelEntry entry)
    {
        router.Tell(new ModelProtocol.Replies.Table(long.MaxValue, [entry]), _registry);
        await router.Ask<ServingRouterActor.View>(new ServingRouterActor.GetView());
    }

    private TestProbe Ask(IActorRef router, PredictRequest request)
    {
        var probe = CreateTestProbe();
        router.Tell(request, probe);
        return probe;
    }

    private async Task AnswersAsync(IActorRef router, int version)
    {
        var asker = Ask(router, new PredictRequest("m", Input));
        var infer = await _host.ExpectMsgAsync<Queries.Infer>();
        Assert.Equal(version, infer.Version.Version);
        _host.Reply(new Replies.Inferred(infer.Request, Served(version, 1)));
        await asker.ExpectMsgAsync<ServedPrediction>();
    }

    /// <summary>Another inference node: what its host is asked, and what it says.</summary>
    private sealed class OtherNode : IDisposable
    {
        private readonly ServingRouterActorTests _test;
        private readonly ActorSystem _system;
        private readonly IActorRef _host;

        public OtherNode(ServingRouterActorTests test)
        {
            _test = test;
            Asked = test.CreateTestProbe();
            _system = ActorSystem.Create(test.Sys.Name, Clustered);
            _host = _system.ActorOf(Props.Create(() => new Host(Asked)), InferenceHostActor.Name);
        }

        public TestProbe Asked { get; }

        public string Address => Akka.Cluster.Cluster.Get(_system).SelfAddress.ToString();

        public Task JoinAsync() => Akka.Cluster.Cluster.Get(_system).JoinAsync(Akka.Cluster.Cluster.Get(_test.Sys).SelfAddress);

        public void Say(object message) => _host.Tell(new Word(message));

        public void Dispose() => _system.Dispose();

        private sealed record Word(object Message);

        private sealed class Host : ReceiveActor
        {
            private IActorRef? _router;

            public Host(IActorRef asked)
            {
                Receive<Word>(word => _router!.Tell(word.Message, Self));
                ReceiveAny(message =>
                {
                    _router = Sender;
                    asked.Tell(message);
                });
            }
        }
    }
}
