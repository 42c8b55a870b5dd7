using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using ClusterNet.Cluster.Serving;
using ClusterNet.Gateway;
using ClusterNet.Gateway.Grpc.Protocol;
using Google.Protobuf;
using Grpc.Net.Client;

namespace ClusterNet.Benchmarks.Serving;

/// <summary>Asks by HTTP and gRPC. Requests are serialised once, so that both sides of a comparison have the processor for themselves as far as possible.</summary>
internal sealed class ServingClients : IDisposable
{
    private const int Distinct = 64;
    private readonly HttpClient _http;
    private readonly GrpcChannel? _channel;
    private readonly Uri _gateway;
    private readonly Uri _minimal;
    private readonly byte[][] _bodies = [.. Enumerable.Range(0, Distinct).Select(BodyOf)];
    private readonly Dictionary<string, ModelInferRequest[]> _requests;
    private readonly GRPCInferenceService.GRPCInferenceServiceClient? _grpc;

    public ServingClients(GatewayServer gateway, MinimalApi minimal)
    {
        _http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 256 });
        (_gateway, _minimal) = (gateway.Address, minimal.Address);
        if (gateway.GrpcAddress is { } address)
        {
            _channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions { HttpHandler = new SocketsHttpHandler { EnableMultipleHttp2Connections = true } });
            _grpc = new(_channel);
        }
        _requests = ServedWorkload.All.ToDictionary(workload => workload.Name, workload => Enumerable.Range(0, Distinct).Select(number => RequestOf(workload, number)).ToArray());
    }

    public Task HttpAsync(ServedWorkload workload, int number) => PostAsync(new Uri(_gateway, $"v2/models/{workload.Training.Name}/infer"), _bodies[number % Distinct]);

    public Task MinimalAsync(ServedWorkload workload, int number) => PostAsync(new Uri(_minimal, $"predict/{workload.Name}"), _bodies[number % Distinct]);

    public async Task GrpcAsync(ServedWorkload workload, int number)
    {
        var answer = await _grpc!.ModelInferAsync(_requests[workload.Name][number % Distinct]);
        if (answer.Outputs.Count == 0)
            throw new InvalidOperationException("an answer without outputs");
    }

    public void Dispose()
    {
        _http.Dispose();
        _channel?.Dispose();
    }

    private async Task PostAsync(Uri address, byte[] body)
    {
        using var content = new ByteArrayContent(body);
        content.Headers.ContentType = new("application/json");
        using var response = await _http.PostAsync(address, content);
        var bytes = await response.Content.ReadAsByteArrayAsync();
        if (!response.IsSuccessStatusCode)
            throw new InvalidOperationException($"{(int)response.StatusCode} from {address}: {Encoding.UTF8.GetString(bytes)}");
    }

    private static byte[] BodyOf(int number)
    {
        var data = string.Join(',', ServedWorkload.Picture(number).Select(value => value.ToString(CultureInfo.InvariantCulture)));
        return Encoding.UTF8.GetBytes($"{{\"inputs\":[{{\"name\":\"{TensorSignature.PreparedName}\",\"datatype\":\"FP32\",\"shape\":[1,{string.Join(',', ServedWorkload.Shape)}],\"data\":[{data}]}}],\"outputs\":[{{\"name\":\"{TensorSignature.ProbabilitiesName}\"}}]}}");
    }

    private static ModelInferRequest RequestOf(ServedWorkload workload, int number)
    {
        var input = new ModelInferRequest.Types.InferInputTensor { Name = TensorSignature.PreparedName, Datatype = "FP32" };
        input.Shape.Add(1);
        input.Shape.AddRange(ServedWorkload.Shape.Select(axis => (long)axis));
        var request = new ModelInferRequest { ModelName = workload.Training.Name };
        request.Inputs.Add(input);
        request.Outputs.Add(new ModelInferRequest.Types.InferRequestedOutputTensor { Name = TensorSignature.ProbabilitiesName });
        request.RawInputContents.Add(ByteString.CopyFrom(MemoryMarshal.AsBytes(ServedWorkload.Picture(number).AsSpan())));
        return request;
    }
}
