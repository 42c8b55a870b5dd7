using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json.Nodes;
using ClusterNet.EndToEnd.Tests.Clusters;
using Npgsql;
using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests.Compose;

/// <summary>
/// What docker/compose.yaml and docker/Dockerfile say is run as it stands there, commands, variables and health checks, each service in a network of its own in which it finds the others by their names. Only
/// the container engine is missing.
/// </summary>
[Collection(ProcessClusters.Name)]
public sealed class ComposeTests(ITestOutputHelper output) : IDisposable
{
    private const string Postgres = "postgres", Client = "client", Password = "CLUSTERNET_POSTGRES_PASSWORD";

    // within which its health check must come to say that a service is well
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly DirectoryInfo _volumes = Directory.CreateTempSubdirectory("clusternet-e2e-");
    private readonly ConcurrentDictionary<string, ComposeProcess> _running = new();
    private readonly Stopwatch _clock = Stopwatch.StartNew();

    [SkippableFact]
    public async Task The_services_start_in_order_train_predict_and_stop()
    {
        await using var server = await PostgresServer.StartAsync();
        var account = new NpgsqlConnectionStringBuilder(server.Server);
        var services = ComposeFile.Read(new Dictionary<string, string> { [Password] = account.Password! });
        var nodes = services.Keys.Where(name => name != Postgres).ToArray();
        await using var network = await NetworkNamespaces.CreateAsync(nodes.Length);
        await using var door = new TcpForwarder(network.Outside, account.Host!, account.Port, NpgsqlConnection.DefaultPort);
        await network.GiveNamesAsync(nodes.Select((name, i) => (name, Address: network.HostOf(i))).Append((Postgres, network.Outside)).ToDictionary());
        Assert.Equal(account.Username, services[Postgres].Environment["POSTGRES_USER"]);
        await CreateDatabaseAsync(account, services[Postgres].Environment["POSTGRES_DB"]);

        IReadOnlyList<string> LauncherOf(string name) => name == Postgres ? [] : network.LauncherOf(Array.IndexOf(nodes, name));
        // a gateway that others can reach does not start before somebody has a key: the command that the file names
        using (var key = Run(LauncherOf(Client), services[Client], "keys", "create", "--name", "ME", "--scopes", "predict,operate,admin"))
            Assert.True(await key.EndAsync() == 0, $"{key}");
        var starting = new Dictionary<string, Task>();
        // what a service waits for stands in front of it in the file
        foreach (var service in services.Values.Where(service => service.Name != Client))
            starting[service.Name] = StartAsync(service, LauncherOf(service.Name), network.Outside, [.. service.After.Select(name => starting[name])]);
        await Task.WhenAll(starting.Values);

        using var trained = Run(LauncherOf(Client), services[Client], "train", "config/jobs/breast-cancer.yaml", "--cluster", "core-1:4053", "--set", "training.workers=2", "--set", "training.shards=3", "--json");
        Assert.True(await trained.EndAsync() == 0, $"{trained}\n{Logs}");
        Assert.Equal("completed", JsonNode.Parse(trained.Output)!["status"]!.GetValue<string>());
        using var predicted = Run(LauncherOf(Client), services[Client], "predict", "breast-cancer", "--input", "builtin:wdbc", "--cluster", "gateway:4053", "--json");
        Assert.True(await predicted.EndAsync() == 0, $"{predicted}\n{Logs}");
        Assert.Equal(569, JsonNode.Parse(predicted.Output)!["predictions"]!.AsArray().Count);
        output.WriteLine($"{_clock.Elapsed.TotalSeconds:0.0} s: trained and predicted");

        // what is published is there, and says that all have joined
        using var http = new HttpClient();
        var ready = JsonNode.Parse(await http.GetStringAsync(new Uri($"http://{network.HostOf(Array.IndexOf(nodes, "gateway"))}:8080/health/ready")))!;
        Assert.Contains($"one of {nodes.Length - 1}", ready["checks"]!["membership"]!["reason"]!.GetValue<string>(), StringComparison.Ordinal);
        Assert.Equal(0, await _running["worker-1"].StopAsync(TimeSpan.FromSeconds(40)));
    }

    public void Dispose()
    {
        foreach (var process in _running.Values)
            process.Dispose();
        _volumes.Delete(true);
    }

    private string Logs => string.Join('\n', _running.Select(pair => $"--- {pair.Key}\n{pair.Value}"));

    private static async Task CreateDatabaseAsync(NpgsqlConnectionStringBuilder account, string name)
    {
        await using var connection = new NpgsqlConnection(account.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand($"CREATE DATABASE {name}", connection);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Starts a service when those it depends on are well, and waits until it is well itself.</summary>
    private async Task StartAsync(ComposeService service, IReadOnlyList<string> launcher, string outside, Task[] after)
    {
        await Task.WhenAll(after);
        if (service.Name != Postgres)
            _running[service.Name] = Run(launcher, service, [.. service.Command]);
        output.WriteLine($"{_clock.Elapsed.TotalSeconds:0.0} s: {service.Name} starts");
        using var patience = new CancellationTokenSource(Patience);
        // more often than a container engine would ask: nothing here depends on how often
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(500));
        while (true)
        {
            using var check = service.Health switch
            {
                [] => Run(launcher, service, [.. ComposeFile.Image().Health], isProgram: false),
                // the server is no container: it is asked by the road that the nodes take
                ["CMD-SHELL", var line] => new ComposeProcess(["sh", "-c", line], new Dictionary<string, string> { ["PGHOST"] = outside }),
                _ => throw new InvalidOperationException($"{service.Name} has a health check of a kind that is not known here: {string.Join(' ', service.Health)}"),
            };
            if (await check.EndAsync() == 0)
                break;
            if (_running.TryGetValue(service.Name, out var process) && process.HasEnded)
                throw new InvalidOperationException($"{service.Name} has ended: {process}");
            Assert.False(patience.IsCancellationRequested, $"{service.Name} is not well: {check}\n{Logs}");
            await pace.WaitForNextTickAsync();
        }
        output.WriteLine($"{_clock.Elapsed.TotalSeconds:0.0} s: {service.Name} is well");
    }

    private ComposeProcess Run(IReadOnlyList<string> launcher, ComposeService service, params string[] arguments) => Run(launcher, service, arguments, isProgram: true);

    private ComposeProcess Run(IReadOnlyList<string> launcher, ComposeService service, string[] arguments, bool isProgram)
    {
        var image = ComposeFile.Image();
        var environment = image.Environment.Concat(service.Environment).ToDictionary();
        // the volume of the image
        Assert.Equal("/data", environment["CLUSTERNET_DATA_DIR"]);
        environment["CLUSTERNET_DATA_DIR"] = Path.Combine(_volumes.FullName, service.Name);
        string[] command = [.. isProgram ? image.EntryPoint : [], .. arguments];
        return new ComposeProcess([.. launcher, .. command.Select(word => word == "clusternet.dll" ? Repository.Program : word)], environment);
    }
}
