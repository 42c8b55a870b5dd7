using System.Text.Json;
using System.Text.Unicode;
using ClusterNet.Core.Faults;
using ClusterNet.Data.Sources;

namespace ClusterNet.Data.Requests;

/// <summary>
/// Samples as JSON: an array of objects with the features by name; one such object; an array of arrays of numbers, nested as the samples are shaped; one flat array
/// of numbers, a single sample. Or an object with any of these as <c>samples</c>, and for arrays their <c>targets</c>. <c>null</c> is a missing value.
/// </summary>
internal static class JsonSamples
{
    private const string SamplesName = "samples";
    private const string TargetsName = "targets";
    private const int MaxAxes = 4;

    /// <summary>All samples.</summary>
    public static RawSamples Read(byte[] bytes, string name, RawSampleOptions options)
    {
        var text = bytes.AsMemory();
        if (text.Span.StartsWith("\uFEFF"u8))
            text = text[3..];
        CheckEncoding(text.Span, name);
        try
        {
            using var document = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 16, AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip, AllowDuplicateProperties = false });
            return Read(document.RootElement, name, options);
        }
        catch (JsonException exception)
        {
            throw new InputException(exception.LineNumber is { } line ? $"{name}:{line + 1}" : name, $"not JSON: {exception.Message}");
        }
        catch (InvalidOperationException exception)
        {
            // the only texts that JSON can hold and nobody can read
            throw new InputException(name, $"a text in it is no Unicode, it has half of a surrogate pair (such as \\ud83d without what belongs behind it): {exception.Message}");
        }
    }

    private static RawSamples Read(JsonElement root, string name, RawSampleOptions options)
    {
        var samples = root;
        JsonElement? targets = null;
        if (root.ValueKind == JsonValueKind.Object && root.TryGetProperty(SamplesName, out var given))
        {
            foreach (var other in root.EnumerateObject().Where(property => property.Name is not (SamplesName or TargetsName)))
                throw new InputException([Fault.Unknown(name, other.Name, [SamplesName, TargetsName])]);
            samples = given;
            targets = root.TryGetProperty(TargetsName, out var values) ? values : null;
        }
        return samples.ValueKind switch
        {
            JsonValueKind.Object => Rows([samples], name),
            JsonValueKind.Array when samples.GetArrayLength() == 0 => throw new InputException(name, "no samples; there is nothing to predict"),
            JsonValueKind.Array when samples.GetArrayLength() > options.MaxSamples && samples[0].ValueKind is JsonValueKind.Object or JsonValueKind.Array =>
                throw new InputException(name, $"{samples.GetArrayLength()} samples; at most {options.MaxSamples} are read at once"),
            JsonValueKind.Array when samples[0].ValueKind == JsonValueKind.Object && targets is null => Rows([.. samples.EnumerateArray()], name),
            JsonValueKind.Array when samples[0].ValueKind == JsonValueKind.Object => throw new InputException(name, $"'{TargetsName}' goes with arrays of numbers; give the target of an object by its name in it"),
            JsonValueKind.Array => Values(samples, targets, name),
            _ => throw new InputException(name, "an array of objects or of arrays of numbers belongs here, or an object with one as 'samples'"),
        };
    }

    private static void CheckEncoding(ReadOnlySpan<byte> text, string name)
    {
        if (Utf8.IsValid(text))
            return;
        var line = 1;
        foreach (var range in text.Split((byte)'\n'))
        {
            if (!Utf8.IsValid(text[range]))
                throw new InputException($"{name}:{line}", "is not UTF-8; save the file as UTF-8");
            line++;
        }
    }

    private static RawSamples.Table Rows(IReadOnlyList<JsonElement> samples, string name)
    {
        var faults = new FaultList();
        var index = new WordIndex();
        var rows = new List<string?[]>(samples.Count);
        for (var i = 0; i < samples.Count && !faults.IsFull; i++)
        {
            if (samples[i].ValueKind != JsonValueKind.Object)
            {
                faults.Add($"{name}:samples[{i}]", $"{Shown(samples[i])} among objects; all samples must be objects with the features by name");
                continue;
            }
            var row = new string?[index.Words.Count];
            foreach (var property in samples[i].EnumerateObject())
            {
                var column = index.CodeOf(property.Name);
                if (column >= row.Length)
                    Array.Resize(ref row, index.Words.Count);
                if (property.Value.ValueKind is JsonValueKind.Array or JsonValueKind.Object)
                    faults.Add($"{name}:samples[{i}].{property.Name}", $"{Shown(property.Value)} where a number, a text or null belongs");
                else
                    row[column] = Text(property.Value);
            }
            rows.Add(row);
        }
        faults.ThrowIfAny();
        var columns = index.Words;
        return new RawSamples.Table(columns, [.. rows.Select(row => row.Length == columns.Count ? row : [.. row, .. new string?[columns.Count - row.Length]])]);
    }

    private static RawSamples.Array Values(JsonElement samples, JsonElement? targets, string name)
    {
        var shape = new List<int>();
        for (var level = samples; level.ValueKind == JsonValueKind.Array; level = level[0])
        {
            shape.Add(level.GetArrayLength());
            if (shape[^1] == 0 || shape.Count > MaxAxes)
                throw new InputException(name, shape[^1] == 0 ? "an empty array is no sample" : $"more than {MaxAxes} nested arrays");
        }
        var values = new Chunks<float>();
        Append(samples, 0, "samples");
        // one flat array is one sample
        if (shape.Count == 1)
            shape.Insert(0, 1);
        return new RawSamples.Array([.. shape.Skip(1)], values.Take(), Targets(targets, name));

        void Append(JsonElement element, int depth, string path)
        {
            if (depth < shape.Count)
            {
                if (element.ValueKind != JsonValueKind.Array || element.GetArrayLength() != shape[depth])
                    throw new InputException($"{name}:{path}", $"{Shown(element)} where an array of {shape[depth]} belongs, as in the first sample");
                foreach (var (index, item) in element.EnumerateArray().Index())
                    Append(item, depth + 1, $"{path}[{index}]");
            }
            else if (element.ValueKind == JsonValueKind.Null)
            {
                values.Add(float.NaN);
            }
            else if (element.ValueKind == JsonValueKind.Number && element.TryGetSingle(out var number) && float.IsFinite(number))
            {
                values.Add(number);
            }
            else
            {
                throw new InputException($"{name}:{path}", $"{Shown(element)} where a finite number (or null) belongs; features with names go in objects");
            }
        }
    }

    private static string[] Targets(JsonElement? targets, string name)
    {
        if (targets is not { } given)
            return [];
        if (given.ValueKind != JsonValueKind.Array || given.EnumerateArray().Any(item => item.ValueKind is not (JsonValueKind.Number or JsonValueKind.String or JsonValueKind.True or JsonValueKind.False)))
            throw new InputException($"{name}:{TargetsName}", "an array with a number or a text for each sample belongs here");
        return [.. given.EnumerateArray().Select(item => Text(item)!)];
    }

    private static string? Text(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Null => null,
        JsonValueKind.String => element.GetString(),
        _ => element.GetRawText(),
    };

    private static string Shown(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Array => $"an array of {element.GetArrayLength()}",
        JsonValueKind.Object => "an object",
        _ => Cells.Shown(element.GetRawText()),
    };
}
