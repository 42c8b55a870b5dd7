using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using ClusterNet.Cluster;
using ClusterNet.Node.Output;

namespace ClusterNet.Node.Hosting;

/// <summary>A node process that <c>cluster start</c> has started.</summary>
/// <param name="Name">of the node</param>
/// <param name="Process">its id</param>
/// <param name="StartedTicks">when the process began, so that another one with the same id is not taken for it</param>
/// <param name="Address">HOST:PORT</param>
/// <param name="Http">the port of its HTTP</param>
/// <param name="Roles">what it does</param>
internal sealed record LaunchedNode(string Name, int Process, long StartedTicks, string Address, int Http, IReadOnlyList<string> Roles)
{
    /// <summary>The process, if it still runs.</summary>
    public Process? Find()
    {
        try
        {
            var process = System.Diagnostics.Process.GetProcessById(Process);
            if (!process.HasExited && Math.Abs(process.StartTime.ToUniversalTime().Ticks - StartedTicks) < TimeSpan.TicksPerSecond)
                return process;
            process.Dispose();
        }
        catch (Exception error) when (error is ArgumentException or InvalidOperationException or Win32Exception)
        {
            // it has ended
        }
        return null;
    }
}

/// <summary>The node processes of a cluster on this machine, as they stand in <c>cluster.json</c> in the data directory.</summary>
internal sealed class LaunchedCluster(string dataDirectory)
{
    private static readonly JsonSerializerOptions _json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    private string StatePath => Path.Combine(dataDirectory, "cluster.json");

    /// <summary>The nodes that were started and not stopped; empty where none were.</summary>
    /// <exception cref="ClusterException">the file is damaged</exception>
    public IReadOnlyList<LaunchedNode> Read()
    {
        try
        {
            return File.Exists(StatePath) ? JsonSerializer.Deserialize<LaunchedNode[]>(File.ReadAllText(StatePath), _json) ?? [] : [];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new ClusterException($"'{StatePath}', which says what was started, can't be read: {error.Message}; end the node processes by hand and delete it");
        }
    }

    /// <summary>Keeps what was started.</summary>
    public void Write(IReadOnlyList<LaunchedNode> nodes)
    {
        Directory.CreateDirectory(dataDirectory);
        AtomicFile.Write(StatePath, Encoding.UTF8.GetBytes(JsonSerializer.Serialize(nodes, _json)));
    }

    /// <summary>Forgets it.</summary>
    public void Delete() => File.Delete(StatePath);

    /// <summary>The folder of a node.</summary>
    public string FolderOf(string name) => Path.Combine(dataDirectory, "nodes", name);

    /// <summary>Where the output of a node goes.</summary>
    public string OutputOf(string name) => Path.Combine(FolderOf(name), "output.log");

    /// <summary>Starts one node as a process that goes on when this one ends.</summary>
    /// <param name="name">of the node</param>
    /// <param name="arguments">of <c>clusternet node</c></param>
    /// <param name="environment">variables beside those of this process; what is secret belongs here</param>
    public Process Launch(string name, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment)
    {
        Directory.CreateDirectory(FolderOf(name));
        var program = Environment.ProcessPath ?? throw new ClusterException("this program does not know its own path, so it can't start others like it");
        string[] command = [program, .. IsHost(program) ? [Environment.GetCommandLineArgs()[0]] : Array.Empty<string>(), "node", .. arguments];
        var start = new ProcessStartInfo { WorkingDirectory = Environment.CurrentDirectory, UseShellExecute = false, CreateNoWindow = true };
        if (OperatingSystem.IsWindows())
        {
            start.FileName = command[0];
            foreach (var argument in command.Skip(1))
                start.ArgumentList.Add(argument);
        }
        else
        {
            // a session of its own, so that Ctrl-C at this terminal is not meant for it, and its output in a file that stays when this process has gone
            start.FileName = "/bin/sh";
            foreach (var argument in (string[])["-c", "if command -v setsid >/dev/null 2>&1; then exec setsid \"$@\" >>\"$0\" 2>&1 </dev/null; else trap '' INT HUP; exec \"$@\" >>\"$0\" 2>&1 </dev/null; fi", OutputOf(name), .. command])
                start.ArgumentList.Add(argument);
        }
        foreach (var (key, value) in environment)
            start.Environment[key] = value;
        return Process.Start(start) ?? throw new ClusterException($"the process of {name} can't be started");
    }

    /// <summary>Ports of loopback that nobody listens on now, all different.</summary>
    public static IReadOnlyList<int> FreePorts(int count)
    {
        var listeners = Enumerable.Range(0, count).Select(_ => new TcpListener(IPAddress.Loopback, 0)).ToArray();
        try
        {
            foreach (var listener in listeners)
                listener.Start();
            return [.. listeners.Select(listener => ((IPEndPoint)listener.LocalEndpoint).Port)];
        }
        finally
        {
            foreach (var listener in listeners)
                listener.Dispose();
        }
    }

    /// <summary>Asks a process to end.</summary>
    public static void Terminate(Process process)
    {
        if (OperatingSystem.IsWindows())
            process.Kill();
        else if (Kill(process.Id, 15) != 0 && !process.HasExited)
            throw new ClusterException(string.Create(CultureInfo.InvariantCulture, $"process {process.Id} can't be told to end: {Marshal.GetLastPInvokeErrorMessage()}"));
    }

    private static bool IsHost(string program) => Path.GetFileNameWithoutExtension(program).Equals("dotnet", StringComparison.OrdinalIgnoreCase);

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int process, int signal);
}
