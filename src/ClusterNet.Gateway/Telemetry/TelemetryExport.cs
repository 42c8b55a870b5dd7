using System.Reflection;
using ClusterNet.Cluster.Telemetry;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace ClusterNet.Gateway.Telemetry;

/// <summary>OpenTelemetry: metrics for Prometheus to fetch, and metrics and traces sent by OTLP where that is configured. Without OTLP nobody listens to activities, so none is made.</summary>
internal static class TelemetryExport
{
    private const string EndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";

    /// <summary>Bounds of duration buckets, in seconds: a step takes from under a millisecond to minutes.</summary>
    private static readonly double[] _seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

    private static readonly double[] _counts = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

    public static IServiceCollection AddNodeTelemetry(this IServiceCollection services, EndpointSettings settings)
    {
        var sends = settings.Otlp is not null || Environment.GetEnvironmentVariable(EndpointVariable) is { Length: > 0 };
        var telemetry = services.AddOpenTelemetry()
            .ConfigureResource(resource => Describe(resource, settings))
            .WithMetrics(metrics =>
            {
                metrics
                    .AddMeter(TelemetryNames.All)
                    .AddRuntimeInstrumentation()
                    .AddView(View)
                    .AddPrometheusExporter();
                if (sends)
                    metrics.AddOtlpExporter(otlp => otlp.Endpoint = settings.Otlp ?? otlp.Endpoint);
            });
        if (sends)
            telemetry.WithTracing(traces => traces.AddSource(TelemetryNames.All).AddOtlpExporter(otlp => otlp.Endpoint = settings.Otlp ?? otlp.Endpoint));
        return services;
    }

    private static void Describe(ResourceBuilder resource, EndpointSettings settings) => resource
        .AddService("clusternet", "clusternet", Version, autoGenerateServiceInstanceId: false, settings.Node)
        .AddAttributes([new("clusternet.roles", string.Join(',', settings.Roles))]);

    private static string Version => typeof(TelemetryNames).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    private static ExplicitBucketHistogramConfiguration? View(System.Diagnostics.Metrics.Instrument instrument) =>
        !instrument.Meter.Name.StartsWith("ClusterNet.", StringComparison.Ordinal) || !instrument.GetType().Name.StartsWith("Histogram", StringComparison.Ordinal)
            ? null
            : new ExplicitBucketHistogramConfiguration { Boundaries = instrument.Unit == "s" ? _seconds : _counts };
}
