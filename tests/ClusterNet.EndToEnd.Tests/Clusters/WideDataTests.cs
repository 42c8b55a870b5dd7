using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>Data with thousands of columns, as of genes: what nodes say to each other of such data, of the job and of its model is larger than a frame of theirs, and so are the requests.</summary>
[Collection(ProcessClusters.Name)]
public sealed class WideDataTests(ITestOutputHelper output)
{
    private const int Columns = 12_000;
    private const int Rows = 60;

    [SkippableFact]
    public async Task A_model_of_thousands_of_columns_is_trained_listed_and_asked_on_nodes_that_have_nothing_in_common()
    {
        await using var cluster = await ProcessCluster.StartAsync(output, "coordinator", "parameters", ProcessCluster.Worker);
        var node = await cluster.AddAsync("inference,gateway", ("CLUSTERNET__HTTP__PORT", "0"));
        using var data = new DataDirectory();
        var names = Enumerable.Range(0, Columns).Select(column => string.Create(CultureInfo.InvariantCulture, $"ENSG{column:00000000000}")).ToArray();
        var rows = Table();
        await File.WriteAllLinesAsync(data.File("genes.csv"), [string.Join(',', [.. names, "outcome"]), .. rows.Select((row, index) => string.Join(',', [.. row, index % 2 == 0 ? "well" : "ill"]))]);
        await File.WriteAllLinesAsync(data.File("patient.csv"), [string.Join(',', names), string.Join(',', rows[7])]);

        var job = await cluster.EndOfAsync(await cluster.SubmitAsync("breast-cancer.yaml", $"data.source={data.File("genes.csv")}", "data.format=csv", "data.target=outcome", "name=genes", "training.epochs=2", "training.workers=2", "training.shards=2"));
        Assert.Equal("genes", job["model"]!.GetValue<string>());
        Assert.Contains("genes", (await cluster.RunAsync("models", "list")).Expect(0).Output, StringComparison.Ordinal);
        var predicted = (await cluster.RunAsync("predict", "genes", "--input", data.File("patient.csv"), "--json")).Expect(0).Document;

        using var http = new HttpClient { BaseAddress = new Uri((await node.Process.ReadyAsync())["http"]!.GetValue<string>()) };
        var inputs = (await http.GetFromJsonAsync<JsonNode>("v2/models/genes"))!["inputs"]!.AsArray();
        Assert.Equal(names, inputs.Select(input => input!["name"]!.GetValue<string>()));
        using var response = await http.PostAsJsonAsync("v2/models/genes/infer", new JsonObject
        {
            ["inputs"] = new JsonArray([.. names.Select((name, column) => new JsonObject { ["name"] = name, ["shape"] = new JsonArray(1), ["datatype"] = "FP64", ["data"] = new JsonArray(double.Parse(rows[7][column], CultureInfo.InvariantCulture)) })]),
        });
        var answer = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, answer);
        output.WriteLine($"{predicted.ToJsonString()}\n{answer}");
        var probabilities = JsonNode.Parse(answer)!["outputs"]!.AsArray().Single(tensor => tensor!["name"]!.GetValue<string>() == "probabilities")!["data"]!.AsArray().Select(value => value!.GetValue<float>());
        Assert.Equal(predicted["predictions"]![0]!["probabilities"]!.AsObject().Select(value => value.Value!.GetValue<float>()), probabilities);
    }

    private static string[][] Table()
    {
        var random = new Random(1);
        return [.. Enumerable.Range(0, Rows).Select(row => Enumerable.Range(0, Columns).Select(column => ((column < 50 ? row % 2 : 0) + random.NextDouble()).ToString("0.000", CultureInfo.InvariantCulture)).ToArray())];
    }
}
