using System.Diagnostics;
using System.Globalization;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Data;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;

namespace ClusterNet.Gateway.Inference;

/// <summary>
/// The models that the <c>simple</c> examples of NVIDIA's clients ask for, so that a client can be tried before there is a trained model: sum and difference of two rows of 16 numbers (<c>simple</c>, <c>simple_int8</c>), of numbers
/// as texts (<c>simple_string</c>), and a row of texts as it came (<c>simple_identity</c>). They compute here, have no weights, and what they answer is in no audit log. A registered model of the same name comes first.
/// </summary>
/// <param name="models">all others</param>
internal sealed class ExampleModels(IModelServing models) : IModelServing
{
    private readonly Dictionary<string, ExampleModel> _examples = new ExampleModel[]
    {
        new("simple", DataType.Int32, false),
        new("simple_identity", DataType.Bytes, true),
        new("simple_int8", DataType.Int8, false),
        new("simple_string", DataType.Bytes, false),
    }.ToDictionary(example => example.Name, StringComparer.Ordinal);

    /// <inheritdoc/>
    public Task<ServedPrediction> PredictAsync(PredictRequest request, CancellationToken cancel = default) =>
        OrExampleAsync(request.Model, request.Version, () => models.PredictAsync(request, cancel), example => example.Predict(request.Input));

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
    public Task LoadAsync(string model, CancellationToken cancel = default) => OrExampleAsync(model, null, () => Done(models.LoadAsync(model, cancel)), example => example.IsLoaded = true);

    /// <inheritdoc/>
    public Task UnloadAsync(string model, CancellationToken cancel = default) => OrExampleAsync(model, null, () => Done(models.UnloadAsync(model, cancel)), example => example.IsLoaded = false);

    /// <inheritdoc/>
    public Task<ModelTraffic> TrafficAsync(string model, CancellationToken cancel = default) => models.TrafficAsync(model, cancel);

    /// <inheritdoc/>
    public Task SetTrafficAsync(string model, TrafficSpec traffic, CancellationToken cancel = default) => models.SetTrafficAsync(model, traffic, cancel);

    /// <inheritdoc/>
    public Task LabelAsync(string model, string label, int? version, CancellationToken cancel = default) => models.LabelAsync(model, label, version, cancel);

    private static async Task<bool> Done(Task task)
    {
        await task.ConfigureAwait(false);
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

/// <summary>What an example answers.</summary>
/// <param name="Example">the model</param>
/// <param name="Values">of each output, in the model's order: integers, or texts</param>
/// <param name="Shape">of each output</param>
internal sealed record ExamplePrediction(ExampleModel Example, IReadOnlyList<Array> Values, long[] Shape)
    : ServedPrediction(new Prediction(Example.Version.Id, [], ReadOnlyMemory<float>.Empty), "", TimeSpan.Zero, TimeSpan.Zero)
{
    /// <summary>The outputs that were asked for.</summary>
    /// <exception cref="PredictionException">one was to be ranked</exception>
    public List<OutputTensor> OutputsOf(InferRequest request) =>
    [
        .. request.Outputs.Select(wanted =>
        {
            if (wanted.Classes > 0)
                throw Refusal.Invalid($"outputs.{wanted.Name}.parameters.{RequestedOutput.ClassificationName}", "the examples have no classes");
            var isBinary = wanted.IsBinary ?? request.Parameters.IsBinary;
            return Values[Example.OutputOf(wanted.Name)] switch
            {
                int[] integers => (OutputTensor)new OutputTensor.Integers(wanted.Name, Shape, integers, Example.Type, isBinary),
                var texts => new OutputTensor.Texts(wanted.Name, Shape, (string[])texts, isBinary),
            };
        }),
    ];
}

/// <summary>One of the examples.</summary>
/// <param name="Name">unique</param>
/// <param name="Type">of its inputs and outputs</param>
/// <param name="IsIdentity">one input and the same as output; otherwise two, sum and difference</param>
internal sealed record ExampleModel(string Name, DataType Type, bool IsIdentity)
{
    /// <summary>The one version of each.</summary>
    public const string OnlyVersion = "1";

    private const int Width = 16;

    private long _requests;
    private long _samples;
    private long _ticks;
    private long _last;

    /// <summary>Whether it answers.</summary>
    public bool IsLoaded { get; set; } = true;

    /// <summary>As it is now.</summary>
    public ServedVersion Version
    {
        get
        {
            var names = IsIdentity ? (string[])["INPUT0"] : ["INPUT0", "INPUT1"];
            var signature = new DataSignature(LearningTask.Regression, names, [names.Length * Width], [], "OUTPUT0");
            var version = new ModelVersion(
                new ModelVersionId(Name, 1), new JobId("example"), 0, 0, new ModelSpec("example", new Dictionary<string, SettingValue>(), new InitialisationSpec()), signature, "", 0, "",
                new Dictionary<string, IReadOnlyDictionary<string, double>>(), DateTimeOffset.UnixEpoch);
            var (requests, time) = (Interlocked.Read(ref _requests), Stopwatch.GetElapsedTime(0, Interlocked.Read(ref _ticks)));
            DateTimeOffset? last = Interlocked.Read(ref _last) is var ticks and > 0 ? new DateTimeOffset(ticks, TimeSpan.Zero) : null;
            return new ServedVersion(
                version, [.. names.Select(Tensor)], [.. names.Select(name => Tensor(name.Replace("INPUT", "OUTPUT", StringComparison.Ordinal)))], [], IsLoaded ? ServingState.Ready : ServingState.Unloaded,
                IsLoaded ? null : "unloaded", 1, new ServingStatistics(requests, new Dictionary<ServingProtocol.FailureKind, long>(), Interlocked.Read(ref _samples), requests, TimeSpan.Zero, time, last));
        }
    }

    /// <summary>The place of an output.</summary>
    public int OutputOf(string name) => name == "OUTPUT1" && !IsIdentity ? 1 : 0;

    /// <summary>Computes.</summary>
    /// <exception cref="PredictionException">it is not loaded, or the samples do not fit</exception>
    public ServedPrediction Predict(ModelInput input)
    {
        if (!IsLoaded)
            throw new PredictionException(ServingProtocol.FailureKind.Unavailable, [new Fault("", $"{Version.Id} was unloaded; load it first")]);
        var started = Stopwatch.GetTimestamp();
        if (input is not ModelInput.Raw { Samples: RawSamples.Table table })
            throw Refusal.Invalid("inputs", $"'{Name}' takes {string.Join(" and ", Version.Inputs.Select(tensor => tensor.Name))}");
        var values = IsIdentity ? (IReadOnlyList<Array>)[table.Rows.SelectMany(row => row.Select((cell, column) => cell ?? throw Missing(table, column))).ToArray()] : SumAndDifference(table);
        Interlocked.Increment(ref _requests);
        Interlocked.Add(ref _samples, table.Count);
        Interlocked.Add(ref _ticks, Stopwatch.GetTimestamp() - started);
        Interlocked.Exchange(ref _last, DateTimeOffset.UtcNow.Ticks);
        return new ExamplePrediction(this, values, [table.Count, table.Columns.Count / Version.Inputs.Count]);
    }

    private PredictionException Missing(RawSamples.Table table, int column) => Refusal.Invalid(PlaceOf(table, column), "a value is missing");

    // a row has the cells of one input, then those of the other
    private string PlaceOf(RawSamples.Table table, int column) => $"{table.Columns[column]}, element {(IsIdentity ? column : column % Width)} of a sample";

    private IReadOnlyList<Array> SumAndDifference(RawSamples.Table table)
    {
        var (sums, differences) = (new int[table.Count * Width], new int[table.Count * Width]);
        foreach (var (row, cells) in table.Rows.Index())
        {
            for (var i = 0; i < Width; i++)
            {
                var (left, right) = (NumberOf(table, cells, i), NumberOf(table, cells, Width + i));
                var at = (row * Width) + i;
                (sums[at], differences[at]) = unchecked(Type == DataType.Int8 ? ((sbyte)(left + right), (sbyte)(left - right)) : (left + right, left - right));
            }
        }
        return Type == DataType.Bytes ? [Texts(sums), Texts(differences)] : [sums, differences];
    }

    private int NumberOf(RawSamples.Table table, IReadOnlyList<string?> cells, int column)
    {
        var type = Type == DataType.Int8 ? DataType.Int8 : DataType.Int32;
        var (least, most) = Numbers.RangeOf(type);
        var cell = cells[column] ?? throw Missing(table, column);
        return int.TryParse(cell, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= least && number <= (long)most
            ? number
            : throw Refusal.Invalid(PlaceOf(table, column), $"'{Refusal.Shown(cell)}' is no {DataTypes.NameOf(type)}");
    }

    private static string[] Texts(int[] numbers) => [.. numbers.Select(number => number.ToString(CultureInfo.InvariantCulture))];

    private TensorSignature Tensor(string name) => new(name, DataTypes.NameOf(Type), [-1, IsIdentity ? -1 : Width]);
}
