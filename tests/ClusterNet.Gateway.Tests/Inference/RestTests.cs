using System.IO.Compression;
using System.Net;
using System.Text;
using System.Text.Json;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Faults;
using ClusterNet.Data;
using ClusterNet.Gateway.Inference;

namespace ClusterNet.Gateway.Tests.Inference;

/// <summary>REST does what the Open Inference Protocol says, and says in JSON what is wrong with a request, and where.</summary>
public sealed class RestTests
{
    private const string Infer = "/v2/models/simple/infer";

    private static readonly string _flat = """{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP32","data":[0.25,1,2,3,4,5]}]}""";

    [Fact]
    public async Task The_server_and_its_models_are_described()
    {
        await using var gateway = await TestGateway.StartAsync(new FakeServing());
        Assert.True((await gateway.GetAsync("/v2/health/live")).Body.GetProperty("live").GetBoolean());
        Assert.True((await gateway.GetAsync("/v2/health/ready?verbose=1")).Body.GetProperty("ready").GetBoolean());
        var server = (await gateway.GetAsync("/v2")).Body;
        Assert.Equal("clusternet", server.GetProperty("name").GetString());
        Assert.Contains("binary_tensor_data", server.GetProperty("extensions").EnumerateArray().Select(extension => extension.GetString()));
        foreach (var path in (string[])["/v2/models/simple", "/v2/models/simple/versions/3", "/v2/models/simple/versions/production"])
        {
            var model = (await gateway.GetAsync(path)).Body;
            Assert.Equal("""{"name":"simple","versions":["3"],"platform":"clusternet_torchsharp","inputs":[{"name":"INPUT0","datatype":"FP32","shape":[-1,2,3]}],"outputs":[{"name":"probabilities","datatype":"FP32","shape":[-1,2]},{"name":"class","datatype":"BYTES","shape":[-1]}]}""", model.GetRawText());
            Assert.True((await gateway.GetAsync(path + "/ready")).Body.GetProperty("ready").GetBoolean());
        }
        Assert.Equal(65536, (await gateway.GetAsync("/v2/models/simple/config")).Body.GetProperty("max_batch_size").GetInt32());
    }

    [Theory]
    [InlineData("""[0.25,1,2,3,4,5]""")]
    [InlineData("""[[[0.25,1,2],[3,4,5]]]""")]
    public async Task Values_come_flat_or_nested(string data)
    {
        var serving = new FakeServing();
        await using var gateway = await TestGateway.StartAsync(serving);
        var (status, body, _) = await gateway.PostAsync(Infer, $$$"""{"id":"a1","inputs":[{"data":{{{data}}},"name":"INPUT0","shape":[1,2,3],"datatype":"FP32"}]}""");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal("""{"model_name":"simple","model_version":"3","id":"a1","outputs":[{"name":"probabilities","datatype":"FP32","shape":[1,2],"data":[0.25,0.75]},{"name":"class","datatype":"BYTES","shape":[1],"data":["malign, \"ü\""]}]}""", body.GetRawText());
        Assert.Equal([0.25f, 1, 2, 3, 4, 5], ArrayOf(serving).Values.ToArray());
        Assert.Equal([2, 3], ArrayOf(serving).Shape);
    }

    [Fact]
    public async Task Outputs_are_those_asked_for_in_that_order_and_ranked_where_asked()
    {
        await using var gateway = await TestGateway.StartAsync(new FakeServing());
        var body = (await gateway.PostAsync(Infer, _flat[..^1] + ""","outputs":[{"name":"class"},{"name":"probabilities","parameters":{"classification":5}}]}""")).Body;
        Assert.Equal("""[{"name":"class","datatype":"BYTES","shape":[1],"data":["malign, \"ü\""]},{"name":"probabilities","datatype":"BYTES","shape":[1,2],"data":["0.75:1:malign, \"ü\"","0.25:0:benign"]}]""", body.GetProperty("outputs").GetRawText());
    }

    /// <summary>The registry of models is on one node; that another takes its place takes some seconds, which no prediction waits for.</summary>
    [Fact]
    public async Task While_nobody_knows_of_changes_requests_are_read_as_before_and_no_longer_once_the_model_is_gone()
    {
        var serving = new FakeServing();
        await using var gateway = await TestGateway.StartAsync(serving, new InferenceSettings { RememberFor = TimeSpan.Zero });
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync(Infer, _flat)).Status);
        serving.Lookup = new PredictionException(ServingProtocol.FailureKind.Unavailable, [new Fault("models", "no answer")], TimeSpan.FromSeconds(1));
        for (var i = 0; i < 5; i++)
            Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync(Infer, _flat)).Status);
        serving.Lookup = new PredictionException(ServingProtocol.FailureKind.UnknownModel, [new Fault("model", "there is none")]);
        // the first one finds out, and is read as before
        await gateway.PostAsync(Infer, _flat);
        Assert.Equal(HttpStatusCode.NotFound, (await gateway.PostAsync(Infer, _flat)).Status);
    }

    [Fact]
    public async Task Columns_are_cells_as_they_were_written()
    {
        var serving = new FakeServing();
        await using var gateway = await TestGateway.StartAsync(serving);
        var (status, body, _) = await gateway.PostAsync(
            "/v2/models/patients/versions/production/infer",
            """{"inputs":[{"name":"sex","shape":[3,1],"datatype":"BYTES","data":["f",null,""]},{"name":"age","shape":[3],"datatype":"FP64","data":[17.990000000000002,null,5e-1]}],"parameters":{"priority":1,"timeout":1500,"key":"p7","sequence_id":9,"sequence_start":true}}""");
        Assert.True(status == HttpStatusCode.OK, body.GetRawText());
        var request = serving.Requests.Single();
        var table = (RawSamples.Table)((ModelInput.Raw)request.Input).Samples;
        Assert.Equal(["age", "sex"], table.Columns);
        Assert.Equal<IEnumerable<string?>>([["17.990000000000002", "f"], [null, null], ["5e-1", ""]], table.Rows);
        Assert.Equal(("production", 0, TimeSpan.FromMicroseconds(1500), "p7"), (request.Version, request.Priority, request.Timeout, request.Key));
    }

    [Fact]
    public async Task Prepared_samples_take_the_place_of_all_inputs()
    {
        var serving = new FakeServing();
        await using var gateway = await TestGateway.StartAsync(serving);
        var (status, _, _) = await gateway.PostAsync("/v2/models/patients/infer", """{"inputs":[{"name":"prepared","shape":[2,3],"datatype":"INT8","data":[1,2,3,4,5,-128]}]}""");
        Assert.Equal(HttpStatusCode.OK, status);
        var prepared = (ModelInput.Prepared)serving.Requests.Single().Input;
        Assert.Equal([3], prepared.Shape);
        Assert.Equal([1f, 2, 3, 4, 5, -128], prepared.Values.ToArray());
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    public async Task Bodies_are_compressed_both_ways(string encoding)
    {
        var serving = new FakeServing();
        await using var gateway = await TestGateway.StartAsync(serving, new InferenceSettings { CompressFromBytes = 1 });
        using var packed = new MemoryStream();
        await using (var packing = encoding == "gzip" ? (Stream)new GZipStream(packed, CompressionLevel.Optimal, true) : new ZLibStream(packed, CompressionLevel.Optimal, true))
            await packing.WriteAsync(Encoding.UTF8.GetBytes(_flat));
        using var request = new HttpRequestMessage(HttpMethod.Post, Infer) { Content = new ByteArrayContent(packed.ToArray()) };
        request.Content.Headers.ContentEncoding.Add(encoding);
        request.Headers.TryAddWithoutValidation("Accept-Encoding", encoding);
        using var response = await gateway.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal([encoding], response.Content.Headers.ContentEncoding);
        await using var body = await response.Content.ReadAsStreamAsync();
        await using var unpacked = encoding == "gzip" ? (Stream)new GZipStream(body, CompressionMode.Decompress) : new ZLibStream(body, CompressionMode.Decompress);
        Assert.Equal("simple", (await JsonDocument.ParseAsync(unpacked)).RootElement.GetProperty("model_name").GetString());
    }

    [Fact]
    public async Task A_small_body_that_unpacks_to_a_large_one_is_refused()
    {
        await using var gateway = await TestGateway.StartAsync(new FakeServing(), new InferenceSettings { MaxBodyBytes = 100_000 });
        using var packed = new MemoryStream();
        await using (var packing = new GZipStream(packed, CompressionLevel.Optimal, true))
            await packing.WriteAsync(new byte[10_000_000]);
        var (status, body, _) = await gateway.SendAsync(HttpMethod.Post, Infer, packed.ToArray(), ("Content-Encoding", "gzip"));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, status);
        Assert.Contains("100000 bytes", body.GetProperty("error").GetString(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, (await gateway.SendAsync(HttpMethod.Post, Infer, new byte[100_001])).Status);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await gateway.SendAsync(HttpMethod.Post, Infer, [1], ("Content-Encoding", "br"))).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await gateway.SendAsync(HttpMethod.Post, Infer, [1, 2, 3], ("Content-Encoding", "gzip"))).Status);
    }

    [Theory]
    [InlineData("", "no JSON")]
    [InlineData("[]", "an object with 'inputs'")]
    [InlineData("{", "line 1")]
    [InlineData("""{"inputs":[]}""", "without INPUT0")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP32"}]}""", "inputs[0]: without 'data'")]
    [InlineData("""{"inputs":[{"name":"INPUT1","shape":[1,2,3],"datatype":"FP32","data":[0,1,2,3,4,5]}]}""", "'INPUT1' is no input of this model; it has INPUT0, prepared")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[1,3,2],"datatype":"FP32","data":[0,1,2,3,4,5]}]}""", "inputs[0].shape: [1, 3, 2]; 'INPUT0' takes [-1, 2, 3]")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[4294967296,4294967296,4294967296],"datatype":"FP32","data":[]}]}""", "more elements than a request can bring")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[-1,2,3],"datatype":"FP32","data":[]}]}""", "negative axis")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[0,2,3],"datatype":"FP32","data":[]}]}""", "no samples")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[65537,2,3],"datatype":"FP32","data":[]}]}""", "at most 65536")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[60000,2,3],"datatype":"FP32","data":[1]}]}""", "fewer values than the 360000")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP32","data":[0,1,2,3,4]}]}""", "5 values, where shape [1, 2, 3] has 6")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP32","data":[0,1,2,3,4,5,6]}]}""", "more values than the 6")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP32","data":[[[0,1,2],[3,4]]]}]}""", "an array of 2 at depth 3")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP32","data":[0,[1],2,3,4,5]}]}""", "nested otherwise")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP32","data":[0,1,2,3,4,1e39]}]}""", "inputs[0].data[5]: 1e39 where FP32 belongs")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP32","data":[0,1,2,3,4,"NaN"]}]}""", "a text where FP32 belongs")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"INT64","data":[0,1,2,3,4,16777217]}]}""", "16777217 can't be had as FP32 without loss")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP64","data":[0,1,2,3,4,0.1]}]}""", "0.1 can't be had as FP32 without loss")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"UINT8","data":[0,1,2,3,4,256]}]}""", "256 where UINT8 belongs")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"BYTES","data":["","","","","",""]}]}""", "BYTES; 'INPUT0' takes FP32")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP31","data":[0,1,2,3,4,5]}]}""", "'FP31' is not one of BOOL, INT8")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP32","parameters":{"binary_data_size":24}}]}""", "0 bytes are left")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP32","parameters":{"shared_memory_region":"x","shared_memory_byte_size":24}}]}""", "shared memory is served where the setting http.shared-memory says so")]
    [InlineData("""{"inputs":[{"name":"prepared","shape":[1,2,3],"datatype":"FP32","data":[0,1,2,3,4,null]}]}""", "null where FP32 belongs")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP32","data":[0,1,2,3,4,5]}],"outputs":[{"name":"scores"}]}""", "'scores' is no output")]
    [InlineData("""{"inputs":[{"name":"INPUT0","shape":[1,2,3],"datatype":"FP32","data":[0,1,2,3,4,5]}],"parameters":{"timeout":-1}}""", "parameters.timeout")]
    [InlineData("""{"id":"\ud800","inputs":[]}""", "Unicode")]
    [InlineData("""{"x":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}""", "depth")]
    public async Task What_is_wrong_is_said(string json, string message)
    {
        await using var gateway = await TestGateway.StartAsync(new FakeServing());
        var (status, body, _) = await gateway.PostAsync(Infer, json);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains(message, body.GetProperty("error").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/v2/repository/index", """{"ready":true,"x":"\ud800"}""")]
    [InlineData("/v2/repository/models/simple/load", """{"parameters":{"config":"\ud800"}}""")]
    [InlineData("/v2/repository/models/simple/load", """{"parameters":{"\udc00":"x"}}""")]
    [InlineData("/v2/repository/models/simple/unload", """{"\ud800":1}""")]
    [InlineData("/v2/systemsharedmemory/region/r/register", """{"key":"\ud800","byte_size":1}""")]
    [InlineData("/v2/systemsharedmemory/unregister", """["\ud800"]""")]
    public async Task Texts_that_are_no_Unicode_are_refused(string path, string json)
    {
        await using var gateway = await TestGateway.StartAsync(new FakeServing(), new InferenceSettings { HasExamples = true, HasSharedMemory = true });
        var (status, body, _) = await gateway.PostAsync(path, json);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("Unicode", body.GetProperty("error").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ServingProtocol.FailureKind.InvalidInput, 400, null)]
    [InlineData(ServingProtocol.FailureKind.UnknownModel, 404, null)]
    [InlineData(ServingProtocol.FailureKind.Overloaded, 429, "3")]
    [InlineData(ServingProtocol.FailureKind.Unavailable, 503, "3")]
    [InlineData(ServingProtocol.FailureKind.LoadFailed, 503, "3")]
    [InlineData(ServingProtocol.FailureKind.DeadlineExceeded, 504, null)]
    [InlineData(ServingProtocol.FailureKind.ComputeFailed, 500, null)]
    public async Task Failures_have_their_status(ServingProtocol.FailureKind kind, int expected, string? retryAfter)
    {
        var failure = new PredictionException(kind, [new Fault("queue", "why")], retryAfter is null ? null : TimeSpan.FromSeconds(2.1));
        await using var gateway = await TestGateway.StartAsync(new FakeServing { Answer = (_, _) => throw failure });
        var (status, body, response) = await gateway.PostAsync(Infer, _flat);
        Assert.Equal(expected, (int)status);
        Assert.Contains("queue: why", body.GetProperty("error").GetString(), StringComparison.Ordinal);
        Assert.Equal(retryAfter, response.Headers.TryGetValues("Retry-After", out var values) ? values.Single() : null);
    }

    [Fact]
    public async Task A_model_is_unloaded_loaded_and_counted()
    {
        await using var gateway = await TestGateway.StartAsync(new FakeServing());
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync("/v2/repository/models/simple/unload", """{"parameters":{"unload_dependents":false}}""")).Status);
        var (status, body, _) = await gateway.GetAsync("/v2/models/simple/ready");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
        Assert.Equal("simple:3 is unloaded: unloaded by a test", body.GetProperty("error").GetString());
        Assert.Equal(
            """[{"name":"patients","version":"3","state":"READY","reason":""},{"name":"simple","version":"3","state":"UNAVAILABLE","reason":"unloaded by a test"}]""",
            (await gateway.SendAsync(HttpMethod.Post, "/v2/repository/index", [])).Body.GetRawText());
        Assert.Equal(1, (await gateway.PostAsync("/v2/repository/index", """{"ready":true}""")).Body.GetArrayLength());
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync("/v2/repository/models/simple/load", "{}")).Status);
        Assert.Equal(HttpStatusCode.OK, (await gateway.GetAsync("/v2/models/simple/ready")).Status);
        foreach (var (path, json) in ((string, string)[])[("/v2/repository/models/wrong/load", "{}"), ("/v2/repository/models/simple/load", """{"parameters":{"config":"{}"}}""")])
            Assert.StartsWith("failed to load", (await gateway.PostAsync(path, json)).Body.GetProperty("error").GetString(), StringComparison.Ordinal);
        var statistics = (await gateway.GetAsync("/v2/models/simple/versions/3/stats")).Body.GetProperty("model_stats")[0];
        Assert.Equal(
            """{"name":"simple","version":"3","last_inference":1700000000123,"inference_count":9,"execution_count":4,"inference_stats":{"success":{"count":5,"ns":23000000},"fail":{"count":2,"ns":0},"queue":{"count":5,"ns":3000000},"compute_input":{"count":0,"ns":0},"compute_infer":{"count":4,"ns":20000000},"compute_output":{"count":0,"ns":0},"cache_hit":{"count":0,"ns":0},"cache_miss":{"count":0,"ns":0}},"batch_stats":[]}""",
            statistics.GetRawText());
        Assert.Equal(2, (await gateway.GetAsync("/v2/models/stats")).Body.GetProperty("model_stats").GetArrayLength());
    }

    [Fact]
    public async Task An_answer_that_can_not_be_observed_is_not_given()
    {
        var observer = new Observer();
        await using var gateway = await TestGateway.StartAsync(new FakeServing(), null, observer);
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync(Infer, _flat[..^1] + ""","id":"r1"}""")).Status);
        Assert.Equal("r1", observer.Last!.RequestId);
        Assert.Equal(0.25f, observer.Last.Answer!.Prediction.Outputs.Span[0]);
        observer.Fault = new PredictionException(ServingProtocol.FailureKind.Unavailable, [new Fault("audit", "the log can't be written")]);
        var (status, body, _) = await gateway.PostAsync(Infer, _flat);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
        Assert.Equal("audit: the log can't be written", body.GetProperty("error").GetString());
    }

    [Fact]
    public async Task An_observer_knows_how_many_others_are_being_computed()
    {
        const int Others = 3;
        var begun = new CountdownEvent(Others);
        var others = new TaskCompletionSource();
        var serving = new FakeServing
        {
            Answer = async (request, _) =>
            {
                if (!begun.IsSet)
                {
                    begun.Signal();
                    await others.Task;
                }
                return FakeServing.AnswerTo(request);
            },
        };
        var observer = new Observer();
        await using var gateway = await TestGateway.StartAsync(serving, null, observer);
        var waiting = Enumerable.Range(0, Others).Select(_ => gateway.PostAsync(Infer, _flat)).ToArray();
        Assert.True(begun.Wait(TimeSpan.FromSeconds(30)));
        await gateway.PostAsync(Infer, _flat);
        Assert.Equal(Others, observer.Last!.Others);
        others.SetResult();
        await Task.WhenAll(waiting);
        serving.Answer = (_, _) => throw new PredictionException(ServingProtocol.FailureKind.Overloaded, [new Fault("", "full")]);
        await gateway.PostAsync(Infer, _flat);
        Assert.Equal(0, observer.Last!.Others);
    }

    private static RawSamples.Array ArrayOf(FakeServing serving) => (RawSamples.Array)((ModelInput.Raw)serving.Requests.Single().Input).Samples;

    private sealed class Observer : IPredictionObserver
    {
        public ObservedPrediction? Last { get; private set; }

        public PredictionException? Fault { get; set; }

        public ValueTask ObserveAsync(ObservedPrediction observed, CancellationToken cancel)
        {
            Last = observed;
            return Fault is null ? ValueTask.CompletedTask : throw Fault;
        }
    }
}
