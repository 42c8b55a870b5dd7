using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Faults;

namespace ClusterNet.Gateway.Tests.Serving;

/// <summary>No models at all.</summary>
internal sealed class NoModels : IModelServing
{
    public Task<ServedPrediction> PredictAsync(PredictRequest request, CancellationToken cancel = default) => throw Nothing(request.Model);

    public Task<IReadOnlyList<ServedVersion>> VersionsAsync(string? model = null, CancellationToken cancel = default) =>
        model is null ? Task.FromResult<IReadOnlyList<ServedVersion>>([]) : throw Nothing(model);

    public Task<ServedVersion> VersionAsync(string model, string? version, CancellationToken cancel = default) => throw Nothing(model);

    public Task LoadAsync(string model, CancellationToken cancel = default) => throw Nothing(model);

    public Task UnloadAsync(string model, CancellationToken cancel = default) => throw Nothing(model);

    public Task<ModelTraffic> TrafficAsync(string model, CancellationToken cancel = default) => throw Nothing(model);

    public Task SetTrafficAsync(string model, TrafficSpec traffic, CancellationToken cancel = default) => throw Nothing(model);

    public Task LabelAsync(string model, string label, int? version, CancellationToken cancel = default) => throw Nothing(model);

    private static PredictionException Nothing(string model) => new(ServingProtocol.FailureKind.UnknownModel, [new Fault("model", $"there is no model '{model}'")]);
}
