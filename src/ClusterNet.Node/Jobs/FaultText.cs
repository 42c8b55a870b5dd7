using ClusterNet.Core.Faults;
using F23.StringSimilarity;

namespace ClusterNet.Node.Jobs;

/// <summary>Faults as a user reads them: one line each, with the near miss that was probably meant.</summary>
internal static class FaultText
{
    private static readonly Damerau _distance = new();

    /// <summary>One line.</summary>
    public static string Format(Fault fault) => Suggestion(fault) is { } meant ? $"{OneLine(fault)}. Did you mean '{meant}'?" : OneLine(fault);

    /// <summary>The candidate nearest to what was found: at most a third of its characters wrong, swapped, missing or too many; else null.</summary>
    public static string? Suggestion(Fault fault)
    {
        if (fault.Found is not { Length: > 0 and <= 200 } found)
            return null;
        var word = found.ToLowerInvariant();
        var nearest = fault.Candidates
            .Where(candidate => candidate.Length is > 0 and <= 200 && candidate != found)
            .Select(candidate => (Candidate: candidate, Distance: _distance.Distance(word, candidate.ToLowerInvariant())))
            .OrderBy(pair => pair.Distance)
            .FirstOrDefault();
        return nearest.Candidate is not null && nearest.Distance <= Math.Max(1, Math.Max(found.Length, nearest.Candidate.Length) / 3) ? nearest.Candidate : null;
    }

    // what a user typed may hold anything; it must not move the cursor of who reads it
    private static string OneLine(Fault fault) => string.Concat(fault.ToString().ReplaceLineEndings(" ").Select(c => char.IsControl(c) ? '?' : c));
}
