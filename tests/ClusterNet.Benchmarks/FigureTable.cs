using System.Globalization;
using Spectre.Console;

namespace ClusterNet.Benchmarks;

/// <summary>Figures as a table, for people.</summary>
internal static class FigureTable
{
    /// <summary>Writes it to standard output.</summary>
    public static void Print(IReadOnlyList<Figure> figures)
    {
        var table = new Table().Border(TableBorder.Simple);
        table.AddColumn(new TableColumn("figure").NoWrap());
        foreach (var column in new[] { "median", "lowest", "highest", "unit", "goal" })
            table.AddColumn(new TableColumn(column).RightAligned());
        foreach (var figure in figures)
        {
            table.AddRow(
                Markup.Escape(figure.Name),
                Number(figure.Value),
                Number(figure.Samples.Min()),
                Number(figure.Samples.Max()),
                figure.Unit,
                double.IsNaN(figure.Goal) ? "" : $"{(figure.Better == Better.Higher ? "at least" : "at most")} {Number(figure.Goal)}");
        }
        AnsiConsole.Profile.Width = Math.Max(AnsiConsole.Profile.Width, 140);
        AnsiConsole.Write(table);
    }

    private static string Number(double value) => value.ToString(Math.Abs(value) < 100 ? "0.000" : "#,0", CultureInfo.InvariantCulture);
}
