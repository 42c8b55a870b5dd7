using ClusterNet.Tests;

namespace ClusterNet.EndToEnd.Tests;

/// <summary>A node as a process: it says when it is ready, carries only what its roles need, and leaves in order when it is told to.</summary>
public sealed class NodeTests
{
    private static readonly Dictionary<string, string> None = [];

    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    public async Task A_node_is_ready_and_leaves_at_a_signal(string signal)
    {
        using var directory = new DataDirectory();
        using var node = new NodeProcess(directory.Path, None, "--port", "0", "--name", "n1");
        var ready = await node.ReadyAsync();
        Assert.Equal("n1", ready["node"]!.GetValue<string>());
        Assert.Contains("SQLite", ready["store"]!.GetValue<string>(), StringComparison.Ordinal);
        await node.SignalAsync(signal);
        Assert.True(await node.EndAsync() == 0, node.ToString());
        // how Akka goes about it is for the log file alone
        Assert.DoesNotContain("Singleton", node.ToString(), StringComparison.Ordinal);
        Assert.Contains("Singleton", directory.Log, StringComparison.Ordinal);
    }

    [SkippableFact]
    public async Task A_job_is_submitted_to_nodes_that_share_out_the_roles_and_parameters_need_no_libtorch()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "looks into /proc");
        await using var database = await PostgresDatabase.CreateAsync();
        using var directory = new DataDirectory();
        var store = new Dictionary<string, string> { ["CLUSTERNET__STORE__POSTGRES"] = database.ConnectionString };
        using var coordinator = new NodeProcess(directory.File("coordinator"), store, "--port", "0", "--roles", "coordinator,inference");
        var ready = (await coordinator.ReadyAsync()).ToJsonString();
        Assert.Contains(database.Name, ready, StringComparison.Ordinal);
        Assert.DoesNotContain("assword", ready, StringComparison.Ordinal);
        using var parameters = new NodeProcess(directory.File("parameters"), store, "--port", "0", "--roles", "parameters", "--seeds", coordinator.Address);
        using var worker = new NodeProcess(directory.File("worker"), None, "--port", "0", "--roles", "worker", "--seeds", coordinator.Address);
        await parameters.ReadyAsync();
        await worker.ReadyAsync();

        string[] cluster = ["--cluster", worker.Address];
        var trained = (await directory.RunAsync(["train", Repository.Job("breast-cancer.yaml"), "--json", "--set", "training.epochs=3", "--set", "training.shards=2", .. cluster])).Expect(0).Document;
        var alone = (await directory.RunAsync("train", Repository.Job("breast-cancer.yaml"), "--json", "--set", "training.epochs=3")).Expect(0).Document;
        Assert.Equal(alone["weights_sha256"]!.GetValue<string>(), trained["weights_sha256"]!.GetValue<string>());
        Assert.DoesNotContain("libtorch", await File.ReadAllTextAsync($"/proc/{parameters.Id}/maps"), StringComparison.OrdinalIgnoreCase);
        Assert.Contains("libtorch", await File.ReadAllTextAsync($"/proc/{worker.Id}/maps"), StringComparison.OrdinalIgnoreCase);

        var accepted = (await directory.RunAsync(["train", Repository.Job("breast-cancer.yaml"), "--json", "--detach", "--set", "training.epochs=100000", "--set", "training.early-stopping=none", .. cluster])).Expect(0).Document;
        var job = accepted["job"]!.GetValue<string>();
        var watch = directory.Start(["jobs", "watch", job, "--json", .. cluster]);
        (await directory.RunAsync(["jobs", "cancel", job, .. cluster])).Expect(0);
        Assert.Equal("cancelled", (await watch.EndAsync()).Document["status"]!.GetValue<string>());
        Assert.Equal("cancelled", (await directory.RunAsync(["jobs", "show", job, "--json", .. cluster])).Expect(0).Document["status"]!.GetValue<string>());
        (await directory.RunAsync(["predict", "breast-cancer", "--input", "builtin:wdbc", "--json", .. cluster])).Expect(0);
        (await directory.RunAsync(["predict", "no-such-model", "--input", "builtin:wdbc", .. cluster])).Expect(2);
    }

    [Fact]
    public async Task A_cluster_of_processes_starts_trains_shows_itself_and_stops()
    {
        using var directory = new DataDirectory();
        var nodes = (await directory.RunAsync("cluster", "start", "--nodes", "2", "--json")).Expect(0).Document["nodes"]!.AsArray();
        try
        {
            Assert.Equal(2, nodes.Count);
            (await directory.RunAsync("cluster", "start", "--nodes", "1")).Expect(1);
            var address = nodes[1]!["address"]!.GetValue<string>();
            (await directory.RunAsync("train", Repository.Job("xor.yaml"), "--json", "--set", "training.steps=5", "--set", "training.epochs=", "--cluster", address)).Expect(0);
            var status = (await directory.RunAsync("cluster", "status", "--json")).Expect(0).Document;
            Assert.Equal(["node-1", "node-2"], status["nodes"]!.AsArray().Select(node => node!["node"]!.GetValue<string>()).Order());
            Assert.All(status["nodes"]!.AsArray(), node => Assert.Equal("up", node!["status"]!.GetValue<string>()));
            Assert.Equal("xor-1", status["jobs"]!.AsArray().Single()!["job"]!.GetValue<string>());
            (await directory.RunAsync("health", "--port", new Uri(nodes[0]!["http"]!.GetValue<string>()).Port.ToString(System.Globalization.CultureInfo.InvariantCulture))).Expect(0);
        }
        finally
        {
            var stopped = (await directory.RunAsync("cluster", "stop", "--json")).Expect(0).Document;
            Assert.Equal((2, 0), (stopped["stopped"]!.GetValue<int>(), stopped["killed"]!.GetValue<int>()));
        }
        (await directory.RunAsync("cluster", "status")).Expect(1);
    }

    [Fact]
    public async Task What_can_not_be_a_cluster_is_refused_with_the_remedy()
    {
        using var directory = new DataDirectory();
        Assert.Contains("PostgreSQL", (await directory.RunAsync("cluster", "start", "--nodes", "2", "--roles", "coordinator,worker")).Expect(2).Error, StringComparison.Ordinal);
        Assert.Contains("is not HOST:PORT", (await directory.RunAsync("jobs", "list", "--cluster", "nowhere")).Expect(2).Error, StringComparison.Ordinal);
        Assert.Contains("there is no host", (await directory.RunAsync("jobs", "list", "--cluster", "no-such-host.invalid:4053")).Expect(1).Error, StringComparison.Ordinal);
        Assert.Contains("needs a cluster", (await directory.RunAsync("train", Repository.Job("xor.yaml"), "--detach")).Expect(2).Error, StringComparison.Ordinal);
    }
}
