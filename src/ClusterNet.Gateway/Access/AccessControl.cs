using ClusterNet.Gateway.Inference;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Gateway.Access;

/// <summary>
/// Lets a request through to its endpoint, or not. An endpoint says by <see cref="RequiredScopeAttribute"/> what a caller must be allowed to; one that says nothing wants <see cref="Scopes.Admin"/>, so that what is forgotten is
/// closed. Where there is no endpoint, any known caller is told so, and nobody else.
/// </summary>
internal sealed partial class AccessControl(RequestDelegate next, AccessSettings settings, ILogger<AccessControl> log)
{
    /// <summary>Answers one request.</summary>
    public async Task InvokeAsync(HttpContext context)
    {
        var endpoint = context.GetEndpoint();
        var declared = endpoint?.Metadata.GetMetadata<RequiredScopeAttribute>();
        if (declared is { Scope: null })
        {
            await next(context).ConfigureAwait(false);
            return;
        }
        var caller = context.User;
        // an endpoint that stands for "not this method" or "no such rpc" does nothing that could be forbidden
        var scope = endpoint is null || IsRefusal(endpoint) ? null : declared?.Scope ?? Scopes.Admin;
        var isKnown = caller.Identity is { IsAuthenticated: true } || !settings.IsRequired;
        var wrong = (await context.AuthenticateAsync().ConfigureAwait(false)).Failure;
        if (wrong is not null || !isKnown)
        {
            Unknown(log, context.Connection.RemoteIpAddress?.ToString() ?? "someone", context.Request.Method, endpoint?.DisplayName ?? "nothing");
            context.Response.Headers.WWWAuthenticate = "Bearer";
            await ErrorDocuments.WriteAsync(
                context.Response,
                StatusCodes.Status401Unauthorized,
                wrong is null ? "no credentials: send an API key (x-api-key, or Authorization: Bearer)" : "the credentials are unknown, expired or revoked").ConfigureAwait(false);
            return;
        }
        if (scope is not null && !Scopes.Has(caller, scope))
        {
            Forbidden(log, Scopes.NameOf(caller), scope, endpoint!.DisplayName ?? "");
            await ErrorDocuments.WriteAsync(context.Response, StatusCodes.Status403Forbidden, $"this needs the scope '{scope}', which these credentials don't have").ConfigureAwait(false);
            return;
        }
        await next(context).ConfigureAwait(false);
    }

    private static bool IsRefusal(Endpoint endpoint) => endpoint.DisplayName is { } name
        && (name.StartsWith("405 ", StringComparison.Ordinal) || name.StartsWith("415 ", StringComparison.Ordinal) || name.StartsWith("gRPC - Unimplemented", StringComparison.Ordinal));

    [LoggerMessage(Level = LogLevel.Information, Message = "HTTP: {From} is not known and was refused {Method} {Endpoint}")]
    private static partial void Unknown(ILogger log, string from, string method, string endpoint);

    [LoggerMessage(Level = LogLevel.Information, Message = "HTTP: {Caller} does not have the scope {Scope} and was refused {Endpoint}")]
    private static partial void Forbidden(ILogger log, string caller, string scope, string endpoint);
}
