using ClusterNet.Core.Faults;

namespace ClusterNet.Node.Output;

/// <summary>Files that are there whole or not at all: written beside their place, then moved into it.</summary>
internal static class AtomicFile
{
    /// <summary>What stands in the way of a file, as far as that shows beforehand.</summary>
    /// <param name="option">the option that names the file</param>
    /// <param name="path">the file</param>
    public static IReadOnlyList<Fault> Check(string option, string path)
    {
        if (path.Length == 0)
            return [new Fault(option, "empty: give the path of a file")];
        if (Directory.Exists(path))
            return [new Fault(option, $"'{path}' is a folder")];
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        return Directory.Exists(folder) ? [] : [new Fault(option, $"there is no folder '{folder}'")];
    }

    /// <summary>Writes a file.</summary>
    /// <exception cref="InputException">it can't be written there</exception>
    public static void Write(string path, ReadOnlySpan<byte> bytes)
    {
        var temporary = $"{Path.GetFullPath(path)}.{Environment.ProcessId}.tmp";
        try
        {
            try
            {
                File.WriteAllBytes(temporary, bytes);
                File.Move(temporary, path, overwrite: true);
            }
            finally
            {
                File.Delete(temporary);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InputException(path, $"can't be written: {error.Message}");
        }
    }
}
