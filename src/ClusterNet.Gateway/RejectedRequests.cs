using System.Diagnostics;
using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.WebUtilities;

namespace ClusterNet.Gateway;

/// <summary>
/// An answer in JSON for what Kestrel refuses before any middleware sees it: request lines and headers that are none, too long or too slow. Kestrel answers them with a status alone and has no place for a body; but it says so by its
/// documented diagnostic event before it writes, and closes the connection after it has. So the answer is written at the event, and what Kestrel writes after that is let go.
/// </summary>
internal static class RejectedRequests
{
    private const string Event = "Microsoft.AspNetCore.Server.Kestrel.BadRequest";

    /// <summary>Listens to Kestrel. Once for each server.</summary>
    public static void Follow(DiagnosticListener kestrel) => kestrel.Subscribe(new Rejections(), (name, _, _) => name == Event);

    /// <summary>Lets a connection have its answer from here; the last middleware of connections, after TLS.</summary>
    public static ConnectionDelegate Answer(ConnectionDelegate next) => async connection =>
    {
        var transport = connection.Transport;
        var output = new Output(transport.Output);
        connection.Transport = new Duplex(transport.Input, output);
        connection.Features.Set(output);
        try
        {
            await next(connection).ConfigureAwait(false);
        }
        finally
        {
            connection.Transport = transport;
        }
    };

    private static byte[] ResponseTo(IFeatureCollection request, Exception fault)
    {
        var status = (fault as BadHttpRequestException)?.StatusCode ?? StatusCodes.Status400BadRequest;
        var body = ErrorDocuments.Utf8(fault.Message.TrimEnd('.'));
        var head = $"HTTP/1.1 {status} {ReasonPhrases.GetReasonPhrase(status)}\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\nConnection: close\r\nDate: {DateTimeOffset.UtcNow:R}\r\n\r\n";
        // the method is known where the request line could be read
        return HttpMethods.IsHead(request.Get<IHttpRequestFeature>()?.Method ?? "") ? Encoding.ASCII.GetBytes(head) : [.. Encoding.ASCII.GetBytes(head), .. body];
    }

    private sealed class Rejections : IObserver<KeyValuePair<string, object?>>
    {
        public void OnNext(KeyValuePair<string, object?> value)
        {
            if (value.Value is IFeatureCollection request && request.Get<IBadRequestExceptionFeature>()?.Error is { } fault && request.Get<IHttpResponseFeature>() is { HasStarted: false })
                request.Get<Output>()?.Replace(ResponseTo(request, fault));
        }

        public void OnCompleted()
        {
        }

        public void OnError(Exception error)
        {
        }
    }

    private sealed record Duplex(PipeReader Input, PipeWriter Output) : IDuplexPipe;

    /// <summary>A connection's output, until it has its last words.</summary>
    private sealed class Output(PipeWriter connection) : PipeWriter
    {
        private byte[]? _letGo;

        public override bool CanGetUnflushedBytes => connection.CanGetUnflushedBytes;

        public override long UnflushedBytes => connection.UnflushedBytes;

        /// <summary>Says the last words. Whoever serves the connection calls it, so nobody writes meanwhile.</summary>
        public void Replace(ReadOnlySpan<byte> lastWords)
        {
            if (_letGo is not null)
                return;
            lastWords.CopyTo(connection.GetSpan(lastWords.Length));
            connection.Advance(lastWords.Length);
            _letGo = new byte[4096];
        }

        public override Memory<byte> GetMemory(int sizeHint = 0) => _letGo is null ? connection.GetMemory(sizeHint) : Scratch(sizeHint);

        public override Span<byte> GetSpan(int sizeHint = 0) => _letGo is null ? connection.GetSpan(sizeHint) : Scratch(sizeHint);

        public override void Advance(int bytes)
        {
            if (_letGo is null)
                connection.Advance(bytes);
        }

        public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) => connection.FlushAsync(cancellationToken);

        public override void CancelPendingFlush() => connection.CancelPendingFlush();

        public override void Complete(Exception? exception = null) => connection.Complete(exception);

        public override ValueTask CompleteAsync(Exception? exception = null) => connection.CompleteAsync(exception);

        private byte[] Scratch(int sizeHint) => sizeHint <= _letGo!.Length ? _letGo : _letGo = new byte[sizeHint];
    }
}
