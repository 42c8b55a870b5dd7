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

    [Fact]
    public async Task A_node_that_has_not_joined_yet_is_alive_and_says_why_it_is_not_ready()
    {
        using var directory = new DataDirectory();
        using var founder = new DataDirectory();
        var ports = Clusters.ProcessCluster.FreePorts(3).Select(port => port.ToString(System.Globalization.CultureInfo.InvariantCulture)).ToArray();
        string[] seeds = ["--seeds", $"127.0.0.1:{ports[0]}"], gateway = ["--roles", "gateway"];
        using var waiting = new NodeProcess(directory.Path, new Dictionary<string, string>(), ["--port", ports[1], "--http-port", ports[2], .. seeds, .. gateway]);
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{ports[2]}/") };
        using var patience = new CancellationTokenSource(NodeProcess.Patience);
        while (await StatusAsync(client, "health/live", patience.Token) != HttpStatusCode.OK)
            patience.Token.ThrowIfCancellationRequested();
        using (var ready = await client.GetAsync(new Uri("health/ready", UriKind.Relative)))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
            var membership = JsonNode.Parse(await ready.Content.ReadAsStringAsync())!["checks"]!["membership"]!;
            Assert.Equal("unhealthy", membership["status"]!.GetValue<string>());
            Assert.Contains("has not joined its cluster yet", membership["reason"]!.GetValue<string>(), StringComparison.Ordinal);
        }

        using var seed = new NodeProcess(founder.Path, new Dictionary<string, string>(), ["--port", ports[0], .. seeds, "--roles", "coordinator,parameters"]);
        await waiting.ReadyAsync();
        // a gateway is of use once the registry of models answers, which starts with the cluster
        while (await StatusAsync(client, "health/ready", patience.Token) != HttpStatusCode.OK)
            patience.Token.ThrowIfCancellationRequested();
        // one that is told to end while it waits does so
        using var other = new DataDirectory();
        using var hopeless = new NodeProcess(other.Path, new Dictionary<string, string>(), ["--port", "0", "--http-port", "0", "--seeds", "127.0.0.1:1", .. gateway]);
        using var looks = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!hopeless.ToString().Contains("until one of them takes it in", StringComparison.Ordinal))
            await looks.WaitForNextTickAsync(patience.Token);
        await hopeless.SignalAsync("TERM");
        Assert.True(await hopeless.EndAsync() == 0, hopeless.ToString());
    }

    private static async Task<HttpStatusCode?> StatusAsync(HttpClient client, string path, CancellationToken cancel)
    {
        try
        {
            using var answer = await client.GetAsync(new Uri(path, UriKind.Relative), cancel);
            return answer.StatusCode;
        }
        catch (HttpRequestException)
        {
            // nobody listens yet
            return null;
        }
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
