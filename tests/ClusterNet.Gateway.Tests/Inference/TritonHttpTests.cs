using System.Globalization;
using System.Text;
using System.Text.Json;
using ClusterNet.Cluster.Serving;
using ClusterNet.Data;
using static ClusterNet.Gateway.Tests.Inference.TritonHttp;

namespace ClusterNet.Gateway.Tests.Inference;

/// <summary>Byte for byte what NVIDIA's Python client sends by HTTP is understood, and what it makes of an answer comes out: JSON without spaces, bytes behind it, the length of the JSON in a header.</summary>
public sealed class TritonHttpTests
{
    private const string Probabilities = """{"name":"probabilities","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}""";

    [Fact]
    public async Task Inputs_and_outputs_are_bytes_or_JSON_each_as_it_is_asked_for()
    {
        await using var gateway = await TestGateway.StartAsync(new FakeServing());
        var (status, headers, body) = await SendAsync(
            gateway.Address,
            "/v2/models/simple/infer?test_1=1&test_2=2",
            """{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP32","parameters":{"binary_data_size":24}}],"outputs":[{"name":"probabilities","parameters":{"binary_data":true}},{"name":"class","parameters":{"binary_data":false}}]}""",
            Bytes(0.25f, 1, 2, 3, 4, 5));
        Assert.Equal(200, status);
        var json = $$$"""{"model_name":"simple","model_version":"3","outputs":[{{{Probabilities}}},{"name":"class","datatype":"BYTES","shape":[1],"data":["malign, \"ü\""]}]}""";
        Assert.Equal(Encoding.UTF8.GetByteCount(json).ToString(CultureInfo.InvariantCulture), headers["inference-header-content-length"]);
        Assert.Equal([.. Encoding.UTF8.GetBytes(json), .. Bytes(0.25f, 0.75f)], body);
    }

    [Fact]
    public async Task Without_outputs_all_of_them_are_bytes()
    {
        await using var gateway = await TestGateway.StartAsync(new FakeServing());
        var (status, headers, body) = await SendAsync(
            gateway.Address,
            "/v2/models/simple/versions/3/infer",
            """{"id":"7","inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP32","data":[0.75,1.0,2.0,3.0,4.0,5.0]}],"parameters":{"sequence_id":5,"sequence_start":true,"sequence_end":false,"priority":2,"timeout":1000000,"binary_data_output":true}}""",
            []);
        Assert.Equal(200, status);
        var json = $$$"""{"model_name":"simple","model_version":"3","id":"7","outputs":[{{{Probabilities}}},{"name":"class","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":10}}]}""";
        Assert.Equal(Encoding.UTF8.GetByteCount(json).ToString(CultureInfo.InvariantCulture), headers["inference-header-content-length"]);
        // texts have 4 bytes of length
        Assert.Equal([.. Encoding.UTF8.GetBytes(json), .. Bytes(0.75f, 0.25f), .. Texts("benign")], body);
    }

    [Fact]
    public async Task Texts_travel_with_their_lengths()
    {
        var serving = new FakeServing();
        await using var gateway = await TestGateway.StartAsync(serving);
        var (status, _, _) = await SendAsync(
            gateway.Address,
            "/v2/models/patients/infer",
            """{"inputs":[{"name":"age","shape":[2,1],"datatype":"FP32","parameters":{"binary_data_size":8}},{"name":"sex","shape":[2,1],"datatype":"BYTES","parameters":{"binary_data_size":12}}],"parameters":{"binary_data_output":true}}""",
            [.. Bytes(0.5f, float.NaN), .. Texts("f", "mä")]);
        Assert.Equal(200, status);
        var table = (RawSamples.Table)((ModelInput.Raw)serving.Requests.Single().Input).Samples;
        Assert.Equal<IEnumerable<string?>>([["0.5", "f"], [null, "mä"]], table.Rows);
    }

    [Fact]
    public async Task Errors_are_what_the_client_looks_for()
    {
        await using var gateway = await TestGateway.StartAsync(new FakeServing());
        foreach (var (path, start) in ((string, string)[])[("/v2/models/wrong_model_name/infer", "Request for unknown model"), ("/v2/repository/models/wrong_model_name/load", "failed to load")])
        {
            var (status, _, body) = await SendAsync(gateway.Address, path, "{}", []);
            Assert.Equal(404, status);
            Assert.StartsWith(start, JsonDocument.Parse(body).RootElement.GetProperty("error").GetString(), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("23", 24, "24, and 23 bytes are left")]
    [InlineData("25", 24, "1 bytes behind the JSON belong to no input")]
    [InlineData("20", 20, "20 bytes, where shape [1, 2, 3] of FP32 has 24")]
    public async Task Bytes_that_are_cut_short_or_left_over_are_refused(string length, int size, string message)
    {
        await using var gateway = await TestGateway.StartAsync(new FakeServing());
        var (status, _, body) = await SendAsync(
            gateway.Address,
            "/v2/models/simple/infer",
            $$$"""{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP32","parameters":{"binary_data_size":{{{size}}}}}]}""",
            new byte[int.Parse(length, CultureInfo.InvariantCulture)]);
        Assert.Equal(400, status);
        Assert.Contains(message, Encoding.UTF8.GetString(body), StringComparison.Ordinal);
    }
}
