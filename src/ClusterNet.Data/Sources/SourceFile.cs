using ClusterNet.Core.Faults;

namespace ClusterNet.Data.Sources;

/// <summary>Opens what a user named, or says why not.</summary>
internal static class SourceFile
{
    /// <summary>Opens an existing file for sequential reading.</summary>
    /// <exception cref="InputException">there is none, or it may not be read</exception>
    public static FileStream OpenRead(string path)
    {
        if (Directory.Exists(path))
            throw new InputException(path, "a folder stands where a file belongs (data.format: images reads folders)");
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16, FileOptions.SequentialScan);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            throw Missing(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new InputException(path, $"the file can't be read: {exception.Message}");
        }
    }

    /// <summary>What to say of a path where nothing is.</summary>
    public static InputException Missing(string path)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path));
        var neighbours = folder is not null && Directory.Exists(folder)
            ? Directory.EnumerateFileSystemEntries(folder).Select(entry => Path.GetFileName(entry)).Order(StringComparer.Ordinal).Take(100).ToArray()
            : [];
        var where = neighbours.Length == 0 ? $"nor is its folder {folder}" : $"its folder {folder} is";
        return new InputException([new Fault(path, $"no such file or folder, {where} there") { Found = Path.GetFileName(path), Candidates = neighbours }]);
    }
}
