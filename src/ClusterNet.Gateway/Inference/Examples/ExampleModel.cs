using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Data;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Gateway.Inference.Examples;

/// <summary>One of the examples. It has one version and no weights.</summary>
internal abstract class ExampleModel
{
    /// <summary>The one version of each.</summary>
    public const string OnlyVersion = "1";

    private const string BatchName = "max_batch_size";
    private const int UsualMaxBatch = 8;
    private const int MostMaxBatch = 1 << 16;

    private readonly ModelVersion _model;
    private readonly int _maxBatch;
    private long _requests;
    private long _samples;
    private long _ticks;
    private long _last;

    /// <summary>An example.</summary>
    /// <param name="name">unique</param>
    /// <param name="inputs">with the batch axis first</param>
    /// <param name="outputs">as well</param>
    /// <param name="maxBatch">the most samples of a request, where no configuration says otherwise; 0 where tensors have no batch axis</param>
    protected ExampleModel(string name, IReadOnlyList<TensorSignature> inputs, IReadOnlyList<TensorSignature> outputs, int maxBatch = UsualMaxBatch)
    {
        (Name, Inputs, Outputs) = (name, inputs, outputs);
        MaxBatch = _maxBatch = maxBatch;
        var width = inputs.Sum(input => Math.Max(1, input.Shape[^1]));
        var signature = new DataSignature(LearningTask.Regression, [.. inputs.Select(input => input.Name)], [(int)width], [], outputs[0].Name);
        _model = new ModelVersion(
            new ModelVersionId(name, 1), new JobId("example"), 0, 0, new ModelSpec("example", new Dictionary<string, SettingValue>(), new InitialisationSpec()), signature, "", 0, "",
            new Dictionary<string, IReadOnlyDictionary<string, double>>(), DateTimeOffset.UnixEpoch);
    }

    /// <summary>Unique.</summary>
    public string Name { get; }

    /// <summary>What it takes.</summary>
    public IReadOnlyList<TensorSignature> Inputs { get; }

    /// <summary>What it answers.</summary>
    public IReadOnlyList<TensorSignature> Outputs { get; }

    /// <summary>Whether it answers.</summary>
    public bool IsLoaded { get; private set; } = true;

    /// <summary>The most samples of a request; 0 where tensors have no batch axis.</summary>
    public int MaxBatch { get; private set; }

    /// <summary>As it is now.</summary>
    public ServedVersion Version
    {
        get
        {
            var (requests, time) = (Interlocked.Read(ref _requests), Stopwatch.GetElapsedTime(0, Interlocked.Read(ref _ticks)));
            DateTimeOffset? last = Interlocked.Read(ref _last) is var ticks and > 0 ? new DateTimeOffset(ticks, TimeSpan.Zero) : null;
            return new ServedVersion(
                _model, Inputs, Outputs, [], IsLoaded ? ServingState.Ready : ServingState.Unloaded, IsLoaded ? null : "unloaded", 1,
                new ServingStatistics(requests, new Dictionary<ServingProtocol.FailureKind, long>(), Interlocked.Read(ref _samples), requests, TimeSpan.Zero, time, last));
        }
    }

    /// <summary>Whether a version is that of this model.</summary>
    public bool Is(ServedVersion version) => ReferenceEquals(version.Version, _model);

    /// <summary>Loads it, as it is or with a configuration of the caller's.</summary>
    /// <param name="config">JSON, of which <c>max_batch_size</c> is taken; null for none</param>
    /// <exception cref="PredictionException">it is no such configuration; the model stays as it was</exception>
    public void Load(string? config)
    {
        MaxBatch = config is null ? _maxBatch : BatchOf(config);
        IsLoaded = true;
    }

    /// <summary>Lets it go.</summary>
    public void Unload() => IsLoaded = false;

    /// <summary>Computes.</summary>
    /// <param name="input">the samples</param>
    /// <param name="step">which of a sequence it is; null where it is none</param>
    /// <exception cref="PredictionException">it is not loaded, or the samples do not fit</exception>
    public ServedPrediction Predict(ModelInput input, SequenceStep? step = null)
    {
        CheckLoaded();
        var started = Stopwatch.GetTimestamp();
        if (input.Count > MaxBatch)
            throw Refusal.Invalid("inputs", $"{input.Count} samples; '{Name}' takes at most {MaxBatch} ({BatchName})");
        var answer = Compute(input, step);
        Count(input.Count, started);
        return answer;
    }

    /// <summary>An output of given values.</summary>
    public OutputTensor OutputOf(int index, Array values, long[] shape, bool isBinary) => values switch
    {
        int[] integers => new OutputTensor.Integers(Outputs[index].Name, shape, integers, DataTypes.Parse(Outputs[index].Type, ""), isBinary),
        _ => new OutputTensor.Texts(Outputs[index].Name, shape, (string[])values, isBinary),
    };

    /// <summary>Computes what fits.</summary>
    protected abstract ExamplePrediction Compute(ModelInput input, SequenceStep? step);

    /// <summary>The samples are not those of its inputs.</summary>
    protected PredictionException OtherInputs() => Refusal.Invalid("inputs", $"'{Name}' takes {string.Join(" and ", Inputs.Select(tensor => tensor.Name))}");

    /// <exception cref="PredictionException">it is not loaded</exception>
    protected void CheckLoaded()
    {
        if (!IsLoaded)
            throw new PredictionException(ServingProtocol.FailureKind.Unavailable, [new Fault("", $"{Version.Id} was unloaded; load it first")]);
    }

    /// <summary>Counts a request.</summary>
    protected void Count(int samples, long started)
    {
        Interlocked.Increment(ref _requests);
        Interlocked.Add(ref _samples, samples);
        Interlocked.Add(ref _ticks, Stopwatch.GetTimestamp() - started);
        Interlocked.Exchange(ref _last, DateTimeOffset.UtcNow.Ticks);
    }

    /// <summary>A cell as a whole number of a type.</summary>
    /// <exception cref="PredictionException">it is none</exception>
    protected static int NumberOf(string? cell, DataType type, string place)
    {
        var (least, most) = Numbers.RangeOf(type);
        if (cell is null)
            throw Refusal.Invalid(place, "a value is missing");
        return int.TryParse(cell, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= least && number <= (long)most
            ? number
            : throw Refusal.Invalid(place, $"'{Refusal.Shown(cell)}' is no {DataTypes.NameOf(type)}");
    }

    private int BatchOf(string config)
    {
        const string Place = "parameters.config";
        try
        {
            using var document = JsonDocument.Parse(config, new JsonDocumentOptions { MaxDepth = 8 });
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw Refusal.Invalid(Place, "a JSON object belongs here");
            if (document.RootElement.EnumerateObject().FirstOrDefault(property => property.Name != BatchName) is { Value.ValueKind: not JsonValueKind.Undefined } other)
                throw Refusal.Invalid(Place, $"'{Refusal.Shown(other.Name)}' can't be changed; of an example '{BatchName}' can");
            if (!document.RootElement.TryGetProperty(BatchName, out var size))
                return _maxBatch;
            if (_maxBatch == 0)
                throw Refusal.Invalid($"{Place}.{BatchName}", $"'{Name}' takes no batches");
            var text = size.ValueKind == JsonValueKind.String ? size.GetString()! : size.GetRawText();
            return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is >= 1 and <= MostMaxBatch
                ? number
                : throw Refusal.Invalid($"{Place}.{BatchName}", $"{Refusal.Shown(text)} is not within 1 to {MostMaxBatch}");
        }
        catch (JsonException)
        {
            throw Refusal.Invalid(Place, "not JSON");
        }
        catch (InvalidOperationException)
        {
            throw Refusal.Invalid(Place, "not JSON: a text has escapes that are no Unicode");
        }
    }
}
