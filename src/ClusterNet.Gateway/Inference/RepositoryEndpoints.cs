using System.Text.Json;
using ClusterNet.Cluster.Serving;
using Microsoft.AspNetCore.Http;

namespace ClusterNet.Gateway.Inference;

/// <summary>REST of the repository extension: which models there are, load one, let one go.</summary>
internal static class RepositoryEndpoints
{
    private const int MaxBodyBytes = 64 << 10;
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
            using (var body = await BodyAsync(context).ConfigureAwait(false))
            {
                if (body is not null && body.RootElement.TryGetProperty("parameters", out var parameters))
                    CheckParameters(parameters.ValueKind == JsonValueKind.Object ? parameters.EnumerateObject().Select(parameter => parameter.Name) : throw Refusal.Invalid("parameters", "an object belongs here"));
            }
            await gateway.Serving.LoadAsync(model, context.RequestAborted).ConfigureAwait(false);
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

    /// <summary>What would change a model while it is loaded is refused: versions are immutable, and the cluster's configuration says how they are served.</summary>
    /// <exception cref="PredictionException">there is such a parameter</exception>
    public static void CheckParameters(IEnumerable<string> names)
    {
        foreach (var name in names)
        {
            if (name == ConfigName || name.StartsWith(FilePrefix, StringComparison.Ordinal))
                throw Refusal.Invalid($"parameters.{Refusal.Shown(name)}", "a model is loaded as it was registered; how it is served stands in the configuration of serving");
        }
    }

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
            // of its own memory: the buffer goes back
            document = JsonDocument.Parse(body.Written.ToArray(), new JsonDocumentOptions { MaxDepth = 8 });
        }
        catch (JsonException exception)
        {
            throw Refusal.Invalid($"line {exception.LineNumber + 1}, byte {exception.BytePositionInLine}", $"not JSON: {exception.Message}");
        }
        if (document.RootElement.ValueKind == JsonValueKind.Object)
            return document;
        document.Dispose();
        throw Refusal.Invalid("", "an object belongs here, or nothing");
    }
}
