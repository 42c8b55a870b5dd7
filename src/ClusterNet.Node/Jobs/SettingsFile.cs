using System.Text;
using ClusterNet.Core.Faults;

namespace ClusterNet.Node.Jobs;

/// <summary>Reads the text of a file of settings.</summary>
internal static class SettingsFile
{
    /// <summary>The most bytes of such a file.</summary>
    public const int MaxBytes = 1 << 20;

    /// <summary>The whole text.</summary>
    /// <param name="path">as the user gave it</param>
    /// <param name="kind">what belongs there, e.g. <c>job file</c></param>
    /// <exception cref="InputException">there is no such file, it can't be read or is no text</exception>
    public static string ReadText(string path, string kind)
    {
        if (path.Length == 0)
            throw new InputException("FILE", $"empty: give the path of a {kind}");
        if (Directory.Exists(path))
            throw new InputException(path, $"is a folder; give the path of a {kind}");
        if (!File.Exists(path))
        {
            var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
            var message = Directory.Exists(folder) ? "there is no such file" : $"there is no such file, nor the folder '{folder}'";
            var siblings = Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "*.y*ml").Select(file => Path.GetFileName(file)).Order().Take(1000).ToArray() : [];
            throw new InputException([new Fault(path, message) { Found = Path.GetFileName(path), Candidates = siblings }]);
        }
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            var bytes = new byte[MaxBytes + 1];
            var length = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            if (length > MaxBytes)
                throw new InputException(path, $"is larger than 1 MB; a {kind} is a page of text");
            var text = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes, 0, length);
            return text.StartsWith('\uFEFF') ? text[1..] : text;
        }
        catch (DecoderFallbackException)
        {
            throw new InputException(path, $"is not text in UTF-8, as a {kind} is");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InputException(path, $"can't be read: {error.Message}");
        }
    }
}
