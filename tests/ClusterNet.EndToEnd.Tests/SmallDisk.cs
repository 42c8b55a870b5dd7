using System.Globalization;
using ClusterNet.EndToEnd.Tests.Clusters;

namespace ClusterNet.EndToEnd.Tests;

/// <summary>A file system of a few megabytes that can be filled. Whoever uses it must have ended before it is disposed of.</summary>
internal sealed class SmallDisk : IDisposable
{
    private readonly string _path;

    private SmallDisk(string path) => _path = path;

    private string Filler => Path.Combine(_path, "filler");

    /// <summary>Makes it, or skips the test where this machine does not allow it.</summary>
    public static async Task<SmallDisk> MountAsync(string path, int megabytes)
    {
        Skip.IfNot(OperatingSystem.IsLinux() && Environment.UserName == "root", "to mount takes root on Linux");
        Directory.CreateDirectory(path);
        var (isMounted, fault) = await Tool.TryAsync("mount", "-t", "tmpfs", "-o", string.Create(CultureInfo.InvariantCulture, $"size={megabytes}m"), "tmpfs", path);
        Skip.IfNot(isMounted, $"this machine mounts nothing: {fault}");
        return new SmallDisk(path);
    }

    /// <summary>Takes all the room that is left.</summary>
    public void Fill()
    {
        try
        {
            using var filler = new FileStream(Filler, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
            foreach (var block in new[] { new byte[64 * 1024], new byte[4096] })
            {
                try
                {
                    while (true)
                        filler.Write(block);
                }
                catch (IOException)
                {
                    // no room for a block of this size
                }
            }
        }
        catch (IOException)
        {
            // not even for its end
        }
    }

    /// <summary>Makes room again.</summary>
    public void Free() => File.Delete(Filler);

    public void Dispose() => Tool.TryAsync("umount", _path).GetAwaiter().GetResult();
}
