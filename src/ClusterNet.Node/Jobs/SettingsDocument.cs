using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Node.Jobs;

/// <summary>Settings, and where each of them was given.</summary>
/// <param name="root">the settings</param>
/// <param name="source">what they come from, as shown to the user</param>
/// <param name="places">by path of a setting: where it stands, e.g. <c>config/jobs/x.yaml:12</c></param>
internal sealed class SettingsDocument(SettingValue.Map root, string source, Dictionary<string, string> places)
{
    /// <summary>The settings.</summary>
    public SettingValue.Map Root { get; private set; } = root;

    /// <summary>Where they come from, as shown to the user.</summary>
    public string Source { get; } = source;

    /// <summary>The fault with the place of its setting, or of the nearest that encloses it; as it is where its place is no path of a setting.</summary>
    public Fault Locate(Fault fault)
    {
        if (fault.Place.Length == 0)
            return fault with { Place = Source };
        if (!IsPath(fault.Place))
            return fault;
        // an unknown setting's own line says more than that of its section
        for (var path = fault.Place; path.Length > 0; path = ParentOf(path))
        {
            if (places.TryGetValue(path, out var place))
                return fault with { Place = $"{place} {fault.Place}" };
        }
        return fault with { Place = $"{Source} {fault.Place}" };
    }

    /// <summary>Whether a setting stands in the file itself, and was not given elsewhere.</summary>
    public bool IsFromSource(string path) => places.TryGetValue(path, out var place) && place.StartsWith(Source + ":", StringComparison.Ordinal);

    /// <summary>Replaces one setting, or takes it back where <paramref name="value"/> is null.</summary>
    /// <returns>what stands in the way, else null</returns>
    public string? Set(IReadOnlyList<string> path, SettingValue? value, string place)
    {
        var (changed, obstacle) = Replace(Root, path, 0, value);
        if (obstacle is not null)
            return obstacle;
        Root = (SettingValue.Map)changed!;
        places[Join(path)] = place;
        // sections that only exist through this override
        for (var depth = 1; depth < path.Count; depth++)
            places.TryAdd(Join(path.Take(depth)), place);
        return null;
    }

    internal static string Join(IEnumerable<string> path) =>
        path.Aggregate("", (text, part) => part.StartsWith('[') || text.Length == 0 ? text + part : $"{text}.{part}");

    private static (SettingValue? Value, string? Obstacle) Replace(SettingValue? current, IReadOnlyList<string> path, int depth, SettingValue? value)
    {
        if (depth == path.Count)
            return (value, null);
        var part = path[depth];
        var here = Join(path.Take(depth));
        if (part.StartsWith('['))
        {
            var index = int.Parse(part[1..^1], System.Globalization.CultureInfo.InvariantCulture);
            if (current is not SettingValue.List list)
                return (null, $"{here} is not a list");
            if (index >= list.Items.Count)
                return (null, $"{here} has {list.Items.Count} items; the first is [0]");
            var (item, problem) = Replace(list.Items[index], path, depth + 1, value);
            var items = list.Items.ToList();
            if (item is null)
                items.RemoveAt(index);
            else
                items[index] = item;
            return (new SettingValue.List(items), problem);
        }

        var entries = current switch
        {
            null or SettingValue.Scalar { Text: "" or "none" } => new Dictionary<string, SettingValue>(StringComparer.Ordinal),
            SettingValue.Map map => new Dictionary<string, SettingValue>(map.Entries, StringComparer.Ordinal),
            // the short form 'optimizer: adam', made longer by 'optimizer.learning-rate'
            SettingValue.Scalar word => new Dictionary<string, SettingValue>(StringComparer.Ordinal) { ["kind"] = word },
            _ => null,
        };
        if (entries is null)
            return (null, $"{here} is a list: say which item, as in {here}[0]");
        var (entry, obstacle) = Replace(entries.GetValueOrDefault(part), path, depth + 1, value);
        if (entry is null)
            entries.Remove(part);
        else
            entries[part] = entry;
        return (new SettingValue.Map(entries), obstacle);
    }

    // other places are files, columns, arguments
    private bool IsPath(string place) =>
        place.Split('.', '[')[0] is var head && (head is "name" or "data" or "model" or "training" || places.ContainsKey(head));

    private static string ParentOf(string path)
    {
        var cut = path.LastIndexOfAny(['.', '[']);
        return cut <= 0 ? "" : path[..cut];
    }
}
