using System.Diagnostics;
using System.Globalization;
using ClusterNet.Benchmarks.Local;
using ClusterNet.Learning.Native;

namespace ClusterNet.Benchmarks.Cluster;

/// <summary>The plain loop in a process of its own: with one beside it that exchanges nothing with it, it tells what two cores can do at most.</summary>
internal sealed class PlainPeer : IDisposable
{
    public const string Command = "plain-peer";

    private readonly Process _process;

    private PlainPeer(Process process) => _process = process;

    /// <summary>Trains as each line of standard input says, until that ends.</summary>
    public static async Task ServeAsync(CancellationToken cancel)
    {
        TorchLoader.EnsureLoaded();
        using var plain = new PlainLoop(SyntheticImages.Draw());
        while (await Console.In.ReadLineAsync(cancel) is { } line)
        {
            var words = line.Split(' ');
            var workload = Workload.All.First(workload => workload.Name == words[0]);
            var done = await plain.RunAsync(workload, long.Parse(words[1], CultureInfo.InvariantCulture), int.Parse(words[2], CultureInfo.InvariantCulture));
            Console.WriteLine(done.SamplesPerSecond.ToString("R", CultureInfo.InvariantCulture));
        }
    }

    public static PlainPeer Start()
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, Command) { RedirectStandardInput = true, RedirectStandardOutput = true };
        return new PlainPeer(Process.Start(start) ?? throw new InvalidOperationException("no process"));
    }

    /// <summary>Trains there.</summary>
    /// <returns>samples per second</returns>
    public async Task<double> RunAsync(Workload workload, long steps, int batch, CancellationToken cancel)
    {
        await _process.StandardInput.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{workload.Name} {steps} {batch}").AsMemory(), cancel);
        await _process.StandardInput.FlushAsync(cancel);
        var line = await _process.StandardOutput.ReadLineAsync(cancel) ?? throw new InvalidOperationException("the other process ended");
        return double.Parse(line, CultureInfo.InvariantCulture);
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(TimeSpan.FromSeconds(10)))
            _process.Kill();
        _process.Dispose();
    }
}
