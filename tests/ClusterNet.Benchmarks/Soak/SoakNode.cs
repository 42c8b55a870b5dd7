using System.Diagnostics;
using ClusterNet.Benchmarks.Cluster;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Native;

namespace ClusterNet.Benchmarks.Soak;

/// <summary>A node of the cluster that is loaded for long: a process, so that it can be killed.</summary>
internal sealed class SoakNode : IDisposable
{
    public const string Command = "soak-node";
    private readonly Process _process;

    private SoakNode(Process process, string address) => (_process, Address) = (process, address);

    public string Address { get; }

    /// <summary>Bytes of memory that the process has.</summary>
    public long Memory
    {
        get
        {
            _process.Refresh();
            return _process.WorkingSet64;
        }
    }

    /// <summary>Serves until standard input ends.</summary>
    public static async Task ServeAsync(string name, string database, string seed, CancellationToken cancel)
    {
        TorchLoader.EnsureLoaded();
        var options = new NodeOptions
        {
            Name = name,
            Roles = seed.Length == 0 ? [Roles.Coordinator, Roles.Parameters, Roles.Worker, Roles.Inference] : [Roles.Inference],
            Seeds = seed.Length == 0 ? [] : [seed],
            DataDirectory = Path.GetDirectoryName(database)!,
        };
        await using var node = await ClusterNode.StartAsync(options, new SharedFile(database), new ModelCatalog(ModelCatalog.BuiltIn), null, cancel);
        Console.WriteLine(node.Address);
        await Console.In.ReadToEndAsync(cancel);
    }

    public static async Task<SoakNode> StartAsync(string name, string database, string seed, CancellationToken cancel)
    {
        var process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, [Command, name, database, seed]) { RedirectStandardInput = true, RedirectStandardOutput = true })
            ?? throw new InvalidOperationException("no process");
        return new SoakNode(process, await process.StandardOutput.ReadLineAsync(cancel) ?? throw new InvalidOperationException($"node {name} ended at once"));
    }

    /// <summary>SIGKILL.</summary>
    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    /// <summary>SIGSTOP, and SIGCONT after a while or when nobody waits any more.</summary>
    public async Task StandStillAsync(TimeSpan duration, CancellationToken cancel)
    {
        Signal("STOP");
        try
        {
            await Task.Delay(duration, cancel);
        }
        finally
        {
            Signal("CONT");
        }
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.StandardInput.Close();
            if (!_process.WaitForExit(TimeSpan.FromSeconds(30)))
                _process.Kill();
        }
        _process.Dispose();
    }

    private void Signal(string name)
    {
        using var kill = Process.Start("kill", [$"-{name}", _process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
        if (kill.ExitCode != 0)
            throw new InvalidOperationException($"SIG{name} could not be sent to the node");
    }
}
