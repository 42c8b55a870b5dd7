using System.Text.Json;
using ClusterNet.Cluster.Serving;
using Microsoft.AspNetCore.Http;

namespace ClusterNet.Gateway.Inference;

/// <summary>REST of the repository extension: which models there are, load one, let one go.</summary>
internal static class RepositoryEndpoints
{
    private const int MaxBodyBytes = 64 << 10;
    private const int MaxDepth = 8;
    private const string ConfigName = "config";
    private const string FilePrefix = "file:";

    /// <summary>The index.</summary>
    public static async Task IndexAsync(HttpContext context, InferenceGateway gateway)
    {
        var onlyReady = false;
        using (var body = await BodyAsync(context).ConfigureAwait(false))
        {
            if (body is not null && body.RootElement.TryGetProperty("ready", out var ready))
                onlyReady = ready.ValueKind is JsonValueKind.True or JsonValueKind.False ? ready.GetBoolean() : throw Refusal.Invalid("ready", "true or false belongs here");
        }
        var versions = await gateway.Serving.VersionsAsync(null, context.RequestAborted).ConfigureAwait(false);
        await context.Response.WriteAsJsonAsync(ModelDocuments.Index(versions, onlyReady), ModelDocuments.Json, context.RequestAborted).ConfigureAwait(false);
    }

    /// <summary>Loads.</summary>
    public static async Task LoadAsync(HttpContext context, InferenceGateway gateway)
    {
        var model = InferenceEndpoints.ModelOf(context);
        try
        {
            string? config = null;
            using (var body = await BodyAsync(context).ConfigureAwait(false))
            {
                if (body is not null && body.RootElement.TryGetProperty("parameters", out var parameters))
                {
                    config = ConfigOf(parameters.ValueKind == JsonValueKind.Object
                        ? parameters.EnumerateObject().Select(parameter => (parameter.Name, parameter.Value.ValueKind == JsonValueKind.String ? parameter.Value.GetString() : null))
                        : throw Refusal.Invalid("parameters", "an object belongs here"));
                }
            }
            await gateway.LoadAsync(model, config, context.RequestAborted).ConfigureAwait(false);
        }
        catch (PredictionException failure)
        {
            await RestErrors.WriteAsync(context, failure, LoadMessage(model, failure)).ConfigureAwait(false);
        }
    }

    /// <summary>Unloads; models that were loaded along with another there are none.</summary>
    public static async Task UnloadAsync(HttpContext context, InferenceGateway gateway)
    {
        (await BodyAsync(context).ConfigureAwait(false))?.Dispose();
        await gateway.Serving.UnloadAsync(InferenceEndpoints.ModelOf(context), context.RequestAborted).ConfigureAwait(false);
    }

    /// <summary>The words that NVIDIA's clients look for.</summary>
    public static string LoadMessage(string model, PredictionException failure) => $"failed to load '{Refusal.Shown(model)}', {failure.Message}";

    /// <summary>The configuration that a caller sends along with a load. Files of a model are refused.</summary>
    /// <param name="parameters">names, and values that are texts</param>
    /// <returns>JSON; null where there is none</returns>
    /// <exception cref="PredictionException">there is a file, or a configuration that is no text</exception>
    public static string? ConfigOf(IEnumerable<(string Name, string? Text)> parameters)
    {
        string? config = null;
        foreach (var (name, text) in parameters)
        {
            if (name.StartsWith(FilePrefix, StringComparison.Ordinal))
                throw Refusal.Invalid($"parameters.{Refusal.Shown(name)}", "Invalid file path: a model is loaded as it was registered, and its files are in the store");
            if (name == ConfigName)
                config = text ?? throw Refusal.Invalid($"parameters.{ConfigName}", "a text belongs here");
        }
        return config;
    }

    /// <summary>What would change a registered model while it is loaded is refused: versions are immutable, and the cluster's configuration says how they are served.</summary>
    public static PredictionException OtherConfig() => Refusal.Invalid($"parameters.{ConfigName}", "a model is loaded as it was registered; how it is served stands in the configuration of serving");

    /// <summary>The body; null where there is none.</summary>
    /// <exception cref="PredictionException">it is no object</exception>
    public static async ValueTask<JsonDocument?> BodyAsync(HttpContext context)
    {
        using var body = await RequestBody.ReadAsync(context.Request, MaxBodyBytes, context.RequestAborted).ConfigureAwait(false);
        if (body.Count == 0)
            return null;
        JsonDocument document;
        try
        {
            CheckTexts(body.Written);
            // of its own memory: the buffer goes back
            document = JsonDocument.Parse(body.Written.ToArray(), new JsonDocumentOptions { MaxDepth = MaxDepth });
        }
        catch (JsonException exception)
        {
            throw Refusal.Invalid($"line {exception.LineNumber + 1}, byte {exception.BytePositionInLine}", $"not JSON: {exception.Message}");
        }
        catch (InvalidOperationException)
        {
            // the reader's word for a text that is no Unicode
            throw Refusal.Invalid("", "not JSON: a text has bytes, or escapes, that are no Unicode");
        }
        if (document.RootElement.ValueKind == JsonValueKind.Object)
            return document;
        document.Dispose();
        throw Refusal.Invalid("", "an object belongs here, or nothing");
    }

    /// <summary>Reads every text once: a document that is parsed says only when one is asked for that it is none.</summary>
    private static void CheckTexts(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = MaxDepth });
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName)
                _ = reader.GetString();
        }
    }
}
