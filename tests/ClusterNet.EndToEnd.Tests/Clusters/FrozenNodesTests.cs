using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>
/// A node stands still and goes on later, as when its virtual machine is suspended: it believes that no time has passed, that it is a member and has its shards and coordinators. It was left behind and must end; nothing
/// that it does until then may be seen in the weights or the history. For shorter times: see the soak.
/// </summary>
[Collection(ProcessClusters.Name)]
public sealed class FrozenNodesTests(ITestOutputHelper output)
{
    private const string File = "digits-cnn.yaml";
    private const int Steps = 1500;

    [SkippableTheory]
    [InlineData(ProcessCluster.Stateful)]
    [InlineData(ProcessCluster.Worker)]
    public async Task A_node_that_stood_still_for_long_ends_and_is_not_missed(string roles)
    {
        await using var cluster = await ProcessCluster.StartAsync(
            output, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Worker, ProcessCluster.Worker);
        var job = await cluster.SubmitAsync(File, [.. SameHash.Settings(Steps), "training.workers=4", "training.shards=3"]);
        await cluster.UntilCheckpointAsync(job, 2 * SameHash.Every);
        var node = Random.Shared.GetItems([.. cluster.Nodes.Where(node => node.Roles == roles)], 1)[0];
        await cluster.FreezeAsync(node);
        var reached = await cluster.Store.LatestCheckpointAsync(job);
        await cluster.UntilLoggedAsync($"{NameOf(node)} was lost");
        await cluster.UntilCheckpointAsync(job, reached + (2 * SameHash.Every));
        Assert.True(await cluster.Store.LatestCheckpointAsync(job) < Steps, $"{job} was over before the node went on: it needs more steps");
        await cluster.ThawAsync(node);
        Assert.NotEqual(0, await cluster.EndOfAsync(node));
        Assert.Contains("it was cut off from most of the cluster, or the others took it for dead", node.Process.ToString(), StringComparison.Ordinal);
        await cluster.RestartAsync(node);
        await SameHash.RequireAsync(File, Steps, await cluster.EndOfAsync(job));
        Assert.Empty(await cluster.Store.JournalFaultsAsync());
    }

    [SkippableFact]
    public async Task A_node_that_stood_still_while_it_joined_ends()
    {
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Worker, ProcessCluster.Worker, ProcessCluster.Worker);
        // as long as a member does not answer a newcomer is let in and not up
        await cluster.FreezeAsync(cluster.Nodes[3]);
        await cluster.UntilLoggedAsync($"{NameOf(cluster.Nodes[3])} does not answer");
        var node = cluster.BeginToAdd(ProcessCluster.Worker);
        await cluster.UntilLoggedAsync($"{NameOf(cluster.Nodes[3])} does not answer", node);
        await cluster.FreezeAsync(node);
        await cluster.UntilLoggedAsync($"{NameOf(node)} was lost");
        await cluster.ThawAsync(node);
        Assert.NotEqual(0, await cluster.EndOfAsync(node));
        Assert.Contains("it was cut off from most of the cluster, or the others took it for dead", node.Process.ToString(), StringComparison.Ordinal);
        await cluster.RestartAsync(node);
    }

    /// <summary>Before the cluster has noticed it, when it would still be asked, and whichever of the two comes first in turn.</summary>
    [SkippableFact]
    public async Task A_command_does_not_wait_for_a_node_that_stands_still()
    {
        const string Serving = "worker,inference";
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, Serving, Serving);
        await cluster.EndOfAsync(await cluster.SubmitAsync("breast-cancer.yaml", "training.epochs=1"));
        string[] evaluate = ["evaluate", "breast-cancer", "--data", Repository.Wdbc, "--json"];
        var expected = (await cluster.RunAsync(evaluate)).Expect(0).Output;
        await cluster.FreezeAsync(cluster.Nodes[2]);
        for (var i = 0; i < 2; i++)
            Assert.Equal(expected, (await cluster.RunAsync(evaluate)).Expect(0).Output);
        await cluster.EndOfAsync(await cluster.SubmitAsync("breast-cancer.yaml", "training.epochs=1"));
    }

    /// <summary>Who decides where requests go asks which nodes are ready: one that stands still must not take all others along, neither until that is known nor while another node takes over what it did for all.</summary>
    [SkippableFact]
    public async Task The_other_nodes_stay_ready()
    {
        const string All = "coordinator,parameters,worker,inference,gateway";
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Stateful);
        var asked = await cluster.AddAsync(All, ("CLUSTERNET__HTTP__PORT", "0"));
        await cluster.AddAsync(All);
        await cluster.EndOfAsync(await cluster.SubmitAsync("breast-cancer.yaml", "training.epochs=1"));
        using var http = new HttpClient { BaseAddress = new Uri((await asked.Process.ReadyAsync())["http"]!.GetValue<string>()) };
        using var patience = new CancellationTokenSource(NodeProcess.Patience);
        while (await LackingAsync() is not "")
            patience.Token.ThrowIfCancellationRequested();

        // one that answers predictions, then the one that places shards and has the registry
        foreach (var node in new[] { cluster.Nodes[3], cluster.Nodes[0] })
        {
            await cluster.FreezeAsync(node);
            var given = await AskUntilAsync(cluster.UntilLoggedAsync($"{NameOf(node)} does not answer", asked));
            Assert.True(given.Contains(""), $"as long as it was not known that a node stands still the other one was never ready: {given[0]}");
            await AskUntilAsync(cluster.UntilLoggedAsync($"{NameOf(node)} was lost", asked));
        }
        // the registry is there again, on another node
        var answers = await AskUntilAsync(LabelAsync());
        Assert.DoesNotContain(answers, answer => answer.Contains("placement", StringComparison.Ordinal));
        Assert.Contains("", answers);

        async Task LabelAsync()
        {
            using var response = await http.PutAsJsonAsync(new Uri("api/models/breast-cancer/labels/checked", UriKind.Relative), new { version = 1 });
            response.EnsureSuccessStatusCode();
        }

        async Task<List<string>> AskUntilAsync(Task end)
        {
            var given = new List<string>();
            do
                given.Add(await LackingAsync());
            while (!end.IsCompleted);
            await end;
            return given;
        }

        async Task<string> LackingAsync()
        {
            using var response = await http.GetAsync(new Uri("health/ready", UriKind.Relative));
            var checks = (await response.Content.ReadFromJsonAsync<JsonNode>())!["checks"]!.AsObject();
            return string.Join("; ", checks.Where(check => check.Value!["status"]!.GetValue<string>() != "healthy").Select(check => $"{check.Key}: {check.Value!["reason"]}"));
        }
    }

    private static string NameOf(ClusterMember node) => string.Create(CultureInfo.InvariantCulture, $"Node {node.Host}:{node.Port}");
}
