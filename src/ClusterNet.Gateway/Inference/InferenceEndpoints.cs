using System.Diagnostics;
using System.Globalization;
using ClusterNet.Cluster.Serving;
using ClusterNet.Gateway.Inference.SharedMemory;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ClusterNet.Gateway.Inference;

/// <summary>REST of the Open Inference Protocol, and of the extensions that NVIDIA's clients use.</summary>
internal static class InferenceEndpoints
{
    private const string ModelKey = "model";
    private const string VersionKey = "version";

    /// <summary>Maps all of it below <c>/v2</c>.</summary>
    public static void MapRest(this IEndpointRouteBuilder endpoints)
    {
        var gateway = endpoints.ServiceProvider.GetRequiredService<InferenceGateway>();
        var all = endpoints.MapGroup("/v2").WithTags("Open Inference Protocol").WithMetadata(new BodyLimit(gateway.Settings.MaxBodyBytes));
        var open = all.MapGroup("").WithMetadata(new RequiredScopeAttribute(null));
        open.MapGet("/health/live", Handle(gateway, LiveAsync)).WithSummary("Whether the server answers");
        open.MapGet("/health/ready", Handle(gateway, ReadyAsync)).WithSummary("Whether models can be asked");
        var predict = all.MapGroup("").WithMetadata(new RequiredScopeAttribute(RequiredScopeAttribute.Predict));
        predict.MapGet("/", Handle(gateway, ServerAsync)).WithSummary("The server and its extensions");
        predict.MapGet("/models/stats", Handle(gateway, StatisticsAsync)).WithSummary("Counts and times of all versions");
        foreach (var path in (ReadOnlySpan<string>)[$"/models/{{{ModelKey}}}", $"/models/{{{ModelKey}}}/versions/{{{VersionKey}}}"])
        {
            predict.MapGet(path, Handle(gateway, ModelAsync)).WithSummary("A model's inputs and outputs");
            predict.MapGet(path + "/ready", Handle(gateway, ModelReadyAsync)).WithSummary("Whether a model answers at once");
            predict.MapGet(path + "/config", Handle(gateway, ConfigAsync)).WithSummary("A model's configuration");
            predict.MapGet(path + "/stats", Handle(gateway, StatisticsAsync)).WithSummary("Counts and times of a model's versions");
            predict.MapPost(path + "/infer", Handle(gateway, InferAsync)).WithSummary("A prediction");
        }
        predict.MapPost("/repository/index", Handle(gateway, RepositoryEndpoints.IndexAsync)).WithSummary("All versions and their states");
        var operate = all.MapGroup("/repository/models").WithMetadata(new RequiredScopeAttribute(RequiredScopeAttribute.Operate));
        operate.MapPost($"/{{{ModelKey}}}/load", Handle(gateway, RepositoryEndpoints.LoadAsync)).WithSummary("Loads a model");
        operate.MapPost($"/{{{ModelKey}}}/unload", Handle(gateway, RepositoryEndpoints.UnloadAsync)).WithSummary("Lets a model go");
        MapMemory(all.MapGroup("/systemsharedmemory"), gateway, SharedMemoryEndpoints.StatusAsync, SharedMemoryEndpoints.RegisterAsync, SharedMemoryEndpoints.UnregisterAsync);
        MapMemory(all.MapGroup("/cudasharedmemory"), gateway, SharedMemoryEndpoints.CudaStatusAsync, SharedMemoryEndpoints.CudaRegisterAsync, SharedMemoryEndpoints.CudaUnregisterAsync);
    }

    /// <summary>The model of the path.</summary>
    public static string ModelOf(HttpContext context) => (string?)context.Request.RouteValues[ModelKey] ?? "";

    private static void MapMemory(
        RouteGroupBuilder memory, InferenceGateway gateway, Func<HttpContext, InferenceGateway, Task> status, Func<HttpContext, InferenceGateway, Task> register, Func<HttpContext, InferenceGateway, Task> unregister)
    {
        const string Region = $"/region/{{{SharedMemoryEndpoints.RegionKey}}}";
        var (predict, operate) = (new RequiredScopeAttribute(RequiredScopeAttribute.Predict), new RequiredScopeAttribute(RequiredScopeAttribute.Operate));
        foreach (var path in (ReadOnlySpan<string>)["", Region])
        {
            memory.MapGet(path + "/status", Handle(gateway, status)).WithMetadata(predict).WithSummary("Regions of shared memory");
            memory.MapPost(path + "/unregister", Handle(gateway, unregister)).WithMetadata(operate).WithSummary("Forgets a region, or all");
        }
        memory.MapPost(Region + "/register", Handle(gateway, register)).WithMetadata(operate).WithSummary("Registers a region");
    }

    private static string? VersionOf(HttpContext context) => (string?)context.Request.RouteValues[VersionKey];

    private static RequestDelegate Handle(InferenceGateway gateway, Func<HttpContext, InferenceGateway, Task> handler) => async context =>
    {
        try
        {
            await handler(context, gateway).ConfigureAwait(false);
        }
        catch (PredictionException failure)
        {
            await RestErrors.WriteAsync(context, failure, Refusal.MessageOf(failure, ModelOf(context))).ConfigureAwait(false);
        }
        catch (HttpRefusalException refusal)
        {
            if (refusal.Status == StatusCodes.Status415UnsupportedMediaType)
                context.Response.Headers.AcceptEncoding = "gzip, deflate";
            // what is left of such a body is not read to its end: nobody may send the next request behind it
            if (refusal.Status == StatusCodes.Status413PayloadTooLarge && HttpProtocol.IsHttp11(context.Request.Protocol))
                context.Response.Headers.Connection = "close";
            await RestErrors.WriteAsync(context, refusal.Status, refusal.Message).ConfigureAwait(false);
        }
    };

    private static Task LiveAsync(HttpContext context, InferenceGateway gateway) => context.Response.WriteAsJsonAsync(new { live = true }, ModelDocuments.Json, context.RequestAborted);

    private static async Task ReadyAsync(HttpContext context, InferenceGateway gateway)
    {
        var report = await context.RequestServices.GetRequiredService<HealthCheckService>().CheckHealthAsync(ServingCheck.IsPartOfReadiness, context.RequestAborted).ConfigureAwait(false);
        if (report.Status == HealthStatus.Healthy)
        {
            await context.Response.WriteAsJsonAsync(new { live = true, ready = true }, ModelDocuments.Json, context.RequestAborted).ConfigureAwait(false);
            return;
        }
        context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        var reasons = report.Entries.Where(entry => entry.Value.Status != HealthStatus.Healthy).Select(entry => $"{entry.Key}: {entry.Value.Description ?? "not healthy"}");
        await context.Response.WriteAsJsonAsync(new { live = true, ready = false, error = string.Join("; ", reasons) }, ModelDocuments.Json, context.RequestAborted).ConfigureAwait(false);
    }

    private static Task ServerAsync(HttpContext context, InferenceGateway gateway) =>
        context.Response.WriteAsJsonAsync(ModelDocuments.Server(gateway.Settings), ModelDocuments.Json, context.RequestAborted);

    private static async Task ModelAsync(HttpContext context, InferenceGateway gateway)
    {
        var version = await gateway.Serving.VersionAsync(ModelOf(context), VersionOf(context), context.RequestAborted).ConfigureAwait(false);
        var all = await gateway.Serving.VersionsAsync(ModelOf(context), context.RequestAborted).ConfigureAwait(false);
        await context.Response.WriteAsJsonAsync(ModelDocuments.Model(version, all), ModelDocuments.Json, context.RequestAborted).ConfigureAwait(false);
    }

    private static async Task ModelReadyAsync(HttpContext context, InferenceGateway gateway)
    {
        var version = await gateway.Serving.VersionAsync(ModelOf(context), VersionOf(context), context.RequestAborted).ConfigureAwait(false);
        var name = version.Id.Model;
        if (version.State == ServingState.Ready)
        {
            await context.Response.WriteAsJsonAsync(new { name, ready = true }, ModelDocuments.Json, context.RequestAborted).ConfigureAwait(false);
            return;
        }
        context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        var error = $"{version.Id} is {version.State.ToString().ToLowerInvariant()}{(version.Reason is { } reason ? $": {reason}" : "")}";
        await context.Response.WriteAsJsonAsync(new { name, ready = false, error }, ModelDocuments.Json, context.RequestAborted).ConfigureAwait(false);
    }

    private static async Task ConfigAsync(HttpContext context, InferenceGateway gateway)
    {
        var version = await gateway.Serving.VersionAsync(ModelOf(context), VersionOf(context), context.RequestAborted).ConfigureAwait(false);
        await context.Response.WriteAsJsonAsync(ModelDocuments.Config(version, gateway.MaxBatchOf(version)), ModelDocuments.Json, context.RequestAborted).ConfigureAwait(false);
    }

    private static async Task StatisticsAsync(HttpContext context, InferenceGateway gateway)
    {
        var (model, version) = (ModelOf(context), VersionOf(context));
        var versions = version is not null
            ? [await gateway.Serving.VersionAsync(model, version, context.RequestAborted).ConfigureAwait(false)]
            : ModelDocuments.WithStatistics(await gateway.Serving.VersionsAsync(model.Length == 0 ? null : model, context.RequestAborted).ConfigureAwait(false));
        await context.Response.WriteAsJsonAsync(ModelDocuments.Statistics(versions), ModelDocuments.Json, context.RequestAborted).ConfigureAwait(false);
    }

    private static async Task InferAsync(HttpContext context, InferenceGateway gateway)
    {
        var received = gateway.Now;
        var (model, version) = (ModelOf(context), VersionOf(context));
        var (plan, request) = await ReadAsync(context, gateway, model, version).ConfigureAwait(false);
        var caller = new Caller(context.User, context.Connection.RemoteIpAddress?.ToString(), ObservedPrediction.Http, received);
        var answer = await gateway.PredictAsync(caller, request.Id, request.ToPredict(model, version, null, Activity.Current?.Id), request.Parameters.Sequence, context.RequestAborted).ConfigureAwait(false);
        await AnswerWriter.WriteAsync(context, answer, request, SharedRegions.Place(gateway.Memory.For(context.Connection), OutputTensor.Of(answer, plan.Version, request), request), gateway.Settings).ConfigureAwait(false);
    }

    private static async ValueTask<(InputPlan Plan, InferRequest Request)> ReadAsync(HttpContext context, InferenceGateway gateway, string model, string? version)
    {
        var length = JsonLengthOf(context.Request);
        var (plan, isRemembered) = await gateway.PlanAsync(model, version, false, context.RequestAborted).ConfigureAwait(false);
        using var body = await RequestBody.ReadAsync(context.Request, gateway.Settings.MaxBodyBytes, context.RequestAborted).ConfigureAwait(false);
        try
        {
            return (plan, JsonRequestReader.Read(body.Written, length, plan, gateway.Settings, gateway.Memory.For(context.Connection)));
        }
        catch (PredictionException) when (isRemembered)
        {
            // the model may have another version by now, with other inputs
            (plan, _) = await gateway.PlanAsync(model, version, true, context.RequestAborted).ConfigureAwait(false);
            return (plan, JsonRequestReader.Read(body.Written, length, plan, gateway.Settings, gateway.Memory.For(context.Connection)));
        }
    }

    private static long? JsonLengthOf(HttpRequest request)
    {
        var header = request.Headers[AnswerWriter.JsonLengthHeader];
        if (header.Count == 0)
            return null;
        return long.TryParse(header.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var length)
            ? length
            : throw Refusal.Invalid(AnswerWriter.JsonLengthHeader, $"'{Refusal.Shown(header.ToString())}' is no number of bytes");
    }
}
