using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using ClusterNet.Cluster;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Logging;
using Microsoft.Net.Http.Headers;

namespace ClusterNet.Gateway;

/// <summary>Gives every error an answer in JSON. What an exception says stays in the log.</summary>
internal sealed partial class ErrorDocuments(RequestDelegate next, ILogger<ErrorDocuments> log)
{
    private static readonly JsonSerializerOptions _json = new(JsonSerializerDefaults.Web) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Answers one request.</summary>
    public async Task InvokeAsync(HttpContext context)
    {
        try
        {
            if (UnknownCharset(context.Request) is { } charset)
                throw new BadHttpRequestException($"the body is said to be in '{charset}', which is no known encoding: send UTF-8", StatusCodes.Status415UnsupportedMediaType);
            await next(context).ConfigureAwait(false);
        }
        catch (BadHttpRequestException fault) when (!context.Response.HasStarted)
        {
            context.Response.Clear();
            await WriteAsync(context.Response, fault.StatusCode, fault.Message.TrimEnd('.')).ConfigureAwait(false);
            return;
        }
        catch (ClusterException fault) when (!context.Response.HasStarted)
        {
            // what it says of the store is for the log; the caller can't do anything about it but wait
            Unavailable(log, fault, context.Request.Path);
            context.Response.Clear();
            context.Response.Headers.RetryAfter = "1";
            await WriteAsync(context.Response, StatusCodes.Status503ServiceUnavailable, "the cluster, its store or who issues its tokens does not answer; try again later").ConfigureAwait(false);
            return;
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
            await WriteAsync(response, response.StatusCode, Explain(context)).ConfigureAwait(false);
    }

    /// <summary>Answers with an error: JSON, or to a gRPC client the status that stands for it.</summary>
    public static Task WriteAsync(HttpResponse response, int status, string message)
    {
        if (IsGrpc(response.HttpContext.Request))
        {
            // a gRPC client reads its status from the headers where there is no body, and nothing else
            response.StatusCode = StatusCodes.Status200OK;
            response.ContentType = "application/grpc";
            response.Headers["grpc-status"] = GrpcStatus(status).ToString(CultureInfo.InvariantCulture);
            response.Headers["grpc-message"] = Uri.EscapeDataString(message);
            return Task.CompletedTask;
        }
        response.StatusCode = status;
        return response.WriteAsJsonAsync(new { error = message }, _json, "application/json");
    }

    /// <summary>The document itself, where there is no response to write to.</summary>
    public static byte[] Utf8(string message) => JsonSerializer.SerializeToUtf8Bytes(new { error = message }, _json);

    /// <summary>Whether a request comes from a gRPC client.</summary>
    public static bool IsGrpc(HttpRequest request) => request.ContentType?.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) == true;

    /// <summary>The encoding of a request's body where nobody could read it; ASP.NET Core would call that an error of its own.</summary>
    private static string? UnknownCharset(HttpRequest request)
    {
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var type) || !type.Charset.HasValue)
            return null;
        var charset = HeaderUtilities.RemoveQuotes(type.Charset).ToString();
        try
        {
            _ = Encoding.GetEncoding(charset);
            return null;
        }
        catch (Exception exception) when (exception is ArgumentException or NotSupportedException)
        {
            return charset;
        }
    }

    private static string Explain(HttpContext context)
    {
        var (request, status) = (context.Request, context.Response.StatusCode);
        return status switch
        {
            StatusCodes.Status404NotFound => $"there is nothing at {request.Method} {request.Path}",
            StatusCodes.Status405MethodNotAllowed => $"{request.Path} does not take {request.Method}; it takes {context.Response.Headers.Allow}",
            StatusCodes.Status413PayloadTooLarge => "the body is larger than is taken here",
            StatusCodes.Status415UnsupportedMediaType => $"{request.Path} does not take a body of the type '{request.ContentType}'",
            StatusCodes.Status500InternalServerError => "an internal error; the node's log says more",
            _ => ReasonPhrases.GetReasonPhrase(status),
        };
    }

    // https://github.com/grpc/grpc/blob/master/doc/statuscodes.md gives the numbers
    private static int GrpcStatus(int status) => status switch
    {
        StatusCodes.Status400BadRequest or StatusCodes.Status415UnsupportedMediaType => 3,
        StatusCodes.Status401Unauthorized => 16,
        StatusCodes.Status403Forbidden => 7,
        StatusCodes.Status404NotFound or StatusCodes.Status405MethodNotAllowed => 12,
        StatusCodes.Status413PayloadTooLarge or StatusCodes.Status429TooManyRequests => 8,
        StatusCodes.Status503ServiceUnavailable => 14,
        StatusCodes.Status504GatewayTimeout => 4,
        _ => 13,
    };

    [LoggerMessage(Level = LogLevel.Warning, Message = "HTTP request of {Path} was put off")]
    private static partial void Unavailable(ILogger log, Exception exception, PathString path);

    [LoggerMessage(Level = LogLevel.Error, Message = "HTTP request of {Path} failed")]
    private static partial void Failed(ILogger log, Exception exception, PathString path);
}
