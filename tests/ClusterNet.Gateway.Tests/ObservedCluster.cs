using System.Collections.Concurrent;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Tests.Models;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Jobs;
using ClusterNet.Learning.Models;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Gateway.Tests;

/// <summary>One test after the other: meters and activity sources belong to the process.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class OneByOne
{
    public const string Name = "telemetry of this process";
}

/// <summary>A local cluster whose store can be made to fail, everything it says kept.</summary>
internal sealed class ObservedCluster : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private static readonly string FaultyStore = $$"""
        akka.persistence.snapshot-store.plugin = "test.snapshots"
        test.snapshots {
          class = "{{typeof(FaultySnapshotStore).AssemblyQualifiedName}}"
          plugin-dispatcher = "akka.actor.default-dispatcher"
        }
        """;

    private readonly DirectoryInfo _folder;

    private ObservedCluster(LocalCluster cluster, DirectoryInfo folder, LineLog log)
    {
        Cluster = cluster;
        _folder = folder;
        Log = log;
    }

    public LocalCluster Cluster { get; private set; }

    public LineLog Log { get; }

    public TestStore Store => TestStore.Of(Cluster.System);

    public static async Task<ObservedCluster> StartAsync()
    {
        var folder = Directory.CreateTempSubdirectory("clusternet-gateway-");
        var log = new LineLog();
        return new ObservedCluster(await StartAsync(folder, log), folder, log);
    }

    /// <summary>Another process on the same store, as far as one process can be: nothing that was in memory is left.</summary>
    public async Task RestartAsync()
    {
        await Cluster.DisposeAsync();
        Cluster = await StartAsync(_folder, Log);
    }

    /// <summary>Runs a job until it is over, however that is.</summary>
    public async Task<JobDetails> TrainAsync(JobSpec spec, Func<JobProgress, Task>? look = null)
    {
        using var patience = new CancellationTokenSource(Patience);
        var job = await Cluster.SubmitAsync(spec, patience.Token);
        await foreach (var progress in Cluster.WatchAsync(job, patience.Token))
        {
            if (look is not null)
                await look(progress);
        }
        return await Cluster.JobAsync(job, patience.Token);
    }

    private static Task<LocalCluster> StartAsync(DirectoryInfo folder, LineLog log) =>
        LocalCluster.StartAsync(folder.FullName, new ModelCatalog(ModelCatalog.BuiltIn), logging => logging.SetMinimumLevel(LogLevel.Trace).AddProvider(log), FaultyStore, default);

    public async ValueTask DisposeAsync()
    {
        await Cluster.DisposeAsync();
        _folder.Delete(true);
        Log.Dispose();
    }
}

/// <summary>Every line, with the properties beside its text.</summary>
internal sealed class LineLog : ILoggerProvider, ILogger
{
    private readonly ConcurrentQueue<(string Text, IReadOnlyDictionary<string, object?> Properties)> _lines = new();

    public IReadOnlyCollection<(string Text, IReadOnlyDictionary<string, object?> Properties)> Lines => _lines;

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        var properties = new Dictionary<string, object?>();
        foreach (var (name, value) in state as IEnumerable<KeyValuePair<string, object?>> ?? [])
            properties[name] = value;
        _lines.Enqueue(($"{logLevel} {formatter(state, exception)} {exception}", properties));
    }

    public void Dispose() => _lines.Clear();
}
