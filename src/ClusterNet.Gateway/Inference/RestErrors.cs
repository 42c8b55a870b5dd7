using System.Globalization;
using ClusterNet.Cluster.Serving;
using Microsoft.AspNetCore.Http;

namespace ClusterNet.Gateway.Inference;

/// <summary>Failures as HTTP has them: a status, <c>{"error": "..."}</c>, and <c>Retry-After</c> where the same request may succeed later.</summary>
internal static class RestErrors
{
    /// <summary>The status that stands for a kind of failure.</summary>
    public static int StatusOf(ServingProtocol.FailureKind kind) => kind switch
    {
        ServingProtocol.FailureKind.InvalidInput => StatusCodes.Status400BadRequest,
        ServingProtocol.FailureKind.UnknownModel => StatusCodes.Status404NotFound,
        ServingProtocol.FailureKind.Overloaded => StatusCodes.Status429TooManyRequests,
        ServingProtocol.FailureKind.DeadlineExceeded => StatusCodes.Status504GatewayTimeout,
        ServingProtocol.FailureKind.Unavailable or ServingProtocol.FailureKind.LoadFailed => StatusCodes.Status503ServiceUnavailable,
        _ => StatusCodes.Status500InternalServerError,
    };

    /// <summary>Whole seconds, at least one: HTTP knows no parts of them.</summary>
    public static long SecondsOf(TimeSpan retryAfter) => Math.Max(1, (long)Math.Ceiling(retryAfter.TotalSeconds));

    /// <summary>Answers with a failure.</summary>
    /// <param name="context">of the request</param>
    /// <param name="failure">what it was</param>
    /// <param name="message">what the caller is told</param>
    public static Task WriteAsync(HttpContext context, PredictionException failure, string message)
    {
        var retryAfter = failure.RetryAfter ?? (failure.Kind is ServingProtocol.FailureKind.Overloaded or ServingProtocol.FailureKind.Unavailable ? TimeSpan.FromSeconds(1) : null);
        if (retryAfter is { } time)
            context.Response.Headers.RetryAfter = SecondsOf(time).ToString(CultureInfo.InvariantCulture);
        return WriteAsync(context, StatusOf(failure.Kind), message);
    }

    /// <summary>Answers with an error.</summary>
    public static Task WriteAsync(HttpContext context, int status, string message)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(new { error = message }, ModelDocuments.Json, "application/json");
    }
}
