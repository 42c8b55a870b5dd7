using System.Text.Json;
using System.Text.Json.Serialization;
using ClusterNet.Core.Data;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data.Sources;

namespace ClusterNet.Data.Preparation;

/// <summary>Everything that was fitted on the training part; the same object prepares training data and prediction requests.</summary>
public sealed class FittedPreparation
{
    /// <summary>The most characters of JSON that <see cref="FromJson"/> reads.</summary>
    public const int MaxJsonLength = 64 << 20;

    private const int Version = 1;

    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.KebabCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        AllowDuplicateProperties = false,
        MaxDepth = 16,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false) },
    };

    private readonly InputPreparation _inputs;
    private readonly IReadOnlyList<string> _missing;

    internal FittedPreparation(DataSignature signature, InputPreparation inputs, IReadOnlyList<string> missing)
    {
        Signature = signature;
        _inputs = inputs;
        _missing = missing;
    }

    /// <summary>What a model sees.</summary>
    public DataSignature Signature { get; }

    /// <summary>What a request gives, in order: each column of a table, or the one array.</summary>
    public IReadOnlyList<RawInput> Inputs => _inputs switch
    {
        TablePreparation table => [.. table.Columns.Select(column => new RawInput(column.Name, Categories: (column as ColumnPreparation.Category)?.Categories))],
        ArrayPreparation array => [new RawInput(array.Name, Shape: array.SourceShape)],
        _ => [],
    };

    /// <summary>Reads what <see cref="ToJson"/> wrote; every number comes back with the same bits.</summary>
    /// <exception cref="FormatException">it is not such a document, or was damaged</exception>
    public static FittedPreparation FromJson(string json)
    {
        ArgumentNullException.ThrowIfNull(json);
        if (json.Length > MaxJsonLength)
            throw new FormatException($"a preparation of {json.Length} characters: at most {MaxJsonLength} are read");
        Document? document;
        try
        {
            document = JsonSerializer.Deserialize<Document>(json, Json);
        }
        catch (Exception exception) when (exception is JsonException or NotSupportedException)
        {
            throw new FormatException($"not a fitted preparation: {exception.Message}", exception);
        }
        if (document is null || document.Version != Version)
            throw new FormatException($"a preparation of version {document?.Version}: this program reads version {Version}");
        var signature = document.Signature;
        if (!IsConsistent(document))
            throw new FormatException("the preparation contradicts itself: it was damaged or changed by hand");
        return new FittedPreparation(signature, document.Inputs, document.Missing);
    }

    /// <summary>A JSON document that <see cref="FromJson"/> reads; the same text for the same preparation.</summary>
    public string ToJson() => JsonSerializer.Serialize(new Document(Version, Signature, _inputs, _missing), Json);

    /// <summary>Prepares samples exactly as the training data was prepared. Ids are 0 to count - 1.</summary>
    /// <param name="raw">a table with at least the columns <see cref="DataSignature.InputNames"/>, or an array of the model's or the source's shape</param>
    /// <param name="withTargets">whether the targets are there and needed, as for an evaluation</param>
    /// <exception cref="InputException">a missing column, a cell that is no number, a wrong shape, an unknown class, a value still missing after preparation</exception>
    public SampleSet Prepare(RawSamples raw, bool withTargets)
    {
        ArgumentNullException.ThrowIfNull(raw);
        var frame = RequestFrame.Of(raw, _inputs, Signature, withTargets, new Cells(_missing));
        var rows = new int[frame.Count];
        for (var i = 0; i < rows.Length; i++)
            rows[i] = i;
        return Prepare(frame, rows, withTargets);
    }

    /// <summary>Prepares some samples of a source; their positions in it are their ids.</summary>
    internal SampleSet Prepare(Frame frame, int[] rows, bool withTargets)
    {
        if ((long)rows.Length * _inputs.Elements > Array.MaxLength)
            throw new InputException("data", $"{rows.Length} samples of {_inputs.Elements} values are more than one array holds; use fewer samples or columns");
        var faults = new FaultList();
        var features = _inputs.Apply(frame, rows, faults);
        int[] labels = [];
        float[] values = [];
        if (withTargets && Signature.Task == LearningTask.Classification)
            labels = Labels((WordColumn)frame.Target!, rows, frame.Places, faults);
        else if (withTargets)
            values = [.. rows.Select(row => ((NumberColumn)frame.Target!).Values[row])];
        faults.ThrowIfAny();
        return new SampleSet(Signature.Shape, features, labels, values, rows);
    }

    /// <summary>Refuses a source whose columns or shape are not those this was fitted on.</summary>
    internal void CheckFits(Frame frame, DataSpec spec)
    {
        var fits = (frame.Features, _inputs) switch
        {
            (TableFeatures table, TablePreparation fitted) => table.Columns.Select(column => (column.Name, column is WordColumn))
                .SequenceEqual(fitted.Columns.Select(column => (column.Name, column.Role == ColumnRole.Category))),
            (ArrayFeatures array, ArrayPreparation fitted) => array.Shape.SequenceEqual(fitted.SourceShape),
            _ => false,
        };
        if (!fits || (frame.Target is WordColumn) != (Signature.Task == LearningTask.Classification))
            throw new InputException(spec.Source, $"its columns are no longer those the preparation was fitted on ({string.Join(", ", Signature.InputNames.Take(40))}); restore the file, or start a new job");
    }

    private static bool IsConsistent(Document document)
    {
        var (signature, inputs) = (document.Signature, document.Inputs);
        try
        {
            return inputs.IsUsable
                && signature.Shape.All(axis => axis > 0)
                && signature.Shape.Aggregate(1, (product, axis) => checked(product * axis)) == inputs.Elements
                && signature.Classes.Distinct(StringComparer.Ordinal).Count() == signature.Classes.Count
                && (signature.Task == LearningTask.Classification) == (signature.Classes.Count > 0)
                && signature.InputNames.SequenceEqual(inputs switch
                {
                    TablePreparation table => table.Columns.Select(column => column.Name),
                    ArrayPreparation array => [array.Name],
                    _ => [],
                });
        }
        catch (OverflowException)
        {
            return false;
        }
    }

    private int[] Labels(WordColumn target, int[] rows, SamplePlaces places, FaultList faults)
    {
        var positions = Signature.Classes.Index().ToDictionary(pair => pair.Item, pair => pair.Index, StringComparer.Ordinal);
        var indexOf = target.Words.Select(word => positions.GetValueOrDefault(word, -1)).ToArray();
        var labels = new int[rows.Length];
        for (var i = 0; i < rows.Length && !faults.IsFull; i++)
        {
            var code = target.Codes[rows[i]];
            labels[i] = code < 0 ? -1 : indexOf[code];
            if (labels[i] < 0)
                faults.AddUnknown(places[rows[i]], $"class in '{target.Name}'", target[rows[i]] ?? "", "what the model was trained on", Signature.Classes);
        }
        return labels;
    }

    private sealed record Document(int Version, DataSignature Signature, InputPreparation Inputs, IReadOnlyList<string> Missing);
}

/// <summary>One raw input of a model.</summary>
/// <param name="Name">of the column or array</param>
/// <param name="Shape">of one sample of an array; null for a column</param>
/// <param name="Categories">of a column of categories; null for numbers</param>
public sealed record RawInput(string Name, IReadOnlyList<int>? Shape = null, IReadOnlyList<string>? Categories = null);
