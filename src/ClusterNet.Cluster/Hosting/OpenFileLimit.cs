using System.Globalization;

namespace ClusterNet.Cluster.Hosting;

/// <summary>
/// The most files that the process may have open; connections are files too. Where none is left, libraries can't be loaded, each with an error that names something else, and the runtime's collector, which can't read how much memory
/// there is, ends the process as if there were none. So it must never come to that.
/// </summary>
public static class OpenFileLimit
{
    /// <summary>What the program needs for itself; training has some 270 open.</summary>
    public const int Least = 512;

    private const string Limits = "/proc/self/limits";

    /// <summary>Of this process; null where it is not known, or there is none.</summary>
    public static int? Most { get; } = File.Exists(Limits) ? Read(File.ReadAllText(Limits)) : null;

    /// <summary>Why the program can't run; null where it can.</summary>
    public static string? Fault() => Most < Least
        ? string.Create(CultureInfo.InvariantCulture, $"the process may have {Most} files open (ulimit -n); ClusterNet needs {Least}, and a gateway one more for each connection: raise the limit")
        : null;

    /// <summary>The most connections of each port, of what was wanted: half of what the program does not need itself is left to the lane and to Akka.Remote.</summary>
    /// <param name="wanted">by the settings</param>
    /// <param name="ports">each bounded by itself</param>
    /// <param name="most">files of the process</param>
    public static int Connections(int wanted, int ports, int? most) => most is { } files ? Math.Clamp((files - Least) / 2 / Math.Max(1, ports), 1, wanted) : wanted;

    /// <param name="limits">as Linux writes them; the runtime has raised the soft limit to the hard one</param>
    internal static int? Read(string limits)
    {
        const string name = "Max open files";
        var line = limits.Split('\n').FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal));
        var words = line?[name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries) ?? [];
        return words.Length > 0 && int.TryParse(words[0], NumberStyles.None, CultureInfo.InvariantCulture, out var most) ? most : null;
    }
}
