namespace ClusterNet.Cluster.Lanes;

/// <summary>What a node's lane has done since it started.</summary>
/// <param name="SentMessages">written to peers</param>
/// <param name="SentBytes">of these</param>
/// <param name="ReceivedMessages">read from peers and told to actors</param>
/// <param name="ReceivedBytes">of these</param>
/// <param name="DroppedMessages">not written: too much was waiting, or the connection failed</param>
/// <param name="NobodyThere">received for an actor that is no more</param>
/// <param name="QueuedBytes">waiting to be written, now</param>
/// <param name="HeldBytes">received and not yet released, now</param>
/// <param name="Refused">connections that were refused, or closed because of what came over them</param>
public sealed record LaneStatistics(
    long SentMessages, long SentBytes, long ReceivedMessages, long ReceivedBytes, long DroppedMessages, long NobodyThere, long QueuedBytes, long HeldBytes, long Refused);

/// <summary>Counts for <see cref="LaneStatistics"/>, from any thread.</summary>
internal sealed class LaneCounters
{
    private long _sentMessages;
    private long _sentBytes;
    private long _receivedMessages;
    private long _receivedBytes;
    private long _dropped;
    private long _nobody;
    private long _queued;
    private long _refused;

    public void Queued(long bytes) => Interlocked.Add(ref _queued, bytes);

    public void Sent(long bytes)
    {
        Interlocked.Increment(ref _sentMessages);
        Interlocked.Add(ref _sentBytes, bytes);
    }

    public void Received(long bytes)
    {
        Interlocked.Increment(ref _receivedMessages);
        Interlocked.Add(ref _receivedBytes, bytes);
    }

    public void Dropped(int messages) => Interlocked.Add(ref _dropped, messages);

    public void NobodyThere() => Interlocked.Increment(ref _nobody);

    public void Refused() => Interlocked.Increment(ref _refused);

    public LaneStatistics Read(long held) => new(
        Interlocked.Read(ref _sentMessages),
        Interlocked.Read(ref _sentBytes),
        Interlocked.Read(ref _receivedMessages),
        Interlocked.Read(ref _receivedBytes),
        Interlocked.Read(ref _dropped),
        Interlocked.Read(ref _nobody),
        Interlocked.Read(ref _queued),
        held,
        Interlocked.Read(ref _refused));
}
