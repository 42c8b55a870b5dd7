using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace ClusterNet.Gateway.Inference.SharedMemory;

/// <summary>REST of the shared memory extensions. Memory of graphics processors there is none: none is registered, and none can be.</summary>
internal static class SharedMemoryEndpoints
{
    /// <summary>The region of the path.</summary>
    public const string RegionKey = "region";

    /// <summary>What is said to who registers memory of a graphics processor.</summary>
    public const string NoCuda = "memory of graphics processors is not served; register system shared memory, or send the values";

    /// <summary>What is registered.</summary>
    public static Task StatusAsync(HttpContext context, InferenceGateway gateway) =>
        context.Response.WriteAsJsonAsync(Regions(context, gateway).List(NameOf(context)), ModelDocuments.Json, context.RequestAborted);

    /// <summary>Registers.</summary>
    public static async Task RegisterAsync(HttpContext context, InferenceGateway gateway)
    {
        using var body = await RepositoryEndpoints.BodyAsync(context).ConfigureAwait(false) ?? throw Refusal.Invalid("", "an object with 'key' and 'byte_size' belongs here");
        var root = body.RootElement;
        var key = root.TryGetProperty("key", out var text) && text.ValueKind == JsonValueKind.String ? text.GetString()! : throw Refusal.Invalid("key", "the name of a memory object belongs here");
        Regions(context, gateway).Register(NameOf(context)!, key, CountOf(root, "offset") ?? 0, CountOf(root, "byte_size") ?? throw Refusal.Invalid("byte_size", "a number of bytes belongs here"));
    }

    /// <summary>Forgets one or all.</summary>
    public static async Task UnregisterAsync(HttpContext context, InferenceGateway gateway)
    {
        (await RepositoryEndpoints.BodyAsync(context).ConfigureAwait(false))?.Dispose();
        Regions(context, gateway).Unregister(NameOf(context));
    }

    /// <summary>No memory of graphics processors.</summary>
    public static Task CudaStatusAsync(HttpContext context, InferenceGateway gateway) => NameOf(context) is null
        ? context.Response.WriteAsJsonAsync(Array.Empty<SharedRegion>(), ModelDocuments.Json, context.RequestAborted)
        : throw Refusal.Invalid("name", NoCuda);

    /// <summary>Can't be.</summary>
    public static Task CudaRegisterAsync(HttpContext context, InferenceGateway gateway) => throw Refusal.Invalid("name", NoCuda);

    /// <summary>None is there to forget.</summary>
    public static Task CudaUnregisterAsync(HttpContext context, InferenceGateway gateway) => Task.CompletedTask;

    private static string? NameOf(HttpContext context) => (string?)context.Request.RouteValues[RegionKey];

    private static SharedRegions Regions(HttpContext context, InferenceGateway gateway) => SharedRegions.Of(gateway.Memory.For(context.Connection), "");

    private static ulong? CountOf(JsonElement body, string name)
    {
        if (!body.TryGetProperty(name, out var value))
            return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetUInt64(out var count) ? count : throw Refusal.Invalid(name, "a whole number of 0 or more belongs here");
    }
}
