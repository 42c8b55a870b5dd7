namespace ClusterNet.Core.Faults;

/// <summary>One thing that is wrong with what a user gave.</summary>
/// <param name="Place">where: a setting's path (<c>training.optimizer.kind</c>), a file with line and column, an argument</param>
/// <param name="Message">what was found and what would be right, a sentence without a full stop</param>
public sealed record Fault(string Place, string Message)
{
    /// <summary>The word that was not known, where that is what is wrong.</summary>
    public string? Found { get; init; }

    /// <summary>The words that would be: a near miss is suggested where faults are shown.</summary>
    public IReadOnlyList<string> Candidates { get; init; } = [];

    /// <summary>A word that is not one of those known.</summary>
    public static Fault Unknown(string place, string found, IReadOnlyList<string> candidates) =>
        new(place, $"'{found}' is not one of {string.Join(", ", candidates)}") { Found = found, Candidates = candidates };

    /// <inheritdoc/>
    public override string ToString() => Place.Length == 0 ? Message : $"{Place}: {Message}";
}

/// <summary>What a user gave can't be used; nothing was done. Carries every fault that was found, at least one.</summary>
public sealed class InputException : Exception
{
    /// <param name="faults">all of them</param>
    public InputException(IReadOnlyList<Fault> faults)
        : base(string.Join(Environment.NewLine, faults)) => Faults = faults;

    /// <summary>One fault.</summary>
    public InputException(string place, string message)
        : this([new Fault(place, message)])
    {
    }

    /// <summary>All that was found wrong.</summary>
    public IReadOnlyList<Fault> Faults { get; }
}
