using System.Net;
using Microsoft.AspNetCore.Http;

namespace ClusterNet.Gateway;

/// <summary>
/// Where nobody has to say who he is, a page of any site that a browser on this machine shows could talk to the gateway. Requests that a browser makes for another site's page are refused, and so are those for a host name that is not
/// this machine's own (a name that an attacker's DNS points here).
/// </summary>
internal sealed class BrowserGuard(RequestDelegate next)
{
    /// <summary>Answers one request.</summary>
    public Task InvokeAsync(HttpContext context)
    {
        var request = context.Request;
        if (request.Host.HasValue && request.Host.Host is not "localhost" && !(IPAddress.TryParse(request.Host.Host, out var address) && IPAddress.IsLoopback(address)))
            return ErrorDocuments.WriteAsync(context.Response, StatusCodes.Status403Forbidden, $"authentication is off, so this gateway answers to localhost alone, not to '{request.Host.Host}'");
        var origin = request.Headers.Origin.ToString();
        return origin.Length > 0 && !(Uri.TryCreate(origin, UriKind.Absolute, out var page) && page.Authority == request.Host.Value)
            ? ErrorDocuments.WriteAsync(context.Response, StatusCodes.Status403Forbidden, $"authentication is off, so pages of other sites ('{origin}') are refused")
            : next(context);
    }
}
