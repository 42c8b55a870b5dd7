using System.Globalization;
using System.Text.Json.Nodes;
using ClusterNet.Cluster;
using ClusterNet.Core.Faults;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Jobs;
using ClusterNet.Node.Output;
using Spectre.Console;

namespace ClusterNet.Node.Commands;

/// <summary>One invocation of a command: its options, its output, and what becomes of its errors.</summary>
/// <param name="host">what all commands work with</param>
/// <param name="dataDirectory">full path</param>
/// <param name="json">whether one JSON document is all that goes to standard output</param>
/// <param name="interrupt">fires when the user wants to stop</param>
internal sealed class CommandRun(CommandHost host, string dataDirectory, bool json, CancellationToken interrupt)
{
    // of a terminal, and of lines that somebody may read later
    private static readonly TimeSpan _glance = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan _sign = TimeSpan.FromSeconds(30);

    /// <summary>What all commands work with.</summary>
    public CommandHost Host { get; } = host;

    /// <summary>Where to write.</summary>
    public Screen Screen => Host.Screen;

    /// <summary>Full path of the folder that holds the store and the logs.</summary>
    public string DataDirectory { get; } = dataDirectory;

    /// <summary>The same where the command line names it; else null.</summary>
    public string? GivenDataDirectory { get; init; }

    /// <summary>The cluster that runs elsewhere and is meant; null for the one in this process.</summary>
    public RemoteTarget? Remote { get; init; }

    /// <summary>Whether one JSON document is all that goes to standard output.</summary>
    public bool Json { get; } = json;

    /// <summary>Fires when the user wants to stop.</summary>
    public CancellationToken Interrupt { get; } = interrupt;

    /// <summary>The cluster that is asked: one that this process is part of, or one elsewhere. Dispose of it.</summary>
    public async Task<ICluster> StartClusterAsync()
    {
        if (Remote is { } target)
            return await RemoteCluster.ConnectAsync(target.Address, target.Tls, Interrupt);
        var options = new ClusterOptions(DataDirectory, Host.Services);
        return await WaitAsync("Starting the cluster", () => Host.StartCluster(options, Interrupt));
    }

    /// <summary>Waits for what may take long; whoever looks sees that, and for how long already.</summary>
    /// <param name="what">is done, such as "Reading the data"</param>
    /// <param name="work">begins it</param>
    public async Task<T> WaitAsync<T>(string what, Func<Task<T>> work)
    {
        if (Json ? Screen.IsErrorTerminal : Screen.IsTerminal)
        {
            return await (Json ? Screen.Error : Screen.Out).Status().Spinner(Spinner.Known.Dots).StartAsync(Markup.Escape($"{what} ..."), status =>
                RemindAsync(work(), _glance, time => status.Status(Markup.Escape($"{what} ... {Figures.Duration(time)}"))));
        }
        return await RemindAsync(work(), _sign, time => Note($"{what}: {Figures.Duration(time)} so far"));
    }

    // not beside what was asked for, which another program may read
    private void Note(string text)
    {
        if (!Json)
            Screen.ErrorLine(text);
    }

    private async Task<T> RemindAsync<T>(Task<T> work, TimeSpan interval, Action<TimeSpan> remind)
    {
        var started = Host.Clock.GetTimestamp();
        while (await Task.WhenAny(work, Task.Delay(interval, Host.Clock)) != work)
            remind(Host.Clock.GetElapsedTime(started));
        return await work;
    }

    /// <summary>Prints the one document of a run under <c>--json</c>.</summary>
    public void Print(JsonNode document) => Screen.Line(JsonDocuments.Text(document));

    /// <summary>Runs a command; whatever it throws becomes words and an exit code.</summary>
    public async Task<int> GuardAsync(Func<CommandRun, Task<int>> body)
    {
        try
        {
            return await body(this);
        }
        catch (InputException error)
        {
            return Report(ExitCode.BadInput, "bad-input", "the input can't be used; nothing was done", error.Faults);
        }
        catch (ClusterException error)
        {
            var details = error.InnerException is null ? null : Log(error);
            return Report(ExitCode.Failed, "failed", error.Message, [], details);
        }
        catch (OperationCanceledException) when (Interrupt.IsCancellationRequested)
        {
            return Report(ExitCode.Interrupted, "interrupted", "interrupted", []);
        }
#pragma warning disable CA1031 // the last stop before the user, who gets one line instead of a stack trace; the details go to the log
        catch (Exception error)
#pragma warning restore CA1031
        {
            return Report(ExitCode.Failed, "unexpected", $"unexpected error: {FirstLine(error.Message)}", [], Log(error));
        }
    }

    /// <summary>Tells what went wrong, as lines or as a document.</summary>
    public int Report(int exitCode, string kind, string message, IReadOnlyList<Fault> faults, string? details = null)
    {
        if (Json)
        {
            Print(JsonDocuments.Error(kind, message, faults, details));
            return exitCode;
        }
        foreach (var fault in faults)
            Screen.ErrorLine(FaultText.Format(fault));
        if (faults.Count == 0)
            Screen.ErrorLine($"clusternet: {message}");
        if (details is not null)
            Screen.ErrorLine($"clusternet: details are in {details}");
        return exitCode;
    }

    private static string FirstLine(string text) => text.AsSpan().Trim().ToString().Split('\n', 2)[0].TrimEnd();

    private string Log(Exception error)
    {
        var now = Host.Clock.GetUtcNow();
        var name = string.Create(CultureInfo.InvariantCulture, $"clusternet-{now:yyyyMMdd}.log");
        foreach (var folder in new[] { Path.Combine(DataDirectory, "logs"), Path.GetTempPath() })
        {
            try
            {
                Directory.CreateDirectory(folder);
                var path = Path.Combine(folder, name);
                File.AppendAllText(path, string.Create(CultureInfo.InvariantCulture, $"{now:O} {error}{System.Environment.NewLine}"));
                return path;
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                // the next folder
            }
        }
        return "no log: neither the data directory nor the folder for temporary files can be written";
    }
}
