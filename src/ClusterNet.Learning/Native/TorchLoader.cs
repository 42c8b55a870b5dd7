using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace ClusterNet.Learning.Native;

/// <summary>
/// Loads libtorch and TorchSharp's native bridge before TorchSharp is first touched. The bridge asks for the version <c>GLIBCXX_3.4.32</c> of libstdc++ (GCC 13), which
/// Debian 12 and Ubuntu 22.04 lack, for the sake of one symbol that is never called. Where the plain load fails for that reason, and only there, a private
/// copy of the bridge that wants the version weakly is loaded instead.
/// </summary>
public static partial class TorchLoader
{
    /// <summary>Names the environment variable that pins what every x86-64 processor computes alike, more slowly.</summary>
    public const string PortableVariable = "CLUSTERNET_PORTABLE";

    /// <summary>Names the environment variable that has workers take a job that began with another arithmetic than theirs.</summary>
    public const string AcceptVariable = "CLUSTERNET_OTHER_ARITHMETIC";

    private const string MissingVersion = "GLIBCXX_3.4.32";
    private const string MarkerSymbol = "_ZSt21ios_base_library_initv";
    private const string Bridge = "libLibTorchSharp.so";

    // where the libraries choose their kernels: MKL's products, ATen's vectorized functions, oneDNN's convolutions
    private static readonly (string Name, string Value)[] _pins = [("MKL_CBWR", "COMPATIBLE"), ("ATEN_CPU_CAPABILITY", "default"), ("ONEDNN_MAX_CPU_ISA", "SSE41")];

    private static readonly Lazy<bool> _loaded = new(Load);

    /// <summary>Whether workers take a job that began with another arithmetic.</summary>
    public static bool AcceptsOtherArithmetic => IsOn(AcceptVariable);

    /// <summary>Whether the private copy had to be loaded. Loads, if that was not done yet.</summary>
    public static bool UsesPrivateCopy => _loaded.Value;

    /// <summary>Loads the native libraries once; every later call, on any thread, costs nothing.</summary>
    /// <exception cref="DllNotFoundException">they are there but can't be loaded, for another reason than the one above</exception>
    /// <exception cref="InvalidDataException">the bridge needs another libstdc++, but is not of a version that this loader knows</exception>
    public static void EnsureLoaded() => _ = _loaded.Value;

    /// <summary>The bridge as this system can load it.</summary>
    /// <exception cref="InvalidDataException">the library is not what the change was made for; the message says why and what to do</exception>
    internal static byte[] PatchedBridge(string path)
    {
        var library = File.ReadAllBytes(path);
        try
        {
            VersionNeed.Weaken(library, MissingVersion, MarkerSymbol);
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException(
                $"{path} needs a newer libstdc++ (with {MissingVersion}, GCC 13) than this system has, and can't be made to do without: {e.Message}. "
                + "Install a newer libstdc++6, or use the version of TorchSharp that this program was built with.", e);
        }
        return library;
    }

    private static bool Load()
    {
        NativeHeap.KeepFreed();
        if (IsOn(PortableVariable))
            Pin();
        // elsewhere TorchSharp finds its libraries by itself, and they ask for nothing unusual
        if (!OperatingSystem.IsLinux() || FindDirectory("libtorch_cpu.so") is not { } torch || FindDirectory(Bridge) is not { } bridge)
            return false;
        // all from one folder and before the bridge: a second copy of libtorch in the process aborts it with a double registration
        foreach (var name in new[] { "libc10.so", "libtorch_cpu.so", "libtorch.so" })
            NativeLibrary.Load(Path.Combine(torch, name));
        var path = Path.Combine(bridge, Bridge);
        try
        {
            NativeLibrary.Load(path);
            return false;
        }
        catch (DllNotFoundException e) when (e.Message.Contains(MissingVersion, StringComparison.Ordinal))
        {
            // TorchSharp's own imports then resolve to this copy, since the dynamic linker knows it by its soname
            NativeLibrary.Load(PrivateCopy(path));
            return true;
        }
    }

    /// <summary>Before the libraries look: they do once. What the user has set stays.</summary>
    private static void Pin()
    {
        if (OperatingSystem.IsWindows())
            throw new PlatformNotSupportedException($"{PortableVariable} is not for Windows: set {string.Join(", ", _pins.Select(pin => $"{pin.Name}={pin.Value}"))} before the program starts instead");
        // .NET keeps a copy of its own of the environment, which libraries do not see
        foreach (var (name, value) in _pins)
            _ = SetVariable(name, value, overwrite: 0);
    }

    private static bool IsOn(string variable) => Environment.GetEnvironmentVariable(variable) is "1" or "true";

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetVariable(string name, string value, int overwrite);

    private static string? FindDirectory(string file)
    {
        var searched = (AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        return searched.Append(AppContext.BaseDirectory).FirstOrDefault(directory => File.Exists(Path.Combine(directory, file)));
    }

    private static string PrivateCopy(string path)
    {
        var library = PatchedBridge(path);
        var name = Convert.ToHexStringLower(SHA256.HashData(library));
        var cache = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData);
        try
        {
            if (cache.Length > 0)
                return Place(library, Path.Combine(cache, "clusternet", "native", name));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // a read-only home, as in many containers: a fresh folder in the temporary one does as well
        }
        return Place(library, Directory.CreateTempSubdirectory("clusternet-native-").FullName);
    }

    /// <summary>Puts the library in a folder that its owner alone may enter; a file of the same content is left as it is.</summary>
    /// <returns>its path</returns>
    internal static string Place(byte[] library, string folder)
    {
        if (!OperatingSystem.IsWindows())
        {
            const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
            Directory.CreateDirectory(folder, OwnerOnly);
            File.SetUnixFileMode(folder, OwnerOnly);
        }
        var path = Path.Combine(folder, Bridge);
        if (File.Exists(path) && File.ReadAllBytes(path).AsSpan().SequenceEqual(library))
            return path;
        // renamed in one piece, so that a process that starts at the same time never sees half a library
        var unfinished = Path.Combine(folder, $"{Guid.NewGuid():N}.tmp");
        File.WriteAllBytes(unfinished, library);
        File.Move(unfinished, path, overwrite: true);
        return path;
    }
}
