using System.Buffers;
using System.IO.Compression;
using Microsoft.AspNetCore.Http;

namespace ClusterNet.Gateway.Inference;

/// <summary>A request can't be taken for a reason that HTTP has a status for.</summary>
/// <param name="status">HTTP status</param>
/// <param name="message">what was found and what to do</param>
internal sealed class HttpRefusalException(int status, string message) : Exception(message)
{
    /// <summary>HTTP status.</summary>
    public int Status => status;
}

/// <summary>Reads a request's body whole, decompressed, within a bound that holds before and after.</summary>
internal static class RequestBody
{
    private const int FirstBytes = 1 << 20;
    private const int Block = 16 << 10;

    /// <summary>All of it.</summary>
    /// <param name="request">whose body it is</param>
    /// <param name="most">bytes</param>
    /// <param name="cancel">gives up</param>
    /// <returns>to be disposed</returns>
    /// <exception cref="HttpRefusalException">it is too large, or compressed in a way that is not known or in a damaged way</exception>
    public static async ValueTask<PooledBytes> ReadAsync(HttpRequest request, int most, CancellationToken cancel)
    {
        if (request.ContentLength > most)
            throw TooLarge(most);
        // what a caller claims is believed up to a bound: it may never send it
        var body = new PooledBytes((int)Math.Min(request.ContentLength ?? Block, FirstBytes));
        try
        {
            var encoding = request.Headers.ContentEncoding;
            if (encoding.Count == 0 || string.Equals(encoding, "identity", StringComparison.OrdinalIgnoreCase))
                await ReadPlainAsync(request, body, most, cancel).ConfigureAwait(false);
            else if (string.Equals(encoding, "gzip", StringComparison.OrdinalIgnoreCase))
                await InflateAsync(new GZipStream(request.BodyReader.AsStream(leaveOpen: true), CompressionMode.Decompress), body, most, cancel).ConfigureAwait(false);
            else if (string.Equals(encoding, "deflate", StringComparison.OrdinalIgnoreCase))
                await InflateAsync(new ZLibStream(request.BodyReader.AsStream(leaveOpen: true), CompressionMode.Decompress), body, most, cancel).ConfigureAwait(false);
            else
                throw new HttpRefusalException(StatusCodes.Status415UnsupportedMediaType, $"Content-Encoding: '{Refusal.Shown(encoding.ToString())}' is not known; gzip and deflate are");
            return body;
        }
        catch
        {
            body.Dispose();
            throw;
        }
    }

    private static async ValueTask ReadPlainAsync(HttpRequest request, PooledBytes body, int most, CancellationToken cancel)
    {
        var reader = request.BodyReader;
        while (true)
        {
            var result = await reader.ReadAsync(cancel).ConfigureAwait(false);
            if (body.Count + result.Buffer.Length > most)
                throw TooLarge(most);
            foreach (var segment in result.Buffer)
                body.Write(segment.Span);
            reader.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted)
                return;
        }
    }

    private static async ValueTask InflateAsync(Stream stream, PooledBytes body, int most, CancellationToken cancel)
    {
        try
        {
            await using (stream.ConfigureAwait(false))
            {
                while (true)
                {
                    var read = await stream.ReadAsync(body.GetMemory(Block), cancel).ConfigureAwait(false);
                    if (read == 0)
                        return;
                    body.Advance(read);
                    if (body.Count > most)
                        throw TooLarge(most);
                }
            }
        }
        catch (InvalidDataException exception)
        {
            throw new HttpRefusalException(StatusCodes.Status400BadRequest, $"the compressed body can't be read: {exception.Message.TrimEnd('.')}");
        }
    }

    private static HttpRefusalException TooLarge(int most) => new(StatusCodes.Status413PayloadTooLarge, $"the body is larger than the {most} bytes that are taken; give the samples in parts");
}
