using Akka.TestKit;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Tests.Serving;

/// <summary>The registry of models is on one node, and dies with it: for some seconds nobody answers for it, and what it was asked is lost.</summary>
public class ModelServingTests : TestKit
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly ModelEntry Entry = new("m", [], new Dictionary<string, int>(), TrafficSpec.Default);
    private readonly TestProbe _router;
    private readonly TestProbe _registry;
    private readonly ModelServing _serving;

    public ModelServingTests()
        : base(NodeConfiguration.Cluster.WithFallback(SerializationConfiguration.Config))
    {
        (_router, _registry) = (CreateTestProbe(), CreateTestProbe());
        _serving = new ModelServing(_router.Ref, _registry.Ref, new ServingOptions());
    }

    [Fact]
    public async Task Meanwhile_models_are_what_the_router_heard_last()
    {
        var versions = _serving.VersionsAsync("m");
        await _registry.ExpectMsgAsync<ModelProtocol.Queries.GetTable>(Patience);
        for (var i = 0; i < 2; i++)
        {
            await _router.ExpectMsgAsync<ServingRouterActor.GetView>(Patience);
            _router.Reply(View(isKnown: true));
        }
        Assert.Empty(await versions);
        Assert.Equal(ServingProtocol.FailureKind.UnknownModel, (await UnknownAsync()).Kind);
    }

    [Fact]
    public async Task A_router_that_has_never_heard_of_it_says_nothing_of_models_and_the_registry_is_waited_for()
    {
        var versions = _serving.VersionsAsync("m");
        await _registry.ExpectMsgAsync<ModelProtocol.Queries.GetTable>(Patience);
        await _router.ExpectMsgAsync<ServingRouterActor.GetView>(Patience);
        _router.Reply(View(isKnown: false));
        await _registry.ExpectMsgAsync<ModelProtocol.Queries.GetTable>(Patience);
        await _registry.ExpectMsgAsync<ModelProtocol.Queries.GetTable>(Patience);
        _registry.Reply(new ModelProtocol.Replies.Table(1, [Entry]));
        await _router.ExpectMsgAsync<ServingRouterActor.GetView>(Patience);
        _router.Reply(View(isKnown: true));
        Assert.Empty(await versions);
    }

    [Fact]
    public async Task A_change_that_is_lost_with_it_is_asked_for_again()
    {
        var change = _serving.SetTrafficAsync("m", TrafficSpec.Default);
        await _registry.ExpectMsgAsync<ModelProtocol.Commands.SetTraffic>(Patience);
        await _registry.ExpectMsgAsync<ModelProtocol.Commands.SetTraffic>(Patience);
        _registry.Reply(new ModelProtocol.Replies.TrafficSet("m", TrafficSpec.Default));
        await change;
    }

    private async Task<PredictionException> UnknownAsync()
    {
        var versions = _serving.VersionsAsync("another");
        await _registry.ExpectMsgAsync<ModelProtocol.Queries.GetTable>(Patience);
        await _router.ExpectMsgAsync<ServingRouterActor.GetView>(Patience);
        _router.Reply(View(isKnown: true));
        return await Assert.ThrowsAsync<PredictionException>(() => versions);
    }

    private static ServingRouterActor.View View(bool isKnown) => new(
        isKnown,
        isKnown ? [Entry] : [],
        new Dictionary<string, IReadOnlyList<(int Version, double Share)>>(),
        new Dictionary<ModelVersionId, string>(),
        new Dictionary<ModelVersionId, ShadowStatistics>(),
        [],
        []);
}
