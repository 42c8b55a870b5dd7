using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace ClusterNet.EndToEnd.Tests;

/// <summary>The program as a process.</summary>
internal sealed class Running : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private readonly DataDirectory _directory;
    private readonly Process _process;
    private readonly string _command;
    private readonly Task<string> _output;
    private readonly StringBuilder _error = new();

    public Running(DataDirectory directory, string[] args, params (string Name, string Value)[] environment)
    {
        _directory = directory;
        _command = string.Join(' ', args);
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        start.ArgumentList.Add(Repository.Program);
        foreach (var arg in args)
            start.ArgumentList.Add(arg);
        foreach (var (variable, value) in environment)
            start.Environment[variable] = value;
        _process = Process.Start(start)!;
        _output = _process.StandardOutput.ReadToEndAsync();
        _process.ErrorDataReceived += (_, line) =>
        {
            lock (_error)
                _error.AppendLine(line.Data);
        };
        _process.BeginErrorReadLine();
    }

    /// <summary>Waits until the process ends by itself.</summary>
    public async Task<Outcome> EndAsync()
    {
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill(false);
            throw new TimeoutException($"it did not end: {await OutcomeAsync()}");
        }
        return await OutcomeAsync();
    }

    /// <summary>Waits until a shard has saved a checkpoint of this step or a later one: training is under way.</summary>
    public async Task UntilCheckpointAsync(long step)
    {
        await UntilAsync(() => _directory.LatestCheckpoint() >= step, () => $"its checkpoints are at step {_directory.LatestCheckpoint()} and not at {step}");
    }

    /// <summary>Waits until it has written a line with this to standard error, more than before.</summary>
    /// <param name="text">of the line</param>
    /// <param name="before">how often it was there</param>
    /// <returns>how often it is there now</returns>
    public async Task<int> UntilSaidAsync(string text, int before = 0)
    {
        var times = 0;
        await UntilAsync(() => (times = Said.Split(text).Length - 1) > before, () => $"it said '{text}' {times} times, and not more than {before}");
        return times;
    }

    /// <summary>Sends SIGKILL: nothing of the process runs any more.</summary>
    public async Task KillAsync()
    {
        Assert.False(_process.HasExited, "it ended before it could be killed");
        _process.Kill(false);
        await _process.WaitForExitAsync();
    }

    /// <summary>Sends a signal that the process can hear.</summary>
    public async Task SignalAsync(string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", _process.Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
        Assert.Equal(0, kill.ExitCode);
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

    private string Said
    {
        get
        {
            lock (_error)
                return _error.ToString();
        }
    }

    private async Task UntilAsync(Func<bool> isSo, Func<string> otherwise)
    {
        var patience = Stopwatch.StartNew();
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!isSo())
        {
            if (_process.HasExited)
                throw new InvalidOperationException($"it ended: {otherwise()}: {await OutcomeAsync()}");
            if (patience.Elapsed > Patience)
            {
                _process.Kill(false);
                throw new TimeoutException($"in {Patience}: {otherwise()}: {await OutcomeAsync()}");
            }
            await pace.WaitForNextTickAsync();
        }
    }

    private async Task<Outcome> OutcomeAsync()
    {
        await _process.WaitForExitAsync();
        return new Outcome(_command, _process.ExitCode, await _output, Said, _directory.Log);
    }
}

/// <summary>What a process ended with.</summary>
internal sealed record Outcome(string Command, int ExitCode, string Output, string Error, string Log)
{
    /// <summary>The one JSON document on standard output.</summary>
    public JsonNode Document
    {
        get
        {
            try
            {
                return JsonNode.Parse(Output)!;
            }
            catch (System.Text.Json.JsonException fault)
            {
                throw new InvalidOperationException($"standard output is not one JSON document: {fault.Message}\n{this}");
            }
        }
    }

    /// <summary>Fails with all that is known where the exit code is another.</summary>
    public Outcome Expect(int exitCode)
    {
        Assert.True(ExitCode == exitCode, $"exit code {ExitCode} where {exitCode} was expected: {this}");
        return this;
    }

    public override string ToString() => $"clusternet {Command}\nexit code {ExitCode}\n--- standard output\n{Output}\n--- standard error\n{Error}\n--- log\n{Log}";
}
