using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using ClusterNet.Cluster.Serving;
using ClusterNet.Data;
using ClusterNet.Gateway.Grpc.Protocol;
using ClusterNet.Gateway.Inference;
using ClusterNet.Gateway.Inference.Examples;
using ClusterNet.Gateway.Tests.Serving;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Time.Testing;
using ModelInput = ClusterNet.Cluster.Serving.ModelInput;

namespace ClusterNet.Gateway.Tests.Inference;

/// <summary>What NVIDIA's examples of sequences and of several answers to one request send and look for.</summary>
public sealed class SequenceTests
{
    private static readonly InferenceSettings _settings = new() { HasExamples = true };

    // with the first number of each sequence before them
    private static readonly int[] _values = [11, 7, 5, 3, 2, 0, 1];

    [Fact]
    public async Task One_after_the_other_by_HTTP()
    {
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings);
        Assert.Equal([1, .. _values], await SendAsync("simple_sequence", "1007", [0, .. _values]));
        Assert.Equal([101, .. _values.Select(value => -value)], await SendAsync("simple_sequence", "1008", [100, .. _values.Select(value => -value)]));
        Assert.Equal([21, .. _values], await SendAsync("simple_sequence", $"\"{Guid.NewGuid()}\"", [20, .. _values]));
        Assert.Equal([1, .. _values[..^1], 1 + 1007], await SendAsync("simple_dyna_sequence", "1007", [0, .. _values]));
        Assert.Equal([20, 9, 2, -3, -6, -8, -8, -9 + 1002], await SendAsync("simple_string_dyna_sequence", "\"1002\"", [20, .. _values.Select(value => -value)]));

        async Task<List<int>> SendAsync(string model, string id, int[] values)
        {
            var answers = new List<int>();
            foreach (var (index, value) in values.Index())
            {
                var parameters = $$"""{"sequence_id":{{id}},"sequence_start":{{(index == 0 ? "true" : "false")}},"sequence_end":{{(index == values.Length - 1 ? "true" : "false")}}}""";
                var (status, body, _) = await gateway.PostAsync(
                    $"/v2/models/{model}/infer", $$"""{"inputs":[{"name":"INPUT","shape":[1,1],"datatype":"INT32","data":[{{value}}]}],"outputs":[{"name":"OUTPUT"}],"parameters":{{parameters}}}""");
                Assert.True(status == HttpStatusCode.OK, body.GetRawText());
                var output = body.GetProperty("outputs")[0];
                Assert.Equal("[1,1]", output.GetProperty("shape").GetRawText());
                answers.Add(output.GetProperty("data")[0].GetInt32());
            }
            return answers;
        }
    }

    [Fact]
    public async Task Several_in_one_stream_by_gRPC()
    {
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings);
        using var call = new GRPCInferenceService.GRPCInferenceServiceClient(gateway.Channel).ModelStreamInfer();
        var answers = new Dictionary<string, List<int>>();
        var reading = Task.Run(async () =>
        {
            await foreach (var answer in call.ResponseStream.ReadAllAsync())
            {
                Assert.Equal("", answer.ErrorMessage);
                var id = answer.InferResponse.Id.Split('_')[0];
                if (!answers.TryGetValue(id, out var numbers))
                    answers[id] = numbers = [];
                numbers.Add(MemoryMarshal.Read<int>(answer.InferResponse.RawOutputContents[0].Span));
            }
        });
        // the example sends one sequence after the other; here they take turns as well
        foreach (var (index, value) in ((int[])[0, .. _values]).Index())
        {
            await call.RequestStream.WriteAsync(Step("simple_dyna_sequence", index, value, 1000));
            await call.RequestStream.WriteAsync(Step("simple_dyna_sequence", index, index == 0 ? 100 : -value, 1001));
            await call.RequestStream.WriteAsync(Step("simple_string_dyna_sequence", index, index == 0 ? 20 : -value, "1002"));
        }
        await call.RequestStream.CompleteAsync();
        await reading.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal([1, .. _values[..^1], 1 + 1000], answers["1000"]);
        Assert.Equal([101, .. _values[..^1].Select(value => -value), -1 + 1001], answers["1001"]);
        Assert.Equal([20, 9, 2, -3, -6, -8, -8, -9 + 1002], answers["1002"]);

        static ModelInferRequest Step(string model, int index, int value, object id)
        {
            var request = new ModelInferRequest
            {
                ModelName = model,
                Id = $"{id}_{index + 1}",
                Inputs = { new ModelInferRequest.Types.InferInputTensor { Name = "INPUT", Datatype = "INT32", Shape = { 1, 1 } } },
                Outputs = { new ModelInferRequest.Types.InferRequestedOutputTensor { Name = "OUTPUT" } },
                RawInputContents = { ByteString.CopyFrom(BitConverter.GetBytes(value)) },
            };
            request.Parameters["sequence_id"] = id is string text ? new InferParameter { StringParam = text } : new InferParameter { Int64Param = (int)id };
            request.Parameters["sequence_start"] = new InferParameter { BoolParam = index == 0 };
            request.Parameters["sequence_end"] = new InferParameter { BoolParam = index == _values.Length };
            return request;
        }
    }

    [Theory]
    [InlineData("simple_sequence", "[1,1]", "7", "{}", "must specify a non-zero or non-empty correlation ID")]
    [InlineData("simple_sequence", "[1,1]", "7", """{"sequence_id":0,"sequence_start":true}""", "must specify a non-zero or non-empty correlation ID")]
    [InlineData("simple_sequence", "[1,1]", "7", """{"sequence_id":5}""", "must specify the START flag")]
    [InlineData("simple_sequence", "[1,1]", "7", """{"sequence_id":-5}""", "parameters.sequence_id: a whole number of 0 or more")]
    [InlineData("simple_sequence", "[1,1]", "7", """{"sequence_id":5,"sequence_start":1}""", "parameters.sequence_start: true or false")]
    [InlineData("simple_sequence", "[2,1]", "7,8", """{"sequence_id":5,"sequence_start":true}""", "takes one at a time")]
    [InlineData("simple_sequence", "[1,1]", "null", """{"sequence_id":5,"sequence_start":true}""", "a value is missing")]
    [InlineData("simple_dyna_sequence", "[1,1]", "7", """{"sequence_id":"a","sequence_start":true,"sequence_end":true}""", "'a' is no whole number")]
    public async Task What_is_no_step_of_a_sequence_is_refused(string model, string shape, string data, string parameters, string message)
    {
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings);
        var (status, body, _) = await gateway.PostAsync($"/v2/models/{model}/infer", $$"""{"inputs":[{"name":"INPUT","shape":{{shape}},"datatype":"INT32","data":[{{data}}]}],"parameters":{{parameters}}}""");
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains(message, body.GetProperty("error").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Sequences_that_nobody_goes_on_with_make_room()
    {
        var time = new FakeTimeProvider();
        var example = new SequenceExample("sums", SequenceRule.Running, time);
        for (var i = 0; i < 1024; i++)
            Assert.Equal(2, Next(i, true));
        Assert.Equal(ServingProtocol.FailureKind.Overloaded, Assert.Throws<PredictionException>(() => Next(1024, true)).Kind);
        time.Advance(TimeSpan.FromSeconds(61));
        Assert.Equal(4, Next(7, false));
        Assert.Equal(2, Next(1024, true));
        // those that stood still are gone, and the one that went on is not
        Assert.Equal(6, Next(7, false));
        Assert.Equal(ServingProtocol.FailureKind.InvalidInput, Assert.Throws<PredictionException>(() => Next(8, false)).Kind);

        int Next(int id, bool isFirst)
        {
            var input = new ModelInput.Raw(new RawSamples.Array([1], new float[] { 2 }, []));
            return ((int[])((ExamplePrediction)example.Predict(input, new SequenceStep(id.ToString(CultureInfo.InvariantCulture), isFirst, false))).Values[0])[0];
        }
    }

    [Fact]
    public async Task One_request_is_answered_several_times()
    {
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings);
        var client = new GRPCInferenceService.GRPCInferenceServiceClient(gateway.Channel);
        var started = Stopwatch.GetTimestamp();
        var answers = await AskAsync(Repeat([100, 101, 102], [20, 0, 10], null));
        Assert.True(Stopwatch.GetElapsedTime(started) >= TimeSpan.FromMilliseconds(30));
        Assert.Equal([(100, 1L), (101, 1L), (102, 1L)], answers.Select(answer => (MemoryMarshal.Read<int>(answer.InferResponse.RawOutputContents[0].Span), answer.InferResponse.Outputs.Single().Shape.Single())));

        // the end has a response of its own for who asks for that
        var last = Repeat([100], [0], true);
        last.Outputs.Clear();
        answers = await AskAsync(last);
        Assert.Equal([false, true], answers.Select(answer => answer.InferResponse.Parameters["triton_final_response"].BoolParam));
        Assert.Equal(["OUT", "IDX"], answers[0].InferResponse.Outputs.Select(output => output.Name));
        Assert.Empty(answers[1].InferResponse.Outputs);

        // tensors are as they are, without a batch axis
        var config = (await client.ModelConfigAsync(new ModelConfigRequest { Name = "repeat_int32" })).Config;
        Assert.Equal((0, "-1 -1 1"), (config.MaxBatchSize, string.Join(' ', config.Input.Select(input => input.Dims.Single()))));
        var load = new RepositoryModelLoadRequest { ModelName = "repeat_int32" };
        load.Parameters["config"] = new ModelRepositoryParameter { StringParam = """{"max_batch_size":4}""" };
        Assert.Contains("takes no batches", (await Assert.ThrowsAsync<RpcException>(async () => await client.RepositoryModelLoadAsync(load))).Status.Detail, StringComparison.Ordinal);

        // what does not fit is one answer that says so
        foreach (var (wrong, message) in ((ModelInferRequest, string)[])[(Repeat([1], [1, 2], null), "as many of one as of the other"), (Repeat([1], [60_001], null), "more than 60 s"), (Repeat([1], [uint.MaxValue], null), "is no UINT32"), (Repeat([], [], null), "1 to 1024")])
            Assert.Contains(message, Assert.Single(await AskAsync(wrong)).ErrorMessage, StringComparison.Ordinal);
        var unary = await Assert.ThrowsAsync<RpcException>(async () => await client.ModelInferAsync(Repeat([100], [0], null)));
        Assert.Equal(StatusCode.InvalidArgument, unary.StatusCode);
        Assert.Contains("ModelStreamInfer", unary.Status.Detail, StringComparison.Ordinal);

        async Task<List<ModelStreamInferResponse>> AskAsync(ModelInferRequest request)
        {
            using var call = client.ModelStreamInfer();
            await call.RequestStream.WriteAsync(request);
            await call.RequestStream.CompleteAsync();
            var all = new List<ModelStreamInferResponse>();
            await foreach (var answer in call.ResponseStream.ReadAllAsync())
                all.Add(answer);
            return all;
        }

        static ModelInferRequest Repeat(int[] numbers, uint[] delays, bool? wantsFinal)
        {
            var request = new ModelInferRequest
            {
                ModelName = "repeat_int32",
                Inputs =
                {
                    new ModelInferRequest.Types.InferInputTensor { Name = "IN", Datatype = "INT32", Shape = { numbers.Length } },
                    new ModelInferRequest.Types.InferInputTensor { Name = "DELAY", Datatype = "UINT32", Shape = { delays.Length } },
                    new ModelInferRequest.Types.InferInputTensor { Name = "WAIT", Datatype = "UINT32", Shape = { 1 } },
                },
                Outputs = { new ModelInferRequest.Types.InferRequestedOutputTensor { Name = "OUT" } },
                RawInputContents =
                {
                    ByteString.CopyFrom(MemoryMarshal.AsBytes(numbers.AsSpan())), ByteString.CopyFrom(MemoryMarshal.AsBytes(delays.AsSpan())), ByteString.CopyFrom(BitConverter.GetBytes(1000u)),
                },
            };
            if (wantsFinal is { } wants)
                request.Parameters["triton_enable_empty_final_response"] = new InferParameter { BoolParam = wants };
            return request;
        }
    }
}
