using System.Text.Json;
using Akka.Actor;
using ClusterNet.Gateway.Inference;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ClusterNet.Gateway.Health;

/// <summary>
/// <c>/health/live</c>: the process answers and its actor system has not ended; a node that is not live should be started again. <c>/health/ready</c>: it can do its part of the cluster's work; one that is not
/// ready may well become so by itself. 200 or 503, and JSON with each check's reason.
/// </summary>
internal static class HealthEndpoints
{
    private const string LiveTag = "live";
    private const string ReadyTag = "ready";

    public static IServiceCollection AddNodeHealth(this IServiceCollection services, EndpointSettings settings, ActorSystem system)
    {
        services.AddHealthChecks()
            .Add(Check("process", new ProcessCheck(system), LiveTag))
            .Add(Check("membership", new MembershipCheck(system), ReadyTag))
            .Add(Check("store", new StoreCheck(system, settings.Roles, settings.CheckTimeout), ReadyTag))
            .Add(Check("placement", new PlacementCheck(system, settings.Roles, settings.CheckTimeout), ReadyTag));
        return services;
    }

    public static void MapNodeHealth(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapHealthChecks("/health/live", Options(LiveTag)).WithMetadata(new RequiredScopeAttribute(null));
        endpoints.MapHealthChecks("/health/ready", Options(ReadyTag)).WithMetadata(new RequiredScopeAttribute(null));
    }

    private static HealthCheckRegistration Check(string name, IHealthCheck check, string tag) => new(name, check, HealthStatus.Unhealthy, [tag]);

    private static HealthCheckOptions Options(string tag) => new()
    {
        Predicate = registration => registration.Tags.Contains(tag),
        ResponseWriter = WriteAsync,
        AllowCachingResponses = false,
    };

    private static Task WriteAsync(HttpContext context, HealthReport report) => context.Response.WriteAsJsonAsync(
        new
        {
            status = WordFor(report.Status),
            checks = report.Entries.ToDictionary(
                entry => entry.Key,
                entry => new { status = WordFor(entry.Value.Status), reason = entry.Value.Description ?? (entry.Value.Exception is null ? "" : "the check itself failed; the node's log says why") }),
        },
        (JsonSerializerOptions?)null,
        "application/json");

    private static string WordFor(HealthStatus status) => status == HealthStatus.Healthy ? "healthy" : "unhealthy";
}
