using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;

namespace ClusterNet.Gateway.Inference.Examples;

/// <summary>
/// The models that the <c>simple</c> examples of NVIDIA's clients ask for, so that a client can be tried before there is a trained model. They compute here, have no weights, and what they answer is in no audit log. A registered
/// model of the same name comes first.
/// </summary>
/// <param name="models">all others</param>
/// <param name="time">the clock</param>
internal sealed class ExampleModels(IModelServing models, TimeProvider time) : IModelServing
{
    // one of the examples counts eight models
    private readonly Dictionary<string, ExampleModel> _examples = new ExampleModel[]
    {
        new RepeatExample("repeat_int32", time),
        new SumExample("simple", DataType.Int32),
        new SequenceExample("simple_dyna_sequence", SequenceRule.LastAndId, time),
        new IdentityExample("simple_identity"),
        new SumExample("simple_int8", DataType.Int8),
        new SequenceExample("simple_sequence", SequenceRule.FirstAndOne, time),
        new SumExample("simple_string", DataType.Bytes),
        new SequenceExample("simple_string_dyna_sequence", SequenceRule.Running, time),
    }.ToDictionary(example => example.Name, StringComparer.Ordinal);

    /// <inheritdoc/>
    public Task<ServedPrediction> PredictAsync(PredictRequest request, CancellationToken cancel = default) => PredictAsync(request, null, cancel);

    /// <summary>A prediction, which may be one of a sequence; what is no example takes no note of that.</summary>
    /// <exception cref="PredictionException">there is none</exception>
    public Task<ServedPrediction> PredictAsync(PredictRequest request, SequenceStep? step, CancellationToken cancel) =>
        OrExampleAsync(request.Model, request.Version, () => models.PredictAsync(request, cancel), example => example.Predict(request.Input, step));

    /// <inheritdoc/>
    public async Task<IReadOnlyList<ServedVersion>> VersionsAsync(string? model = null, CancellationToken cancel = default)
    {
        if (model is not null)
            return await OrExampleAsync(model, null, () => models.VersionsAsync(model, cancel), example => (IReadOnlyList<ServedVersion>)[example.Version]).ConfigureAwait(false);
        var all = await models.VersionsAsync(null, cancel).ConfigureAwait(false);
        return [.. all, .. _examples.Values.Where(example => !all.Any(version => version.Id.Model == example.Name)).Select(example => example.Version)];
    }

    /// <inheritdoc/>
    public Task<ServedVersion> VersionAsync(string model, string? version, CancellationToken cancel = default) =>
        OrExampleAsync(model, version, () => models.VersionAsync(model, version, cancel), example => example.Version);

    /// <inheritdoc/>
    public Task LoadAsync(string model, CancellationToken cancel = default) => OrExampleAsync(model, null, () => Done(models.LoadAsync(model, cancel)), example => Done(example.Load, null));

    /// <summary>Loads with a configuration of the caller's, which examples alone take.</summary>
    /// <exception cref="PredictionException">it is no example, or no configuration that one takes</exception>
    public Task LoadAsync(string model, string config, CancellationToken cancel) => OrExampleAsync(
        model,
        null,
        async () =>
        {
            await models.VersionsAsync(model, cancel).ConfigureAwait(false);
            throw RepositoryEndpoints.OtherConfig();
        },
        example => Done(example.Load, config));

    /// <inheritdoc/>
    public Task UnloadAsync(string model, CancellationToken cancel = default) => OrExampleAsync(model, null, () => Done(models.UnloadAsync(model, cancel)), example => Done(_ => example.Unload(), null));

    /// <inheritdoc/>
    public Task<ModelTraffic> TrafficAsync(string model, CancellationToken cancel = default) => models.TrafficAsync(model, cancel);

    /// <inheritdoc/>
    public Task SetTrafficAsync(string model, TrafficSpec traffic, CancellationToken cancel = default) => models.SetTrafficAsync(model, traffic, cancel);

    /// <inheritdoc/>
    public Task LabelAsync(string model, string label, int? version, CancellationToken cancel = default) => models.LabelAsync(model, label, version, cancel);

    /// <summary>The example that a version is of; null where it is none.</summary>
    public ExampleModel? Find(ServedVersion version) => _examples.TryGetValue(version.Id.Model, out var example) && example.Is(version) ? example : null;

    /// <summary>The example that answers one request several times, where that is what a name and version stand for; null otherwise.</summary>
    public async ValueTask<RepeatExample?> FindRepeatAsync(string model, string? version, CancellationToken cancel)
    {
        if (!_examples.TryGetValue(model, out var example) || example is not RepeatExample repeat)
            return null;
        try
        {
            return repeat.Is(await VersionAsync(model, version, cancel).ConfigureAwait(false)) ? repeat : null;
        }
        catch (PredictionException)
        {
            // whoever asks is told why by what comes next
            return null;
        }
    }

    private static async Task<bool> Done(Task task)
    {
        await task.ConfigureAwait(false);
        return true;
    }

    private static bool Done(Action<string?> act, string? with)
    {
        act(with);
        return true;
    }

    private async Task<T> OrExampleAsync<T>(string model, string? version, Func<Task<T>> ask, Func<ExampleModel, T> example)
    {
        try
        {
            return await ask().ConfigureAwait(false);
        }
        catch (PredictionException failure) when (failure.Kind == ServingProtocol.FailureKind.UnknownModel && version is null or ExampleModel.OnlyVersion && _examples.ContainsKey(model))
        {
            return example(_examples[model]);
        }
    }
}
