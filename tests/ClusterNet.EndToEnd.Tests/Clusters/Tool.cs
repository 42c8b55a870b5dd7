using System.ComponentModel;
using System.Diagnostics;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>A command of the machine, run to its end.</summary>
internal static class Tool
{
    /// <summary>Runs it and gives what it wrote, or throws with what it complained of.</summary>
    public static async Task<string> RunAsync(string name, params string[] arguments)
    {
        var (isDone, text) = await TryAsync(name, arguments);
        return isDone ? text : throw new InvalidOperationException($"{name} {string.Join(' ', arguments)}: {text}");
    }

    /// <summary>Runs it; gives whether that went well, and what it wrote.</summary>
    public static async Task<(bool IsDone, string Text)> TryAsync(string name, params string[] arguments)
    {
        using var process = new Process { StartInfo = new ProcessStartInfo(name, arguments) { RedirectStandardOutput = true, RedirectStandardError = true } };
        try
        {
            process.Start();
        }
        catch (Win32Exception missing)
        {
            return (false, missing.Message);
        }
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode == 0, process.ExitCode == 0 ? output : (await error).Trim());
    }
}
