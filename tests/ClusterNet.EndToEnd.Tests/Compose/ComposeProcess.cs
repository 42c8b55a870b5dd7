using System.Collections;
using System.Diagnostics;
using System.Text;

namespace ClusterNet.EndToEnd.Tests.Compose;

/// <summary>A command of a container as a process in the network of its own; killed with it where it has not ended.</summary>
internal sealed class ComposeProcess : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private readonly StringBuilder _said = new();
    private readonly StringBuilder _output = new();
    private readonly Process _process;

    /// <summary>Starts it.</summary>
    /// <param name="command">with what brings it into its network in front</param>
    /// <param name="environment">all variables that concern the program: none of this process's do</param>
    public ComposeProcess(IReadOnlyList<string> command, IReadOnlyDictionary<string, string> environment)
    {
        var start = new ProcessStartInfo(command[0], command.Skip(1)) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = Repository.Root };
        foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            if (((string)variable.Key).StartsWith("CLUSTERNET", StringComparison.OrdinalIgnoreCase))
                start.Environment.Remove((string)variable.Key);
        }
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Append(line.Data, isOutput: true);
        _process.ErrorDataReceived += (_, line) => Append(line.Data, isOutput: false);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>Whether it has ended.</summary>
    public bool HasEnded => _process.HasExited;

    /// <summary>What it wrote to standard output.</summary>
    public string Output
    {
        get
        {
            lock (_said)
                return _output.ToString();
        }
    }

    /// <summary>Waits until it ends by itself and gives its exit code.</summary>
    public async Task<int> EndAsync(TimeSpan? within = null)
    {
        using var patience = new CancellationTokenSource(within ?? Patience);
        try
        {
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"it did not end in time: {this}");
        }
        return _process.ExitCode;
    }

    /// <summary>Asks it to end, as <c>docker compose stop</c> does, and gives its exit code.</summary>
    public async Task<int> StopAsync(TimeSpan grace)
    {
        using var kill = Process.Start("kill", ["-TERM", _process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
        return await EndAsync(grace);
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(false);
            _process.WaitForExit();
        }
        _process.Dispose();
    }

    /// <summary>The command and everything that it wrote.</summary>
    public override string ToString()
    {
        lock (_said)
            return $"{string.Join(' ', _process.StartInfo.ArgumentList)}\n{_said}";
    }

    private void Append(string? line, bool isOutput)
    {
        lock (_said)
        {
            _said.AppendLine(line);
            if (isOutput)
                _output.AppendLine(line);
        }
    }
}
