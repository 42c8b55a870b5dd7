namespace ClusterNet.Cluster.Lanes;

/// <summary>What a reader of frames reads from.</summary>
internal interface ILaneSource
{
    /// <summary>Whether nobody waits for what comes any more.</summary>
    bool IsClosed { get; }

    /// <summary>The memory that it comes through, and where words may lie that do not; null where there is none.</summary>
    SharedRing? Ring { get; }

    /// <summary>Waits for the next byte.</summary>
    /// <returns>-1 where the peer closed</returns>
    int ReadByte();

    /// <summary>Fills <paramref name="bytes"/>.</summary>
    /// <exception cref="EndOfStreamException">the peer closed before</exception>
    void Read(Span<byte> bytes);

    /// <summary>How long a read may get nothing; zero for ever.</summary>
    void SetPatience(TimeSpan patience);

    /// <summary>Nothing was there to read for a while.</summary>
    void Rested();
}
