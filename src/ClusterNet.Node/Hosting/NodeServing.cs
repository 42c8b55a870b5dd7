using System.Globalization;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Node.Hosting;

/// <summary>The models of a cluster as its gateway asks for them: each version that is registered, the newest where none is named, by message to its inference actor.</summary>
internal sealed class NodeServing(ICluster cluster) : IModelServing
{
    public async Task<ServedPrediction> PredictAsync(PredictRequest request, CancellationToken cancel = default)
    {
        var version = await FindAsync(request.Model, request.Version, cancel);
        var samples = request.Input switch
        {
            ModelInput.Raw raw => raw.Samples,
            _ => throw new PredictionException(ServingProtocol.FailureKind.InvalidInput, [new Fault("inputs", $"'{TensorSignature.PreparedName}' is not taken here; give the raw features")]),
        };
        try
        {
            return new ServedPrediction(await cluster.PredictAsync(version.Id, samples, cancel), version.WeightsSha256, TimeSpan.Zero, TimeSpan.Zero);
        }
        catch (InputException error)
        {
            throw new PredictionException(ServingProtocol.FailureKind.InvalidInput, error.Faults);
        }
        catch (ClusterException error)
        {
            throw new PredictionException(ServingProtocol.FailureKind.Unavailable, [new Fault("", error.Message)], TimeSpan.FromSeconds(1));
        }
    }

    public async Task<IReadOnlyList<ServedVersion>> VersionsAsync(string? model = null, CancellationToken cancel = default)
    {
        var all = await cluster.ModelsAsync(cancel);
        var versions = all.Where(version => model is null || version.Id.Model == model).ToArray();
        return versions.Length > 0 || model is null ? [.. versions.Select(version => Served(version, all))] : throw Unknown(model, null);
    }

    public async Task<ServedVersion> VersionAsync(string model, string? version, CancellationToken cancel = default) => Served(await FindAsync(model, version, cancel), await cluster.ModelsAsync(cancel));

    public async Task LoadAsync(string model, CancellationToken cancel = default) => await FindAsync(model, null, cancel);

    public async Task UnloadAsync(string model, CancellationToken cancel = default)
    {
        await FindAsync(model, null, cancel);
        throw new PredictionException(ServingProtocol.FailureKind.InvalidInput, [new Fault("model", "models can't be let go here: each is loaded when it is asked for")]);
    }

    private async Task<ModelVersion> FindAsync(string model, string? version, CancellationToken cancel)
    {
        int? number = null;
        if (version is not null)
            number = int.TryParse(version, NumberStyles.None, CultureInfo.InvariantCulture, out var parsed) ? parsed : throw Unknown(model, version);
        try
        {
            return await cluster.ModelAsync(model, number, cancel);
        }
        catch (InputException error)
        {
            throw new PredictionException(ServingProtocol.FailureKind.UnknownModel, error.Faults);
        }
    }

    private static PredictionException Unknown(string model, string? version) =>
        new(ServingProtocol.FailureKind.UnknownModel, [new Fault("model", version is null ? $"there is no model '{model}'" : $"there is no version '{version}' of the model '{model}'")]);

    private static ServedVersion Served(ModelVersion version, IReadOnlyList<ModelVersion> all)
    {
        var signature = version.Signature;
        var isNewest = all.Where(other => other.Id.Model == version.Id.Model).Max(other => other.Id.Version) == version.Id.Version;
        return new ServedVersion(
            version,
            [.. signature.InputNames.Select(name => new TensorSignature(name, "FP32", [-1, 1]))],
            signature.Task == LearningTask.Classification
                ? [new TensorSignature(TensorSignature.ProbabilitiesName, "FP32", [-1, signature.Classes.Count]), new TensorSignature(TensorSignature.ClassName, "BYTES", [-1, 1], signature.Classes)]
                : [new TensorSignature(TensorSignature.ValueName, "FP32", [-1, 1])],
            [],
            ServingState.Ready,
            null,
            isNewest ? 1 : 0,
            ServingStatistics.None);
    }
}
