using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>A node joins, or comes back after an update: it says that it is ready when it has in memory what is in use, so that nobody waits for a model who asks it from then on, and the others can go.</summary>
[Collection(ProcessClusters.Name)]
public sealed class JoiningNodeTests(ITestOutputHelper output)
{
    [SkippableFact]
    public async Task A_node_is_ready_when_it_has_what_is_in_use_without_being_asked()
    {
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Worker);
        await cluster.EndOfAsync(await cluster.SubmitAsync("breast-cancer.yaml", "training.epochs=1"));
        var (first, firstPlace) = await AddAsync();
        using var http = new HttpClient();
        var inputs = (await http.GetFromJsonAsync<JsonNode>(new Uri(firstPlace, "v2/models/breast-cancer")))!["inputs"]!.AsArray();
        var request = new JsonObject
        {
            ["inputs"] = new JsonArray([.. inputs.Select(input => new JsonObject { ["name"] = input!["name"]!.GetValue<string>(), ["shape"] = new JsonArray(1), ["datatype"] = "FP64", ["data"] = new JsonArray(1.5) })]),
        };
        var expected = await AskAsync(firstPlace);

        // the first node is asked for as long as that takes, and asks no other one that has not said that it has the model: what the second has in memory, it has by itself
        var joining = AddAsync();
        while (!joining.IsCompleted)
            Assert.Equal(expected, await AskAsync(firstPlace));
        var (second, secondPlace) = await joining;
        await ReadyAsync(secondPlace);
        Assert.Contains("breast-cancer:1 is loaded", cluster.LogOf(second), StringComparison.Ordinal);
        await cluster.LeaveAsync(first);
        Assert.Equal(expected, await AskAsync(secondPlace));

        async Task<(ClusterMember Node, Uri Place)> AddAsync()
        {
            var node = await cluster.AddAsync("inference,gateway", ("CLUSTERNET__HTTP__PORT", "0"));
            return (node, new Uri((await node.Process.ReadyAsync())["http"]!.GetValue<string>()));
        }

        async Task ReadyAsync(Uri place)
        {
            using var patience = new CancellationTokenSource(NodeProcess.Patience);
            using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
            while (true)
            {
                using var response = await http.GetAsync(new Uri(place, "health/ready"), patience.Token);
                if (response.IsSuccessStatusCode)
                    return;
                await pace.WaitForNextTickAsync(patience.Token);
            }
        }

        async Task<string> AskAsync(Uri place)
        {
            using var response = await http.PostAsJsonAsync(new Uri(place, "v2/models/breast-cancer/infer"), request);
            var text = await response.Content.ReadAsStringAsync();
            Assert.True(response.IsSuccessStatusCode, $"{response.StatusCode} {text}");
            return JsonNode.Parse(text)!["outputs"]!.ToJsonString();
        }
    }
}
