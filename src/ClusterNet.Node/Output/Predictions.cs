using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using ClusterNet.Cluster.Serving;
using Spectre.Console;

namespace ClusterNet.Node.Output;

/// <summary>A prediction as CSV, as JSON and as a table.</summary>
internal sealed class Predictions(Prediction prediction)
{
    // more columns of probabilities than this don't fit beside each other
    private const int ClassesInTable = 10;

    /// <summary>Number of samples.</summary>
    public int Count => prediction.Count;

    private bool IsClassification => prediction.Classes.Count > 0;

    /// <summary>RFC 4180 with a header: <c>sample</c> (from 1), <c>prediction</c>, and for classification <c>p(CLASS)</c> for each class.</summary>
    public string Csv()
    {
        var text = new StringBuilder();
        text.Append("sample,prediction");
        foreach (var label in prediction.Classes)
            text.Append(',').Append(Quote($"p({label})"));
        text.Append('\n');
        for (var i = 0; i < Count; i++)
        {
            text.Append(CultureInfo.InvariantCulture, $"{i + 1},").Append(prediction.ClassOf(i) is { } label ? Quote(label) : Exact(prediction[i][0]));
            if (IsClassification)
            {
                foreach (var probability in prediction[i])
                    text.Append(',').Append(Exact(probability));
            }
            text.Append('\n');
        }
        return text.ToString();
    }

    /// <summary>One document.</summary>
    public string Json()
    {
        var items = new JsonArray();
        for (var i = 0; i < Count; i++)
        {
            var outputs = prediction[i];
            if (!IsClassification)
            {
                items.Add((JsonNode)new JsonObject { ["value"] = JsonDocuments.Number(Short(outputs[0])) });
                continue;
            }
            var probabilities = new JsonObject();
            for (var index = 0; index < outputs.Length; index++)
                probabilities[prediction.Classes[index]] = JsonDocuments.Number(Short(outputs[index]));
            items.Add((JsonNode)new JsonObject { ["class"] = prediction.ClassOf(i), ["probabilities"] = probabilities });
        }
        return JsonDocuments.Text(new JsonObject
        {
            ["model"] = prediction.Version.Model,
            ["version"] = prediction.Version.Version,
            ["classes"] = JsonDocuments.Texts(prediction.Classes),
            ["predictions"] = items,
        });
    }

    /// <summary>The first samples.</summary>
    public Table Table(int most)
    {
        var classes = prediction.Classes.Count <= ClassesInTable ? prediction.Classes : [];
        var table = Tables.With([">sample", IsClassification ? "prediction" : ">prediction", .. classes.Count > 0 ? classes.Select(label => $">p({label})") : IsClassification ? [">probability"] : []]);
        for (var i = 0; i < Math.Min(most, Count); i++)
        {
            var outputs = prediction[i].ToArray();
            var probabilities = classes.Count > 0 ? outputs : IsClassification ? [outputs.Max()] : [];
            table.Row([
                Figures.Count(i + 1.0),
                prediction.ClassOf(i) ?? Exact(outputs[0]),
                .. probabilities.Select(probability => probability.ToString("0.0000", CultureInfo.InvariantCulture)),
            ]);
        }
        return table;
    }

    private static string Exact(float value) => value.ToString("R", CultureInfo.InvariantCulture);

    // 0.1f as a double is 0.10000000149: the shortest text that is the same float says what is known
    private static double Short(float value) => double.Parse(Exact(value), CultureInfo.InvariantCulture);

    private static string Quote(string text) =>
        text.AsSpan().IndexOfAny(",\"\r\n") >= 0 ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : text;
}
