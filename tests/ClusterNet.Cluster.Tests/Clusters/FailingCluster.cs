using Akka.Actor;
using Akka.Configuration;
using Akka.Hosting;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Tests.OneHash;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Jobs;
using ClusterNet.Learning.Models;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Cluster.Tests.Clusters;

/// <summary>A cluster of several nodes in this process on one SQLite file, whose nodes can be killed: they vanish without a word.</summary>
internal sealed class FailingCluster : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(300);

    /// <summary>Quicker than a node in production: the machine is one, and it is the order of things that is tested.</summary>
    private const string Impatient = """
        akka.cluster.split-brain-resolver.stable-after = 2s
        akka.cluster.down-removal-margin = 500ms
        akka.coordinated-shutdown.phases.actor-system-terminate.timeout = 5s
        """;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("clusternet-failing-");
    private readonly List<ClusterNode> _nodes = [];
    private readonly MemoryLog _log = new();
    private readonly CancellationTokenSource _patience = new(Patience);
    private int _started;

    /// <summary>The nodes that live, the oldest first.</summary>
    public IReadOnlyList<ClusterNode> Nodes => _nodes;

    /// <summary>Starts a node that joins those there are.</summary>
    public async Task<ClusterNode> StartAsync(params string[] roles)
    {
        var store = roles.All(role => role == Roles.Worker) ? (INodeStore)new NoStore() : new SharedFile(Path.Combine(_folder.FullName, "clusternet.db"));
        var options = new NodeOptions
        {
            Name = $"node-{++_started}",
            Roles = roles,
            DataDirectory = _folder.FullName,
            Seeds = _nodes.Count == 0 ? [] : [_nodes[0].Address.ToString()],
            Workers = 4,
            Hocon = Impatient,
        };
        var node = await ClusterNode.StartAsync(options, store, new ModelCatalog(ModelCatalog.BuiltIn), logging => logging.AddProvider(_log), _patience.Token);
        _nodes.Add(node);
        return node;
    }

    /// <summary>Ends a node as a crash does: nobody is told, connections break.</summary>
    public async Task KillAsync(params ClusterNode[] nodes)
    {
        foreach (var node in nodes)
            _nodes.Remove(node);
        foreach (var node in nodes)
            ((ExtendedActorSystem)node.System).Abort();
        await Task.WhenAll(nodes.Select(node => node.System.WhenTerminated.WaitAsync(_patience.Token)));
    }

    /// <summary>Ends a node as SIGTERM does.</summary>
    public async Task LeaveAsync(ClusterNode node)
    {
        _nodes.Remove(node);
        await node.DisposeAsync().AsTask().WaitAsync(_patience.Token);
    }

    /// <summary>The node that a job's coordinator is on.</summary>
    public async Task<ClusterNode> CoordinatorOfAsync(JobId job)
    {
        while (true)
        {
            foreach (var node in _nodes)
            {
                if (node.Options.Roles.Contains(Roles.Coordinator) && Children(ActorRegistry.For(node.System).Get<JobRegion>()).SelectMany(Children).Any(entity => entity.Path.Name == job.Value))
                    return node;
            }
            await ProgressAsync(job);
        }
    }

    public async Task<JobId> SubmitAsync(JobSpec spec) => await _nodes[0].Cluster.SubmitAsync(spec, _patience.Token);

    /// <summary>Waits until a job has done as many steps and has a checkpoint to go back to.</summary>
    public async Task TrainedAsync(JobId job, long steps)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (await AskAsync(cluster => cluster.JobAsync(job, _patience.Token)) is var details && (details is null || details.Progress.Step < steps || details.CommittedCheckpoints.Count == 0))
        {
            Assert.True(details?.Progress.Status is null or JobStatus.Preparing or JobStatus.Training, $"{details?.Progress}");
            await PaceAsync(pace, job, details?.Progress);
        }
    }

    /// <summary>Lets nobody write to the store until the log says so.</summary>
    public async Task StopStoreAsync(string until)
    {
        using var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = Path.Combine(_folder.FullName, "clusternet.db"), DefaultTimeout = 60, Pooling = false }.ToString());
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "BEGIN IMMEDIATE";
        command.ExecuteNonQuery();
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!_log.ToString().Contains(until, StringComparison.Ordinal))
            await pace.WaitForNextTickAsync(_patience.Token);
        command.CommandText = "ROLLBACK";
        command.ExecuteNonQuery();
    }

    /// <summary>Waits for a job's end: as many steps, the weights of a plain loop, every sample visited once in each epoch.</summary>
    public async Task<JobDetails> EndsAsPlainAsync(JobId job, JobSpec spec)
    {
        var details = await EndAsync(job);
        var plain = ClusterFixture.Plain(spec);
        Assert.Equal((plain.Steps, plain.SelectedSha256), (details.Result!.Steps, details.Result.WeightsSha256));
        ClusterFixture.AssertEverySampleWasVisitedOnce(details);
        return details;
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_nodes.Select(node => node.DisposeAsync().AsTask()));
        SqliteConnection.ClearAllPools();
        _folder.Delete(true);
        _log.Dispose();
        _patience.Dispose();
    }

    public override string ToString() => _log.ToString();

    private async Task<JobDetails> EndAsync(JobId job)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (true)
        {
            var progress = await ProgressAsync(job);
            Assert.True(progress?.Status is not (JobStatus.Failed or JobStatus.Interrupted), $"{progress}\n{_log}");
            if (progress?.Status == JobStatus.Completed && await AskAsync(cluster => cluster.JobAsync(job, _patience.Token)) is { } details)
                return details;
            await PaceAsync(pace, job, progress);
        }
    }

    private async Task PaceAsync(PeriodicTimer pace, JobId job, JobProgress? progress)
    {
        try
        {
            await pace.WaitForNextTickAsync(_patience.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"job {job} stands still: {progress}\n{_log}");
        }
    }

    private Task<JobProgress?> ProgressAsync(JobId job) => AskAsync(async cluster =>
    {
        await foreach (var progress in cluster.WatchAsync(job, _patience.Token))
            return progress;
        throw new InvalidOperationException("a watch without an item");
    });

    /// <summary>While its node is dead a coordinator does not answer; it is asked again.</summary>
    private async Task<T?> AskAsync<T>(Func<ICluster, Task<T>> ask)
        where T : class
    {
        try
        {
            return await ask(_nodes[0].Cluster);
        }
        catch (ClusterException)
        {
            return null;
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"no answer\n{_log}");
        }
    }

    private static IEnumerable<IActorRef> Children(IActorRef parent) => parent is ActorRefWithCell { IsTerminated: false } actor ? actor.Children : [];

    /// <summary>One SQLite file for all nodes: they are in one process, so that SQLite's locks suffice.</summary>
    private sealed class SharedFile : INodeStore
    {
        private readonly string _connectionString;

        public SharedFile(string path)
        {
            _connectionString = new SqliteConnectionStringBuilder { DataSource = path, DefaultTimeout = 5 }.ToString();
            using var connection = new SqliteConnection(_connectionString);
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = "PRAGMA journal_mode=WAL;";
            command.ExecuteNonQuery();
        }

        public Config Configuration => NodeConfiguration.Store("SQLite.MS", _connectionString);

        public string Id => "shared";

        public string Description => "a file that all nodes of a test share";

        public void Dispose()
        {
        }
    }
}
