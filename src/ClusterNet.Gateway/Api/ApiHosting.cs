using System.Text.Json;
using System.Text.Json.Serialization;
using Akka.Actor;
using ClusterNet.Gateway.Access;
using ClusterNet.Gateway.Audit;
using ClusterNet.Gateway.Inference;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.OpenApi;
using Scalar.AspNetCore;

namespace ClusterNet.Gateway.Api;

/// <summary><c>/api</c>: its routes, its OpenAPI document and the page that shows it.</summary>
internal static class ApiHosting
{
    private const string Document = "clusternet";
    private const string KeyScheme = "api-key";
    private const string BearerScheme = "bearer";

    // the page that shows the document runs its own scripts and styles, and speaks to this gateway alone
    private const string PagePolicy = "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
        + "frame-ancestors 'none'; base-uri 'self'";

    public static IServiceCollection AddApi(this IServiceCollection services, EventFeed feed)
    {
        services.AddSingleton(feed);
        services.ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower;
            json.SerializerOptions.Converters.Add(new FiniteNumbers());
        });
        services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        services.AddEndpointsApiExplorer();
        services.AddOpenApi(Document, options =>
        {
            options.ShouldInclude = description => description.RelativePath?.StartsWith("api", StringComparison.Ordinal) == true || description.RelativePath?.StartsWith("v2", StringComparison.Ordinal) == true;
            options.AddDocumentTransformer((document, _, _) =>
            {
                Describe(document);
                return Task.CompletedTask;
            });
            options.AddOperationTransformer((operation, context, _) =>
            {
                Describe(operation, context);
                return Task.CompletedTask;
            });
        });
        return services;
    }

    /// <summary>Maps everything below <c>/api</c>.</summary>
    public static void MapApi(this IEndpointRouteBuilder endpoints, AuditLog? audit, EventFeed feed, TimeProvider clock)
    {
        var api = endpoints.MapGroup("/api");
        // around the acts, too: one that can't be written down is answered as what it is
        api.AddEndpointFilter(ApiFailures.FilterAsync);
        api.AddEndpointFilter(AuditedActs.Filter(audit, feed, clock));
        api.AddEndpointFilter(ApiFailures.FilterAsync);
        api.MapJobs();
        api.MapModels();
        api.MapTraffic();
        api.MapCluster();
        api.MapKeys();
        endpoints.MapOpenApi("/api/{documentName}.json").WithMetadata(new RequiredScopeAttribute(null)).ExcludeFromDescription();
        endpoints.MapScalarApiReference("/api/docs", page => page
                .WithTitle("ClusterNet")
                .WithOpenApiRoutePattern("/api/{documentName}.json")
                .AddDocument(Document)
                .DisableDefaultFonts()
                .DisableTelemetry()
                .DisableAgent()
                .DisableMcp()
                .HideClientButton())
            .WithMetadata(new RequiredScopeAttribute(null)).ExcludeFromDescription()
            .AddEndpointFilter(static (call, next) =>
            {
                call.HttpContext.Response.Headers.ContentSecurityPolicy = PagePolicy;
                return next(call);
            });
    }

    /// <summary>Starts telling the feed of the cluster.</summary>
    public static IActorRef FollowCluster(ActorSystem system, EventFeed feed) => system.ActorOf(ClusterEvents.PropsFor(feed));

    private static void Describe(OpenApiDocument document)
    {
        document.Info = new OpenApiInfo
        {
            Title = "ClusterNet",
            Version = "1",
            Description = "Jobs, models and the cluster below /api; predictions by the Open Inference Protocol below /v2. Every error is {\"error\": \"...\"}.",
        };
        document.Servers?.Clear();
        document.Components ??= new OpenApiComponents();
        document.Components.SecuritySchemes = new Dictionary<string, IOpenApiSecurityScheme>
        {
            [KeyScheme] = new OpenApiSecurityScheme { Type = SecuritySchemeType.ApiKey, In = ParameterLocation.Header, Name = ApiKeyHandler.HeaderName, Description = "An API key: clusternet keys create" },
            [BearerScheme] = new OpenApiSecurityScheme { Type = SecuritySchemeType.Http, Scheme = "bearer", Description = "An API key or, where the gateway takes them, a JSON Web Token" },
        };
    }

    private static void Describe(OpenApiOperation operation, OpenApiOperationTransformerContext context)
    {
        if (context.Description.ActionDescriptor.EndpointMetadata.OfType<RequiredScopeAttribute>().LastOrDefault() is not { Scope: { } scope })
            return;
        operation.Description = $"{operation.Description} Needs the scope '{scope}'.".TrimStart();
        operation.Security =
        [
            new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(KeyScheme, context.Document)] = [] },
            new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(BearerScheme, context.Document)] = [] },
        ];
        operation.Responses ??= [];
        operation.Responses.TryAdd("401", new OpenApiResponse { Description = "no credentials, or credentials that are refused" });
        operation.Responses.TryAdd("403", new OpenApiResponse { Description = $"credentials without the scope '{scope}'" });
    }

    /// <summary>Numbers that JSON does not have are null.</summary>
    private sealed class FiniteNumbers : JsonConverter<double>
    {
        public override double Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.TokenType == JsonTokenType.Null ? double.NaN : reader.GetDouble();

        public override void Write(Utf8JsonWriter writer, double value, JsonSerializerOptions options)
        {
            if (double.IsFinite(value))
                writer.WriteNumberValue(value);
            else
                writer.WriteNullValue();
        }
    }
}
