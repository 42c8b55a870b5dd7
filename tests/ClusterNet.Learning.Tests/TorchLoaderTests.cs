using ClusterNet.Learning.Native;
using TorchSharp;

namespace ClusterNet.Learning.Tests;

/// <summary>TorchSharp runs on systems whose libstdc++ is older than the one its bridge was built with, and nothing else is ever changed.</summary>
public sealed class TorchLoaderTests
{
    private static string? Bridge => (AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string ?? "").Split(Path.PathSeparator)
        .Select(directory => Path.Combine(directory, "libLibTorchSharp.so")).FirstOrDefault(File.Exists);

    [Fact]
    public void A_plain_process_computes_a_tensor()
    {
        TorchLoader.EnsureLoaded();
        using var sum = torch.ones(3, 4).sum();
        Assert.Equal(12f, sum.item<float>());
    }

    [SkippableFact]
    public void The_copy_differs_from_the_real_library_in_one_flag()
    {
        Skip.If(Bridge is null, "the bridge is a Linux library");
        var original = File.ReadAllBytes(Bridge);
        var copy = TorchLoader.PatchedBridge(Bridge);
        var changed = Enumerable.Range(0, original.Length).Where(i => original[i] != copy[i]).ToArray();
        Assert.Single(changed);
        Assert.Equal(original[changed[0]] | 2, copy[changed[0]]);
    }

    [SkippableFact]
    public void A_library_that_needs_the_version_for_another_symbol_too_is_refused()
    {
        Skip.If(Bridge is null, "the bridge is a Linux library");
        var library = File.ReadAllBytes(Bridge);
        var before = library.ToArray();
        var thrown = Assert.Throws<InvalidDataException>(() => VersionNeed.Weaken(library, "GLIBCXX_3.4.21", "_ZSt21ios_base_library_initv"));
        Assert.Contains("_ZSt21ios_base_library_initv alone was expected", thrown.Message, StringComparison.Ordinal);
        Assert.Contains("no need for GLIBCXX_9.9", Assert.Throws<InvalidDataException>(() => VersionNeed.Weaken(library, "GLIBCXX_9.9", "x")).Message, StringComparison.Ordinal);
        Assert.Equal(before, library);
    }

    [Fact]
    public void A_file_that_is_no_library_is_refused_with_what_to_do()
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, "not a library");
            var thrown = Assert.Throws<InvalidDataException>(() => TorchLoader.PatchedBridge(file));
            Assert.Contains("not a 64-bit little-endian ELF file", thrown.Message, StringComparison.Ordinal);
            Assert.Contains("Install a newer libstdc++6", thrown.Message, StringComparison.Ordinal);
            byte[] cut = [0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, .. new byte[34], 0, 0xff];
            Assert.Contains("outside the file", Assert.Throws<InvalidDataException>(() => VersionNeed.Weaken(cut, "a", "b")).Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void A_copy_is_kept_where_its_content_is_right_and_replaced_where_it_is_not()
    {
        var folder = Directory.CreateTempSubdirectory("clusternet-test-").FullName;
        try
        {
            var path = TorchLoader.Place([1, 2, 3], folder);
            var written = File.GetLastWriteTimeUtc(path);
            Assert.Equal(path, TorchLoader.Place([1, 2, 3], folder));
            Assert.Equal(written, File.GetLastWriteTimeUtc(path));
            File.WriteAllBytes(path, [9]);
            TorchLoader.Place([1, 2, 3], folder);
            Assert.Equal<byte>([1, 2, 3], File.ReadAllBytes(path));
            Assert.Single(Directory.GetFiles(folder));
            if (!OperatingSystem.IsWindows())
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(folder));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
