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
        (await directory.RunAsync(["jobs", "cancel", job, .. cluster])).Expect(0);
        Assert.Equal("cancelled", (await directory.RunAsync(["jobs", "show", job, "--json", .. cluster])).Expect(0).Document["status"]!.GetValue<string>());
        (await directory.RunAsync(["predict", "breast-cancer", "--input", "builtin:wdbc", "--json", .. cluster])).Expect(0);
        (await directory.RunAsync(["predict", "no-such-model", "--input", "builtin:wdbc", .. cluster])).Expect(2);
    }
}
