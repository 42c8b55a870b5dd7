using ClusterNet.Cluster.Hosting;

namespace ClusterNet.Gateway;

/// <summary>What a node's HTTP endpoints are told.</summary>
public sealed record EndpointSettings
{
    /// <summary>The address to listen on, or a name that stands for one.</summary>
    public string Host { get; init; } = "127.0.0.1";

    /// <summary>The port; 0 for any free one.</summary>
    public int Port { get; init; }

    /// <summary>The node's name, for metrics and traces.</summary>
    public string Node { get; init; } = Environment.MachineName;

    /// <summary>What the node does: decides what has to be there before it is ready.</summary>
    public IReadOnlyList<string> Roles { get; init; } = [];

    /// <summary>Who may connect; null for anyone who reaches the port.</summary>
    public TlsSettings? Tls { get; init; }

    /// <summary>Where metrics and traces are sent by OTLP. Null for what the environment variable OTEL_EXPORTER_OTLP_ENDPOINT says; nowhere where that says nothing either.</summary>
    public Uri? Otlp { get; init; }

    /// <summary>How long a check of readiness may take before it counts as failed.</summary>
    public TimeSpan CheckTimeout { get; init; } = TimeSpan.FromSeconds(2);
}
