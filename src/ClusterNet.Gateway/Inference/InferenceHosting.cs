using ClusterNet.Cluster.Serving;
using ClusterNet.Gateway.Grpc;
using ClusterNet.Gateway.Grpc.Protocol;
using ClusterNet.Gateway.Inference.Examples;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ClusterNet.Gateway.Inference;

/// <summary>The Open Inference Protocol as a part of a host: REST below <c>/v2</c>, gRPC with health and reflection. The host listens, knows who its callers are and asks <see cref="RequiredScopeAttribute"/> what they may do.</summary>
public static class InferenceHosting
{
    /// <summary>What the endpoints need. Observers are found among the services (<see cref="IPredictionObserver"/>).</summary>
    /// <param name="services">of the host</param>
    /// <param name="serving">the models</param>
    /// <param name="settings">the defaults where null</param>
    public static IServiceCollection AddInference(this IServiceCollection services, IModelServing serving, InferenceSettings? settings = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(serving);
        settings ??= new InferenceSettings();
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(serving).AddSingleton(settings);
        services.AddSingleton(provider =>
        {
            var time = provider.GetRequiredService<TimeProvider>();
            return new InferenceGateway(serving, settings.HasExamples ? new ExampleModels(serving, time) : null, settings, provider.GetServices<IPredictionObserver>(), time);
        });
        services.AddHealthChecks().Add(new HealthCheckRegistration(ServingCheck.Name, new ServingCheck(serving, settings), HealthStatus.Unhealthy, [ServingCheck.ReadyTag]));
        services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = settings.MaxBodyBytes;
            grpc.MaxSendMessageSize = null;
            // its catch-all route would take the place of 405 and 415 on all others; ErrorDocuments answers what is unknown
            grpc.IgnoreUnknownServices = true;
        });
        services.AddGrpcHealthChecks(health =>
        {
            // both names mean the same: there is one service
            health.Services.Map("", check => check.Tags.Contains(ServingCheck.ReadyTag));
            health.Services.Map(GRPCInferenceService.Descriptor.FullName, check => check.Tags.Contains(ServingCheck.ReadyTag));
        });
        services.AddGrpcReflection();
        return services;
    }

    /// <summary>All endpoints. Each carries its <see cref="RequiredScopeAttribute"/>.</summary>
    public static IEndpointRouteBuilder MapInference(this IEndpointRouteBuilder endpoints)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        endpoints.MapRest();
        var limit = new BodyLimit(endpoints.ServiceProvider.GetRequiredService<InferenceSettings>().MaxBodyBytes + (64L << 10));
        endpoints.MapGrpcService<InferenceService>().WithMetadata(limit);
        endpoints.MapGrpcHealthChecksService().WithMetadata(new RequiredScopeAttribute(null));
        endpoints.MapGrpcReflectionService().WithMetadata(new RequiredScopeAttribute(null));
        return endpoints;
    }
}
