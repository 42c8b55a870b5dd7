using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>The registry of models is on one node, the oldest one with its role. It dies, and for some seconds there is none: predictions by HTTP go on by way of a gateway elsewhere.</summary>
[Collection(ProcessClusters.Name)]
public sealed class RegistryNodeTests(ITestOutputHelper output)
{
    [SkippableFact]
    public async Task Predictions_do_not_wait_until_there_is_a_registry_again()
    {
        await using var cluster = await ProcessCluster.StartAsync(output, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Stateful, ProcessCluster.Worker);
        await cluster.EndOfAsync(await cluster.SubmitAsync("breast-cancer.yaml", "training.epochs=1"));
        var node = await cluster.AddAsync("inference,gateway", ("CLUSTERNET__HTTP__PORT", "0"));
        var started = await node.Process.ReadyAsync();
        using var http = new HttpClient { BaseAddress = new Uri(new Uri(started["http"]!.GetValue<string>()), "v2/models/breast-cancer") };
        var inputs = (await http.GetFromJsonAsync<JsonNode>(""))!["inputs"]!.AsArray();
        var request = new JsonObject
        {
            ["inputs"] = new JsonArray([.. inputs.Select(input => new JsonObject { ["name"] = input!["name"]!.GetValue<string>(), ["shape"] = new JsonArray(1), ["datatype"] = "FP64", ["data"] = new JsonArray(1.5) })]),
        }.ToJsonString();
        var expected = await AskAsync();

        await cluster.KillAsync(cluster.Nodes[0]);
        // its registry answers by way of another node once another has it
        var isThereAgain = cluster.RunAsync("models", "list");
        var readiness = ReadyAsync(isThereAgain);
        var (answers, longest) = (0, TimeSpan.Zero);
        while (!isThereAgain.IsCompleted)
        {
            var asked = System.Diagnostics.Stopwatch.GetTimestamp();
            Assert.Equal(expected, await AskAsync());
            var elapsed = System.Diagnostics.Stopwatch.GetElapsedTime(asked);
            (answers, longest) = (answers + 1, elapsed > longest ? elapsed : longest);
        }
        (await isThereAgain).Expect(0);
        var (ready, unready) = await readiness;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{answers} answers, the longest after {longest.TotalMilliseconds:0} ms; the gateway was ready {ready} times of {ready + unready}"));
        Assert.True(answers > 100, $"{answers} answers: the registry was not missed");
        Assert.True(ready > 0, "who asks whether the gateway can be asked is told that it can't");

        // from when the loss is known, which takes some seconds, until the registry is there again
        async Task<(int Ready, int Unready)> ReadyAsync(Task end)
        {
            await cluster.UntilLoggedAsync("does not answer", node);
            var counts = new int[2];
            while (!end.IsCompleted)
            {
                using var response = await http.GetAsync(new Uri("/v2/health/ready", UriKind.Relative));
                counts[response.IsSuccessStatusCode ? 0 : 1]++;
            }
            return (counts[0], counts[1]);
        }

        async Task<string> AskAsync()
        {
            using var content = new StringContent(request, System.Text.Encoding.UTF8, "application/json");
            using var response = await http.PostAsync(new Uri("breast-cancer/infer", UriKind.Relative), content);
            var text = await response.Content.ReadAsStringAsync();
            Assert.True(response.IsSuccessStatusCode, $"{response.StatusCode} {text}\n{node.Process}");
            return JsonNode.Parse(text)!["outputs"]!.ToJsonString();
        }
    }
}
