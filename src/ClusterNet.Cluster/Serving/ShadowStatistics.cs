using System.Runtime.InteropServices;

namespace ClusterNet.Cluster.Serving;

/// <summary>How what a shadow says differs from what was answered.</summary>
/// <param name="Compared">requests that both computed</param>
/// <param name="Differing">of these, requests where a bit of an output differs</param>
/// <param name="MaxDifference">the largest difference of an output, absolute</param>
/// <param name="Failed">requests that the shadow did not compute, or gave outputs of another number for</param>
public sealed record ShadowStatistics(long Compared, long Differing, double MaxDifference, long Failed)
{
    /// <summary>Nothing was compared yet.</summary>
    public static ShadowStatistics None { get; } = new(0, 0, 0, 0);

    /// <summary>With one more request.</summary>
    /// <param name="answered">what was answered</param>
    /// <param name="shadow">what the shadow says; null where it failed</param>
    public ShadowStatistics With(ReadOnlyMemory<float> answered, ReadOnlyMemory<float>? shadow)
    {
        if (shadow is not { } other || other.Length != answered.Length)
            return this with { Failed = Failed + 1 };
        var isSame = MemoryMarshal.AsBytes(answered.Span).SequenceEqual(MemoryMarshal.AsBytes(other.Span));
        var largest = MaxDifference;
        for (var i = 0; !isSame && i < answered.Length; i++)
            largest = Math.Max(largest, Math.Abs((double)answered.Span[i] - other.Span[i]));
        return this with { Compared = Compared + 1, Differing = Differing + (isSame ? 0 : 1), MaxDifference = largest };
    }
}
