using System.Diagnostics.Metrics;
using ClusterNet.Cluster.Lanes;

namespace ClusterNet.Cluster.Telemetry;

/// <summary>What the large-message lane shows. It counts for itself; these are looks at its numbers, and cost nothing while nobody looks.</summary>
internal static class LaneTelemetry
{
    private static readonly Meter _meter = new(TelemetryNames.Lane);
    private static readonly Observed<long> _bytes = Observed<long>.Counter(_meter, TelemetryNames.Instruments.LaneBytes, "By", "Frames sent and received");
    private static readonly Observed<long> _messages = Observed<long>.Counter(_meter, TelemetryNames.Instruments.LaneMessages, "{message}", "Messages sent and received");
    private static readonly Observed<long> _drops = Observed<long>.Counter(_meter, TelemetryNames.Instruments.LaneDrops, "{drop}", "Messages or connections given up");
    private static readonly Observed<long> _queue = Observed<long>.Gauge(_meter, TelemetryNames.Instruments.LaneQueue, "By", "What waits to be written");
    private static readonly Observed<long> _held = Observed<long>.Gauge(_meter, TelemetryNames.Instruments.LaneHeld, "By", "Received and not released");

    /// <summary>Shows a node's lane until the results are disposed of.</summary>
    public static IEnumerable<IDisposable> Watch(Lane lane) =>
    [
        _bytes.Show(() => [By(TelemetryNames.Tags.Direction, "sent", lane.Statistics.SentBytes), By(TelemetryNames.Tags.Direction, "received", lane.Statistics.ReceivedBytes)]),
        _messages.Show(() => [By(TelemetryNames.Tags.Direction, "sent", lane.Statistics.SentMessages), By(TelemetryNames.Tags.Direction, "received", lane.Statistics.ReceivedMessages)]),
        _drops.Show(() =>
        [
            By(TelemetryNames.Tags.Reason, "not sent", lane.Statistics.DroppedMessages),
            By(TelemetryNames.Tags.Reason, "nobody there", lane.Statistics.NobodyThere),
            By(TelemetryNames.Tags.Reason, "connection refused", lane.Statistics.Refused),
        ]),
        _queue.Show(() => lane.Statistics.QueuedBytes),
        _held.Show(() => lane.Statistics.HeldBytes),
    ];

    private static Measurement<long> By(string tag, string word, long value) => new(value, new KeyValuePair<string, object?>(tag, word));
}
