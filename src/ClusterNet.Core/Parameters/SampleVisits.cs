using ClusterNet.Core.Plans;

namespace ClusterNet.Core.Parameters;

/// <summary>
/// Which samples were visited, as far as two numbers can tell: the sum does not depend on the order, and a sample that is left out, taken twice or exchanged for another changes it
/// (by chance alone it agrees once in 2^64).
/// </summary>
/// <param name="Count">how many</param>
/// <param name="Fingerprint">the sum, modulo 2^64, of a hash of each sample's position in the training part</param>
public readonly record struct SampleVisits(long Count, ulong Fingerprint)
{
    /// <summary>Both sets of visits.</summary>
    public static SampleVisits operator +(SampleVisits left, SampleVisits right) => new(left.Count + right.Count, unchecked(left.Fingerprint + right.Fingerprint));

    /// <summary>The same as the operator.</summary>
    public static SampleVisits Add(SampleVisits left, SampleVisits right) => left + right;

    /// <summary>Visits to samples at these positions of the training part.</summary>
    public static SampleVisits Of(ReadOnlySpan<int> positions)
    {
        var fingerprint = 0UL;
        foreach (var position in positions)
            fingerprint = unchecked(fingerprint + Hash(position));
        return new SampleVisits(positions.Length, fingerprint);
    }

    /// <summary>One visit to each of the first <paramref name="samples"/> samples.</summary>
    public static SampleVisits OfAll(int samples)
    {
        var fingerprint = 0UL;
        for (var position = 0; position < samples; position++)
            fingerprint = unchecked(fingerprint + Hash(position));
        return new SampleVisits(samples, fingerprint);
    }

    private static ulong Hash(int position) => SplitMix64.Combine(position);
}
