using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Data.Sources;

/// <summary>Reads samples from NumPy arrays: a feature array with the samples along its first axis, and a target array.</summary>
internal static class NpzSource
{
    private static readonly (string Prefix, string Part, bool Needed)[] Parts = [("train_", "train", true), ("val_", "validation", false), ("test_", "test", false)];

    /// <summary>All samples of the file; with a split by arrays, those of train, val and test one after the other.</summary>
    /// <exception cref="InputException">arrays that are missing, or that do not go together</exception>
    public static Frame Read(DataSpec spec)
    {
        using var file = NpzFile.Open(spec.Source);
        var faults = new FaultList();
        CheckSettings(spec, faults);
        var blocks = Blocks(spec, file, faults);
        var column = spec.Split.Kind is SplitKind.Group or SplitKind.Column ? spec.Split.Column : null;
        if (column is not null && !file.Arrays.Contains(column))
            faults.AddUnknown("data.split.column", "array", column, file.Name, file.Arrays);
        faults.ThrowIfAny();

        var features = ChannelOrder.First(NpzArrays.Features(file, spec.FeatureArray, [.. blocks.Select(block => block.Features)]), spec.Shape);
        var target = NpzArrays.Target(file, spec.Target, [.. blocks.Select(block => block.Target)], spec.Task);
        var words = column is null ? null : NpzArrays.Words(file, column, [column]);
        var starts = new List<(string Name, int Start)>();
        var start = 0;
        foreach (var block in blocks)
        {
            starts.Add((file.PlaceOf(block.Features), start));
            start += file.Head(block.Features).Shape[0];
        }
        NpzArrays.CheckCounts(file, features.Count, blocks.Select(block => (block.Features, block.Target)), column, faults);
        faults.ThrowIfAny();
        var parts = spec.Split.Kind == SplitKind.Arrays ? PartsOf(blocks, starts, start) : spec.Split.Kind == SplitKind.Column ? words : null;
        return new Frame(features, target, spec.Split.Kind == SplitKind.Group ? words : null, parts, new SamplePlaces.Runs(starts));
    }

    private static void CheckSettings(DataSpec spec, FaultList faults)
    {
        foreach (var (name, given) in new[] { ("features", spec.Features), ("exclude", spec.Exclude), ("categorical", spec.Categorical) })
        {
            if (given.Count > 0)
                faults.Add($"data.{name}", "names columns of a table; an NPZ file has arrays (data.feature-array, data.target)");
        }
        if (spec.Split.Kind is SplitKind.Group or SplitKind.Column && spec.Split.Column is null)
            faults.Add("data.split.column", $"say which array holds the {(spec.Split.Kind == SplitKind.Group ? "group" : "part's name")}");
    }

    private static List<(string Features, string Target, string Part)> Blocks(DataSpec spec, NpzFile file, FaultList faults)
    {
        var blocks = new List<(string Features, string Target, string Part)>();
        if (spec.Split.Kind != SplitKind.Arrays)
        {
            Check("data.feature-array", spec.FeatureArray);
            Check("data.target", spec.Target);
            blocks.Add((spec.FeatureArray, spec.Target, "train"));
            return blocks;
        }
        foreach (var (prefix, part, needed) in Parts)
        {
            var (features, target) = (prefix + spec.FeatureArray, prefix + spec.Target);
            if (!needed && !file.Arrays.Contains(features) && !file.Arrays.Contains(target))
                continue;
            Check("data.feature-array", features);
            Check("data.target", target);
            blocks.Add((features, target, part));
        }
        return blocks;

        void Check(string place, string array)
        {
            if (!file.Arrays.Contains(array))
                faults.AddUnknown(place, "array", array, file.Name, file.Arrays);
        }
    }

    private static WordColumn PartsOf(List<(string Features, string Target, string Part)> blocks, List<(string Name, int Start)> starts, int count)
    {
        var codes = new int[count];
        for (var block = 0; block < blocks.Count; block++)
            codes.AsSpan(starts[block].Start).Fill(block);
        return new WordColumn("arrays", codes, [.. blocks.Select(block => block.Part)]);
    }
}
