using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using ClusterNet.Gateway.Grpc.Protocol;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;

namespace ClusterNet.Client.Grpc;

/// <summary>By the Open Inference Protocol, to a gateway.</summary>
internal sealed class GrpcTransport : ITransport
{
    private const string Prepared = "prepared";
    private const string RetryAfter = "grpc-retry-pushback-ms";
    private const int MostAnswerBytes = 256 << 20;
    private readonly GrpcChannel _channel;
    private readonly GRPCInferenceService.GRPCInferenceServiceClient _client;
    private readonly Metadata _headers = [];
    private readonly ConcurrentDictionary<string, string> _inputs = new(StringComparer.Ordinal);

    public GrpcTransport(Uri gateway, string? apiKey, Action<SocketsHttpHandler>? configure)
    {
        var handler = new SocketsHttpHandler { EnableMultipleHttp2Connections = true, KeepAlivePingDelay = TimeSpan.FromSeconds(20), KeepAlivePingTimeout = TimeSpan.FromSeconds(10) };
        configure?.Invoke(handler);
        _channel = GrpcChannel.ForAddress(gateway, new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true, MaxReceiveMessageSize = MostAnswerBytes });
        _client = new(_channel);
        if (apiKey is not null)
            _headers.Add("x-api-key", apiKey);
    }

    public string Name => "grpc";

    public async Task<Prediction> PredictAsync(string model, Samples samples, PredictOptions options, TimeSpan left, CancellationToken cancel)
    {
        var deadline = DateTime.UtcNow + left;
        try
        {
            var request = await RequestAsync(model, samples, options, deadline, cancel).ConfigureAwait(false);
            request.Parameters["timeout"] = new InferParameter { Int64Param = Math.Max(1, (long)left.TotalMicroseconds) };
            return Read(await _client.ModelInferAsync(request, _headers, deadline, cancel).ConfigureAwait(false));
        }
        catch (RpcException) when (cancel.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancel);
        }
        catch (RpcException error)
        {
            throw FailureOf(error);
        }
    }

    public ValueTask DisposeAsync()
    {
        _channel.Dispose();
        return ValueTask.CompletedTask;
    }

    private static PredictionFailedException FailureOf(RpcException error)
    {
        var kind = error.StatusCode switch
        {
            StatusCode.InvalidArgument or StatusCode.OutOfRange or StatusCode.Unimplemented => FailureKind.InvalidInput,
            StatusCode.NotFound => FailureKind.UnknownModel,
            StatusCode.ResourceExhausted => FailureKind.Overloaded,
            StatusCode.DeadlineExceeded => FailureKind.DeadlineExceeded,
            StatusCode.Unavailable or StatusCode.Cancelled => FailureKind.Unavailable,
            StatusCode.Unauthenticated or StatusCode.PermissionDenied => FailureKind.Refused,
            // a connection that broke in the middle of an answer
            StatusCode.Internal when error.Status.DebugException is HttpRequestException or IOException => FailureKind.Unavailable,
            _ => FailureKind.Failed,
        };
        TimeSpan? retryAfter = long.TryParse(error.Trailers.GetValue(RetryAfter), NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds) ? TimeSpan.FromMilliseconds(Math.Min(milliseconds, 86_400_000)) : null;
        // a message that is too large to be sent will be next time
        if (kind == FailureKind.Overloaded && retryAfter is null && error.Status.Detail.Contains("message size", StringComparison.OrdinalIgnoreCase))
            kind = FailureKind.InvalidInput;
        return new PredictionFailedException(kind, error.Status.Detail, retryAfter, error);
    }

    private static Prediction Read(ModelInferResponse answer)
    {
        var output = -1;
        for (var i = 0; i < answer.Outputs.Count; i++)
        {
            if (answer.Outputs[i].Datatype == "FP32")
                output = i;
        }
        if (output < 0 || output >= answer.RawOutputContents.Count || !answer.Parameters.TryGetValue("weights_sha256", out var weights) || !answer.Parameters.TryGetValue("classes", out var classes))
            throw new PredictionFailedException(FailureKind.Failed, "the answer is not that of a ClusterNet gateway of this version");
        var bytes = answer.RawOutputContents[output].Span;
        var values = new float[bytes.Length / sizeof(float)];
        for (var i = 0; i < values.Length; i++)
            values[i] = System.Buffers.Binary.BinaryPrimitives.ReadSingleLittleEndian(bytes[(i * sizeof(float))..]);
        return new Prediction(
            answer.ModelName, int.Parse(answer.ModelVersion, CultureInfo.InvariantCulture), JsonSerializer.Deserialize<string[]>(classes.StringParam) ?? [], values, weights.StringParam);
    }

    private async Task<ModelInferRequest> RequestAsync(string model, Samples samples, PredictOptions options, DateTime deadline, CancellationToken cancel)
    {
        var request = new ModelInferRequest { ModelName = model, ModelVersion = options.Version ?? "" };
        // the protocol counts from 1, and 0 stands for the default
        request.Parameters["priority"] = new InferParameter { Uint64Param = (ulong)options.Priority + 1 };
        request.Parameters["clusternet_details"] = new InferParameter { BoolParam = true };
        if (options.Key is { } key)
            request.Parameters["key"] = new InferParameter { StringParam = key };
        switch (samples)
        {
            case Samples.TableSamples table:
                for (var column = 0; column < table.Columns.Count; column++)
                {
                    // as texts, the way a file has them: the model's preparation reads numbers out of these
                    var input = Input(table.Columns[column], "BYTES", [table.Count]);
                    input.Contents = new InferTensorContents();
                    foreach (var row in table.Rows)
                        input.Contents.BytesContents.Add(ByteString.CopyFromUtf8(row[column] ?? ""));
                    request.Inputs.Add(input);
                }
                break;
            case Samples.ArraySamples array:
                var name = array.IsPrepared ? Prepared : await InputOfAsync(model, options.Version, deadline, cancel).ConfigureAwait(false);
                request.Inputs.Add(Input(name, "FP32", [array.Count, .. array.Shape]));
                request.RawInputContents.Add(ByteString.CopyFrom(MemoryMarshal.AsBytes(array.Values.Span)));
                break;
        }
        return request;
    }

    private static ModelInferRequest.Types.InferInputTensor Input(string name, string type, long[] shape)
    {
        var input = new ModelInferRequest.Types.InferInputTensor { Name = name, Datatype = type };
        input.Shape.AddRange(shape);
        return input;
    }

    /// <summary>What the one input of a model of arrays is called.</summary>
    private async Task<string> InputOfAsync(string model, string? version, DateTime deadline, CancellationToken cancel)
    {
        if (_inputs.TryGetValue(model, out var known))
            return known;
        var described = await _client.ModelMetadataAsync(new ModelMetadataRequest { Name = model, Version = version ?? "" }, _headers, deadline, cancel).ConfigureAwait(false);
        return _inputs[model] = described.Inputs.First(input => input.Name != Prepared).Name;
    }
}
