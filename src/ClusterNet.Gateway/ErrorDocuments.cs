using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Gateway;

/// <summary>Gives every error an answer in JSON. What an exception says stays in the log.</summary>
internal sealed partial class ErrorDocuments(RequestDelegate next, ILogger<ErrorDocuments> log)
{
    /// <summary>Answers one request.</summary>
    public async Task InvokeAsync(HttpContext context)
    {
        try
        {
            await next(context).ConfigureAwait(false);
        }
        catch (BadHttpRequestException fault) when (!context.Response.HasStarted)
        {
            context.Response.Clear();
            context.Response.StatusCode = fault.StatusCode;
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            return;
        }
#pragma warning disable CA1031 // the last stop before the caller
        catch (Exception exception) when (!context.Response.HasStarted)
#pragma warning restore CA1031
        {
            Failed(log, exception, context.Request.Path);
            context.Response.Clear();
            context.Response.StatusCode = StatusCodes.Status500InternalServerError;
        }
        var response = context.Response;
        if (response.StatusCode >= StatusCodes.Status400BadRequest && !response.HasStarted && response.ContentType is null)
            await WriteAsync(response, response.StatusCode, ReasonPhrases.GetReasonPhrase(response.StatusCode)).ConfigureAwait(false);
    }

    /// <summary>Writes an error as JSON.</summary>
    public static Task WriteAsync(HttpResponse response, int status, string message)
    {
        response.StatusCode = status;
        return response.WriteAsJsonAsync(new { error = new { status, message } }, (JsonSerializerOptions?)null, "application/json");
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "HTTP request of {Path} failed")]
    private static partial void Failed(ILogger log, Exception exception, PathString path);
}
