namespace ClusterNet.Data.Preparation;

/// <summary>Numbers first, by their value, then words by their characters: 2, 10, "benign". A total order, so the result depends on nothing else.</summary>
internal sealed class WordOrder : IComparer<string>
{
    /// <summary>The one there is.</summary>
    public static readonly WordOrder Instance = new();

    /// <inheritdoc/>
    public int Compare(string? x, string? y)
    {
        var (left, right) = (NumberStepFitter.Number(x), NumberStepFitter.Number(y));
        if (left is { } a && right is { } b && a != b)
            return a.CompareTo(b);
        return (left is null).CompareTo(right is null) is var kind and not 0 ? kind : string.CompareOrdinal(x, y);
    }
}
