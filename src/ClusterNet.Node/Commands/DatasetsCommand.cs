using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data.Description;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Output;
using Spectre.Console;

namespace ClusterNet.Node.Commands;

/// <summary><c>datasets describe FILE</c>: what is in a file of samples, before a job is written for it.</summary>
internal static class DatasetsCommand
{
    private const int WordsShown = 4;
    private const int RowsShown = 200;

    /// <summary>The command.</summary>
    public static Command Create(CommandLine line)
    {
        var file = new Argument<string>("FILE") { Description = "A .csv, .npz or .npy file, a folder of pictures, or builtin:wdbc, builtin:digits, builtin:xor" };
        var delimiter = new Option<string?>("--delimiter") { Description = "CSV: the character between cells, or tab [default: a comma; tab for .tsv]", HelpName = "CHAR" };
        var noHeader = new Option<bool>("--no-header") { Description = "CSV: the first row is a sample, not the columns' names" };
        var describe = new Command("describe", "Show columns, types, missing values, ranges and classes") { file, delimiter, noHeader };
        line.On(describe, (parse, run) => Task.FromResult(Describe(run, parse.GetRequiredValue(file), parse.GetValue(delimiter), parse.GetValue(noHeader))));
        return new Command("datasets", "Look into files of samples") { describe };
    }

    private static int Describe(CommandRun run, string path, string? delimiter, bool noHeader)
    {
        var character = delimiter switch
        {
            null => path.EndsWith(".tsv", StringComparison.OrdinalIgnoreCase) ? '\t' : ',',
            "tab" or "\\t" => '\t',
            { Length: 1 } => delimiter[0],
            _ => throw new InputException("--delimiter", $"'{delimiter}' is not one character (write tab for a tab)"),
        };
        var description = DatasetDescriber.Describe(path, new CsvSpec(character, !noHeader));
        if (run.Json)
        {
            run.Print(Document(description));
            return ExitCode.Done;
        }
        var output = run.Screen.Out;
        run.Screen.Line($"{description.Source}: {description.Kind}, {Figures.Count(description.Samples, "sample")}"
            + (description.Columns.Count > 0 ? $", {Figures.Count(description.Columns.Count)} columns" : ""));
        if (description.Columns.Count > 0)
            output.Write(Columns(description.Columns));
        if (description.Columns.Count > RowsShown)
            run.Screen.Line($"... and {Figures.Count(description.Columns.Count - RowsShown)} more columns; --json has all");
        if (description.Arrays.Count > 0)
            output.Write(Arrays(description.Arrays));
        if (description.Classes.Count > 0)
            output.Write(Counts("class", description.Classes.Select(item => (item.Word, item.Count))));
        if (description.Sizes.Count > 0)
            output.Write(Counts("width x height", description.Sizes.Select(size => ($"{size.Width} x {size.Height}", size.Count))));
        return ExitCode.Done;
    }

    private static Table Columns(IReadOnlyList<ColumnDescription> columns)
    {
        var table = Tables.With("column", "type", ">missing", ">distinct", ">min", ">mean", ">max", ">std", "most frequent");
        foreach (var column in columns.Take(RowsShown))
        {
            var words = column.Type == "text" || column.Distinct <= 2 * WordsShown
                ? string.Join(", ", column.MostFrequent.Take(WordsShown).Select(item => $"{Shorten(item.Word)} ({Figures.Count(item.Count)})")) + (column.Distinct > WordsShown ? ", ..." : "")
                : "";
            table.Row(
                Shorten(column.Name),
                column.Type,
                column.Missing == 0 ? "" : Figures.Count(column.Missing),
                column.Distinct >= DatasetDescriber.MostDistinct ? $"{Figures.Count(DatasetDescriber.MostDistinct)}+" : Figures.Count(column.Distinct),
                Number(column.Minimum),
                Number(column.Mean),
                Number(column.Maximum),
                Number(column.StandardDeviation),
                words);
        }
        return table;
    }

    private static Table Arrays(IReadOnlyList<ArrayDescription> arrays)
    {
        var table = Tables.With("array", "type", "shape", ">NaN", ">min", ">mean", ">max");
        foreach (var array in arrays.Take(RowsShown))
            table.Row(Shorten(array.Name), array.Type, Figures.Shape(array.Shape), array.NotNumbers == 0 ? "" : Figures.Count(array.NotNumbers), Number(array.Minimum), Number(array.Mean), Number(array.Maximum));
        return table;
    }

    private static Table Counts(string name, IEnumerable<(string Word, long Count)> items)
    {
        var table = Tables.With(name, ">samples");
        foreach (var (word, count) in items.Take(RowsShown))
            table.Row(Shorten(word), Figures.Count(count));
        return table;
    }

    private static string Number(double? value) => value?.ToString("G5", CultureInfo.InvariantCulture) ?? "";

    private static string Shorten(string text) => text.Length <= 32 ? text : string.Concat(text.AsSpan(0, 31), "…");

    private static JsonObject Document(DatasetDescription description) => new()
    {
        ["source"] = description.Source,
        ["kind"] = description.Kind,
        ["samples"] = description.Samples,
        ["columns"] = new JsonArray([.. description.Columns.Select(column => (JsonNode)new JsonObject
        {
            ["name"] = column.Name,
            ["type"] = column.Type,
            ["missing"] = column.Missing,
            ["distinct"] = column.Distinct,
            ["minimum"] = JsonDocuments.Number(column.Minimum),
            ["mean"] = JsonDocuments.Number(column.Mean),
            ["maximum"] = JsonDocuments.Number(column.Maximum),
            ["standard_deviation"] = JsonDocuments.Number(column.StandardDeviation),
            ["most_frequent"] = Words(column.MostFrequent),
        })]),
        ["arrays"] = new JsonArray([.. description.Arrays.Select(array => (JsonNode)new JsonObject
        {
            ["name"] = array.Name,
            ["type"] = array.Type,
            ["shape"] = new JsonArray([.. array.Shape.Select(axis => (JsonNode)axis)]),
            ["not_numbers"] = array.NotNumbers,
            ["minimum"] = JsonDocuments.Number(array.Minimum),
            ["mean"] = JsonDocuments.Number(array.Mean),
            ["maximum"] = JsonDocuments.Number(array.Maximum),
        })]),
        ["classes"] = Words(description.Classes),
        ["sizes"] = new JsonArray([.. description.Sizes.Select(size => (JsonNode)new JsonObject { ["width"] = size.Width, ["height"] = size.Height, ["samples"] = size.Count })]),
    };

    private static JsonArray Words(IEnumerable<WordCount> words) => new([.. words.Select(word => (JsonNode)new JsonObject { ["value"] = word.Word, ["samples"] = word.Count })]);
}
