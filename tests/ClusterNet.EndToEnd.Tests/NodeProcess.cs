using System.Collections;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace ClusterNet.EndToEnd.Tests;

/// <summary>A <c>clusternet node</c> of a test's own: a process that is killed with it where it has not ended.</summary>
internal sealed class NodeProcess : IDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private readonly StringBuilder _log = new();
    private readonly Process _process;
    private readonly TaskCompletionSource<JsonNode> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Starts it.</summary>
    /// <param name="dataDirectory">of its own</param>
    /// <param name="environment">variables beside those of this process</param>
    /// <param name="flags">of <c>clusternet node</c></param>
    public NodeProcess(string dataDirectory, IReadOnlyDictionary<string, string> environment, params string[] flags)
        : this([], dataDirectory, environment, flags)
    {
    }

    /// <summary>Starts it by way of another command.</summary>
    /// <param name="launcher">what runs the program, such as <c>ip netns exec NAME</c>; it must become the program, not wait for it</param>
    /// <param name="dataDirectory">of its own</param>
    /// <param name="environment">variables beside those of this process</param>
    /// <param name="flags">of <c>clusternet node</c></param>
    public NodeProcess(IReadOnlyList<string> launcher, string dataDirectory, IReadOnlyDictionary<string, string> environment, params string[] flags)
        : this("node", launcher, dataDirectory, environment, flags)
    {
    }

    private NodeProcess(string name, IReadOnlyList<string> launcher, string dataDirectory, IReadOnlyDictionary<string, string> environment, string[] flags)
    {
        string[] command = [.. launcher, "dotnet", Repository.Program, name, "--json", "--data-dir", dataDirectory, .. flags];
        var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (DictionaryEntry given in Environment.GetEnvironmentVariables())
        {
            // a node must not be told by this machine what to do
            if (((string)given.Key).StartsWith("CLUSTERNET__", StringComparison.OrdinalIgnoreCase))
                start.Environment.Remove((string)given.Key);
        }
        foreach (var (variable, value) in environment)
            start.Environment[variable] = value;
        _process = new Process { StartInfo = start, EnableRaisingEvents = true };
        _process.OutputDataReceived += (_, line) => OnOutput(line.Data);
        _process.ErrorDataReceived += (_, line) => Append(line.Data);
        _process.Exited += (_, _) => _ready.TrySetException(new InvalidOperationException($"the node ended before it was ready: {this}"));
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>A <c>clusternet serve</c> instead.</summary>
    public static NodeProcess Serve(string dataDirectory, params string[] flags) => Serve([], dataDirectory, flags);

    /// <inheritdoc cref="Serve(string, string[])"/>
    public static NodeProcess Serve(IReadOnlyList<string> launcher, string dataDirectory, params string[] flags) => new("serve", launcher, dataDirectory, new Dictionary<string, string>(), flags);

    /// <summary>Its process id.</summary>
    public int Id => _process.Id;

    /// <summary>Whether it still runs.</summary>
    public bool IsRunning => !_process.HasExited;

    /// <summary>HOST:PORT, once it is ready.</summary>
    public string Address => _ready.Task.IsCompletedSuccessfully ? _ready.Task.Result["address"]!.GetValue<string>() : throw new InvalidOperationException("not ready yet");

    /// <summary>Waits until it is a member that is up.</summary>
    public async Task<JsonNode> ReadyAsync()
    {
        try
        {
            return await _ready.Task.WaitAsync(Patience);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"the node did not become ready: {this}");
        }
    }

    /// <summary>Sends a signal that it can hear.</summary>
    public async Task SignalAsync(string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
        Assert.Equal(0, kill.ExitCode);
    }

    /// <summary>Sends SIGKILL: nothing of it runs any more.</summary>
    public async Task KillAsync()
    {
        _process.Kill(false);
        await _process.WaitForExitAsync();
    }

    /// <summary>Waits until it ends by itself and gives its exit code.</summary>
    public async Task<int> EndAsync()
    {
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"the node did not end: {this}");
        }
        return _process.ExitCode;
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

    /// <summary>Everything that it wrote.</summary>
    public override string ToString()
    {
        lock (_log)
            return $"{string.Join(' ', _process.StartInfo.ArgumentList.Skip(1))}\n{_log}";
    }

    private void OnOutput(string? line)
    {
        Append(line);
        // a node that fails says why in a document of several lines, which is for who reads all that it wrote
        if (line is ['{', .., '}'])
            _ready.TrySetResult(JsonNode.Parse(line)!);
    }

    private void Append(string? line)
    {
        lock (_log)
            _log.AppendLine(line);
    }
}
