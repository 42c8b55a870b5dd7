using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Data.Sources;

/// <summary>The data that comes with the project; see Builtin/ATTRIBUTION.md.</summary>
internal static class BuiltinSource
{
    /// <summary>What the names start with.</summary>
    public const string Prefix = "builtin:";

    private static readonly SortedDictionary<string, string> Resources = new(StringComparer.Ordinal)
    {
        ["builtin:digits"] = "digits.csv.gz",
        ["builtin:wdbc"] = "wdbc.csv",
        ["builtin:xor"] = "xor.csv",
    };

    /// <summary>The rows of one of them, a CSV with header whatever the job says.</summary>
    /// <exception cref="InputException">no data of that name</exception>
    public static CsvRows Open(string name, string place = "data.source")
    {
        if (!Resources.TryGetValue(name, out var resource))
            throw new InputException([Fault.Unknown(place, name, [.. Resources.Keys])]);
        var stream = typeof(BuiltinSource).Assembly.GetManifestResourceStream(resource)!;
        return new CsvRows(CsvRows.Decompressed(stream, resource), name, new CsvSpec());
    }
}
