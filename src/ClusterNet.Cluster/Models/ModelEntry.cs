namespace ClusterNet.Cluster.Models;

/// <summary>What who routes requests needs to know of a model.</summary>
/// <param name="Model">its name</param>
/// <param name="Versions">numbers, ascending</param>
/// <param name="Labels">which version each label is of</param>
/// <param name="Traffic">which versions answer; <see cref="TrafficSpec.Default"/> where nothing was said</param>
public sealed record ModelEntry(string Model, IReadOnlyList<int> Versions, IReadOnlyDictionary<string, int> Labels, TrafficSpec Traffic)
{
    /// <summary>The number that a version's number or a label leads to; null where there is none.</summary>
    public int? NumberOf(string target) =>
        Labels.TryGetValue(target, out var labelled) ? labelled
        : int.TryParse(target, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var number) && Versions.Contains(number) ? number
        : null;
}

/// <summary>Labels of versions.</summary>
public static class ModelLabels
{
    /// <summary>What answers where a model's traffic says nothing else.</summary>
    public const string Production = "production";

    /// <summary>What is to be tried.</summary>
    public const string Staging = "staging";

    /// <summary>The most characters.</summary>
    public const int MaxLength = Core.Jobs.PublishSpec.MaxLabel;

    /// <summary>Whether it can be a label: letters, digits, '.', '_', '-', the first a letter, so that no label is a number.</summary>
    public static bool IsValid(string? label) => Core.Jobs.PublishSpec.IsLabel(label);
}
