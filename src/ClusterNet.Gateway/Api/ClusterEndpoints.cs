using System.Globalization;
using Akka.Actor;
using Akka.Cluster.Sharding;
using Akka.Hosting;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Access;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Training;
using ClusterNet.Gateway.Access;
using ClusterNet.Gateway.Audit;
using ClusterNet.Gateway.Store;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Hosting;

namespace ClusterNet.Gateway.Api;

/// <summary>The cluster by HTTP: nodes, shards, events, and where the audit log stands.</summary>
internal static class ClusterEndpoints
{
    private const string Tag = "cluster";
    private static readonly TimeSpan ShardsPatience = TimeSpan.FromSeconds(3);

    public static void MapCluster(this IEndpointRouteBuilder api)
    {
        api.MapGet("/session", (HttpContext context, AccessSettings access, GatewaySettings settings) => new SessionDocument(
                Scopes.NameOf(context.User), [.. Scopes.All.Where(scope => Scopes.Has(context.User, scope))], access.IsRequired, settings.Node))
            .WithTags("session").WithSummary("Who the caller is to this gateway").Needs(null);
        api.MapGet("/cluster", async (ICluster cluster, CancellationToken cancel) => new ClusterDocument(await NodesAsync(cluster, cancel).ConfigureAwait(false)))
            .WithTags(Tag).WithSummary("Nodes and their roles").Needs(Scopes.Operate);
        api.MapGet("/cluster/shards", async (ActorSystem system) => new ShardsDocument(await ShardsAsync(system).ConfigureAwait(false)))
            .WithTags(Tag).WithSummary("Where parameter shards and job coordinators are").Needs(Scopes.Operate);
        api.MapGet("/events", (EventFeed feed) => new EventsDocument(feed.Latest))
            .WithTags(Tag).WithSummary("The latest events").Needs(Scopes.Operate);
        api.MapGet("/events/stream", Stream)
            .WithTags(Tag).WithSummary("Events as they happen, server-sent").WithDescription("Begins behind the event that the header Last-Event-ID names, or with the latest ones.").Needs(Scopes.Operate);
        api.MapGet("/audit", (GatewayStore store) => new AuditDocument([.. AuditTable.Heads(store).Select(head => head.ToString())]))
            .WithTags("audit").WithSummary("The heads of the audit log's chains").WithDescription("Kept elsewhere, they are what 'clusternet audit verify --expect' can hold the log to later.").Needs(Scopes.Admin);
    }

    private static async Task<IReadOnlyList<NodeDocument>> NodesAsync(ICluster cluster, CancellationToken cancel) =>
        cluster is ActorCluster actors ? [.. (await actors.MembersAsync(cancel).ConfigureAwait(false)).Select(NodeDocument.Of)] : [];

    private static async Task<IReadOnlyList<ShardsOnNodeDocument>> ShardsAsync(ActorSystem system)
    {
        var actors = ActorRegistry.For(system);
        var regions = new List<ShardsOnNodeDocument>();
        if (actors.TryGet<ParameterRegion>(out var parameters))
            regions.AddRange(await OfAsync("parameters", parameters).ConfigureAwait(false));
        if (actors.TryGet<JobRegion>(out var jobs))
            regions.AddRange(await OfAsync("jobs", jobs).ConfigureAwait(false));
        return regions;
    }

    private static async Task<IEnumerable<ShardsOnNodeDocument>> OfAsync(string kind, IActorRef region)
    {
        try
        {
            var stats = await region.Ask<ClusterShardingStats>(new GetClusterShardingStats(ShardsPatience), ShardsPatience).ConfigureAwait(false);
            return stats.Regions
                .Select(node => new ShardsOnNodeDocument(kind, FormattableString.Invariant($"{node.Key.Host}:{node.Key.Port}"), node.Value.Stats.Values.Sum(), node.Value.Stats.ToDictionary()))
                .OrderBy(node => node.Address, StringComparer.Ordinal);
        }
        catch (AskTimeoutException)
        {
            throw new ClusterException($"where {kind} are is not known within {ShardsPatience.TotalSeconds:0} s: no node that has them answers");
        }
    }

    private static IResult Stream(HttpContext context, EventFeed feed, IHostApplicationLifetime host)
    {
        _ = long.TryParse(context.Request.Headers["Last-Event-ID"].ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var after);
        return feed.Follow(after, context.RequestAborted, host.ApplicationStopping) is { } events
            ? TypedResults.ServerSentEvents(events)
            : ApiFailures.Error(StatusCodes.Status503ServiceUnavailable, "too many follow the events already; try again later");
    }
}
