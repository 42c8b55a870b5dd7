using Spectre.Console;

namespace ClusterNet.Node.Output;

/// <summary>Tables in one style.</summary>
internal static class Tables
{
    private static readonly string[] Parts = ["training", "validation", "test"];

    /// <summary>An empty table with these columns; a name that starts with '&gt;' is of a column of numbers.</summary>
    public static Table With(params IEnumerable<string> columns)
    {
        var table = new Table().Border(TableBorder.Simple).BorderColor(Color.Grey);
        table.UseSafeBorder = true;
        foreach (var column in columns)
        {
            var isNumber = column.StartsWith('>');
            table.AddColumn(new TableColumn($"[bold]{Markup.Escape(column.TrimStart('>'))}[/]") { Alignment = isNumber ? Justify.Right : Justify.Left, NoWrap = isNumber });
        }
        return table;
    }

    /// <summary>A row of plain texts.</summary>
    public static Table Row(this Table table, params IEnumerable<string> cells) => table.AddRow([.. cells.Select(cell => new Text(cell))]);

    /// <summary>Two columns, names and values, without a frame.</summary>
    public static Grid Pairs(params IEnumerable<(string Name, string Value)> pairs)
    {
        var grid = new Grid().AddColumn(new GridColumn().NoWrap().PadRight(3)).AddColumn();
        foreach (var (name, value) in pairs)
            grid.AddRow(new Text(name, new Style(decoration: Decoration.Dim)), new Text(value));
        return grid;
    }

    /// <summary>Metrics by part.</summary>
    public static Table Metrics(IReadOnlyDictionary<string, IReadOnlyDictionary<string, double>> metrics)
    {
        var parts = Parts.Where(metrics.ContainsKey).Concat(metrics.Keys.Except(Parts).Order(StringComparer.Ordinal)).ToArray();
        var table = With(["metric", .. parts.Select(part => $">{part}")]);
        foreach (var name in Figures.TableMetrics(metrics.Values.SelectMany(values => values.Keys)))
            table.Row([name, .. parts.Select(part => Figures.Metric(metrics[part].TryGetValue(name, out var value) ? value : null))]);
        return table;
    }
}
