using ClusterNet.Gateway.Inference;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace ClusterNet.Gateway.Dashboard;

/// <summary>
/// The dashboard: <c>/</c> and what it loads from <c>/dashboard</c>. The files hold no data and are for anyone; what they show comes from <c>/api</c> and <c>/v2</c> with the rights of whoever looks.
/// </summary>
internal static class DashboardHosting
{
    private const string Page = "index.html";

    // nothing from elsewhere, no script or style but those files, and no page of another site around it; charts are drawn, so pictures are needed for nothing but the page's icon
    private const string Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    /// <summary>Maps it.</summary>
    public static void MapDashboard(this IEndpointRouteBuilder endpoints)
    {
        var assets = DashboardAsset.All();
        Map("/", assets[Page]);
        foreach (var asset in assets.Values)
            Map($"/dashboard/{asset.Name}", asset);

        void Map(string path, DashboardAsset asset) => endpoints.MapMethods(path, [HttpMethods.Get, HttpMethods.Head], context => WriteAsync(context, asset))
            .WithMetadata(new RequiredScopeAttribute(null)).ExcludeFromDescription();
    }

    private static async Task WriteAsync(HttpContext context, DashboardAsset asset)
    {
        var (request, response) = (context.Request, context.Response);
        var headers = response.Headers;
        headers.ContentSecurityPolicy = Policy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers.CacheControl = "no-cache";
        headers.ETag = asset.Tag;
        headers.Vary = "Accept-Encoding";
        if (request.Headers.IfNoneMatch.ToString().Split(',', StringSplitOptions.TrimEntries).Contains(asset.Tag))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }
        var isZipped = request.Headers.AcceptEncoding.ToString().Contains("gzip", StringComparison.OrdinalIgnoreCase);
        var bytes = isZipped ? asset.Zipped : asset.Bytes;
        if (isZipped)
            headers.ContentEncoding = "gzip";
        response.ContentType = asset.ContentType;
        response.ContentLength = bytes.Length;
        if (!HttpMethods.IsHead(request.Method))
            await response.Body.WriteAsync(bytes, context.RequestAborted).ConfigureAwait(false);
    }
}
