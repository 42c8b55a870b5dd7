using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace ClusterNet.Benchmarks.Cluster;

/// <summary>PyTorch's DistributedDataParallel over gloo, where the system's own Python has torch: <c>peers/ddp.py</c>.</summary>
internal static class TorchPeer
{
    private const string Python = "/usr/bin/python3";

    private static string Script => Path.Combine(AppContext.BaseDirectory, "peers", "ddp.py");

    /// <summary>Whether it can be measured here.</summary>
    public static async Task<bool> IsInstalledAsync(CancellationToken cancel) =>
        File.Exists(Python) && File.Exists(Script) && await RunAsync(["-c", "import torch"], cancel) is not null;

    /// <summary>Trains.</summary>
    /// <returns>samples per second of all processes together</returns>
    public static async Task<double> RateAsync(int world, int batch, long steps, CancellationToken cancel)
    {
        string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
        var output = await RunAsync([Script, "--world", Number(world), "--batch", Number(batch), "--steps", Number(steps), "--warm-up", Number(Math.Min(steps / 2, 50))], cancel)
            ?? throw new InvalidOperationException("peers/ddp.py failed");
        using var document = JsonDocument.Parse(output);
        return document.RootElement.GetProperty("samples_per_second").GetDouble();
    }

    private static async Task<string?> RunAsync(string[] arguments, CancellationToken cancel)
    {
        using var process = Process.Start(new ProcessStartInfo(Python, arguments) { RedirectStandardOutput = true, RedirectStandardError = true }) ?? throw new InvalidOperationException("no process");
        try
        {
            var (output, errors) = (process.StandardOutput.ReadToEndAsync(cancel), process.StandardError.ReadToEndAsync(cancel));
            await process.WaitForExitAsync(cancel);
            await errors;
            return process.ExitCode == 0 ? await output : null;
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }
}
