using ClusterNet.Core.Jobs;

namespace ClusterNet.Data.Sources;

/// <summary>What a column of a table is for.</summary>
internal enum ColumnRole
{
    /// <summary>A feature that is a number.</summary>
    Number,

    /// <summary>A feature that is a category.</summary>
    Category,

    /// <summary>The class to learn.</summary>
    Class,

    /// <summary>The number to learn.</summary>
    Value,

    /// <summary>The group, for a split by group.</summary>
    Group,

    /// <summary>The part's name, for a split by column.</summary>
    Part,
}

/// <summary>A column and what it is for; one column may serve twice.</summary>
internal sealed record ColumnUse(string Name, ColumnRole Role);

/// <summary>Decides from a job's data section which columns are read, and as what.</summary>
internal static class TableLayout
{
    /// <summary>The columns to read: the features in their order, then target, group and part.</summary>
    /// <param name="spec">the data section</param>
    /// <param name="columns">the columns there are</param>
    /// <param name="source">how faults call the source</param>
    /// <param name="faults">receives names that are not there, and leaks of the target</param>
    public static IReadOnlyList<ColumnUse> Of(DataSpec spec, IReadOnlyList<string> columns, string source, FaultList faults)
    {
        var known = columns.ToHashSet(StringComparer.Ordinal);
        void Check(string place, IEnumerable<string> names)
        {
            foreach (var name in names.Where(name => !known.Contains(name)))
                faults.AddUnknown(place, "column", name, source, columns);
        }

        Check("data.target", [spec.Target]);
        Check("data.features", spec.Features);
        Check("data.exclude", spec.Exclude);
        Check("data.categorical", spec.Categorical);
        foreach (var name in spec.Features.GroupBy(name => name, StringComparer.Ordinal).Where(group => group.Count() > 1).Select(group => group.Key))
            faults.Add("data.features", $"column '{name}' is named twice");
        if (spec.Features.Contains(spec.Target, StringComparer.Ordinal))
            faults.Add("data.features", $"'{spec.Target}' is the target: a model that sees it learns nothing else; take it out");

        var uses = new List<ColumnUse>();
        var split = SplitUse(spec, faults);
        if (split is not null)
            Check("data.split.column", [split.Name]);

        var excluded = spec.Exclude.ToHashSet(StringComparer.Ordinal);
        var features = (spec.Features.Count > 0 ? spec.Features : [.. columns.Where(name => name != spec.Target && name != split?.Name)])
            .Where(name => !excluded.Contains(name)).ToArray();
        if (features.Length == 0)
            faults.Add(spec.Features.Count > 0 ? "data.features" : "data.exclude", $"no column of {source} is left as a feature");

        var categorical = CategoricalColumns(spec);
        uses.AddRange(features.Select(name => new ColumnUse(name, categorical.Contains(name) ? ColumnRole.Category : ColumnRole.Number)));
        uses.Add(new ColumnUse(spec.Target, spec.Task == LearningTask.Classification ? ColumnRole.Class : ColumnRole.Value));
        if (split is not null)
            uses.Add(split);
        return uses;
    }

    /// <summary>The columns whose cells are categories: those said to be, and those named in a one-hot step.</summary>
    public static HashSet<string> CategoricalColumns(DataSpec spec) =>
        spec.Categorical.Concat(spec.Preparation.Where(step => step.Kind == PreparationKind.OneHot).SelectMany(step => step.Columns)).ToHashSet(StringComparer.Ordinal);

    private static ColumnUse? SplitUse(DataSpec spec, FaultList faults)
    {
        switch (spec.Split.Kind)
        {
            case SplitKind.Arrays:
                faults.Add("data.split.kind", "arrays splits NPZ files; a table can be split by a column, by group, at random or stratified");
                return null;
            case SplitKind.Group or SplitKind.Column when spec.Split.Column is null:
                faults.Add("data.split.column", $"say which column holds the {(spec.Split.Kind == SplitKind.Group ? "group" : "part's name")}");
                return null;
            case SplitKind.Group:
                return new ColumnUse(spec.Split.Column, ColumnRole.Group);
            case SplitKind.Column:
                return new ColumnUse(spec.Split.Column, ColumnRole.Part);
            default:
                return null;
        }
    }
}
