using System.Diagnostics;
using ClusterNet.Gateway.Access;
using ClusterNet.Gateway.Audit;
using ClusterNet.Gateway.Inference;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace ClusterNet.Gateway.Api;

/// <summary>An administrative act: in the audit log before it begins and when it has ended.</summary>
/// <param name="Action">such as <c>models.delete</c></param>
internal sealed record ActMetadata(string Action);

/// <summary>What routes say of themselves: who may call them, and whether they change something.</summary>
internal static class AuditedActs
{
    private static readonly string[] _subjects = ["job", "model", "id", "region"];

    /// <summary>Callers need a scope.</summary>
    public static RouteHandlerBuilder Needs(this RouteHandlerBuilder route, string? scope) => route.WithMetadata(new RequiredScopeAttribute(scope));

    /// <summary>Callers need a scope, and each call is an act.</summary>
    public static RouteHandlerBuilder Act(this RouteHandlerBuilder route, string action, string scope) => route.Needs(scope).WithMetadata(new ActMetadata(action));

    /// <summary>Writes acts down: one that can't be written down does not happen.</summary>
    /// <param name="log">null where nothing is audited</param>
    /// <param name="feed">those who look on</param>
    /// <param name="clock">for the moments</param>
    public static Func<EndpointFilterInvocationContext, EndpointFilterDelegate, ValueTask<object?>> Filter(AuditLog? log, EventFeed feed, TimeProvider clock) => async (call, next) =>
    {
        var context = call.HttpContext;
        if (context.GetEndpoint()?.Metadata.GetMetadata<ActMetadata>() is not { } act)
            return await next(call).ConfigureAwait(false);
        var entry = EntryOf(context, act.Action, clock.GetUtcNow());
        if (log is not null)
            await log.AppendAsync(entry with { Outcome = "begun" }).ConfigureAwait(false);
        var outcome = "failed";
        try
        {
            var result = await next(call).ConfigureAwait(false);
            outcome = (result as IStatusCodeHttpResult)?.StatusCode is >= StatusCodes.Status400BadRequest ? "refused" : "done";
            if (context.Items.TryGetValue(typeof(AuditedActs), out var subject) && subject is string found)
                entry = entry with { Subject = AuditRecord.Clean(found) };
            return result;
        }
        finally
        {
            if (log is not null)
                await log.AppendAsync(entry with { At = clock.GetUtcNow(), Outcome = outcome }).ConfigureAwait(false);
            feed.Add("act", entry.Subject, $"{entry.Actor}: {act.Action} {entry.Subject} ({outcome})");
        }
    };

    /// <summary>The same for acts of the inference protocol, REST and gRPC: loading and unloading. A gRPC call tells in its body what it is about, so only the call is written down.</summary>
    public static Func<HttpContext, RequestDelegate, Task> OfProtocol(AuditLog log, EventFeed feed, TimeProvider clock) => async (context, next) =>
    {
        var metadata = context.GetEndpoint()?.Metadata;
        if (metadata?.GetMetadata<RequiredScopeAttribute>() is not { Scope: Scopes.Operate } || metadata.GetMetadata<ActMetadata>() is not null || !HttpMethods.IsPost(context.Request.Method))
        {
            await next(context).ConfigureAwait(false);
            return;
        }
        var entry = EntryOf(context, AuditRecord.Clean(context.Request.Path.Value ?? ""), clock.GetUtcNow());
        try
        {
            await log.AppendAsync(entry with { Outcome = "begun" }).ConfigureAwait(false);
        }
        catch (Cluster.ClusterException error)
        {
            await ErrorDocuments.WriteAsync(context.Response, StatusCodes.Status503ServiceUnavailable, error.Message).ConfigureAwait(false);
            return;
        }
        var outcome = "failed";
        try
        {
            await next(context).ConfigureAwait(false);
            outcome = context.Response.StatusCode >= StatusCodes.Status400BadRequest ? "refused" : "done";
        }
        finally
        {
            await log.AppendAsync(entry with { At = clock.GetUtcNow(), Outcome = outcome }).ConfigureAwait(false);
            feed.Add("act", entry.Subject, $"{entry.Actor}: {entry.Action} ({outcome})");
        }
    };

    /// <summary>What an act was about, where that is known only after it.</summary>
    public static void About(HttpContext context, string subject) => context.Items[typeof(AuditedActs)] = subject;

    private static AuditEntry EntryOf(HttpContext context, string action, DateTimeOffset now)
    {
        var values = context.Request.RouteValues;
        var subject = _subjects.Select(name => values.TryGetValue(name, out var value) ? value as string : null).FirstOrDefault(value => value is not null) ?? "";
        if (values.TryGetValue("version", out var version))
            subject = $"{subject}:{version}";
        if (values.TryGetValue("label", out var label))
            subject = $"{subject}:{label}";
        return new AuditEntry(now, AuditRecord.Clean(Scopes.NameOf(context.User)), action, AuditRecord.Clean(subject), "")
        {
            Client = context.Connection.RemoteIpAddress?.ToString(),
            Trace = Activity.Current?.TraceId.ToHexString(),
        };
    }
}
