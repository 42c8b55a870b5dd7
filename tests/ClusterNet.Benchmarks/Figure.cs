using System.Text.Encodings.Web;
using System.Text.Json;

namespace ClusterNet.Benchmarks;

/// <summary>Which way is better.</summary>
internal enum Better
{
    Higher,
    Lower,
}

/// <summary>One measured number with its goal.</summary>
/// <param name="Name">what was measured, the same from run to run</param>
/// <param name="Value">median of <paramref name="Samples"/></param>
/// <param name="Goal">what it should reach; NaN where it is there to explain another</param>
/// <param name="Better">which way is better</param>
/// <param name="Unit">of value, goal and samples</param>
/// <param name="Samples">in the order they were taken</param>
internal sealed record Figure(string Name, double Value, double Goal, Better Better, string Unit, IReadOnlyList<double> Samples)
{
    private static readonly JsonSerializerOptions _options = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new System.Text.Json.Serialization.JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    public static string ToJson(IEnumerable<Figure> figures) => JsonSerializer.Serialize(figures, _options);

    /// <summary>The middle one, or the mean of the two in the middle.</summary>
    public static double Median(IReadOnlyList<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
