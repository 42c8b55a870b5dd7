using System.Text.Json;
using System.Text.Json.Serialization;
using ClusterNet.Core.Data;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Serialization;

/// <summary>
/// Core's specs as JSON text. They grow with every release and are read by people who look into a store, so they are text within the protobuf messages: a property that is not there takes its
/// default, one that is not known is passed over.
/// </summary>
internal static class SpecJson
{
    private static readonly JsonSerializerOptions Options = new()
    {
        IgnoreReadOnlyProperties = true,
        IncludeFields = true,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Converters = { new JsonStringEnumConverter(namingPolicy: null, allowIntegerValues: false), new SettingConverter() },
    };

    public static string Write(JobSpec spec) => JsonSerializer.Serialize(spec, Options);

    public static string Write(TrainingSpec spec) => JsonSerializer.Serialize(spec, Options);

    public static string Write(ModelSpec spec) => JsonSerializer.Serialize(spec, Options);

    public static string Write(LossSpec spec) => JsonSerializer.Serialize(spec, Options);

    public static string Write(DataSignature signature) => JsonSerializer.Serialize(signature, Options);

    public static JobSpec ReadJob(string json) => Read<JobSpec>(json);

    public static TrainingSpec ReadTraining(string json) => Read<TrainingSpec>(json);

    public static ModelSpec ReadModel(string json) => Read<ModelSpec>(json);

    public static LossSpec ReadLoss(string json) => Read<LossSpec>(json);

    public static DataSignature ReadSignature(string json) => Read<DataSignature>(json);

    private static T Read<T>(string json) => JsonSerializer.Deserialize<T>(json, Options) ?? throw new FormatException($"{typeof(T).Name} is null");

    private sealed class SettingConverter : JsonConverter<SettingValue>
    {
        public override bool CanConvert(Type typeToConvert) => typeToConvert.IsAssignableTo(typeof(SettingValue));

        public override SettingValue Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.TokenType switch
        {
            JsonTokenType.String => new SettingValue.Scalar(reader.GetString()!),
            JsonTokenType.StartArray => new SettingValue.List(JsonSerializer.Deserialize<List<SettingValue>>(ref reader, options)!),
            JsonTokenType.StartObject => new SettingValue.Map(JsonSerializer.Deserialize<Dictionary<string, SettingValue>>(ref reader, options)!),
            _ => throw new JsonException("a text, a list or a map belongs here"),
        };

        public override void Write(Utf8JsonWriter writer, SettingValue value, JsonSerializerOptions options)
        {
            switch (value)
            {
                case SettingValue.Scalar scalar:
                    writer.WriteStringValue(scalar.Text);
                    break;
                case SettingValue.List list:
                    JsonSerializer.Serialize(writer, list.Items, options);
                    break;
                case SettingValue.Map map:
                    JsonSerializer.Serialize(writer, map.Entries, options);
                    break;
            }
        }
    }
}
