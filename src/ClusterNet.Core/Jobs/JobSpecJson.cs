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
    public static string Serialize(JobSpec spec)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream, _options))
        {
            writer.WriteStartObject();
            writer.WriteNumber("version", FormatVersion);
            writer.WritePropertyName("job");
            Write(writer, JobWriter.Write(spec));
            writer.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);
    }

    /// <summary>The spec that <see cref="Serialize"/> was given.</summary>
    /// <exception cref="FormatException"><paramref name="json"/> is not what <see cref="Serialize"/> writes</exception>
    public static JobSpec Deserialize(string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("version", out var version) || !root.TryGetProperty("job", out var job))
                throw new FormatException("no stored job: 'version' or 'job' is missing");
            if (version.ValueKind != JsonValueKind.Number || !version.TryGetInt32(out var number) || number != FormatVersion)
                throw new FormatException($"a stored job of version {version.GetRawText()}; this program reads version {FormatVersion}");
            if (Read(job) is not SettingValue.Map map)
                throw new FormatException("no stored job: 'job' is not an object");
            var faults = new List<Fault>();
            var spec = JobReader.ReadStored(map, faults);
            return faults.Count == 0 ? spec : throw new FormatException($"a stored job is damaged: {string.Join("; ", faults)}");
        }
        catch (Exception error) when (error is JsonException or ArgumentException)
        {
            throw new FormatException($"no stored job: {error.Message}", error);
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
