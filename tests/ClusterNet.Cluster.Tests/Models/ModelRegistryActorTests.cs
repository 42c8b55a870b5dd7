using Akka.Actor;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Models;
using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Models.ModelProtocol;

namespace ClusterNet.Cluster.Tests.Models;

/// <summary>What the registry has answered survives it, and what the store did not take is never answered as done.</summary>
public sealed class ModelRegistryActorTests : TestKit
{
    private static readonly JobId Job = new("tumor-1");
    private static readonly ModelVersionId Version = new("tumor", 1);
    private IActorRef _registry;

    public ModelRegistryActorTests()
        : base(TestStore.Config) => _registry = Sys.ActorOf(ModelRegistryActor.PropsFor());

    private TestStore Store => TestStore.Of(Sys);

    [Fact]
    public async Task What_was_answered_is_there_after_a_restart()
    {
        await RegisterOne();
        await Restart();
        Assert.Equal(Version, (await Ask<Replies.Reserved>(new Commands.Reserve("tumor", Job))).Version);
        Assert.Equal(Version, (await Ask<Replies.Found>(new Queries.Find("tumor", null))).Stored.Version.Id);
        Assert.Equal(Version, Assert.Single((await Ask<Replies.Models>(new Queries.List())).Versions).Id);
        Assert.Equal(2, (await Ask<Replies.Reserved>(new Commands.Reserve("tumor", new JobId("tumor-2")))).Version.Version);
    }

    [Fact]
    public async Task A_deleted_version_takes_its_weights_with_it()
    {
        await RegisterOne();
        await Ask<Replies.Deleted>(new Commands.Delete("tumor", 1));
        Assert.IsType<WeightsProtocol.LoadFailed>(await LoadPart());
        await Restart();
        await Ask<Replies.Unknown>(new Queries.Find("tumor", 1));
        Assert.Equal(2, (await Ask<Replies.Reserved>(new Commands.Reserve("tumor", new JobId("tumor-2")))).Version.Version);
    }

    [Fact]
    public async Task A_version_is_in_use_while_a_router_says_so()
    {
        await RegisterOne();
        var (router, other) = (CreateTestProbe(), CreateTestProbe());
        await SayAsync(router, 1, Version);
        await SayAsync(other, 1);
        Assert.Contains("is in use", Assert.Single((await Ask<Replies.Refused>(new Commands.Delete("tumor", 1))).Faults).Message, StringComparison.Ordinal);
        // the others are told
        Assert.Equal([Version], await SayAsync(other, 2));
        Assert.Empty(await SayAsync(router, 2));
        await Ask<Replies.Deleted>(new Commands.Delete("tumor", 1));

        async Task<IReadOnlyList<ModelVersionId>> SayAsync(TestProbe asker, long question, params ModelVersionId[] used)
        {
            _registry.Tell(new Queries.GetTable(-1) { Question = question, Used = used }, asker);
            return (await asker.ExpectMsgAsync<Replies.Table>()).Used;
        }
    }

    [Fact]
    public async Task Weights_that_the_store_would_not_delete_are_deleted_at_the_next_start()
    {
        await RegisterOne();
        Store.FailSnapshots = "weights-";
        await Ask<Replies.Deleted>(new Commands.Delete("tumor", null));
        Store.FailSnapshots = null;
        Assert.IsType<WeightsProtocol.Loaded>(await LoadPart());
        await Restart();
        await AwaitAssertAsync(async () => Assert.IsType<WeightsProtocol.LoadFailed>(await LoadPart()));
    }

    [Fact]
    public async Task A_command_that_the_store_does_not_take_fails_at_once_and_the_registry_stops()
    {
        Store.FailWrites = nameof(Events.VersionReserved);
        await WatchAsync(_registry);
        _registry.Tell(new Commands.Reserve("tumor", Job));
        var failure = await ExpectMsgAsync<Status.Failure>();
        Assert.Equal("the store did not take the registry's VersionReserved: the disk is full", Assert.IsType<ClusterException>(failure.Cause).Message);
        await ExpectTerminatedAsync(_registry);
    }

    [Fact]
    public async Task The_supervised_registry_is_back_after_its_store_failed()
    {
        _registry = Sys.ActorOf(ModelHosting.SupervisedProps(TimeSpan.FromMilliseconds(20)));
        Store.FailWrites = nameof(Events.VersionReserved);
        await Ask<Status.Failure>(new Commands.Reserve("tumor", Job));
        Store.FailWrites = null;
        await AwaitAssertAsync(async () => await Ask<Replies.Reserved>(new Commands.Reserve("tumor", Job)));
    }

    [Fact]
    public async Task A_deletion_that_the_store_does_not_take_deletes_nothing()
    {
        await RegisterOne();
        Store.FailWrites = nameof(Events.VersionDeleted);
        await Ask<Status.Failure>(new Commands.Delete("tumor", null));
        Store.FailWrites = null;
        await Restart();
        await Ask<Replies.Found>(new Queries.Find("tumor", 1));
        Assert.IsType<WeightsProtocol.Loaded>(await LoadPart());
    }

    private async Task RegisterOne()
    {
        var probe = CreateTestProbe();
        probe.ChildActorOf(WeightsPartActor.PropsForSave(Version, new(0, 3), Samples.Payload(1, 2, 3)));
        await probe.ExpectMsgAsync<WeightsProtocol.Saved>();
        await Ask<Replies.Reserved>(new Commands.Reserve("tumor", Job));
        await Ask<Replies.Registered>(new Commands.Register(Samples.Stored("tumor", 1, Job.Value)));
    }

    private async Task<object> LoadPart()
    {
        var probe = CreateTestProbe();
        probe.ChildActorOf(WeightsPartActor.PropsForLoad(Version, new(0, 3)));
        return await probe.ExpectMsgAsync<WeightsProtocol.IPartMessage>();
    }

    private Task<T> Ask<T>(object message)
    {
        var probe = CreateTestProbe();
        _registry.Tell(message, probe);
        return probe.ExpectMsgAsync<T>().AsTask();
    }

    private async Task Restart()
    {
        await WatchAsync(_registry);
        Sys.Stop(_registry);
        await FishForMessageAsync<Terminated>(terminated => terminated.ActorRef.Equals(_registry));
        _registry = Sys.ActorOf(ModelRegistryActor.PropsFor());
    }
}
