using System.Runtime.InteropServices;
using System.Text;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Faults;
using ClusterNet.Data;
using ClusterNet.Gateway.Grpc.Protocol;
using Google.Protobuf;
using Grpc.Core;
using ModelInput = ClusterNet.Cluster.Serving.ModelInput;

namespace ClusterNet.Gateway.Tests.Inference;

/// <summary>gRPC of the Open Inference Protocol, byte for byte as NVIDIA's client speaks it, and with the status that fits each failure.</summary>
public sealed class GrpcTests
{
    private static readonly float[] _values = [0.25f, 1, 2, 3, 4, 5];

    private static readonly byte[] _raw = MemoryMarshal.AsBytes(_values.AsSpan()).ToArray();

    [Fact]
    public async Task A_request_of_NVIDIA_s_client_is_understood_and_its_answer_has_the_bytes_that_it_reads()
    {
        var serving = new FakeServing();
        await using var gateway = await TestGateway.StartAsync(serving);
        // name, datatype, shape; then the raw contents; priority is uint64, timeout int64
        var input = new Wire().Field(1, "INPUT0").Field(2, "FP32").Packed(3, 1, 2, 3);
        var request = new Wire().Field(1, "simple").Field(3, "r7")
            .Field(4, new Wire().Field(1, "priority").Field(2, new Wire().Field(5, 2)))
            .Field(4, new Wire().Field(1, "timeout").Field(2, new Wire().Field(2, 250_000)))
            .Field(4, new Wire().Field(1, "sequence_id").Field(2, new Wire().Field(2, 1000)))
            .Field(4, new Wire().Field(1, "triton_enable_empty_final_response").Field(2, new Wire().Field(1, 1)))
            .Field(5, input)
            .Field(6, new Wire().Field(1, "probabilities"))
            .Field(6, new Wire().Field(1, "class"))
            .Field(7, _raw);
        var response = await CallAsync(gateway, "ModelInfer", request);
        byte[] answer = [.. MemoryMarshal.AsBytes(((float[])[0.25f, 0.75f]).AsSpan())];
        var label = Encoding.UTF8.GetBytes("malign, \"ü\"");
        var expected = new Wire().Field(1, "simple").Field(2, "3").Field(3, "r7")
            .Field(4, new Wire().Field(1, "triton_final_response").Field(2, new Wire().Field(1, 1)))
            .Field(5, new Wire().Field(1, "probabilities").Field(2, "FP32").Packed(3, 1, 2))
            .Field(5, new Wire().Field(1, "class").Field(2, "BYTES").Packed(3, 1))
            .Field(6, answer)
            .Field(6, [(byte)label.Length, 0, 0, 0, .. label]);
        Assert.Equal(expected.Bytes, response);
        var asked = serving.Requests.Single();
        Assert.Equal((1, TimeSpan.FromMilliseconds(250)), (asked.Priority, asked.Timeout));
        Assert.Equal(_values, ((RawSamples.Array)((ModelInput.Raw)asked.Input).Samples).Values.ToArray());
    }

    [Fact]
    public async Task Server_and_models_are_described_by_the_numbers_of_the_protocol()
    {
        await using var gateway = await TestGateway.StartAsync(new FakeServing());
        var model = new Wire().Field(1, "simple");
        Assert.Equal(new Wire().Field(1, 1).Bytes, await CallAsync(gateway, "ServerLive", new Wire()));
        Assert.Equal(new Wire().Field(1, 1).Bytes, await CallAsync(gateway, "ServerReady", new Wire()));
        Assert.Equal(new Wire().Field(1, 1).Bytes, await CallAsync(gateway, "ModelReady", model));
        const ulong Free = ulong.MaxValue;
        var expected = new Wire().Field(1, "simple").Field(2, "3").Field(3, "clusternet_torchsharp")
            .Field(4, new Wire().Field(1, "INPUT0").Field(2, "FP32").Packed(3, Free, 2, 3))
            .Field(5, new Wire().Field(1, "probabilities").Field(2, "FP32").Packed(3, Free, 2))
            .Field(5, new Wire().Field(1, "class").Field(2, "BYTES").Packed(3, Free));
        Assert.Equal(expected.Bytes, await CallAsync(gateway, "ModelMetadata", model));
        // TYPE_FP32 is 11, TYPE_STRING 13; an input's dims are 4, an output's 3; the backend is 17
        var config = new Wire().Field(1, "simple").Field(2, "clusternet_torchsharp").Field(4, 65536)
            .Field(5, new Wire().Field(1, "INPUT0").Field(2, 11).Packed(4, 2, 3))
            .Field(6, new Wire().Field(1, "probabilities").Field(2, 11).Packed(3, 2))
            .Field(6, new Wire().Field(1, "class").Field(2, 13).Packed(3, 1))
            .Field(17, "clusternet_torchsharp");
        Assert.Equal(new Wire().Field(1, config).Bytes, await CallAsync(gateway, "ModelConfig", model));
        var statistics = ModelStatisticsResponse.Parser.ParseFrom(await CallAsync(gateway, "ModelStatistics", model));
        Assert.Equal((9UL, 4UL, 5UL), (statistics.ModelStats.Single().InferenceCount, statistics.ModelStats[0].ExecutionCount, statistics.ModelStats[0].InferenceStats.Success.Count));
    }

    [Fact]
    public async Task Typed_contents_are_read_by_their_type()
    {
        var serving = new FakeServing();
        await using var gateway = await TestGateway.StartAsync(serving);
        var client = new GRPCInferenceService.GRPCInferenceServiceClient(gateway.Channel);
        foreach (var (type, contents) in ((string, InferTensorContents)[])
        [
            ("FP32", new InferTensorContents { Fp32Contents = { 1, 0, 2, 3, 4, 5 } }), ("FP64", new InferTensorContents { Fp64Contents = { 1, 0, 2, 3, 4, 5 } }),
            ("INT8", new InferTensorContents { IntContents = { 1, 0, 2, 3, 4, 5 } }), ("INT64", new InferTensorContents { Int64Contents = { 1, 0, 2, 3, 4, 5 } }),
            ("UINT16", new InferTensorContents { UintContents = { 1, 0, 2, 3, 4, 5 } }), ("UINT64", new InferTensorContents { Uint64Contents = { 1, 0, 2, 3, 4, 5 } }),
        ])
        {
            await client.ModelInferAsync(Request(type, contents));
            serving.Requests.TryDequeue(out var request);
            Assert.Equal([1f, 0, 2, 3, 4, 5], ((RawSamples.Array)((ModelInput.Raw)request!.Input).Samples).Values.ToArray());
        }
        await client.ModelInferAsync(Request("BOOL", new InferTensorContents { BoolContents = { true, false, true, true, true, true } }));
        foreach (var (type, contents) in ((string, InferTensorContents?)[])[("INT8", new InferTensorContents { IntContents = { 1, 0, 2, 3, 4, 128 } }), ("FP32", new InferTensorContents { Fp64Contents = { 1 } }), ("FP16", new InferTensorContents()), ("FP32", null)])
            Assert.Equal(StatusCode.InvalidArgument, (await Assert.ThrowsAsync<RpcException>(async () => await client.ModelInferAsync(Request(type, contents)))).StatusCode);
    }

    [Fact]
    public async Task A_stream_answers_in_order_and_outlives_a_failure()
    {
        await using var gateway = await TestGateway.StartAsync(new FakeServing());
        var client = new GRPCInferenceService.GRPCInferenceServiceClient(gateway.Channel);
        using var call = client.ModelStreamInfer();
        for (var i = 0; i < 100; i++)
        {
            var request = Request("FP32", new InferTensorContents { Fp32Contents = { i, 0, 0, 0, 0, 0 } });
            request.Id = $"{i}";
            if (i == 50)
                request.ModelName = "wrong";
            await call.RequestStream.WriteAsync(request);
        }
        await call.RequestStream.CompleteAsync();
        var answers = new List<ModelStreamInferResponse>();
        await foreach (var answer in call.ResponseStream.ReadAllAsync())
            answers.Add(answer);
        Assert.Equal(Enumerable.Range(0, 100).Select(i => $"{i}"), answers.Select(answer => answer.InferResponse.Id));
        Assert.StartsWith("Request for unknown model", answers.Single(answer => answer.ErrorMessage.Length > 0).ErrorMessage, StringComparison.Ordinal);
        Assert.Equal(99f, MemoryMarshal.Cast<byte, float>(answers[99].InferResponse.RawOutputContents[0].Span)[0]);
    }

    [Theory]
    [InlineData(ServingProtocol.FailureKind.InvalidInput, StatusCode.InvalidArgument)]
    [InlineData(ServingProtocol.FailureKind.UnknownModel, StatusCode.NotFound)]
    [InlineData(ServingProtocol.FailureKind.Overloaded, StatusCode.ResourceExhausted)]
    [InlineData(ServingProtocol.FailureKind.Unavailable, StatusCode.Unavailable)]
    [InlineData(ServingProtocol.FailureKind.LoadFailed, StatusCode.Unavailable)]
    [InlineData(ServingProtocol.FailureKind.DeadlineExceeded, StatusCode.DeadlineExceeded)]
    [InlineData(ServingProtocol.FailureKind.ComputeFailed, StatusCode.Internal)]
    public async Task Failures_have_their_status(ServingProtocol.FailureKind kind, StatusCode expected)
    {
        await using var gateway = await TestGateway.StartAsync(new FakeServing { Answer = (_, _) => throw new PredictionException(kind, [new Fault("queue", "why")], TimeSpan.FromMilliseconds(700)) });
        var client = new GRPCInferenceService.GRPCInferenceServiceClient(gateway.Channel);
        var failure = await Assert.ThrowsAsync<RpcException>(async () => await client.ModelInferAsync(Request("FP32", null, ByteString.CopyFrom(_raw))));
        Assert.Equal(expected, failure.StatusCode);
        Assert.Contains("queue: why", failure.Status.Detail, StringComparison.Ordinal);
        Assert.Equal("1", failure.Trailers.GetValue("retry-after"));
    }

    [Fact]
    public async Task Repository_health_and_reflection_answer()
    {
        await using var gateway = await TestGateway.StartAsync(new FakeServing());
        var client = new GRPCInferenceService.GRPCInferenceServiceClient(gateway.Channel);
        await client.RepositoryModelUnloadAsync(new RepositoryModelUnloadRequest { ModelName = "simple", Parameters = { ["unload_dependents"] = new ModelRepositoryParameter { BoolParam = false } } });
        Assert.False((await client.ModelReadyAsync(new ModelReadyRequest { Name = "simple" })).Ready);
        Assert.Equal(["READY", "UNAVAILABLE"], (await client.RepositoryIndexAsync(new RepositoryIndexRequest())).Models.Select(model => model.State));
        await client.RepositoryModelLoadAsync(new RepositoryModelLoadRequest { ModelName = "simple" });
        Assert.True((await client.ModelReadyAsync(new ModelReadyRequest { Name = "simple" })).Ready);
        var failure = await Assert.ThrowsAsync<RpcException>(async () => await client.RepositoryModelLoadAsync(new RepositoryModelLoadRequest { ModelName = "wrong_model_name" }));
        Assert.StartsWith("failed to load", failure.Status.Detail, StringComparison.Ordinal);
        // SERVING is 1
        foreach (var service in (string[])["", "inference.GRPCInferenceService"])
            Assert.Equal(new Wire().Field(1, 1).Bytes, await CallAsync(gateway, "Check", new Wire().Field(1, service), "grpc.health.v1.Health"));
        var reflection = new Method<byte[], byte[]>(MethodType.DuplexStreaming, "grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo", _plain, _plain);
        using var call = gateway.Channel.CreateCallInvoker().AsyncDuplexStreamingCall(reflection, null, new CallOptions());
        await call.RequestStream.WriteAsync(new Wire().Field(7, "*").Bytes);
        Assert.True(await call.ResponseStream.MoveNext(default));
        Assert.Contains("inference.GRPCInferenceService", Encoding.UTF8.GetString(call.ResponseStream.Current), StringComparison.Ordinal);
        await call.RequestStream.CompleteAsync();
    }

    private static readonly Marshaller<byte[]> _plain = Marshallers.Create(bytes => bytes, bytes => bytes);

    private static ModelInferRequest Request(string type, InferTensorContents? contents, ByteString? raw = null)
    {
        var request = new ModelInferRequest { ModelName = "simple", Inputs = { new ModelInferRequest.Types.InferInputTensor { Name = "INPUT0", Datatype = type, Shape = { 1, 2, 3 }, Contents = contents } } };
        if (raw is not null)
            request.RawInputContents.Add(raw);
        return request;
    }

    private static async Task<byte[]> CallAsync(TestGateway gateway, string method, Wire request, string service = "inference.GRPCInferenceService") =>
        await gateway.Channel.CreateCallInvoker().AsyncUnaryCall(new Method<byte[], byte[]>(MethodType.Unary, service, method, _plain, _plain), null, new CallOptions(), request.Bytes);
}
