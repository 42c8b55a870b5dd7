using System.Diagnostics;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Native;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Benchmarks.Cluster;

/// <summary>One of the two processes that a training is measured with: a node with one worker and, of two shards, one.</summary>
internal sealed class TrainingNode : IAsyncDisposable
{
    public const string Command = "training-node";

    /// <summary>Where nodes write their log and where their steps spend their time, two files each; nowhere where unset.</summary>
    private const string LogVariable = "CLUSTERNET_BENCHMARK_LOG";

    private readonly Process _process;

    private TrainingNode(Process process, NodeAddress address) => (_process, Address) = (process, address);

    /// <summary>What others reach it by.</summary>
    public NodeAddress Address { get; }

    /// <summary>Serves until standard input ends.</summary>
    /// <param name="database">the file that all nodes keep their jobs in</param>
    /// <param name="seed">the node to join; empty for the first, which has the coordinator</param>
    /// <param name="cancel">gives up</param>
    public static async Task ServeAsync(string database, string seed, CancellationToken cancel)
    {
        TorchLoader.EnsureLoaded();
        var options = new NodeOptions
        {
            Name = seed.Length == 0 ? "first" : "second",
            Roles = seed.Length == 0 ? [Roles.Coordinator, Roles.Parameters, Roles.Worker] : [Roles.Parameters, Roles.Worker],
            Seeds = seed.Length == 0 ? [] : [seed],
            Workers = 1,
            ThreadsPerWorker = 1,
            DataDirectory = Path.GetDirectoryName(database)!,
        };
        using var times = LogFolder is { } folder ? new StepTimes(Path.Combine(folder, options.Name + ".times")) : null;
        await using var node = await ClusterNode.StartAsync(options, new SharedFile(database), new ModelCatalog(ModelCatalog.BuiltIn), Logging(options.Name), cancel);
        Console.WriteLine(node.Address);
        await Console.In.ReadToEndAsync(cancel);
    }

    public static async Task<TrainingNode> StartAsync(string database, NodeAddress? seed, CancellationToken cancel)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, [Command, database, seed?.ToString() ?? ""]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        foreach (var variable in new[] { "OMP_NUM_THREADS", "MKL_NUM_THREADS" })
            start.Environment[variable] = "1";
        var process = Process.Start(start) ?? throw new InvalidOperationException("no process");
        var line = await process.StandardOutput.ReadLineAsync(cancel);
        return line is not null && NodeAddress.TryParse(line, out var address) ? new TrainingNode(process, address) : throw new InvalidOperationException("a node ended at once");
    }

    public async ValueTask DisposeAsync()
    {
        _process.StandardInput.Close();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        try
        {
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill();
        }
        _process.Dispose();
    }

    private static string? LogFolder => Environment.GetEnvironmentVariable(LogVariable) is { Length: > 0 } folder ? folder : null;

    private static Action<ILoggingBuilder>? Logging(string name) => LogFolder is { } folder
        ? logging => logging.AddProvider(new FileLog(Path.Combine(folder, name + ".log")))
        : null;

    private sealed class FileLog(string path) : ILoggerProvider, ILogger
    {
        private readonly StreamWriter _writer = new(path) { AutoFlush = true };

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (_writer)
                _writer.WriteLine($"{DateTime.UtcNow:HH:mm:ss.fff} {logLevel} {formatter(state, exception)} {exception}");
        }

        public void Dispose() => _writer.Dispose();
    }
}
