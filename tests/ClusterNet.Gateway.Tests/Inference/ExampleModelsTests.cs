using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using ClusterNet.Gateway.Grpc.Protocol;
using ClusterNet.Gateway.Inference;
using ClusterNet.Gateway.Tests.Serving;
using Google.Protobuf;
using Grpc.Core;
using static ClusterNet.Gateway.Tests.Inference.TritonHttp;

namespace ClusterNet.Gateway.Tests.Inference;

/// <summary>What NVIDIA's <c>simple</c> examples send and look for, step by step, without a model of one's own.</summary>
public sealed class ExampleModelsTests
{
    private const string Sums = "/v2/models/simple/infer";

    private static readonly InferenceSettings _settings = new() { HasExamples = true };

    private static readonly int[] _counted = [.. Enumerable.Range(0, 16)];

    private static readonly int[] _minusOnes = [.. Enumerable.Repeat(-1, 16)];

    [Fact]
    public async Task Sum_and_difference_by_HTTP_with_one_input_and_output_in_JSON_and_one_as_bytes()
    {
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings);
        var inputs = $$$"""{"inputs":[{"name":"INPUT0","shape":[1,16],"datatype":"INT32","data":[{{{string.Join(",", _counted)}}}]},{"name":"INPUT1","shape":[1,16],"datatype":"INT32","parameters":{"binary_data_size":64}}]""";
        var (status, headers, body) = await SendAsync(
            gateway.Address,
            Sums + "?test_1=1&test_2=2",
            inputs + ""","outputs":[{"name":"OUTPUT0","parameters":{"binary_data":true}},{"name":"OUTPUT1","parameters":{"binary_data":false}}]}""",
            Bytes(_minusOnes));
        Assert.Equal(200, status);
        var differences = string.Join(",", _counted.Select(number => number + 1));
        var json = """{"model_name":"simple","model_version":"1","outputs":[{"name":"OUTPUT0","datatype":"INT32","shape":[1,16],"parameters":{"binary_data_size":64}},{"name":"OUTPUT1","datatype":"INT32","shape":[1,16],"data":["""
            + differences + "]}]}";
        Assert.Equal(Encoding.UTF8.GetByteCount(json).ToString(CultureInfo.InvariantCulture), headers["inference-header-content-length"]);
        Assert.Equal([.. Encoding.UTF8.GetBytes(json), .. Bytes(_counted.Select(number => number - 1).ToArray())], body);

        // without outputs named: all of them, as the request says
        (status, headers, body) = await SendAsync(gateway.Address, Sums, inputs + ""","parameters":{"binary_data_output":true}}""", Bytes(_minusOnes));
        Assert.Equal(200, status);
        var from = int.Parse(headers["inference-header-content-length"], CultureInfo.InvariantCulture);
        Assert.Equal(Bytes([.. _counted.Select(number => number - 1), .. _counted.Select(number => number + 1)]), body[from..]);

        using var counts = JsonDocument.Parse(await gateway.Http.GetStringAsync("/v2/models/simple/stats"));
        var counted = Assert.Single(counts.RootElement.GetProperty("model_stats").EnumerateArray());
        Assert.Equal((2, 2), (counted.GetProperty("inference_count").GetInt32(), counted.GetProperty("inference_stats").GetProperty("success").GetProperty("count").GetInt32()));
    }

    [Fact]
    public async Task Sum_and_difference_by_gRPC()
    {
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings);
        var client = new GRPCInferenceService.GRPCInferenceServiceClient(gateway.Channel);
        var request = new ModelInferRequest { ModelName = "simple", Inputs = { Input("INPUT0", "INT32"), Input("INPUT1", "INT32") }, RawInputContents = { ByteString.CopyFrom(Bytes(_counted)), ByteString.CopyFrom(Bytes(_minusOnes)) } };
        foreach (var isNamed in (bool[])[true, false])
        {
            if (isNamed)
                request.Outputs.AddRange([new() { Name = "OUTPUT0" }, new() { Name = "OUTPUT1" }]);
            else
                request.Outputs.Clear();
            var response = await client.ModelInferAsync(request);
            Assert.Equal(["OUTPUT0 INT32 1 16", "OUTPUT1 INT32 1 16"], response.Outputs.Select(output => $"{output.Name} {output.Datatype} {string.Join(' ', output.Shape)}"));
            Assert.Equal(_counted.Select(number => number - 1), MemoryMarshal.Cast<byte, int>(response.RawOutputContents[0].Span).ToArray());
            Assert.Equal(_counted.Select(number => number + 1), MemoryMarshal.Cast<byte, int>(response.RawOutputContents[1].Span).ToArray());
        }
        Assert.Single((await client.ModelStatisticsAsync(new ModelStatisticsRequest { Name = "simple" })).ModelStats);
    }

    [Fact]
    public async Task Small_integers_as_explicit_contents_wrap_around_as_their_type_does()
    {
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings);
        var client = new GRPCInferenceService.GRPCInferenceServiceClient(gateway.Channel);
        var (left, right) = (Input("INPUT0", "INT8"), Input("INPUT1", "INT8"));
        left.Contents = new InferTensorContents { IntContents = { Enumerable.Repeat(127, 16) } };
        right.Contents = new InferTensorContents { IntContents = { Enumerable.Repeat(1, 16) } };
        var response = await client.ModelInferAsync(new ModelInferRequest { ModelName = "simple_int8", Inputs = { left, right } });
        Assert.All(MemoryMarshal.Cast<byte, sbyte>(response.RawOutputContents[0].Span).ToArray(), sum => Assert.Equal(-128, sum));
        Assert.All(MemoryMarshal.Cast<byte, sbyte>(response.RawOutputContents[1].Span).ToArray(), difference => Assert.Equal(126, difference));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Texts_are_numbers_or_come_back_as_they_are(bool isBinary)
    {
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings);
        string[] numbers = [.. _counted.Select(number => $"{number}")], ones = [.. Enumerable.Repeat("1", 16)];
        Assert.Equal(_counted.Select(number => $"{number + 1}"), (await AskAsync("simple_string", numbers, ones))[0]);
        Assert.Equal(_counted.Select(number => $"{number - 1}"), (await AskAsync("simple_string", numbers, ones))[1]);
        foreach (var text in (string[])["he\0llo", "\0\u0001\u0002\u0003", "", "größer \"als\"\n"])
            Assert.Equal(Enumerable.Repeat(text, 16), Assert.Single(await AskAsync("simple_identity", [.. Enumerable.Repeat(text, 16)])));

        async Task<string[][]> AskAsync(string model, params string[][] inputs)
        {
            var bytes = inputs.Select(texts => Texts(texts)).ToArray();
            var data = inputs.Select((texts, i) => isBinary ? $"\"parameters\":{{\"binary_data_size\":{bytes[i].Length}}}" : $"\"data\":{JsonSerializer.Serialize(texts)}");
            var json = "{\"inputs\":[" + string.Join(",", data.Select((values, i) => $$"""{"name":"INPUT{{i}}","shape":[1,16],"datatype":"BYTES",{{values}}}""")) + $"],\"parameters\":{{\"binary_data_output\":{(isBinary ? "true" : "false")}}}}}";
            var (status, headers, body) = await SendAsync(gateway.Address, $"/v2/models/{model}/infer", json, isBinary ? [.. bytes.SelectMany(part => part)] : []);
            Assert.True(status == 200, Encoding.UTF8.GetString(body));
            var length = headers.TryGetValue("inference-header-content-length", out var given) ? int.Parse(given, CultureInfo.InvariantCulture) : body.Length;
            using var answer = JsonDocument.Parse(body.AsMemory(0, length));
            var (outputs, rest) = (new List<string[]>(), body.AsMemory(length));
            foreach (var output in answer.RootElement.GetProperty("outputs").EnumerateArray())
            {
                Assert.Equal("BYTES", output.GetProperty("datatype").GetString());
                if (isBinary)
                {
                    var size = output.GetProperty("parameters").GetProperty("binary_data_size").GetInt32();
                    outputs.Add(Read(rest[..size]));
                    rest = rest[size..];
                }
                else
                {
                    outputs.Add([.. output.GetProperty("data").EnumerateArray().Select(text => text.GetString()!)]);
                }
            }
            Assert.True(rest.IsEmpty);
            return [.. outputs];
        }
    }

    [Fact]
    public async Task Server_and_model_say_what_the_health_examples_look_for()
    {
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings);
        Assert.Equal("triton", (await gateway.GetAsync("/v2")).Body.GetProperty("name").GetString());
        Assert.Equal(HttpStatusCode.OK, (await gateway.GetAsync("/v2/models/simple/ready")).Status);
        var (_, model, _) = await gateway.GetAsync("/v2/models/simple");
        Assert.Equal("simple", model.GetProperty("name").GetString());
        Assert.Equal("""[{"name":"INPUT0","datatype":"INT32","shape":[-1,16]},{"name":"INPUT1","datatype":"INT32","shape":[-1,16]}]""", model.GetProperty("inputs").GetRawText());
        var (status, body, _) = await gateway.GetAsync("/v2/models/wrong_model_name");
        Assert.Equal(HttpStatusCode.NotFound, status);
        Assert.StartsWith("Request for unknown model", body.GetProperty("error").GetString(), StringComparison.Ordinal);

        var client = new GRPCInferenceService.GRPCInferenceServiceClient(gateway.Channel);
        Assert.Equal("triton", (await client.ServerMetadataAsync(new ServerMetadataRequest())).Name);
        var config = (await client.ModelConfigAsync(new ModelConfigRequest { Name = "simple" })).Config;
        Assert.Equal(("simple", Grpc.Protocol.DataType.TypeInt32, 16), (config.Name, config.Input[0].DataType, config.Input[0].Dims.Single()));
        var index = await client.RepositoryIndexAsync(new RepositoryIndexRequest());
        Assert.Equal(
            ["repeat_int32", "simple", "simple_dyna_sequence", "simple_identity", "simple_int8", "simple_sequence", "simple_string", "simple_string_dyna_sequence"], index.Models.Select(entry => entry.Name));
    }

    [Fact]
    public async Task One_that_was_let_go_answers_once_it_is_loaded_again()
    {
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings);
        var request = $$"""{"inputs":[{"name":"INPUT0","shape":[1,16],"datatype":"INT32","data":[{{string.Join(",", _counted)}}]},{"name":"INPUT1","shape":[1,16],"datatype":"INT32","data":[{{string.Join(",", _counted)}}]}]}""";
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync("/v2/repository/models/simple/unload", "{}")).Status);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await gateway.GetAsync("/v2/models/simple/ready")).Status);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await gateway.PostAsync(Sums, request)).Status);
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync("/v2/repository/models/simple/load", "{}")).Status);
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync(Sums, request)).Status);
    }

    [Fact]
    public async Task A_configuration_that_comes_with_a_load_changes_the_largest_batch()
    {
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings);
        var client = new GRPCInferenceService.GRPCInferenceServiceClient(gateway.Channel);
        Assert.Equal(8, await MaxBatchAsync());
        await LoadAsync("""{"max_batch_size":"16"}""");
        Assert.Equal(16, await MaxBatchAsync());
        Assert.Equal(16, (await client.ModelConfigAsync(new ModelConfigRequest { Name = "simple" })).Config.MaxBatchSize);
        foreach (var wrong in (string[])["\"parameters\": {\"config\": {{\"max_batch_size\": \"16\"}}}", "[]", """{"max_batch_size":0}""", """{"max_batch_size":"many"}""", """{"backend":"x"}""", """{"\ud800":1}"""])
        {
            var refusal = await Assert.ThrowsAsync<RpcException>(() => LoadAsync(wrong));
            Assert.Equal(StatusCode.InvalidArgument, refusal.StatusCode);
            Assert.StartsWith("failed to load 'simple'", refusal.Status.Detail, StringComparison.Ordinal);
            Assert.Equal(16, await MaxBatchAsync());
        }
        var (status, body, _) = await gateway.PostAsync("/v2/repository/models/simple/load", """{"parameters":{"config":"{\"max_batch_size\":4}"}}""");
        Assert.True(status == HttpStatusCode.OK, body.GetRawText());
        Assert.Equal(4, await MaxBatchAsync());
        var five = string.Join(",", Enumerable.Repeat(1, 5 * 16));
        (status, body, _) = await gateway.PostAsync(Sums, $$"""{"inputs":[{"name":"INPUT0","shape":[5,16],"datatype":"INT32","data":[{{five}}]},{"name":"INPUT1","shape":[5,16],"datatype":"INT32","data":[{{five}}]}]}""");
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("5 samples; 'simple' takes at most 4", body.GetProperty("error").GetString(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync("/v2/repository/models/simple/load", "")).Status);
        Assert.Equal(8, await MaxBatchAsync());

        var file = new RepositoryModelLoadRequest { ModelName = "simple" };
        file.Parameters["config"] = new ModelRepositoryParameter { StringParam = "{}" };
        file.Parameters["file:" + new string('A', 256)] = new ModelRepositoryParameter { BytesParam = ByteString.CopyFromUtf8("a") };
        Assert.Contains("Invalid file path", (await Assert.ThrowsAsync<RpcException>(async () => await client.RepositoryModelLoadAsync(file))).Status.Detail, StringComparison.Ordinal);

        async Task<int> MaxBatchAsync() => (await gateway.GetAsync("/v2/models/simple/config")).Body.GetProperty("max_batch_size").GetInt32();

        async Task LoadAsync(string config)
        {
            var load = new RepositoryModelLoadRequest { ModelName = "simple" };
            load.Parameters["config"] = new ModelRepositoryParameter { StringParam = config };
            await client.RepositoryModelLoadAsync(load);
        }
    }

    [Fact]
    public async Task A_registered_model_takes_no_configuration_with_a_load()
    {
        await using var gateway = await TestGateway.StartAsync(new FakeServing(), _settings);
        var (status, body, _) = await gateway.PostAsync("/v2/repository/models/simple/load", """{"parameters":{"config":"{\"max_batch_size\":4}"}}""");
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.StartsWith("failed to load 'simple'", body.GetProperty("error").GetString(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await gateway.PostAsync("/v2/repository/models/wrong_model_name/load", """{"parameters":{"config":"{}"}}""")).Status);
    }

    [Theory]
    [InlineData("""{"name":"INPUT0","shape":[1,15],"datatype":"INT32","data":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14]}""", "inputs[0].shape: [1, 15]; 'INPUT0' takes [-1, 16]")]
    [InlineData("""{"name":"INPUT0","shape":[16],"datatype":"INT32","data":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]}""", "inputs[0].shape: [16]; 'INPUT0' takes [-1, 16]")]
    [InlineData("""{"name":"INPUT0","shape":[1,16],"datatype":"FP32","data":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15.5]}""", "INPUT0, element 15 of a sample: '15.5' is no INT32")]
    [InlineData("""{"name":"INPUT0","shape":[1,16],"datatype":"INT64","data":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,2147483648]}""", "INPUT0, element 15 of a sample: '2147483648' is no INT32")]
    [InlineData("""{"name":"INPUT0","shape":[1,16],"datatype":"BYTES","data":[null,"1","2","3","4","5","6","7","8","9","10","11","12","13","14","15"]}""", "INPUT0, element 0 of a sample: a value is missing")]
    [InlineData("""{"name":"INPUT0","shape":[2,16],"datatype":"INT32","data":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]}""", "inputs[1].shape: 1 samples, where 'INPUT0' has 2")]
    [InlineData("""{"name":"prepared","shape":[1,32],"datatype":"FP32","data":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]}""", "'prepared'")]
    public async Task What_does_not_fit_is_refused(string input, string message)
    {
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings);
        var (status, body, _) = await gateway.PostAsync(Sums, $$"""{"inputs":[{{input}},{"name":"INPUT1","shape":[1,16],"datatype":"INT32","data":[{{string.Join(",", _counted)}}]}]}""");
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains(message, body.GetProperty("error").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_registered_model_of_the_same_name_comes_first()
    {
        var serving = new FakeServing();
        await using var gateway = await TestGateway.StartAsync(serving, _settings);
        Assert.Equal("""[{"name":"INPUT0","datatype":"FP32","shape":[-1,2,3]}]""", (await gateway.GetAsync("/v2/models/simple")).Body.GetProperty("inputs").GetRawText());
        var (status, _, _) = await gateway.PostAsync(Sums, """{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP32","data":[0.25,1,2,3,4,5]}]}""");
        Assert.Equal((HttpStatusCode.OK, 1), (status, serving.Requests.Count));
        Assert.Single((await gateway.PostAsync("/v2/repository/index", "")).Body.EnumerateArray(), entry => entry.GetProperty("name").GetString() == "simple");
    }

    [Fact]
    public async Task Without_the_setting_there_are_none()
    {
        await using var gateway = await TestGateway.StartAsync(new NoModels());
        Assert.Equal(HttpStatusCode.NotFound, (await gateway.GetAsync("/v2/models/simple")).Status);
        Assert.Equal("clusternet", (await gateway.GetAsync("/v2")).Body.GetProperty("name").GetString());
    }

    [Fact]
    public async Task No_observer_is_told_of_an_example()
    {
        var observer = new Observer();
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings, observer);
        var texts = JsonSerializer.Serialize(Enumerable.Repeat("a", 3));
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync("/v2/models/simple_identity/infer", $$"""{"inputs":[{"name":"INPUT0","shape":[1,3],"datatype":"BYTES","data":{{texts}}}]}""")).Status);
        Assert.Equal(0, observer.Told);
    }

    private static ModelInferRequest.Types.InferInputTensor Input(string name, string type) => new() { Name = name, Datatype = type, Shape = { 1, 16 } };

    private static string[] Read(ReadOnlyMemory<byte> bytes)
    {
        var texts = new List<string>();
        while (!bytes.IsEmpty)
        {
            var length = MemoryMarshal.Read<int>(bytes.Span);
            texts.Add(Encoding.UTF8.GetString(bytes.Span.Slice(4, length)));
            bytes = bytes[(4 + length)..];
        }
        return [.. texts];
    }

    private sealed class Observer : IPredictionObserver
    {
        public int Told { get; private set; }

        public ValueTask ObserveAsync(ObservedPrediction observed, CancellationToken cancel)
        {
            Told++;
            return default;
        }
    }
}
