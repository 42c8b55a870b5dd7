using System.Globalization;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Faults;
using Microsoft.AspNetCore.Http;

namespace ClusterNet.Gateway.Api;

/// <summary>What goes wrong in an endpoint of <c>/api</c>, as an answer.</summary>
internal static class ApiFailures
{
    // places that name a thing which may not be there; all others name what is wrong in a request
    private static readonly string[] _things = ["job", "model", "version", "key", "label"];

    /// <summary>Turns exceptions into answers.</summary>
    public static async ValueTask<object?> FilterAsync(EndpointFilterInvocationContext call, EndpointFilterDelegate next)
    {
        try
        {
            return await next(call).ConfigureAwait(false);
        }
        catch (InputException error)
        {
            var isMissing = error.Faults is [{ } only] && _things.Contains(only.Place, StringComparer.OrdinalIgnoreCase) && only.Message.StartsWith("there is no", StringComparison.Ordinal);
            return Error(isMissing ? StatusCodes.Status404NotFound : StatusCodes.Status400BadRequest, string.Join("; ", error.Faults));
        }
        catch (PredictionException error)
        {
            if (error.RetryAfter is { } wait)
                call.HttpContext.Response.Headers.RetryAfter = Math.Max(1, (int)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
            return Error(StatusOf(error.Kind), error.Message);
        }
        catch (ClusterException error)
        {
            call.HttpContext.Response.Headers.RetryAfter = "1";
            return Error(StatusCodes.Status503ServiceUnavailable, error.Message);
        }
    }

    /// <summary>An error as all of them look.</summary>
    public static IResult Error(int status, string message) => Results.Json(new ErrorDocument(message), statusCode: status);

    private static int StatusOf(ServingProtocol.FailureKind kind) => kind switch
    {
        ServingProtocol.FailureKind.InvalidInput => StatusCodes.Status400BadRequest,
        ServingProtocol.FailureKind.UnknownModel => StatusCodes.Status404NotFound,
        ServingProtocol.FailureKind.Overloaded => StatusCodes.Status429TooManyRequests,
        ServingProtocol.FailureKind.DeadlineExceeded => StatusCodes.Status504GatewayTimeout,
        ServingProtocol.FailureKind.Unavailable or ServingProtocol.FailureKind.LoadFailed => StatusCodes.Status503ServiceUnavailable,
        _ => StatusCodes.Status500InternalServerError,
    };
}
