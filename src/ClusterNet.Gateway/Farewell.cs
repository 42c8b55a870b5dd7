using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace ClusterNet.Gateway;

/// <summary>
/// How a gateway stops without losing a request: it takes nobody new, tells who is connected with the next answer to go elsewhere, and closes what is silent then. Kestrel alone closes silent connections at once, also where a request is just on its way:
/// its caller can't know whether it has been answered.
/// </summary>
internal sealed class Farewell
{
    private volatile bool _isSaid;

    /// <summary>Says so to callers by HTTP/1; HTTP/2 has its own words, and its callers know what was not taken.</summary>
    public Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        if (_isSaid && HttpProtocol.IsHttp11(context.Request.Protocol))
            context.Response.Headers.Connection = "close";
        return next(context);
    }

    /// <summary>Says it, until all have gone or the time is up.</summary>
    public async Task SayAsync(IServiceProvider services, TimeSpan time)
    {
        _isSaid = true;
        using var patience = new CancellationTokenSource(time);
        try
        {
            await (await services.GetServices<IConnectionListenerFactory>().OfType<HeldConnections>().Single().UnbindAsync(patience.Token).ConfigureAwait(false)).WaitAsync(patience.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // who has said nothing meanwhile is not likely to do so in this moment
        }
    }
}
