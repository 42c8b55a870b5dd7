using System.Net;
using System.Text.Json.Nodes;

namespace ClusterNet.EndToEnd.Tests;

/// <summary>A node's health can be asked for as a container does, and its log read by a program.</summary>
public sealed class HealthTests
{
    [Fact]
    public async Task A_node_says_how_it_is_and_nobody_says_it_is_well_when_it_is_gone()
    {
        using var directory = new DataDirectory();
        using var asker = new DataDirectory();
        using var node = new NodeProcess(directory.Path, new Dictionary<string, string> { ["CLUSTERNET__LOG__FORMAT"] = "json" }, "--port", "0", "--http-port", "0", "--name", "n1");
        var http = (await node.ReadyAsync())["http"]!.GetValue<string>();

        var well = (await ReadyAsync(asker, http)).Document;
        Assert.Equal("healthy", well["answer"]!["checks"]!["membership"]!["status"]!.GetValue<string>());
        using (var client = new HttpClient())
        using (var metrics = await client.GetAsync(new Uri(new Uri(http), "/metrics")))
            Assert.Equal(HttpStatusCode.OK, metrics.StatusCode);
        (await asker.RunAsync("health", "--url", http, "--live")).Expect(0);

        await node.SignalAsync("TERM");
        Assert.Equal(0, await node.EndAsync());
        (await asker.RunAsync("health", "--url", http, "--live")).Expect(1);
        Assert.All(await File.ReadAllLinesAsync(System.IO.Path.Combine(directory.Path, "logs", "n1.log")), line => Assert.Equal("n1", JsonNode.Parse(line)!["Node"]!.GetValue<string>()));
    }

    /// <summary>A node that is up may wait for its store a little longer.</summary>
    private static async Task<Outcome> ReadyAsync(DataDirectory asker, string http)
    {
        using var patience = new CancellationTokenSource(NodeProcess.Patience);
        while (true)
        {
            var outcome = await asker.RunAsync("health", "--url", http, "--json");
            if (outcome.ExitCode == 0 || patience.IsCancellationRequested)
                return outcome.Expect(0);
        }
    }
}
