using System.Net;
using System.Runtime.InteropServices;
using System.Text.Json;
using ClusterNet.Cluster.Serving;
using ClusterNet.Gateway.Grpc.Protocol;
using ClusterNet.Gateway.Inference;
using ClusterNet.Gateway.Inference.SharedMemory;
using ClusterNet.Gateway.Tests.Serving;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using static ClusterNet.Gateway.Tests.Inference.TritonHttp;

namespace ClusterNet.Gateway.Tests.Inference;

/// <summary>Values that go through shared memory are those of the request and the answer; whoever has no part in it, or cuts it short, is refused and harms nobody.</summary>
public sealed class SharedMemoryTests
{
    private const int Size = 64;

    private static readonly InferenceSettings _settings = new() { HasExamples = true, HasSharedMemory = true };

    private static readonly int[] _counted = [.. Enumerable.Range(0, 16)];

    private static readonly int[] _ones = [.. Enumerable.Repeat(1, 16)];

    [Fact]
    public async Task By_HTTP_as_the_example_does_it()
    {
        using var inputs = new MemoryObject(2 * Size);
        using var outputs = new MemoryObject(2 * Size);
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings);
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync("/v2/systemsharedmemory/unregister", "")).Status);
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync("/v2/cudasharedmemory/unregister", "")).Status);
        Assert.Equal(HttpStatusCode.OK, (await RegisterAsync(gateway, "input_data", inputs.Key, 2 * Size)).Status);
        Assert.Equal(HttpStatusCode.OK, (await RegisterAsync(gateway, "output_data", outputs.Key, 2 * Size)).Status);
        inputs.Write(0, Bytes(_counted));
        inputs.Write(Size, Bytes(_ones));
        var (status, body, _) = await gateway.PostAsync("/v2/models/simple/infer", Request(Part("input_data", 0), Part("input_data", Size), Part("output_data", 0), Part("output_data", Size)));
        Assert.True(status == HttpStatusCode.OK, body.GetRawText());
        Assert.Equal(
            """[{"name":"OUTPUT0","datatype":"INT32","shape":[1,16],"parameters":{"shared_memory_region":"output_data","shared_memory_offset":0,"shared_memory_byte_size":64}},{"name":"OUTPUT1","datatype":"INT32","shape":[1,16],"parameters":{"shared_memory_region":"output_data","shared_memory_offset":64,"shared_memory_byte_size":64}}]""",
            body.GetProperty("outputs").GetRawText());
        Assert.Equal(_counted.Select(number => number + 1), MemoryMarshal.Cast<byte, int>(outputs.Read(0, Size)).ToArray());
        Assert.Equal(_counted.Select(number => number - 1), MemoryMarshal.Cast<byte, int>(outputs.Read(Size, Size)).ToArray());

        var all = await gateway.Http.GetStringAsync("/v2/systemsharedmemory/status");
        Assert.Equal(
            $$"""[{"name":"input_data","key":"{{inputs.Key}}","offset":0,"byte_size":128},{"name":"output_data","key":"{{outputs.Key}}","offset":0,"byte_size":128}]""", all);
        using var one = JsonDocument.Parse(await gateway.Http.GetStringAsync("/v2/systemsharedmemory/region/input_data/status"));
        Assert.Equal("input_data", one.RootElement[0].GetProperty("name").GetString());
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync("/v2/systemsharedmemory/region/input_data/unregister", "{}")).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await gateway.GetAsync("/v2/systemsharedmemory/region/input_data/status")).Status);
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync("/v2/systemsharedmemory/unregister", "{}")).Status);
        Assert.Equal("[]", await gateway.Http.GetStringAsync("/v2/systemsharedmemory/status"));
        Assert.Equal("[]", await gateway.Http.GetStringAsync("/v2/cudasharedmemory/status"));
    }

    [Fact]
    public async Task By_gRPC_with_texts_as_the_example_does_it()
    {
        byte[] counted = Texts([.. _counted.Select(number => $"{number}")]), ones = Texts([.. _ones.Select(number => $"{number}")]);
        byte[] sums = Texts([.. _counted.Select(number => $"{number + 1}")]), differences = Texts([.. _counted.Select(number => $"{number - 1}")]);
        using var input = new MemoryObject(counted.Length);
        using var sum = new MemoryObject(sums.Length);
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings);
        var client = new GRPCInferenceService.GRPCInferenceServiceClient(gateway.Channel);
        await client.SystemSharedMemoryUnregisterAsync(new SystemSharedMemoryUnregisterRequest());
        await client.CudaSharedMemoryUnregisterAsync(new CudaSharedMemoryUnregisterRequest());
        await client.SystemSharedMemoryRegisterAsync(new SystemSharedMemoryRegisterRequest { Name = "input0_data", Key = input.Key, ByteSize = (ulong)counted.Length });
        await client.SystemSharedMemoryRegisterAsync(new SystemSharedMemoryRegisterRequest { Name = "output0_data", Key = sum.Key, ByteSize = (ulong)sums.Length });
        input.Write(0, counted);
        // one input and one output in memory, the others in the messages
        var request = new ModelInferRequest
        {
            ModelName = "simple_string",
            Inputs =
            {
                new ModelInferRequest.Types.InferInputTensor { Name = "INPUT0", Datatype = "BYTES", Shape = { 1, 16 } },
                new ModelInferRequest.Types.InferInputTensor { Name = "INPUT1", Datatype = "BYTES", Shape = { 1, 16 } },
            },
            Outputs = { new ModelInferRequest.Types.InferRequestedOutputTensor { Name = "OUTPUT0" }, new ModelInferRequest.Types.InferRequestedOutputTensor { Name = "OUTPUT1" } },
            RawInputContents = { Google.Protobuf.ByteString.CopyFrom(ones) },
        };
        Share(request.Inputs[0].Parameters, "input0_data", counted.Length);
        Share(request.Outputs[0].Parameters, "output0_data", sums.Length);
        var response = await client.ModelInferAsync(request);
        Assert.Equal("output0_data", response.Outputs[0].Parameters["shared_memory_region"].StringParam);
        Assert.Equal(sums, sum.Read(0, sums.Length));
        Assert.Equal([0, differences.Length], response.RawOutputContents.Select(content => content.Length));
        Assert.Equal(differences, response.RawOutputContents[1].ToByteArray());

        var status = await client.SystemSharedMemoryStatusAsync(new SystemSharedMemoryStatusRequest());
        Assert.Equal(["input0_data", "output0_data"], status.Regions.Keys.Order());
        Assert.Equal(input.Key, status.Regions["input0_data"].Key);
        var refusal = await Assert.ThrowsAsync<RpcException>(async () => await client.CudaSharedMemoryRegisterAsync(new CudaSharedMemoryRegisterRequest { Name = "x", ByteSize = 1 }));
        Assert.Equal(StatusCode.InvalidArgument, refusal.StatusCode);

        static void Share(Google.Protobuf.Collections.MapField<string, InferParameter> parameters, string region, int size)
        {
            parameters["shared_memory_region"] = new InferParameter { StringParam = region };
            parameters["shared_memory_byte_size"] = new InferParameter { Int64Param = size };
        }
    }

    [Theory]
    [InlineData("../../etc/passwd")]
    [InlineData("/..")]
    [InlineData("/a/b")]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("/ä")]
    [InlineData("/clusternet-test-that-is-not-there")]
    public void What_is_no_memory_object_is_refused(string key)
    {
        using var regions = new SharedRegions(true);
        var refusal = Assert.Throws<PredictionException>(() => regions.Register("x", key, 0, 1));
        Assert.Equal(ServingProtocol.FailureKind.InvalidInput, refusal.Kind);
        Assert.Equal("key", refusal.Faults[0].Place);
    }

    [Fact]
    public void A_link_among_memory_objects_leads_nowhere()
    {
        var target = Path.GetTempFileName();
        var link = $"/dev/shm/clusternet-test-{Guid.NewGuid():N}";
        File.WriteAllText(target, "not for callers");
        File.CreateSymbolicLink(link, target);
        try
        {
            using var regions = new SharedRegions(true);
            Assert.Throws<PredictionException>(() => regions.Register("x", Path.GetFileName(link), 0, 4));
        }
        finally
        {
            File.Delete(link);
            File.Delete(target);
        }
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(0, 65)]
    [InlineData(64, 1)]
    [InlineData(ulong.MaxValue, 1)]
    [InlineData(1, ulong.MaxValue)]
    public void A_region_lies_within_its_object(ulong offset, ulong size)
    {
        using var made = new MemoryObject(Size);
        using var regions = new SharedRegions(true);
        Assert.Equal("byte_size", Assert.Throws<PredictionException>(() => regions.Register("x", made.Key, offset, size)).Faults[0].Place);
        Assert.Empty(regions.List(null));
    }

    [Fact]
    public void A_name_stands_for_one_region()
    {
        using var made = new MemoryObject(Size);
        using var regions = new SharedRegions(true);
        regions.Register("x", made.Key, 0, Size);
        Assert.Throws<PredictionException>(() => regions.Register("x", made.Key, 0, 8));
        Assert.Equal((ulong)Size, Assert.Single(regions.List(null)).ByteSize);
        regions.Unregister("x");
        regions.Unregister("x");
        regions.Register("x", made.Key, 0, 8);
    }

    [Theory]
    [InlineData("other", 0, 64, "Unable to find shared memory region: 'other'")]
    [InlineData("in", 0, 65, "region 'in' has 64 bytes")]
    [InlineData("in", 1, 64, "region 'in' has 64 bytes")]
    [InlineData("in", ulong.MaxValue, 2, "region 'in' has 64 bytes")]
    [InlineData("in", 0, 60, "60 bytes, where shape [1, 16] of INT32 has 64")]
    public async Task A_part_that_does_not_fit_is_refused(string region, ulong offset, ulong size, string message)
    {
        using var made = new MemoryObject(Size);
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings);
        await RegisterAsync(gateway, "in", made.Key, Size);
        var (status, body, _) = await gateway.PostAsync("/v2/models/simple/infer", Request($$"""{"shared_memory_region":"{{region}}","shared_memory_offset":{{offset}},"shared_memory_byte_size":{{size}}}""", Part("in", 0), Part("in", 0), Part("in", 0)));
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains(message, body.GetProperty("error").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"shared_memory_region":"in"}""", "without 'shared_memory_byte_size'")]
    [InlineData("""{"shared_memory_byte_size":64}""", "without 'shared_memory_region'")]
    [InlineData("""{"shared_memory_region":1,"shared_memory_byte_size":64}""", "a text belongs here")]
    [InlineData("""{"shared_memory_region":"in","shared_memory_byte_size":-1}""", "a whole number of 0 or more")]
    [InlineData("""{"shared_memory_region":"in","shared_memory_byte_size":64,"binary_data_size":64}""", "values come one way or the other")]
    public async Task Half_of_what_names_a_part_is_refused(string parameters, string message)
    {
        using var made = new MemoryObject(Size);
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings);
        await RegisterAsync(gateway, "in", made.Key, Size);
        var (status, body, _) = await gateway.PostAsync("/v2/models/simple/infer", Request(parameters, Part("in", 0), Part("in", 0), Part("in", 0)));
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains(message, body.GetProperty("error").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_object_that_is_cut_short_is_a_refusal()
    {
        using var inputs = new MemoryObject(2 * Size);
        using var outputs = new MemoryObject(2 * Size);
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings);
        await RegisterAsync(gateway, "in", inputs.Key, 2 * Size);
        await RegisterAsync(gateway, "out", outputs.Key, 2 * Size);
        var request = Request(Part("in", 0), Part("in", Size), Part("out", 0), Part("out", Size));
        outputs.SetLength(Size);
        Assert.Contains("has become shorter", await RefusedAsync(gateway, request), StringComparison.Ordinal);
        Assert.Equal(Size, new FileInfo(outputs.Path).Length);
        inputs.SetLength(Size + 1);
        Assert.Contains("ends 63 bytes before the values", await RefusedAsync(gateway, request), StringComparison.Ordinal);
        inputs.SetLength(2 * Size);
        outputs.SetLength(2 * Size);
        Assert.Equal(HttpStatusCode.OK, (await gateway.PostAsync("/v2/models/simple/infer", request)).Status);
    }

    [Fact]
    public async Task An_output_that_has_no_room_is_refused()
    {
        using var inputs = new MemoryObject(Size);
        using var outputs = new MemoryObject(Size);
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings);
        await RegisterAsync(gateway, "in", inputs.Key, Size);
        await RegisterAsync(gateway, "out", outputs.Key, Size - 1);
        Assert.Contains("63 bytes; the output has 64", await RefusedAsync(gateway, Request(Part("in", 0), Part("in", 0), """{"shared_memory_region":"out","shared_memory_byte_size":63}""", Part("in", 0))), StringComparison.Ordinal);
        Assert.Equal(new byte[Size], outputs.Read(0, Size));
    }

    [Fact]
    public void Values_in_memory_cost_no_more_than_those_of_a_body()
    {
        using var regions = MemoryObject.Regions(2048);
        var plan = InputPlan.Of(FakeServing.Version(FakeServing.Columns));
        var assembly = new InputAssembly(plan, new InferenceSettings { MaxBodyBytes = 1024 }, regions);
        assembly.AddShared(new SharedPart("r", 0, 600), TensorHead.Of("inputs[0]", "age", Gateway.Inference.DataType.FP32, [150]));
        var refusal = Assert.Throws<PredictionException>(() => assembly.AddShared(new SharedPart("r", 0, 600), TensorHead.Of("inputs[1]", "sex", Gateway.Inference.DataType.FP32, [150])));
        Assert.Contains("424 of 1024", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_the_setting_there_is_none()
    {
        using var made = new MemoryObject(Size);
        await using var gateway = await TestGateway.StartAsync(new NoModels(), _settings with { HasSharedMemory = false });
        Assert.Equal(HttpStatusCode.BadRequest, (await RegisterAsync(gateway, "in", made.Key, Size)).Status);
        Assert.Contains("http.shared-memory", await RefusedAsync(gateway, Request(Part("in", 0), Part("in", 0), Part("in", 0), Part("in", 0))), StringComparison.Ordinal);
        var client = new GRPCInferenceService.GRPCInferenceServiceClient(gateway.Channel);
        Assert.Equal(StatusCode.InvalidArgument, (await Assert.ThrowsAsync<RpcException>(async () => await client.SystemSharedMemoryStatusAsync(new SystemSharedMemoryStatusRequest()))).StatusCode);
    }

    [Theory]
    [InlineData("127.0.0.1", true)]
    [InlineData("::1", true)]
    [InlineData("::ffff:127.0.0.1", true)]
    [InlineData("10.0.0.1", false)]
    [InlineData("::ffff:10.0.0.1", false)]
    public void Only_callers_on_the_same_machine_have_a_part_in_it(string address, bool isServed)
    {
        using var regions = new SharedRegions(true);
        var context = new DefaultHttpContext();
        context.Connection.RemoteIpAddress = IPAddress.Parse(address);
        Assert.Equal(isServed, regions.For(context.Connection) is not null);
    }

    private static async Task<string> RefusedAsync(TestGateway gateway, string request)
    {
        var (status, body, _) = await gateway.PostAsync("/v2/models/simple/infer", request);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        return body.GetProperty("error").GetString()!;
    }

    private static Task<(HttpStatusCode Status, JsonElement Body, HttpResponseMessage Response)> RegisterAsync(TestGateway gateway, string name, string key, int size) =>
        gateway.PostAsync($"/v2/systemsharedmemory/region/{name}/register", $$"""{"key":"{{key}}","offset":0,"byte_size":{{size}}}""");

    private static string Part(string region, int offset) => $$"""{"shared_memory_region":"{{region}}","shared_memory_offset":{{offset}},"shared_memory_byte_size":64}""";

    private static string Request(string input0, string input1, string output0, string output1) =>
        $$"""{"inputs":[{"name":"INPUT0","shape":[1,16],"datatype":"INT32","parameters":{{input0}}},{"name":"INPUT1","shape":[1,16],"datatype":"INT32","parameters":{{input1}}}],"outputs":[{"name":"OUTPUT0","parameters":{{output0}}},{"name":"OUTPUT1","parameters":{{output1}}}]}""";
}
