using ClusterNet.Core.Faults;

namespace ClusterNet.Core.Jobs;

public static partial class JobReader
{
    private const int MaxColumns = 100_000;
    private const int MaxSteps = 64;
    private const int MaxAxes = 8;
    private const int MaxElements = 1 << 26;

    private static DataSpec ReadData(SettingReader reader, SourceFolder? folder)
    {
        var source = reader.Text("source");
        var format = reader.Choice("format", JobWords.Formats);
        if (string.IsNullOrWhiteSpace(source))
        {
            reader.Fault("source", $"{(reader.Has("source") ? "empty" : "missing")}: the path of a file or folder, or {string.Join(", ", JobWords.Builtin)}");
        }
        else
        {
            (source, format) = Locate(reader, source, format, folder);
        }

        var known = format ?? DataFormat.Csv;
        var task = reader.Choice("task", LearningTask.Classification, JobWords.Tasks);
        var data = new DataSpec(source ?? "", known, task)
        {
            Target = reader.Text("target") ?? (known == DataFormat.Npz ? "y" : "target"),
            Features = Names(reader, "features"),
            Exclude = Names(reader, "exclude"),
            Categorical = Names(reader, "categorical"),
            FeatureArray = reader.Text("feature-array", "X")!,
            Shape = ReadShape(reader),
            Csv = ReadCsv(Section(reader, "csv"), source),
            Images = ReadImages(Section(reader, "images")),
            Split = ReadSplit(SectionOrWord(reader, "split", "kind"), task),
            Preparation = ReadPreparation(reader),
        };
        if (data.Target.Length == 0)
            reader.Fault("target", "empty: give the column or array to predict");
        if (data.FeatureArray.Length == 0)
            reader.Fault("feature-array", "empty: give the array that holds the samples");
        reader.Finish();
        return data;
    }

    private static (string Source, DataFormat? Format) Locate(SettingReader reader, string source, DataFormat? format, SourceFolder? folder)
    {
        if (source.StartsWith("builtin:", StringComparison.Ordinal))
        {
            if (!JobWords.Builtin.Contains(source))
                reader.Faults.Add(Fault.Unknown(reader.PathOf("source"), source, JobWords.Builtin));
            return (source, format ?? DataFormat.Csv);
        }
        if (source.Contains('\0', StringComparison.Ordinal))
        {
            reader.Fault("source", "not a path: it holds a zero character");
            return (source, format);
        }
        if (folder is null)
            return (source, format ?? InferFormat(source));
        var path = Path.GetFullPath(source, Path.GetFullPath(folder.Path));
        if (folder.IsElsewhere)
        {
            // a name without an ending is a folder's; the nodes will see
            format ??= InferFormat(path) ?? (Path.HasExtension(path) ? null : DataFormat.Images);
            if (format is null)
                FormatUnknown();
            return (path, format);
        }
        var isFolder = Directory.Exists(path);
        if (!isFolder && !File.Exists(path))
        {
            reader.Fault("source", $"there is no file or folder '{path}'");
            return (path, format ?? InferFormat(path));
        }
        if (!isFolder)
            path = Path.TrimEndingDirectorySeparator(path);
        format ??= isFolder ? DataFormat.Images : InferFormat(path);
        if (format is null)
            FormatUnknown();
        else if (isFolder && format != DataFormat.Images)
            reader.Fault("source", $"'{path}' is a folder, but the format {JobWords.Of(JobWords.Formats, format.Value)} is read from a file");
        else if (!isFolder && format == DataFormat.Images)
            reader.Fault("source", $"'{path}' is a file, but the format images is read from a folder with one subfolder for each class");
        return (path, format);

        void FormatUnknown() => reader.Fault("format", $"can't be told from the name '{Path.GetFileName(path)}': give csv, npz or images");
    }

    private static DataFormat? InferFormat(string path) => Path.GetExtension(path).ToLowerInvariant() switch
    {
        ".csv" or ".tsv" or ".data" or ".txt" => DataFormat.Csv,
        ".npz" => DataFormat.Npz,
        _ => null,
    };

    private static IReadOnlyList<string> Names(SettingReader reader, string name)
    {
        var names = reader.Texts(name);
        if (names.Count > MaxColumns)
            reader.Fault(name, $"{names.Count} names; at most {MaxColumns} can be given");
        foreach (var twice in names.GroupBy(text => text, StringComparer.Ordinal).Where(group => group.Count() > 1))
            reader.Fault(name, $"'{twice.Key}' is named {twice.Count()} times");
        return names;
    }

    private static IReadOnlyList<int> ReadShape(SettingReader reader)
    {
        var shape = reader.Integers("shape", 1, MaxElements);
        if (shape.Count > MaxAxes)
            reader.Fault("shape", $"{shape.Count} axes; at most {MaxAxes} are possible");
        else if (shape.Aggregate(1L, (product, axis) => Math.Min(product * axis, long.MaxValue / MaxElements)) > MaxElements)
            reader.Fault("shape", $"more than {MaxElements} values a sample");
        return shape;
    }

    private static CsvSpec ReadCsv(SettingReader reader, string? source)
    {
        var fallback = source is not null && source.EndsWith(".tsv", StringComparison.OrdinalIgnoreCase) ? '\t' : ',';
        var delimiter = Character(reader, "delimiter", fallback);
        var quote = Character(reader, "quote", '"');
        var header = reader.Truth("header", true);
        var missing = reader.Has("missing") ? reader.Texts("missing") : null;
        if (delimiter == quote)
            reader.Fault("delimiter", $"'{delimiter}' is the quote as well");
        reader.Finish();
        return new CsvSpec(delimiter, header, quote, missing);
    }

    private static char Character(SettingReader reader, string name, char fallback)
    {
        var text = reader.Text(name);
        switch (text)
        {
            case null:
                return fallback;
            case "tab" or "\\t":
                return '\t';
            case "space":
                return ' ';
            case { Length: 1 } when text[0] is not ('\r' or '\n' or '\0'):
                return text[0];
            default:
                reader.Fault(name, $"'{Shorten(text)}' is not one character (write tab or space for those two)");
                return fallback;
        }
    }

    private static ImageSpec ReadImages(SettingReader reader)
    {
        var images = new ImageSpec(reader.Integer("height", 0, 0, 8192), reader.Integer("width", 0, 0, 8192), reader.Integer("channels", 1, 1, 3));
        if (images.Channels == 2)
            reader.Fault("channels", "2 is not possible: 1 (grey) or 3 (colour)");
        reader.Finish();
        return images;
    }

    private static SplitSpec ReadSplit(SettingReader reader, LearningTask task)
    {
        var kind = reader.Choice("kind", task == LearningTask.Classification ? SplitKind.Stratified : SplitKind.Random, JobWords.Splits);
        var split = new SplitSpec(kind)
        {
            Validation = reader.Number("validation", 0.15, 0, 1),
            Test = reader.Number("test", 0.15, 0, 1),
            Seed = reader.Integer("seed", 0L),
            Column = reader.Text("column"),
            TestGroups = Names(reader, "test-groups"),
            ValidationGroups = Names(reader, "validation-groups"),
        };
        reader.Finish();
        return split;
    }

    private static List<PreparationSpec> ReadPreparation(SettingReader reader)
    {
        switch (reader.Raw("preparation"))
        {
            case null or SettingValue.Scalar { Text: "none" }:
                return [];
            case SettingValue.List { Items.Count: <= MaxSteps } list:
                var steps = new List<PreparationSpec>();
                for (var i = 0; i < list.Items.Count; i++)
                {
                    if (ReadStep(list.Items[i], $"{reader.PathOf("preparation")}[{i}]", reader.Faults) is { } step)
                        steps.Add(step);
                }
                return steps;
            case SettingValue.List list:
                reader.Fault("preparation", $"{list.Items.Count} steps; at most {MaxSteps} are possible");
                return [];
            default:
                reader.Fault("preparation", "a list of steps belongs here, each on a line of its own after a dash: '- standardize'");
                return [];
        }
    }

    private static PreparationSpec? ReadStep(SettingValue item, string path, ICollection<Fault> faults)
    {
        var (word, body) = item switch
        {
            SettingValue.Scalar scalar => (scalar.Text, null),
            SettingValue.Map { Entries.Count: 1 } map => (map.Entries.First().Key, map.Entries.First().Value),
            _ => (null, null),
        };
        if (word is null)
        {
            faults.Add(new Fault(path, "one step belongs here, e.g. 'standardize' or 'impute: {strategy: median}'"));
            return null;
        }
        if (!JobWords.Preparations.TryGetValue(word, out var kind))
        {
            faults.Add(Fault.Unknown(path, word, [.. JobWords.Preparations.Keys]));
            return null;
        }

        // '- scale: 255', '- impute: median' and '- labels: [no, yes]' are short for the one setting that matters
        var key = kind switch
        {
            PreparationKind.Impute => "strategy",
            PreparationKind.MinMax => "range",
            PreparationKind.Labels => "classes",
            PreparationKind.Scale => "by",
            _ => "columns",
        };
        var entries = body switch
        {
            null or SettingValue.Scalar { Text: "" } => new Dictionary<string, SettingValue>(),
            SettingValue.Map map => map.Entries,
            _ => new Dictionary<string, SettingValue> { [key] = body },
        };
        var reader = new SettingReader(entries, body is null ? path : $"{path}.{word}", faults);
        var step = ReadStep(kind, reader);
        reader.Finish();
        return step;
    }

    private static PreparationSpec ReadStep(PreparationKind kind, SettingReader reader)
    {
        var step = new PreparationSpec(kind, kind == PreparationKind.Labels ? [] : Names(reader, "columns"));
        switch (kind)
        {
            case PreparationKind.Impute:
                step = step with { Strategy = reader.Choice("strategy", ImputeStrategy.Mean, JobWords.Strategies), Value = reader.Text("value") };
                if (step.Strategy == ImputeStrategy.Constant && step.Value is null)
                    reader.Fault("value", "missing: the constant to impute");
                else if (step.Strategy != ImputeStrategy.Constant && step.Value is not null)
                    reader.Fault("value", $"belongs to the strategy constant, not to {JobWords.Of(JobWords.Strategies, step.Strategy)}");
                return step;
            case PreparationKind.MinMax when reader.Has("range"):
                var range = reader.Numbers("range");
                if (range.Count == 2 && range[0] < range[1])
                    return step with { Range = (range[0], range[1]) };
                reader.Fault("range", "two numbers belong here, the lower one first: [0, 1]");
                return step;
            case PreparationKind.Labels:
                return step with { Labels = Names(reader, "classes") };
            case PreparationKind.Scale:
                if (!reader.Has("by"))
                    reader.Fault("by", "missing: the number to divide by, e.g. 255 for 8-bit pictures");
                else if (reader.Number("by") == 0)
                    reader.Fault("by", "can't divide by 0");
                return step with { Value = reader.Text("by") };
            default:
                return step;
        }
    }

    /// <summary>What relative sources are relative to.</summary>
    /// <param name="Path">a folder</param>
    /// <param name="IsElsewhere">whether other machines read the data: it is not looked for here</param>
    private sealed record SourceFolder(string Path, bool IsElsewhere);
}
