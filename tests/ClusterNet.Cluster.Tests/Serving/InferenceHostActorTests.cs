using Akka.Actor;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Tests.Models;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Tests.Serving;

/// <summary>Versions come and go in a node's memory, and no request is lost on the way.</summary>
public sealed class InferenceHostActorTests : TestKit
{
    private static readonly float[] Weights = [1, 2, 3];
    private static readonly ModelProtocol.StoredVersion First = Samples.Stored("tumor", 1, "tumor-1", Weights);
    private static readonly ModelProtocol.StoredVersion Second = Samples.Stored("tumor", 2, "tumor-2", Weights);
    private static readonly ServingSettings Quick = new() { CheckInterval = TimeSpan.FromMilliseconds(20), RetryLoadAfter = TimeSpan.FromMilliseconds(20) };

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly FakeModel _model = new();
    private readonly TestProbe _registry;
    private volatile bool _deleted;

    public InferenceHostActorTests()
        : base(TestStore.Config)
    {
        _registry = CreateTestProbe();
        _registry.SetAutoPilot(new DelegateAutoPilot((sender, message) =>
        {
            if (_deleted && message is ModelProtocol.IModelMessage)
                sender.Tell(new ModelProtocol.Replies.Unknown(new Fault("version", "was deleted")));
            else if (message is ModelProtocol.Queries.Find find)
                sender.Tell(new ModelProtocol.Replies.Found(find.Version == 1 ? First : Second));
            else if (message is ModelProtocol.Queries.IsThere asked)
                sender.Tell(new ModelProtocol.Replies.There(asked.Version));
            return AutoPilot.KeepRunning;
        }));
    }

    [Fact]
    public async Task Each_version_is_loaded_once_and_answers_for_itself()
    {
        await Save(First);
        await Save(Second);
        var host = Start(new ServingSettings());
        Assert.Equal(First.Version.Id, (await Predict<Prediction>(host)).Version);
        Assert.Equal(Second.Version.Id, (await Predict<Prediction>(host, Second)).Version);
        Assert.Equal(First.Version.Id, (await Predict<Prediction>(host)).Version);
        Assert.Equal(2, _model.Loads);
    }

    [Fact]
    public async Task A_version_that_nobody_asks_for_is_let_go_and_loaded_again_when_somebody_does()
    {
        await Save(First);
        var host = Start(Quick with { IdleAfter = TimeSpan.FromMilliseconds(60) });
        await Predict<Prediction>(host);
        await AwaitAssertAsync(() => Assert.Equal(1, _model.Disposals));
        await Predict<Prediction>(host);
        Assert.Equal(2, _model.Loads);
    }

    [Fact]
    public async Task Requests_that_cross_with_a_retirement_are_answered()
    {
        await Save(First);
        var host = Start(Quick with { CheckInterval = TimeSpan.FromMilliseconds(2), IdleAfter = TimeSpan.Zero });
        for (var i = 0; i < 300; i++)
            await Predict<Prediction>(host);
        Assert.True(_model.Loads > 1, "no retirement took place");
    }

    [Fact]
    public async Task A_version_that_could_not_be_loaded_is_tried_again_later()
    {
        var host = Start(Quick);
        Assert.Equal(FailureKind.LoadFailed, (await Predict<Replies.PredictFailed>(host)).Kind);
        await Save(First);
        await AwaitAssertAsync(async () => await Predict<Prediction>(host));
    }

    [Fact]
    public async Task A_version_that_is_deleted_while_in_memory_is_soon_unknown()
    {
        await Save(First);
        var host = Start(Quick);
        await Predict<Prediction>(host);
        _deleted = true;
        await AwaitAssertAsync(async () => Assert.Equal(FailureKind.UnknownModel, (await Predict<Replies.PredictFailed>(host)).Kind));
        await AwaitAssertAsync(() => Assert.Equal(1, _model.Disposals));
    }

    [Fact]
    public async Task An_actor_of_a_version_that_crashes_itself_is_there_again()
    {
        await Save(First);
        var host = Start(new ServingSettings());
        await Predict<Prediction>(host);
        _model.Hold();
        var asker = CreateTestProbe();
        host.Tell(new Queries.Predict(First.Version.Id, FakeModel.Rows("0")), asker);
        Assert.True(await _model.Begun.WaitAsync(Patience));
        Assert.True(await _model.Begun.WaitAsync(Patience));
        Sys.ActorSelection(host.Path / "*").Tell(Kill.Instance);
        _model.LetGo();
        Assert.Equal(FailureKind.Unavailable, (await asker.ExpectMsgAsync<Replies.PredictFailed>()).Kind);
        await AwaitAssertAsync(async () => await Predict<Prediction>(host));
    }

    [Theory]
    [InlineData(1, long.MaxValue)]
    [InlineData(256, 0)]
    public async Task Beyond_the_bounds_the_version_that_was_not_asked_for_longest_is_let_go_and_everybody_is_answered(int versions, long bytes)
    {
        await Save(First);
        await Save(Second);
        var host = Sys.ActorOf(InferenceHostActor.PropsFor((version, gauge) => InferenceActor.PropsFor(version, _registry, _model.Loader, new ServingSettings(), gauge), new HostBounds(versions, bytes)));
        await Predict<Prediction>(host);
        await Predict<Prediction>(host);
        Assert.Equal((1, 0), (_model.Loads, _model.Disposals));
        for (var turn = 1; turn <= 20; turn++)
        {
            var asked = turn % 2 == 0 ? First : Second;
            Assert.Equal(asked.Version.Id, (await Predict<Prediction>(host, asked)).Version);
            Assert.Equal(asked.Version.Id, (await Predict<Prediction>(host, asked)).Version);
        }
        Assert.Equal(21, _model.Loads);
        await AwaitAssertAsync(() => Assert.Equal(20, _model.Disposals));
    }

    [Theory]
    [InlineData(1, long.MaxValue)]
    [InlineData(256, 12)]
    public async Task What_is_loaded_if_there_is_room_takes_nobodys_place_and_gives_its_own(int versions, long bytes)
    {
        await Save(First);
        await Save(Second);
        var host = Sys.ActorOf(InferenceHostActor.PropsFor((version, gauge) => InferenceActor.PropsFor(version, _registry, _model.Loader, new ServingSettings(), gauge), new HostBounds(versions, bytes)));
        async Task<IReadOnlyList<Fault>> PrepareAsync(ModelProtocol.StoredVersion stored)
        {
            host.Tell(new Commands.Prepare(stored.Version.Id) { IfRoom = true }, TestActor);
            var prepared = await ExpectMsgAsync<Replies.Prepared>();
            Assert.Equal(stored.Version.Id, prepared.Version);
            return prepared.Faults;
        }

        Assert.Empty(await PrepareAsync(First));
        Assert.NotEmpty(await PrepareAsync(Second));
        Assert.NotEmpty(await PrepareAsync(Second));
        Assert.Equal((1, 0), (_model.Loads, _model.Disposals));
        // one that is asked does
        Assert.Equal(Second.Version.Id, (await Predict<Prediction>(host, Second)).Version);
        await AwaitAssertAsync(() => Assert.Equal((2, 1), (_model.Loads, _model.Disposals)));
        Assert.NotEmpty(await PrepareAsync(First));
        Assert.Equal(2, _model.Loads);
    }

    [Fact]
    public async Task Who_asks_if_there_is_room_is_told_however_soon_it_is_known_that_there_is_none()
    {
        var host = Sys.ActorOf(InferenceHostActor.PropsFor((version, _) => Props.Create(() => new Hasty(version)), new HostBounds(256, Hasty.Bytes)));
        host.Tell(new Commands.Prepare(First.Version.Id), TestActor);
        Assert.Equal(First.Version.Id, (await ExpectMsgAsync<Replies.Prepared>()).Version);
        host.Tell(new Commands.Prepare(Second.Version.Id) { IfRoom = true }, TestActor);
        Assert.Equal(Second.Version.Id, (await ExpectMsgAsync<Replies.Prepared>()).Version);
    }

    private async Task Save(ModelProtocol.StoredVersion stored)
    {
        var probe = CreateTestProbe();
        probe.ChildActorOf(WeightsPartActor.PropsForSave(stored.Version.Id, stored.Parts[0], Samples.Payload(Weights)));
        await probe.ExpectMsgAsync<WeightsProtocol.Saved>();
    }

    private IActorRef Start(ServingSettings settings) => Sys.ActorOf(InferenceHostActor.PropsFor(_registry, _model.Loader, settings), InferenceHostActor.Name);

    private async Task<T> Predict<T>(IActorRef host, ModelProtocol.StoredVersion? stored = null)
    {
        var probe = CreateTestProbe();
        host.Tell(new Queries.Predict((stored ?? First).Version.Id, FakeModel.Rows("0.5")), probe);
        return await probe.ExpectMsgAsync<T>();
    }

    /// <summary>Reads what it is asked only when the host has heard how much it takes, and has decided.</summary>
    private sealed class Hasty : ReceiveActor
    {
        public const long Bytes = 12;
        private readonly ModelVersionId _version;

        public Hasty(ModelVersionId version)
        {
            _version = version;
            Receive<Commands.Prepare>(_ => Sender.Tell(new Replies.Prepared(version, [])));
            Receive<InferenceActor.Room>(_ => { });
        }

        protected override void PreStart()
        {
            Context.Parent.Tell(new InferenceActor.Takes(_version, Bytes));
            Context.Parent.Ask<Replies.Status>(new Queries.GetStatus()).Wait(Patience);
        }
    }
}
