using System.Diagnostics.Metrics;

namespace ClusterNet.Cluster.Telemetry;

/// <summary>What the large-message lane shows. All of it costs nothing while nobody listens.</summary>
internal static class LaneTelemetry
{
    private static readonly Meter _meter = new(TelemetryNames.Lane);
    private static readonly Counter<long> _bytes = _meter.CreateCounter<long>(TelemetryNames.Instruments.LaneBytes, "By", "Frames, heads and payload");
    private static readonly Counter<long> _messages = _meter.CreateCounter<long>(TelemetryNames.Instruments.LaneMessages, "{message}", "Messages");
    private static readonly Counter<long> _drops = _meter.CreateCounter<long>(TelemetryNames.Instruments.LaneDrops, "{drop}", "Messages or connections given up");
    private static readonly Observed<long> _queue = new(_meter, TelemetryNames.Instruments.LaneQueue, "By", "What waits to be written");
    private static readonly Observed<int> _connections = new(_meter, TelemetryNames.Instruments.LaneConnections, "{connection}", "Open connections");
    private static readonly KeyValuePair<string, object?> _sent = new(TelemetryNames.Tags.Direction, "sent");
    private static readonly KeyValuePair<string, object?> _received = new(TelemetryNames.Tags.Direction, "received");

    /// <summary>A frame was written.</summary>
    public static void Sent(long bytes) => Moved(bytes, _sent);

    /// <summary>A frame was read.</summary>
    public static void Received(long bytes) => Moved(bytes, _received);

    /// <summary>A message was not delivered, or a connection closed.</summary>
    /// <param name="reason">one of a few words</param>
    public static void Dropped(string reason)
    {
        if (_drops.Enabled)
            _drops.Add(1, new KeyValuePair<string, object?>(TelemetryNames.Tags.Reason, reason));
    }

    /// <summary>Shows how many bytes wait for a peer, until the result is disposed of.</summary>
    /// <param name="peer">its address</param>
    /// <param name="waiting">called from any thread</param>
    public static IDisposable ShowQueue(string peer, Func<long> waiting) => _queue.Show(() => waiting(), new KeyValuePair<string, object?>(TelemetryNames.Tags.Peer, peer));

    /// <summary>Shows how many connections are open, until the result is disposed of.</summary>
    /// <param name="open">called from any thread</param>
    public static IDisposable ShowConnections(Func<int> open) => _connections.Show(() => open());

    private static void Moved(long bytes, KeyValuePair<string, object?> direction)
    {
        if (_bytes.Enabled)
            _bytes.Add(bytes, direction);
        if (_messages.Enabled)
            _messages.Add(1, direction);
    }
}
