using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>A cluster of real processes on loopback with a PostgreSQL database of its own. Gone, processes and database, when it is disposed of.</summary>
internal sealed class ProcessCluster : IAsyncDisposable
{
    /// <summary>What a node does that holds state.</summary>
    public const string Stateful = "coordinator,parameters";

    /// <summary>What a node does that computes.</summary>
    public const string Worker = "worker";

    // below the ports that systems give out by themselves, so that nobody takes one while its node is down
    private const int LowestPort = 20_000, HighestPort = 30_000;

    private readonly DataDirectory _directory = new();
    private readonly PostgresDatabase _store;
    private readonly ITestOutputHelper _output;
    private readonly List<ClusterMember> _nodes = [];
    private readonly List<ClusterMember> _dead = [];
    private readonly List<int> _seeds = [];

    private ProcessCluster(PostgresDatabase store, ITestOutputHelper output) => (_store, _output) = (store, output);

    /// <summary>The nodes that were not killed.</summary>
    public IReadOnlyList<ClusterMember> Nodes => _nodes;

    /// <summary>Starts nodes, the first three of them seeds, and waits until all have joined.</summary>
    public static async Task<ProcessCluster> StartAsync(ITestOutputHelper output, params string[] roles)
    {
        var cluster = new ProcessCluster(await PostgresDatabase.CreateAsync(), output);
        try
        {
            cluster._seeds.AddRange(FreePorts(Math.Min(3, roles.Length)));
            var starting = roles.Select((role, i) => cluster.Launch($"node{i + 1}", role, i < cluster._seeds.Count ? cluster._seeds[i] : FreePorts(1)[0])).ToArray();
            await Task.WhenAll(starting.Select(node => node.Process.ReadyAsync()));
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>A node more.</summary>
    public async Task<ClusterMember> AddAsync(string roles)
    {
        var node = Launch($"node{_nodes.Count + _dead.Count + 1}", roles, FreePorts(1)[0]);
        await node.Process.ReadyAsync();
        _output.WriteLine($"{Clock} {node.Name} joined as {roles}");
        return node;
    }

    /// <summary>SIGKILL.</summary>
    public async Task KillAsync(ClusterMember node)
    {
        _output.WriteLine($"{Clock} {node.Name} ({node.Roles}) is killed");
        await node.Process.KillAsync();
        Bury(node);
    }

    /// <summary>SIGTERM; the node must leave in order.</summary>
    public async Task LeaveAsync(ClusterMember node)
    {
        _output.WriteLine($"{Clock} {node.Name} ({node.Roles}) is asked to leave");
        await node.Process.SignalAsync("TERM");
        var exitCode = await node.Process.EndAsync();
        Assert.True(exitCode == 0, $"it left with {exitCode}: {node.Process}");
        Bury(node);
    }

    /// <summary>Kills every node at once.</summary>
    public async Task KillAllAsync()
    {
        _output.WriteLine($"{Clock} all are killed");
        await Task.WhenAll(_nodes.Select(node => node.Process.KillAsync()));
        foreach (var node in _nodes.ToArray())
            Bury(node);
    }

    /// <summary>Starts nodes anew that were killed: the same names, ports and directories.</summary>
    public async Task RestartAsync(params ClusterMember[] dead)
    {
        var starting = dead.Select(node => Launch(node.Name, node.Roles, node.Port)).ToArray();
        await Task.WhenAll(starting.Select(node => node.Process.ReadyAsync()));
        _output.WriteLine($"{Clock} {string.Join(", ", dead.Select(node => node.Name))} started again");
    }

    /// <summary>Hands in a job and leaves it to the cluster.</summary>
    public async Task<string> SubmitAsync(string file, params string[] settings)
    {
        var submitted = await RunAsync(["train", Repository.Job(file), "--detach", "--json", .. settings.SelectMany(setting => new[] { "--set", setting })]);
        return submitted.Expect(0).Document["job"]!.GetValue<string>();
    }

    /// <summary>Waits until a shard has saved a checkpoint of this step or a later one.</summary>
    public async Task UntilCheckpointAsync(string job, long step)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        try
        {
            while (await _store.LatestCheckpointAsync(job) < step)
                await pace.WaitForNextTickAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"{job} has no checkpoint of step {step}:\n{Logs}");
        }
        _output.WriteLine($"{Clock} {job} has a checkpoint of step {step} or later");
    }

    /// <summary>Waits until a job is over and gives all that is known of it.</summary>
    public async Task<JsonNode> EndOfAsync(string job)
    {
        await RunAsync("jobs", "watch", job, "--json");
        var shown = (await RunAsync("jobs", "show", job, "--json")).Document;
        var status = shown["status"]?.GetValue<string>();
        Assert.True(status == "completed", $"{job} is {status}: {shown}\n{Logs}");
        _output.WriteLine($"{Clock} {job} is over");
        return shown;
    }

    /// <summary>Runs a command of the program against the cluster.</summary>
    public Task<Outcome> RunAsync(params string[] args) =>
        _directory.RunAsync([.. args, "--cluster", string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{_nodes[0].Port}")]);

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes.Concat(_dead))
            node.Process.Dispose();
        _directory.Dispose();
        await _store.DisposeAsync();
    }

    private static string Clock => DateTime.UtcNow.ToString("HH:mm:ss.f", CultureInfo.InvariantCulture);

    private string Logs => string.Join('\n', _nodes.Concat(_dead).Select(node => $"--- {node.Name} ({node.Roles}), {(node.Process.IsRunning ? "alive" : "dead")}\n{node.Process}"));

    private void Bury(ClusterMember node)
    {
        _nodes.Remove(node);
        _dead.Add(node);
    }

    private ClusterMember Launch(string name, string roles, int port)
    {
        var settings = new Dictionary<string, string>
        {
            ["CLUSTERNET__NAME"] = name,
            ["CLUSTERNET__PORT"] = port.ToString(CultureInfo.InvariantCulture),
            ["CLUSTERNET__SEEDS"] = string.Join(',', _seeds.Select(seed => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{seed}"))),
            ["CLUSTERNET__ROLES"] = roles,
            ["CLUSTERNET__WORKERS"] = "2",
            ["CLUSTERNET__STORE__POSTGRES"] = _store.ConnectionString,
        };
        var node = new ClusterMember(name, roles, port, new NodeProcess(_directory.File(name), settings));
        _nodes.Add(node);
        return node;
    }

    /// <summary>Ports that nothing listens on now, and that the system gives to nobody by itself.</summary>
    public static int[] FreePorts(int count)
    {
        var ports = new List<int>();
        while (ports.Count < count)
        {
            var port = Random.Shared.Next(LowestPort, HighestPort);
            try
            {
                using var probe = new TcpListener(IPAddress.Loopback, port);
                probe.Start();
                if (!ports.Contains(port))
                    ports.Add(port);
            }
            catch (SocketException)
            {
                // taken
            }
        }
        return [.. ports];
    }
}
