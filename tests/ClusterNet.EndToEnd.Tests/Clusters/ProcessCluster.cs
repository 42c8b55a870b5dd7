using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
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
    private readonly ClusterPlace _place;
    private readonly ITestOutputHelper _output;
    private ImmutableList<ClusterMember> _nodes = [];
    private readonly List<ClusterMember> _dead = [];
    private readonly List<int> _seeds = [];
    private readonly Dictionary<string, (string Name, string Value)[]> _environments = [];
    private int _count;

    private ProcessCluster(PostgresDatabase store, ClusterPlace place, ITestOutputHelper output) => (_store, _place, _output) = (store, place, output);

    /// <summary>What the nodes keep their state in.</summary>
    public PostgresDatabase Store => _store;

    /// <summary>The nodes that were not killed, as they are now.</summary>
    public IReadOnlyList<ClusterMember> Nodes => _nodes;

    /// <summary>Starts nodes, the first three of them seeds, and waits until all have joined.</summary>
    public static Task<ProcessCluster> StartAsync(ITestOutputHelper output, params string[] roles) => StartAsync(output, ClusterPlace.Loopback, roles);

    /// <summary>The same elsewhere than on loopback.</summary>
    public static async Task<ProcessCluster> StartAsync(ITestOutputHelper output, ClusterPlace place, params string[] roles)
    {
        var cluster = new ProcessCluster(await PostgresDatabase.CreateAsync(place.Server), place, output);
        try
        {
            cluster._seeds.AddRange(FreePorts(Math.Min(3, roles.Length)));
            var starting = roles.Select((role, i) => cluster.LaunchNew(role, i < cluster._seeds.Count ? cluster._seeds[i] : FreePorts(1)[0])).ToArray();
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
    /// <param name="roles">what it does</param>
    /// <param name="environment">variables that the others do not have</param>
    public async Task<ClusterMember> AddAsync(string roles, params (string Name, string Value)[] environment)
    {
        var node = BeginToAdd(roles, environment);
        await node.Process.ReadyAsync();
        _output.WriteLine($"{Clock} {node.Name} joined as {roles}");
        return node;
    }

    /// <summary>A node more, which has only begun to join.</summary>
    public ClusterMember BeginToAdd(string roles, params (string Name, string Value)[] environment) => LaunchNew(roles, FreePorts(1)[0], environment);

    /// <summary>What a node has written to its log so far.</summary>
    public string LogOf(ClusterMember node) => DataDirectory.LogIn(_directory.File(node.Name));

    /// <summary>SIGKILL.</summary>
    public async Task KillAsync(ClusterMember node)
    {
        _output.WriteLine($"{Clock} {node.Name} ({node.Roles}) is killed");
        await node.Process.KillAsync();
        Bury(node);
    }

    /// <summary>SIGSTOP: the node stands still, and does not know it.</summary>
    public async Task FreezeAsync(ClusterMember node)
    {
        _output.WriteLine($"{Clock} {node.Name} ({node.Roles}) stands still");
        await node.Process.SignalAsync("STOP");
    }

    /// <summary>SIGCONT: it goes on.</summary>
    public async Task ThawAsync(ClusterMember node)
    {
        _output.WriteLine($"{Clock} {node.Name} ({node.Roles}) goes on");
        await node.Process.SignalAsync("CONT");
    }

    /// <summary>
    /// A node stands still for so long, and goes on; the others have time to take note. It is left behind or not, and when that is known it either goes on or has ended and was started again.
    /// </summary>
    public async Task StandStillAsync(ClusterMember node, TimeSpan duration)
    {
        var before = FatesOf(node);
        await FreezeAsync(node);
        using var patience = new CancellationTokenSource(NodeProcess.Patience);
        using (var over = new PeriodicTimer(duration))
            await over.WaitForNextTickAsync(patience.Token);
        await ThawAsync(node);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (FatesOf(node) == before)
            await pace.WaitForNextTickAsync(patience.Token);
        if (FatesOf(node).Lost == before.Lost)
            return;
        Assert.NotEqual(0, await EndOfAsync(node));
        await RestartAsync(node);
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

    /// <summary>Waits until a node has ended by itself and gives its exit code.</summary>
    public async Task<int> EndOfAsync(ClusterMember node)
    {
        var exitCode = await node.Process.EndAsync();
        _output.WriteLine($"{Clock} {node.Name} ({node.Roles}) has ended with {exitCode}");
        Bury(node);
        return exitCode;
    }

    /// <summary>Kills every node at once.</summary>
    public async Task KillAllAsync()
    {
        _output.WriteLine($"{Clock} all are killed");
        await Task.WhenAll(_nodes.Select(node => node.Process.KillAsync()));
        foreach (var node in _nodes)
            Bury(node);
    }

    /// <summary>Starts nodes anew that have ended: the same names, ports, directories and variables.</summary>
    public async Task RestartAsync(params ClusterMember[] dead)
    {
        var starting = dead.Select(node => Launch(node.Name, node.Roles, IndexOf(node), node.Port, _environments[node.Name])).ToArray();
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
    public Task UntilCheckpointAsync(string job, long step) => UntilAnyCheckpointAsync((job, step));

    /// <summary>Waits until one of these jobs has come so far.</summary>
    public async Task UntilAnyCheckpointAsync(params (string Job, long Step)[] jobs)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        try
        {
            while (true)
            {
                foreach (var (job, step) in jobs)
                {
                    if (await _store.LatestCheckpointAsync(job) is var latest && latest >= step)
                    {
                        _output.WriteLine($"{Clock} {job} has a checkpoint of step {latest}");
                        return;
                    }
                }
                await pace.WaitForNextTickAsync(patience.Token);
            }
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"no checkpoint of {string.Join(", ", jobs.Select(job => $"{job.Job} at step {job.Step}"))}:\n{Logs}");
        }
    }

    /// <summary>Waits until a job is over and gives all that is known of it.</summary>
    public async Task<JsonNode> EndOfAsync(string job)
    {
        await using (var watch = JobWatch.Start(() => _nodes, job))
        {
            try
            {
                await watch.EndAsync();
            }
            catch (OperationCanceledException)
            {
                throw new TimeoutException($"{job} does not end:\n{Logs}");
            }
        }
        var shown = await RunAsync("jobs", "show", job, "--json");
        Assert.True(shown.ExitCode == 0 && shown.Document["status"]!.GetValue<string>() == "completed", $"{shown}\n{Logs}");
        _output.WriteLine($"{Clock} {job} is over");
        return shown.Document;
    }

    /// <summary>Runs a command of the program against the cluster.</summary>
    public Task<Outcome> RunAsync(params string[] args) =>
        _directory.RunAsync([.. args, "--cluster", string.Create(CultureInfo.InvariantCulture, $"{_nodes[0].Host}:{_nodes[0].Port}")]);

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes.Concat(_dead))
            node.Process.Dispose();
        _directory.Dispose();
        await _store.DisposeAsync();
    }

    /// <summary>Which of the nodes it is, counted from 0.</summary>
    public static int IndexOf(ClusterMember node) => int.Parse(node.Name["node".Length..], CultureInfo.InvariantCulture) - 1;

    /// <summary>Waits until a node, one that was killed or not, has written this to its log, and gives the node.</summary>
    /// <param name="text">a part of a line</param>
    /// <param name="by">the node; null for any</param>
    public async Task<ClusterMember> UntilLoggedAsync(string text, ClusterMember? by = null)
    {
        using var patience = new CancellationTokenSource(NodeProcess.Patience);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        try
        {
            while (true)
            {
                if (_nodes.Concat(_dead).FirstOrDefault(node => (by is null || node == by) && node.Process.ToString().Contains(text, StringComparison.Ordinal)) is { } found)
                    return found;
                await pace.WaitForNextTickAsync(patience.Token);
            }
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"no node has said '{text}':\n{Logs}");
        }
    }

    private static string Clock => DateTime.UtcNow.ToString("HH:mm:ss.f", CultureInfo.InvariantCulture);

    private string Logs => string.Join('\n', _nodes.Concat(_dead).Select(node => $"--- {node.Name} ({node.Roles}), {(node.Process.IsRunning ? "alive" : "dead")}\n{node.Process}"));

    /// <summary>How often other nodes have said of a node that it was lost, and that it answers again.</summary>
    private (int Lost, int Back) FatesOf(ClusterMember node)
    {
        var others = string.Join('\n', _nodes.Where(other => other != node).Select(other => other.Process.ToString()));
        var name = string.Create(CultureInfo.InvariantCulture, $"Node {node.Host}:{node.Port}");
        return (Regex.Count(others, Regex.Escape($"{name} was lost")), Regex.Count(others, Regex.Escape($"{name} answers again")));
    }

    private void Bury(ClusterMember node)
    {
        _nodes = _nodes.Remove(node);
        _dead.Add(node);
    }

    private ClusterMember LaunchNew(string roles, int port, params (string Name, string Value)[] environment) => Launch(string.Create(CultureInfo.InvariantCulture, $"node{_count + 1}"), roles, _count++, port, environment);

    private ClusterMember Launch(string name, string roles, int index, int port, params (string Name, string Value)[] environment)
    {
        var host = _place.HostOf(index);
        var settings = new Dictionary<string, string>
        {
            ["CLUSTERNET__NAME"] = name,
            ["CLUSTERNET__HOST"] = host,
            ["CLUSTERNET__PORT"] = port.ToString(CultureInfo.InvariantCulture),
            ["CLUSTERNET__SEEDS"] = string.Join(',', _seeds.Select((seed, i) => string.Create(CultureInfo.InvariantCulture, $"{_place.HostOf(i)}:{seed}"))),
            ["CLUSTERNET__ROLES"] = roles,
            ["CLUSTERNET__WORKERS"] = "2",
            ["CLUSTERNET__STORE__POSTGRES"] = _place.StoreOf(_store.ConnectionString),
        };
        _environments[name] = environment;
        foreach (var (variable, value) in environment)
            settings[variable] = value;
        var node = new ClusterMember(name, roles, host, port, new NodeProcess(_place.LauncherOf(index), _directory.File(name), settings));
        _nodes = _nodes.Add(node);
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
