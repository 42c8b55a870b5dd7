using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using ClusterNet.Core.Faults;

namespace ClusterNet.Core.Jobs;

/// <summary>
/// A job as it is stored and sent: <c>{"version":1,"job":{...}}</c> with the names of the job file, every value as text. A text is exact where a JSON number is
/// not; a setting that a later release adds takes its default; no type of .NET is named, so nothing from outside chooses one.
/// </summary>
public static class JobSpecJson
{
    private const int FormatVersion = 1;
    private static readonly JsonWriterOptions _options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The spec as JSON, without white space; the same spec gives the same bytes.</summary>
    public static string Serialize(JobSpec spec) => Serialize("job", JobWriter.Write(spec));

    /// <summary>A model's spec by itself, likewise: <c>{"version":1,"model":{...}}</c>.</summary>
    public static string Serialize(ModelSpec spec) => Serialize("model", JobWriter.Write(spec));

    /// <summary>A training spec by itself, likewise: <c>{"version":1,"training":{...}}</c>.</summary>
    public static string Serialize(TrainingSpec spec) => Serialize("training", JobWriter.Write(spec));

    /// <summary>A loss by itself, likewise: <c>{"version":1,"loss":{...}}</c>.</summary>
    public static string Serialize(LossSpec spec) => Serialize("loss", JobWriter.Write(spec));

    /// <summary>The spec that <see cref="Serialize(JobSpec)"/> was given.</summary>
    /// <exception cref="FormatException"><paramref name="json"/> is not what <see cref="Serialize(JobSpec)"/> writes</exception>
    public static JobSpec Deserialize(string json) => Deserialize(json, "job", JobReader.ReadStored);

    /// <summary>The spec that <see cref="Serialize(ModelSpec)"/> was given.</summary>
    /// <exception cref="FormatException"><paramref name="json"/> is not what <see cref="Serialize(ModelSpec)"/> writes</exception>
    public static ModelSpec DeserializeModel(string json) => Deserialize(json, "model", JobReader.ReadStoredModel);

    /// <summary>The spec that <see cref="Serialize(TrainingSpec)"/> was given.</summary>
    /// <exception cref="FormatException"><paramref name="json"/> is not what <see cref="Serialize(TrainingSpec)"/> writes</exception>
    public static TrainingSpec DeserializeTraining(string json) => Deserialize(json, "training", JobReader.ReadStoredTraining);

    /// <summary>The spec that <see cref="Serialize(LossSpec)"/> was given.</summary>
    /// <exception cref="FormatException"><paramref name="json"/> is not what <see cref="Serialize(LossSpec)"/> writes</exception>
    public static LossSpec DeserializeLoss(string json) => Deserialize(json, "loss", JobReader.ReadStoredLoss);

    private static string Serialize(string part, SettingValue.Map settings)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream, _options))
        {
            writer.WriteStartObject();
            writer.WriteNumber("version", FormatVersion);
            writer.WritePropertyName(part);
            Write(writer, settings);
            writer.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);
    }

    private static T Deserialize<T>(string json, string part, Func<SettingValue.Map, ICollection<Fault>, T> read)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("version", out var version) || !root.TryGetProperty(part, out var stored))
                throw new FormatException($"no stored {part}: 'version' or '{part}' is missing");
            if (version.ValueKind != JsonValueKind.Number || !version.TryGetInt32(out var number) || number != FormatVersion)
                throw new FormatException($"a stored {part} of version {version.GetRawText()}; this program reads version {FormatVersion}");
            if (Read(stored) is not SettingValue.Map map)
                throw new FormatException($"no stored {part}: '{part}' is not an object");
            var faults = new List<Fault>();
            var spec = read(map, faults);
            return faults.Count == 0 ? spec : throw new FormatException($"a stored {part} is damaged: {string.Join("; ", faults)}");
        }
        catch (Exception error) when (error is JsonException or ArgumentException)
        {
            throw new FormatException($"no stored {part}: {error.Message}", error);
        }
    }

    private static void Write(Utf8JsonWriter writer, SettingValue value)
    {
        switch (value)
        {
            case SettingValue.Scalar scalar:
                writer.WriteStringValue(scalar.Text);
                break;
            case SettingValue.List list:
                writer.WriteStartArray();
                foreach (var item in list.Items)
                    Write(writer, item);
                writer.WriteEndArray();
                break;
            case SettingValue.Map map:
                writer.WriteStartObject();
                foreach (var (name, entry) in map.Entries)
                {
                    writer.WritePropertyName(name);
                    Write(writer, entry);
                }
                writer.WriteEndObject();
                break;
        }
    }

    private static SettingValue Read(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.String => new SettingValue.Scalar(element.GetString()!),
        JsonValueKind.Array => new SettingValue.List([.. element.EnumerateArray().Select(Read)]),
        JsonValueKind.Object => new SettingValue.Map(element.EnumerateObject().ToDictionary(entry => entry.Name, entry => Read(entry.Value), StringComparer.Ordinal)),
        _ => throw new FormatException($"no stored job: {element.ValueKind} where text, a list or settings belong"),
    };
}
