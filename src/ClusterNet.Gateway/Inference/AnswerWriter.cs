using System.IO.Compression;
using System.Net.Mime;
using System.Text.Encodings.Web;
using System.Text.Json;
using ClusterNet.Cluster.Serving;
using ClusterNet.Gateway.Inference.SharedMemory;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace ClusterNet.Gateway.Inference;

/// <summary>Writes a prediction as REST has it: JSON, and behind it the values of the outputs that are wanted as bytes.</summary>
internal static class AnswerWriter
{
    /// <summary>How many bytes of a body are JSON.</summary>
    public const string JsonLengthHeader = "Inference-Header-Content-Length";

    // what goes out is JSON of its own content type, never part of a page
    private static readonly JsonWriterOptions _options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes it, compressed where the caller takes that and it is worth it.</summary>
    public static async Task WriteAsync(HttpContext context, ServedPrediction answer, InferRequest request, List<OutputTensor> outputs, InferenceSettings settings)
    {
        using var body = new PooledBytes(1024);
        var jsonLength = Fill(body, answer, request, outputs);
        var response = context.Response;
        response.ContentType = jsonLength == body.Count ? MediaTypeNames.Application.Json : MediaTypeNames.Application.Octet;
        if (jsonLength != body.Count)
            response.Headers[JsonLengthHeader] = jsonLength.ToString(System.Globalization.CultureInfo.InvariantCulture);
        var encoding = body.Count < settings.CompressFromBytes ? null : EncodingFor(context.Request);
        if (encoding is null)
        {
            response.ContentLength = body.Count;
            await response.BodyWriter.WriteAsync(body.WrittenMemory, context.RequestAborted).ConfigureAwait(false);
            return;
        }
        using var packed = new MemoryStream();
        var packing = encoding == "gzip" ? (Stream)new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true) : new ZLibStream(packed, CompressionLevel.Fastest, leaveOpen: true);
        await using (packing.ConfigureAwait(false))
            await packing.WriteAsync(body.WrittenMemory, context.RequestAborted).ConfigureAwait(false);
        response.Headers.ContentEncoding = encoding;
        response.Headers.Vary = HeaderNames.AcceptEncoding;
        response.ContentLength = packed.Length;
        await response.BodyWriter.WriteAsync(packed.GetBuffer().AsMemory(0, (int)packed.Length), context.RequestAborted).ConfigureAwait(false);
    }

    /// <summary>The body.</summary>
    /// <returns>bytes of its JSON</returns>
    public static int Fill(PooledBytes body, ServedPrediction answer, InferRequest request, List<OutputTensor> outputs)
    {
        using (var json = new Utf8JsonWriter(body, _options))
        {
            json.WriteStartObject();
            json.WriteString("model_name"u8, answer.Prediction.Version.Model);
            json.WriteString("model_version"u8, answer.Prediction.Version.Version.ToString(System.Globalization.CultureInfo.InvariantCulture));
            if (request.Id is not null)
                json.WriteString("id"u8, request.Id);
            json.WriteStartArray("outputs"u8);
            foreach (var output in outputs)
                Write(json, output);
            json.WriteEndArray();
            json.WriteEndObject();
        }
        var length = body.Count;
        foreach (var output in outputs.Where(output => output.IsBinary))
        {
            var size = output.ByteSize;
            output.WriteBytes(body.GetSpan(size));
            body.Advance(size);
        }
        return length;
    }

    private static void Write(Utf8JsonWriter json, OutputTensor output)
    {
        json.WriteStartObject();
        json.WriteString("name"u8, output.Name);
        json.WriteString("datatype"u8, output.TypeName);
        json.WriteStartArray("shape"u8);
        foreach (var axis in output.Shape)
            json.WriteNumberValue(axis);
        json.WriteEndArray();
        if (output is OutputTensor.Shared shared)
        {
            json.WriteStartObject("parameters"u8);
            json.WriteString(SharedPart.RegionName, shared.Part.Region);
            json.WriteNumber(SharedPart.OffsetName, shared.Part.Offset);
            json.WriteNumber(SharedPart.ByteSizeName, shared.Part.ByteSize);
            json.WriteEndObject();
        }
        else if (output.IsBinary)
        {
            json.WriteStartObject("parameters"u8);
            json.WriteNumber("binary_data_size"u8, output.ByteSize);
            json.WriteEndObject();
        }
        else
        {
            json.WriteStartArray("data"u8);
            output.WriteValues(json);
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }

    private static string? EncodingFor(HttpRequest request)
    {
        if (request.Headers.AcceptEncoding.Count == 0 || !StringWithQualityHeaderValue.TryParseList(request.Headers.AcceptEncoding, out var accepted))
            return null;
        return Takes("gzip") ? "gzip" : Takes("deflate") ? "deflate" : null;

        bool Takes(string encoding) => accepted.Any(value => value.Value.Equals(encoding, StringComparison.OrdinalIgnoreCase) && value.Quality is not 0);
    }
}
