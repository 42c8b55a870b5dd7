using ClusterNet.Core.Faults;
using ClusterNet.Data;

namespace ClusterNet.Cluster.Workers;

/// <summary>The folders whose files jobs may read on a node. A job that is sent names a path, and what a reader says of a file, a class that it finds there for one, tells what stands in it.</summary>
/// <param name="folders">whole paths; empty for any folder</param>
public sealed class DataFolders(IReadOnlyList<string> folders)
{
    private const int MostLinks = 40;

    /// <summary>No bound.</summary>
    public static DataFolders Any { get; } = new([]);

    /// <summary>Looks where a source lies, whatever links lead there, and before it is opened or looked for.</summary>
    /// <param name="source">of a job's data</param>
    /// <exception cref="InputException">in none of the folders</exception>
    public void Require(string source)
    {
        if (!Allow(source))
        {
            throw new InputException(
                "data.source", $"'{source}' is in none of the folders that jobs may read here ({string.Join(", ", folders)}); put the data into one of them, or add its folder to data-folders in the node's settings");
        }
    }

    /// <summary>Whether a source is one that may be read.</summary>
    public bool Allow(string source)
    {
        ArgumentNullException.ThrowIfNull(source);
        return folders.Count == 0 || DataPipeline.IsBuiltin(source)
            || (Path.IsPathRooted(source) && Real(source, 0) is { } real && folders.Any(folder => Real(folder, 0) is { } root && IsWithin(real, root)));
    }

    private static bool IsWithin(string path, string folder) => path == folder || path.StartsWith(Path.TrimEndingDirectorySeparator(folder) + Path.DirectorySeparatorChar, StringComparison.Ordinal);

    /// <summary>A path without links in any part of it; null where they lead in a circle.</summary>
    private static string? Real(string path, int links)
    {
        var full = Path.GetFullPath(path);
        var root = Path.GetPathRoot(full)!;
        var real = root;
        foreach (var part in full[root.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries))
        {
            real = Path.Combine(real, part);
            // what a link names is relative to where the link is
            while (new FileInfo(real).LinkTarget is { } target)
            {
                if (++links > MostLinks || Real(Path.Combine(Path.GetDirectoryName(real)!, target), links) is not { } next)
                    return null;
                real = next;
            }
        }
        return real;
    }
}
