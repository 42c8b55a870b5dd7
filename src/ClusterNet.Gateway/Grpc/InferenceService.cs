using System.Diagnostics;
using System.Globalization;
using System.Threading.Channels;
using ClusterNet.Cluster.Serving;
using ClusterNet.Gateway.Grpc.Protocol;
using ClusterNet.Gateway.Inference;
using ClusterNet.Gateway.Inference.Examples;
using ClusterNet.Gateway.Inference.SharedMemory;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ClusterNet.Gateway.Grpc;

/// <summary>gRPC of the Open Inference Protocol, and of the extensions that NVIDIA's clients use.</summary>
/// <param name="gateway">shared with REST</param>
/// <param name="health">readiness</param>
[RequiredScope(RequiredScopeAttribute.Predict)]
internal sealed class InferenceService(InferenceGateway gateway, HealthCheckService health) : GRPCInferenceService.GRPCInferenceServiceBase
{
    /// <inheritdoc/>
    [RequiredScope(null)]
    public override Task<ServerLiveResponse> ServerLive(ServerLiveRequest request, ServerCallContext context) => Task.FromResult(new ServerLiveResponse { Live = true });

    /// <inheritdoc/>
    [RequiredScope(null)]
    public override async Task<ServerReadyResponse> ServerReady(ServerReadyRequest request, ServerCallContext context)
    {
        var report = await health.CheckHealthAsync(ServingCheck.IsPartOfReadiness, context.CancellationToken).ConfigureAwait(false);
        return new ServerReadyResponse { Ready = report.Status == HealthStatus.Healthy };
    }

    /// <inheritdoc/>
    public override Task<ModelReadyResponse> ModelReady(ModelReadyRequest request, ServerCallContext context) => AnswerAsync(request.Name, async () =>
        new ModelReadyResponse { Ready = (await VersionAsync(request.Name, request.Version, context).ConfigureAwait(false)).State == ServingState.Ready });

    /// <inheritdoc/>
    public override Task<ServerMetadataResponse> ServerMetadata(ServerMetadataRequest request, ServerCallContext context)
    {
        var server = ModelDocuments.Server(gateway.Settings);
        return Task.FromResult(new ServerMetadataResponse { Name = server.Name, Version = server.Version, Extensions = { server.Extensions } });
    }

    /// <inheritdoc/>
    public override Task<ModelMetadataResponse> ModelMetadata(ModelMetadataRequest request, ServerCallContext context) => AnswerAsync(request.Name, async () =>
    {
        var version = await VersionAsync(request.Name, request.Version, context).ConfigureAwait(false);
        var model = ModelDocuments.Model(version, await gateway.Serving.VersionsAsync(request.Name, context.CancellationToken).ConfigureAwait(false));
        return new ModelMetadataResponse
        {
            Name = model.Name,
            Versions = { model.Versions },
            Platform = model.Platform,
            Inputs = { model.Inputs.Select(Tensor) },
            Outputs = { model.Outputs.Select(Tensor) },
        };

        static ModelMetadataResponse.Types.TensorMetadata Tensor(TensorDocument tensor) => new() { Name = tensor.Name, Datatype = tensor.Datatype, Shape = { tensor.Shape } };
    });

    /// <inheritdoc/>
    public override Task<ModelConfigResponse> ModelConfig(ModelConfigRequest request, ServerCallContext context) => AnswerAsync(request.Name, async () =>
    {
        var version = await VersionAsync(request.Name, request.Version, context).ConfigureAwait(false);
        var config = ModelDocuments.Config(version, gateway.MaxBatchOf(version));
        return new ModelConfigResponse
        {
            Config = new ModelConfig
            {
                Name = config.Name,
                Platform = config.Platform,
                Backend = config.Backend,
                MaxBatchSize = config.MaxBatchSize,
                Input = { config.Input.Select(tensor => new Protocol.ModelInput { Name = tensor.Name, DataType = TypeOf(tensor), Dims = { tensor.Dims } }) },
                Output = { config.Output.Select(tensor => new ModelOutput { Name = tensor.Name, DataType = TypeOf(tensor), Dims = { tensor.Dims } }) },
            },
        };

        // C# names are the wire's without the line
        static Protocol.DataType TypeOf(ConfigTensorDocument tensor) =>
            Enum.TryParse<Protocol.DataType>(tensor.DataType.Replace("_", "", StringComparison.Ordinal), ignoreCase: true, out var type) ? type : Protocol.DataType.TypeInvalid;
    });

    /// <inheritdoc/>
    public override Task<ModelInferResponse> ModelInfer(ModelInferRequest request, ServerCallContext context) =>
        AnswerAsync(request.ModelName, () => InferAsync(request, context, context.CancellationToken));

    /// <summary>
    /// Requests of a stream are under way side by side, but for those of one sequence, and answered in the order that they came. One that fails says so in its place; the stream goes on.
    /// </summary>
    /// <inheritdoc/>
    public override async Task ModelStreamInfer(IAsyncStreamReader<ModelInferRequest> requestStream, IServerStreamWriter<ModelStreamInferResponse> responseStream, ServerCallContext context)
    {
        var answers = Channel.CreateBounded<Task<ModelStreamInferResponse>>(gateway.Settings.MaxStreamed);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken);
        var reading = ReadAsync();
        try
        {
            await foreach (var answer in answers.Reader.ReadAllAsync(ended.Token).ConfigureAwait(false))
                await responseStream.WriteAsync(await answer.ConfigureAwait(false), ended.Token).ConfigureAwait(false);
        }
        finally
        {
            await ended.CancelAsync().ConfigureAwait(false);
            await reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        async Task ReadAsync()
        {
            try
            {
                var sequences = new Dictionary<(string Model, string Id), Task>();
                await foreach (var request in requestStream.ReadAllAsync(ended.Token).ConfigureAwait(false))
                {
                    foreach (var answer in await BeginAsync(request, sequences, context, ended.Token).ConfigureAwait(false))
                        await answers.Writer.WriteAsync(answer, ended.Token).ConfigureAwait(false);
                }
                answers.Writer.Complete();
            }
#pragma warning disable CA1031 // whatever it is, the writer must hear of it
            catch (Exception exception)
#pragma warning restore CA1031
            {
                answers.Writer.Complete(exception);
            }
        }
    }

    /// <inheritdoc/>
    public override Task<ModelStatisticsResponse> ModelStatistics(ModelStatisticsRequest request, ServerCallContext context) => AnswerAsync(request.Name, async () =>
    {
        var versions = request.Version.Length > 0
            ? [await VersionAsync(request.Name, request.Version, context).ConfigureAwait(false)]
            : ModelDocuments.WithStatistics(await gateway.Serving.VersionsAsync(request.Name.Length == 0 ? null : request.Name, context.CancellationToken).ConfigureAwait(false));
        return new ModelStatisticsResponse { ModelStats = { ModelDocuments.Statistics(versions).ModelStats.Select(Counted) } };

        static ModelStatistics Counted(VersionStatistics counts) => new()
        {
            Name = counts.Name,
            Version = counts.Version,
            LastInference = counts.LastInference,
            InferenceCount = counts.InferenceCount,
            ExecutionCount = counts.ExecutionCount,
            InferenceStats = new InferStatistics
            {
                Success = Timed(counts.InferenceStats.Success),
                Fail = Timed(counts.InferenceStats.Fail),
                Queue = Timed(counts.InferenceStats.Queue),
                ComputeInput = Timed(counts.InferenceStats.ComputeInput),
                ComputeInfer = Timed(counts.InferenceStats.ComputeInfer),
                ComputeOutput = Timed(counts.InferenceStats.ComputeOutput),
                CacheHit = Timed(counts.InferenceStats.CacheHit),
                CacheMiss = Timed(counts.InferenceStats.CacheMiss),
            },
        };

        static StatisticDuration Timed(DurationDocument duration) => new() { Count = duration.Count, Ns = duration.Ns };
    });

    /// <inheritdoc/>
    public override Task<RepositoryIndexResponse> RepositoryIndex(RepositoryIndexRequest request, ServerCallContext context) => AnswerAsync("", async () =>
    {
        var versions = await gateway.Serving.VersionsAsync(null, context.CancellationToken).ConfigureAwait(false);
        return new RepositoryIndexResponse
        {
            Models =
            {
                ModelDocuments.Index(versions, request.Ready)
                    .Select(entry => new RepositoryIndexResponse.Types.ModelIndex { Name = entry.Name, Version = entry.Version, State = entry.State, Reason = entry.Reason }),
            },
        };
    });

    /// <inheritdoc/>
    [RequiredScope(RequiredScopeAttribute.Operate)]
    public override async Task<RepositoryModelLoadResponse> RepositoryModelLoad(RepositoryModelLoadRequest request, ServerCallContext context)
    {
        try
        {
            var config = RepositoryEndpoints.ConfigOf(request.Parameters.Select(parameter => (parameter.Key, parameter.Value.HasStringParam ? parameter.Value.StringParam : null)));
            await gateway.LoadAsync(request.ModelName, config, context.CancellationToken).ConfigureAwait(false);
            return new RepositoryModelLoadResponse();
        }
        catch (PredictionException failure)
        {
            throw GrpcErrors.Of(failure, RepositoryEndpoints.LoadMessage(request.ModelName, failure));
        }
    }

    /// <inheritdoc/>
    [RequiredScope(RequiredScopeAttribute.Operate)]
    public override Task<RepositoryModelUnloadResponse> RepositoryModelUnload(RepositoryModelUnloadRequest request, ServerCallContext context) => AnswerAsync(request.ModelName, async () =>
    {
        await gateway.Serving.UnloadAsync(request.ModelName, context.CancellationToken).ConfigureAwait(false);
        return new RepositoryModelUnloadResponse();
    });

    /// <inheritdoc/>
    public override Task<SystemSharedMemoryStatusResponse> SystemSharedMemoryStatus(SystemSharedMemoryStatusRequest request, ServerCallContext context) => AnswerAsync("", () =>
    {
        var answer = new SystemSharedMemoryStatusResponse();
        foreach (var region in Memory(context).List(Named(request.Name)))
            answer.Regions[region.Name] = new SystemSharedMemoryStatusResponse.Types.RegionStatus { Name = region.Name, Key = region.Key, Offset = region.Offset, ByteSize = region.ByteSize };
        return Task.FromResult(answer);
    });

    /// <inheritdoc/>
    [RequiredScope(RequiredScopeAttribute.Operate)]
    public override Task<SystemSharedMemoryRegisterResponse> SystemSharedMemoryRegister(SystemSharedMemoryRegisterRequest request, ServerCallContext context) => AnswerAsync("", () =>
    {
        Memory(context).Register(request.Name, request.Key, request.Offset, request.ByteSize);
        return Task.FromResult(new SystemSharedMemoryRegisterResponse());
    });

    /// <inheritdoc/>
    [RequiredScope(RequiredScopeAttribute.Operate)]
    public override Task<SystemSharedMemoryUnregisterResponse> SystemSharedMemoryUnregister(SystemSharedMemoryUnregisterRequest request, ServerCallContext context) => AnswerAsync("", () =>
    {
        Memory(context).Unregister(Named(request.Name));
        return Task.FromResult(new SystemSharedMemoryUnregisterResponse());
    });

    /// <inheritdoc/>
    public override Task<CudaSharedMemoryStatusResponse> CudaSharedMemoryStatus(CudaSharedMemoryStatusRequest request, ServerCallContext context) => AnswerAsync("", () =>
        Task.FromResult(request.Name.Length == 0 ? new CudaSharedMemoryStatusResponse() : throw Refusal.Invalid("name", SharedMemoryEndpoints.NoCuda)));

    /// <inheritdoc/>
    [RequiredScope(RequiredScopeAttribute.Operate)]
    public override Task<CudaSharedMemoryRegisterResponse> CudaSharedMemoryRegister(CudaSharedMemoryRegisterRequest request, ServerCallContext context) =>
        AnswerAsync<CudaSharedMemoryRegisterResponse>("", () => throw Refusal.Invalid("name", SharedMemoryEndpoints.NoCuda));

    /// <inheritdoc/>
    [RequiredScope(RequiredScopeAttribute.Operate)]
    public override Task<CudaSharedMemoryUnregisterResponse> CudaSharedMemoryUnregister(CudaSharedMemoryUnregisterRequest request, ServerCallContext context) =>
        Task.FromResult(new CudaSharedMemoryUnregisterResponse());

    private static async Task<T> AnswerAsync<T>(string model, Func<Task<T>> answer)
    {
        try
        {
            return await answer().ConfigureAwait(false);
        }
        catch (PredictionException failure)
        {
            throw GrpcErrors.Of(failure, Refusal.MessageOf(failure, model));
        }
    }

    private static string? Named(string version) => version.Length == 0 ? null : version;

    private SharedRegions Memory(ServerCallContext context) => SharedRegions.Of(Memory(context.GetHttpContext()), "");

    private SharedRegions? Memory(Microsoft.AspNetCore.Http.HttpContext http) => gateway.Memory.For(http.Connection);

    private Task<ServedVersion> VersionAsync(string model, string version, ServerCallContext context) => gateway.Serving.VersionAsync(model, Named(version), context.CancellationToken);

    /// <summary>The answers to a request of a stream, which are under way: one, but for the example that answers several times.</summary>
    private async ValueTask<IReadOnlyList<Task<ModelStreamInferResponse>>> BeginAsync(
        ModelInferRequest request, Dictionary<(string Model, string Id), Task> sequences, ServerCallContext context, CancellationToken cancel)
    {
        if (gateway.Examples is { } examples && await examples.FindRepeatAsync(request.ModelName, Named(request.ModelVersion), cancel).ConfigureAwait(false) is { } repeat)
            return Repeated(request, repeat, cancel);
        if (GrpcRequestReader.SequenceOf(request) is not { } id)
            return [StreamedAsync(request, context, cancel)];
        var key = (request.ModelName, id);
        if (sequences.Count > gateway.Settings.MaxStreamed)
        {
            foreach (var done in sequences.Where(sequence => sequence.Value.IsCompleted).Select(sequence => sequence.Key).ToList())
                sequences.Remove(done);
        }
        var answer = AfterAsync(sequences.GetValueOrDefault(key, Task.CompletedTask));
        sequences[key] = answer;
        return [answer];

        async Task<ModelStreamInferResponse> AfterAsync(Task before)
        {
            await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return await StreamedAsync(request, context, cancel).ConfigureAwait(false);
        }
    }

    private IReadOnlyList<Task<ModelStreamInferResponse>> Repeated(ModelInferRequest message, RepeatExample repeat, CancellationToken cancel)
    {
        try
        {
            var parameters = GrpcRequestReader.ReadParameters(message, gateway.Settings);
            var wanted = GrpcRequestReader.ReadOutputs(message, repeat.Version, gateway.Settings);
            var answers = repeat.Repeat(GrpcRequestReader.ReadCells(message, repeat.Inputs.Select(input => input.Name), gateway.Settings), cancel);
            var responses = answers.Select(async answer => Response(repeat.OutputsOf(await answer.ConfigureAwait(false), wanted), false));
            // the end has a response of its own for who asked for that
            return [.. parameters.WantsFinal ? responses.Append(Task.FromResult(Response([], true))) : responses];

            ModelStreamInferResponse Response(List<OutputTensor> outputs, bool isFinal)
            {
                var response = new ModelInferResponse { ModelName = repeat.Name, ModelVersion = ExampleModel.OnlyVersion, Id = message.Id };
                if (parameters.WantsFinal)
                    response.Parameters["triton_final_response"] = new InferParameter { BoolParam = isFinal };
                Add(response, outputs);
                return new ModelStreamInferResponse { InferResponse = response };
            }
        }
        catch (PredictionException failure)
        {
            return [Task.FromResult(Failed(message, failure))];
        }
    }

    private async Task<ModelStreamInferResponse> StreamedAsync(ModelInferRequest request, ServerCallContext context, CancellationToken cancel)
    {
        try
        {
            return new ModelStreamInferResponse { InferResponse = await InferAsync(request, context, cancel).ConfigureAwait(false) };
        }
        catch (PredictionException failure)
        {
            return Failed(request, failure);
        }
    }

    private static ModelStreamInferResponse Failed(ModelInferRequest request, PredictionException failure) =>
        new() { ErrorMessage = Refusal.MessageOf(failure, request.ModelName), InferResponse = new ModelInferResponse { Id = request.Id } };

    private async Task<ModelInferResponse> InferAsync(ModelInferRequest message, ServerCallContext context, CancellationToken cancel)
    {
        var received = gateway.Now;
        var version = Named(message.ModelVersion);
        var http = context.GetHttpContext();
        var (plan, request) = await ReadAsync(message, version, Memory(http), cancel).ConfigureAwait(false);
        var caller = new Caller(http.User, http.Connection.RemoteIpAddress?.ToString(), ObservedPrediction.Grpc, received);
        TimeSpan? left = context.Deadline == DateTime.MaxValue ? null : context.Deadline - received.UtcDateTime;
        if (left <= TimeSpan.Zero)
            throw new PredictionException(ServingProtocol.FailureKind.DeadlineExceeded, [new("", "the deadline was over before the request was read")]);
        var answer = await gateway.PredictAsync(caller, request.Id, request.ToPredict(message.ModelName, version, left, Activity.Current?.Id), request.Parameters.Sequence, cancel).ConfigureAwait(false);
        return ResponseOf(answer, request, SharedRegions.Place(Memory(http), OutputTensor.Of(answer, plan.Version, request), request));
    }

    private async ValueTask<(InputPlan Plan, InferRequest Request)> ReadAsync(ModelInferRequest message, string? version, SharedRegions? memory, CancellationToken cancel)
    {
        var (plan, isRemembered) = await gateway.PlanAsync(message.ModelName, version, false, cancel).ConfigureAwait(false);
        try
        {
            return (plan, GrpcRequestReader.Read(message, plan, gateway.Settings, memory));
        }
        catch (PredictionException) when (isRemembered)
        {
            // the model may have another version by now, with other inputs
            (plan, _) = await gateway.PlanAsync(message.ModelName, version, true, cancel).ConfigureAwait(false);
            return (plan, GrpcRequestReader.Read(message, plan, gateway.Settings, memory));
        }
    }

    /// <summary>An answer as a message. Values are raw contents, which all clients read.</summary>
    internal static ModelInferResponse ResponseOf(ServedPrediction answer, InferRequest request, List<OutputTensor> outputs)
    {
        var response = new ModelInferResponse
        {
            ModelName = answer.Prediction.Version.Model,
            ModelVersion = answer.Prediction.Version.Version.ToString(CultureInfo.InvariantCulture),
            Id = request.Id ?? "",
        };
        if (request.Parameters.WantsFinal)
            response.Parameters["triton_final_response"] = new InferParameter { BoolParam = true };
        if (request.Parameters.WantsDetails)
        {
            response.Parameters["weights_sha256"] = new InferParameter { StringParam = answer.WeightsSha256 };
            response.Parameters["classes"] = new InferParameter { StringParam = System.Text.Json.JsonSerializer.Serialize(answer.Prediction.Classes) };
        }
        Add(response, outputs);
        return response;
    }

    private static void Add(ModelInferResponse response, List<OutputTensor> outputs)
    {
        foreach (var output in outputs)
        {
            var tensor = new ModelInferResponse.Types.InferOutputTensor { Name = output.Name, Datatype = output.TypeName, Shape = { output.Shape } };
            if (output is OutputTensor.Shared { Part: var part })
            {
                tensor.Parameters[SharedPart.RegionName] = new InferParameter { StringParam = part.Region };
                tensor.Parameters[SharedPart.OffsetName] = new InferParameter { Int64Param = (long)part.Offset };
                tensor.Parameters[SharedPart.ByteSizeName] = new InferParameter { Int64Param = (long)part.ByteSize };
            }
            response.Outputs.Add(tensor);
            // one for each output, empty where the values are elsewhere: clients count them
            var bytes = new byte[output.ByteSize];
            output.WriteBytes(bytes);
            response.RawOutputContents.Add(UnsafeByteOperations.UnsafeWrap(bytes));
        }
    }
}
