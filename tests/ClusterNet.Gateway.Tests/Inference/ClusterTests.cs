using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using System.Text.Json;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Tests;
using ClusterNet.Data;
using ClusterNet.Data.Requests;
using ClusterNet.Gateway.Grpc.Protocol;
using Google.Protobuf;
using ModelInput = ClusterNet.Cluster.Serving.ModelInput;

namespace ClusterNet.Gateway.Tests.Inference;

/// <summary>A trained model answers the same bits by REST, in JSON and in bytes, by gRPC and by message.</summary>
[Collection(OneByOne.Name)]
public sealed class ClusterTests
{
    private const int Samples = 40;

    [Fact]
    public async Task All_ways_to_ask_give_the_same_bits()
    {
        await using var observed = await ObservedCluster.StartAsync();
        var version = (await observed.TrainAsync(TestJobs.Wdbc("mlp"))).Result!.Version;
        var table = (RawSamples.Table)RawSampleReader.Read("builtin:wdbc");
        var rows = table with { Rows = [.. table.Rows.Take(Samples)] };
        var expected = (await observed.Cluster.PredictAsync(version, rows)).Outputs.ToArray();
        await using var gateway = await TestGateway.StartAsync(observed.Cluster.Serving);
        var model = (await gateway.GetAsync($"/v2/models/{version.Model}")).Body;
        var columns = model.GetProperty("inputs").EnumerateArray().Select(input => (Name: input.GetProperty("name").GetString()!, Type: input.GetProperty("datatype").GetString()!)).ToList();
        Assert.Equal(30, columns.Count);

        var inputs = columns.Select(column => $$"""{"name":"{{column.Name}}","shape":[{{Samples}}],"datatype":"{{column.Type}}","data":[{{string.Join(",", CellsOf(rows, column.Name))}}]}""");
        var (status, body, _) = await gateway.PostAsync($"/v2/models/{version.Model}/infer", $$"""{"inputs":[{{string.Join(",", inputs)}}]}""");
        Assert.True(status == HttpStatusCode.OK, body.ToString());
        Assert.Equal(expected, Floats(body, "probabilities"));
        Assert.Equal(version.Version.ToString(CultureInfo.InvariantCulture), body.GetProperty("model_version").GetString());

        var request = new ModelInferRequest { ModelName = version.Model, ModelVersion = $"{version.Version}" };
        foreach (var (name, type) in columns)
        {
            request.Inputs.Add(new ModelInferRequest.Types.InferInputTensor { Name = name, Datatype = type, Shape = { Samples, 1 } });
            var numbers = CellsOf(rows, name).Select(cell => double.Parse(cell, CultureInfo.InvariantCulture)).ToArray();
            request.RawInputContents.Add(ByteString.CopyFrom(MemoryMarshal.AsBytes(numbers.AsSpan())));
        }
        var client = new GRPCInferenceService.GRPCInferenceServiceClient(gateway.Channel);
        var answer = await client.ModelInferAsync(request);
        Assert.Equal(expected, MemoryMarshal.Cast<byte, float>(answer.RawOutputContents[0].Span).ToArray());
        Assert.Equal((await observed.Cluster.Serving.PredictAsync(new PredictRequest(version.Model, new ModelInput.Raw(rows)))).Prediction.Outputs.ToArray(), expected);
    }

    [Fact]
    public async Task A_model_that_is_let_go_is_not_ready_and_comes_back()
    {
        await using var observed = await ObservedCluster.StartAsync();
        var version = (await observed.TrainAsync(TestJobs.Xor())).Result!.Version;
        await using var gateway = await TestGateway.StartAsync(observed.Cluster.Serving);
        var path = $"/v2/repository/models/{version.Model}";
        var infer = """{"inputs":[{"name":"prepared","shape":[1,2],"datatype":"FP32","data":[0,1]}]}""";
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync($"{path}/load", "{}")).Status);
        Assert.Equal(HttpStatusCode.OK, (await gateway.GetAsync($"/v2/models/{version.Model}/ready")).Status);
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync($"/v2/models/{version.Model}/infer", infer)).Status);
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync($"{path}/unload", "{}")).Status);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await gateway.GetAsync($"/v2/models/{version.Model}/ready")).Status);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await gateway.PostAsync($"/v2/models/{version.Model}/infer", infer)).Status);
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync($"{path}/load", "")).Status);
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync($"/v2/models/{version.Model}/infer", infer)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await gateway.PostAsync("/v2/models/nobody/infer", infer)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await gateway.GetAsync($"/v2/models/{version.Model}/versions/99")).Status);
    }

    private static IEnumerable<string> CellsOf(RawSamples.Table rows, string column)
    {
        var at = rows.Columns.Index().First(known => known.Item == column).Index;
        return rows.Rows.Select(row => row[at]!);
    }

    private static float[] Floats(JsonElement body, string output) =>
        [.. body.GetProperty("outputs").EnumerateArray().Single(known => known.GetProperty("name").GetString() == output).GetProperty("data").EnumerateArray().Select(number => number.GetSingle())];
}
