using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace ClusterNet.Client;

/// <summary>What OpenTelemetry hears of: <c>AddSource("ClusterNet.Client")</c>, <c>AddMeter("ClusterNet.Client")</c>. Values of samples are in neither.</summary>
public static class ClientTelemetry
{
    /// <summary>Of the source of traces and of the meter.</summary>
    public const string Name = "ClusterNet.Client";

    private static readonly Meter _meter = new(Name);
    private static readonly Histogram<double> _durations = _meter.CreateHistogram<double>("clusternet.client.request.duration", "s", "From the call to its answer, all tries together");
    private static readonly Counter<long> _retries = _meter.CreateCounter<long>("clusternet.client.retries", "{retry}", "Requests that were tried again");

    internal static ActivitySource Source { get; } = new(Name);

    internal static void Ended(string model, string transport, string outcome, TimeSpan took) => _durations.Record(took.TotalSeconds, Tags(model, transport, outcome));

    internal static void Retried(string model, string transport, FailureKind why) => _retries.Add(1, Tags(model, transport, why.ToString()));

    private static TagList Tags(string model, string transport, string outcome) => new() { { "model", model }, { "transport", transport }, { "outcome", outcome } };
}
