using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Access;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Core.Faults;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Output;

namespace ClusterNet.Node.Commands;

/// <summary><c>cluster start|status|stop</c>: several node processes on this machine, for trying things out.</summary>
internal static class ClusterCommand
{
    private const int MostNodes = 32;
    private static readonly TimeSpan StartPatience = TimeSpan.FromMinutes(2);

    /// <summary>A process that starts takes a core for seconds: more at once than there are cores keep each other from answering heartbeats. Some are ready only with others that come later, so the next follow in any case.</summary>
    private static readonly int AtOnce = Math.Max(3, Environment.ProcessorCount);
    private static readonly TimeSpan TurnPatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(40);
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(100);

    /// <summary>The command.</summary>
    public static Command Create(CommandLine line)
    {
        var nodes = new Option<int>("--nodes") { Description = "How many node processes", HelpName = "N", DefaultValueFactory = _ => 3 };
        var roles = new Option<string[]>("--roles")
        {
            Description = "Roles of the nodes, separated by commas; once for all, or once for each node [default: all; without --postgres the first has the store and the others are workers]",
            HelpName = "ROLE,...",
        };
        var postgres = new Option<string?>("--postgres") { Description = "Connection string of the store that all share; better as CLUSTERNET__STORE__POSTGRES", HelpName = "CONNECTION" };
        var start = new Command("start", "Start a cluster of several processes on this machine and wait until it is up") { nodes, roles, postgres };
        line.On(start, (parse, run) => StartAsync(run, parse.GetValue(nodes), parse.GetValue(roles) ?? [], parse.GetValue(postgres)));

        var status = new Command("status", "Show the nodes of a cluster, what they do and whether they can be reached, and its jobs");
        line.OnCluster(status, (_, run) => StatusAsync(run));

        var stop = new Command("stop", "Have the nodes that 'cluster start' started leave, and end them");
        line.On(stop, (_, run) => StopAsync(run));
        return new Command("cluster", "Start, show and stop a cluster of several processes on this machine") { start, status, stop };
    }

    private static async Task<int> StartAsync(CommandRun run, int count, string[] roleTexts, string? postgres)
    {
        if (string.IsNullOrEmpty(postgres))
            postgres = run.Host.Environment(NodeSettings.Prefix + "STORE__POSTGRES") is { Length: > 0 } given ? given : null;
        var roles = RolesOf(count, roleTexts, postgres is not null);
        if (postgres is not null && new NodeOptions { Postgres = postgres, DataDirectory = run.DataDirectory }.Validate().FirstOrDefault(fault => fault.Place == "store.postgres") is { } wrong)
            throw new InputException([wrong with { Place = "--postgres" }]);
        var cluster = new LaunchedCluster(run.DataDirectory);
        if (cluster.Read().Any(node => node.Find() is not null))
            throw new ClusterException("a cluster of this data directory runs already; 'clusternet cluster status' shows it, 'clusternet cluster stop' ends it");

        var ports = LaunchedCluster.FreePorts(2 * count);
        var seeds = string.Join(',', ports.Take(Math.Min(count, 3)).Select(Loopback));
        var launched = new List<LaunchedNode>();
        try
        {
            for (var i = 0; i < count; i++)
            {
                launched.Add(Launch(run, cluster, $"node-{i + 1}", roles[i], ports[i], ports[count + i], seeds, postgres));
                cluster.Write(launched);
                if (launched.Count % AtOnce == 0 && launched.Count < count)
                    await LateAsync(run, cluster, launched, TurnPatience);
            }
            if (await LateAsync(run, cluster, launched, StartPatience) is { } late)
                throw new ClusterException($"{late.Name} is not ready after {StartPatience.TotalMinutes:0} minutes; {cluster.OutputOf(late.Name)} has what it said");
        }
        catch
        {
            foreach (var node in launched)
                node.Find()?.Kill();
            cluster.Delete();
            throw;
        }
        Show(run, launched, roles, postgres is not null);
        return ExitCode.Done;
    }

    private static IReadOnlyList<string>[] RolesOf(int count, string[] texts, bool hasPostgres)
    {
        if (count is < 1 or > MostNodes)
            throw new InputException("--nodes", $"{count} is not within 1 to {MostNodes}");
        if (texts.Length > 1 && texts.Length != count)
            throw new InputException("--roles", $"given {texts.Length} times for {count} nodes; give it once, or once for each node");
        var roles = Enumerable.Range(0, count).Select(IReadOnlyList<string> (i) => texts.Length switch
        {
            // one SQLite file belongs to one process: the others get what needs no store
            0 => hasPostgres || i == 0 ? Roles.All : [Roles.Worker],
            1 => Split(texts[0]),
            _ => Split(texts[i]),
        }).ToArray();
        var faults = roles.SelectMany(list => list).Where(role => !Roles.All.Contains(role)).Distinct().Select(role => Fault.Unknown("--roles", role, Roles.All)).ToList();
        if (faults.Count == 0 && !hasPostgres && roles.Count(Roles.NeedStore) > 1)
        {
            faults.Add(new Fault("--postgres", $"{roles.Count(Roles.NeedStore)} nodes have one of the roles {Roles.Coordinator}, {Roles.Parameters}, {Roles.Inference}, which share a store; processes share one on PostgreSQL only. "
                + "Name a database with --postgres, or give one node these roles and the others worker and gateway"));
        }
        return faults.Count == 0 ? roles : throw new InputException(faults);
    }

    private static string[] Split(string text) => text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static LaunchedNode Launch(CommandRun run, LaunchedCluster cluster, string name, IReadOnlyList<string> roles, int port, int http, string seeds, string? postgres)
    {
        var environment = new Dictionary<string, string>();
        if (postgres is not null)
            environment[NodeSettings.Prefix + "STORE__POSTGRES"] = postgres;
        // the one SQLite store is that of the data directory itself, where single commands find it too
        var folder = postgres is null && Roles.NeedStore(roles) ? run.DataDirectory : cluster.FolderOf(name);
        using var process = cluster.Launch(
            name,
            ["--name", name, "--host", "127.0.0.1", "--port", Number(port), "--http-port", Number(http), "--seeds", seeds, "--roles", string.Join(',', roles), "--data-dir", folder],
            environment);
        return new LaunchedNode(name, process.Id, process.StartTime.ToUniversalTime().Ticks, Loopback(port), http, roles);
    }

    /// <summary>Waits until each node answers that it is ready by its own HTTP.</summary>
    /// <returns>one that does not, when the patience is over; null where all do</returns>
    /// <exception cref="ClusterException">one has ended</exception>
    private static async Task<LaunchedNode?> LateAsync(CommandRun run, LaunchedCluster cluster, IReadOnlyList<LaunchedNode> nodes, TimeSpan patience)
    {
        using var handler = new SocketsHttpHandler { UseProxy = false };
        using var http = new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(5) };
        using var pace = new PeriodicTimer(LookInterval);
        var left = nodes.ToList();
        for (var clock = Stopwatch.StartNew(); left.Count > 0;)
        {
            for (var i = left.Count - 1; i >= 0; i--)
            {
                var node = left[i];
                if (node.Find() is not { } process)
                    throw new ClusterException($"{node.Name} ended while it started: {LastLine(cluster.OutputOf(node.Name))}; {cluster.OutputOf(node.Name)} has all that it said");
                process.Dispose();
                if (await IsReadyAsync(http, node, run.Interrupt))
                    left.RemoveAt(i);
            }
            if (left.Count > 0 && clock.Elapsed > patience)
                return left[0];
            await pace.WaitForNextTickAsync(run.Interrupt);
        }
        return null;
    }

    private static async Task<bool> IsReadyAsync(HttpClient http, LaunchedNode node, CancellationToken cancel)
    {
        try
        {
            using var answer = await http.GetAsync(new UriBuilder("http", "127.0.0.1", node.Http, "/health/ready").Uri, cancel);
            return answer.IsSuccessStatusCode;
        }
        catch (Exception error) when (error is HttpRequestException || (error is OperationCanceledException && !cancel.IsCancellationRequested))
        {
            return false;
        }
    }

    private static string LastLine(string file) => File.Exists(file) ? File.ReadLines(file).LastOrDefault(line => line.Length > 0) ?? "it said nothing" : "it said nothing";

    private static void Show(CommandRun run, List<LaunchedNode> nodes, IReadOnlyList<string>[] roles, bool hasPostgres)
    {
        if (run.Json)
        {
            run.Print(new JsonObject
            {
                ["nodes"] = new JsonArray([.. nodes.Select(node => (JsonNode)new JsonObject
                {
                    ["node"] = node.Name,
                    ["address"] = node.Address,
                    ["http"] = $"http://127.0.0.1:{Number(node.Http)}/",
                    ["process"] = node.Process,
                    ["roles"] = new JsonArray([.. node.Roles.Select(role => (JsonNode)role)]),
                })]),
            });
            return;
        }
        var table = Tables.With("node", "address", "http", ">process", "roles");
        foreach (var node in nodes)
            table.Row(node.Name, node.Address, $"127.0.0.1:{Number(node.Http)}", Number(node.Process), string.Join(", ", node.Roles));
        run.Screen.Out.Write(table);
        if (!hasPostgres && roles.Length > 1)
            run.Screen.Line("Only the first node holds jobs and weights: a SQLite store belongs to one process. With --postgres all could, and any of them may die.");
        if (nodes.Count == 2)
            run.Screen.Line($"With two nodes {nodes.MinBy(node => NodeAddress.TryParse(node.Address, out var address) ? address.Port : 0)!.Name} goes on without the other, and the other ends with it: it can't know which of them was cut off. With three any one may die.");
        run.Screen.Line($"Train on it: clusternet train config/jobs/breast-cancer.yaml --cluster {nodes[0].Address}");
        run.Screen.Line("End it:      clusternet cluster stop");
    }

    private static async Task<int> StatusAsync(CommandRun run)
    {
        var cluster = new LaunchedCluster(run.DataDirectory);
        var launched = run.Remote is null ? cluster.Read() : [];
        if (run.Remote is null && launched.Count == 0)
            throw new ClusterException("no cluster was started from this data directory; start one with 'clusternet cluster start', or name another with --cluster HOST:PORT");
        var running = launched.FirstOrDefault(node => node.Find() is not null);
        if (run.Remote is null && running is null)
            throw new ClusterException($"none of the {launched.Count} nodes runs any more; 'clusternet cluster stop' clears up, {cluster.OutputOf(launched[0].Name)} and its siblings have what they said");
        var target = run.Remote ?? new RemoteTarget(NodeAddress.TryParse(running!.Address, out var address) ? address : default, null);
        await using var remote = await RemoteCluster.ConnectAsync(target.Address, target.Tls, run.Interrupt);
        var members = await remote.MembersAsync(run.Interrupt);
        var jobs = members.Any(member => member.Roles.Contains(Roles.Coordinator)) ? await remote.JobsAsync(run.Interrupt) : [];
        if (run.Json)
        {
            run.Print(new JsonObject
            {
                ["nodes"] = new JsonArray([.. members.Select(member => (JsonNode)Document(member, NameOf(member)))]),
                ["jobs"] = new JsonArray([.. jobs.Select(job => (JsonNode)JsonDocuments.Job(job))]),
            });
            return ExitCode.Done;
        }
        var table = Tables.With("node", "address", "status", "roles");
        foreach (var member in members)
            table.Row(NameOf(member) ?? "-", member.Address.ToString(), member.Reachable ? member.Status : $"{member.Status}, unreachable", string.Join(", ", member.Roles));
        foreach (var gone in launched.Where(node => node.Find() is null && members.All(member => member.Address.ToString() != node.Address)))
            table.Row(gone.Name, gone.Address, "ended", string.Join(", ", gone.Roles));
        run.Screen.Out.Write(table);
        foreach (var job in jobs)
            run.Screen.Line($"{job.Job}: {JsonDocuments.Word(job.Status)}, step {Figures.Count(job.Step)} of {Figures.Count(job.TotalSteps)}");
        return ExitCode.Done;

        string? NameOf(NodeStatus member) => launched.FirstOrDefault(node => node.Address == member.Address.ToString())?.Name;
    }

    private static JsonObject Document(NodeStatus member, string? name) => new()
    {
        ["node"] = name,
        ["address"] = member.Address.ToString(),
        ["status"] = member.Status,
        ["reachable"] = member.Reachable,
        ["roles"] = new JsonArray([.. member.Roles.Select(role => (JsonNode)role)]),
    };

    private static async Task<int> StopAsync(CommandRun run)
    {
        var cluster = new LaunchedCluster(run.DataDirectory);
        var nodes = cluster.Read();
        var processes = nodes.Select(node => node.Find()).OfType<Process>().ToArray();
        foreach (var process in processes)
            LaunchedCluster.Terminate(process);
        var killed = 0;
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(run.Interrupt);
        patience.CancelAfter(StopPatience);
        foreach (var process in processes)
        {
            try
            {
                await process.WaitForExitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                process.Kill();
                killed++;
            }
            process.Dispose();
        }
        cluster.Delete();
        if (run.Json)
            run.Print(new JsonObject { ["stopped"] = processes.Length - killed, ["killed"] = killed });
        else
            run.Screen.Line(nodes.Count == 0 ? "No cluster was started from this data directory." : $"{processes.Length - killed} nodes have left and ended{(killed > 0 ? $", {killed} were killed after {StopPatience.TotalSeconds:0} s" : "")}.");
        return ExitCode.Done;
    }

    private static string Loopback(int port) => $"127.0.0.1:{Number(port)}";

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
