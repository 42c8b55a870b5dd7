using System.Globalization;
using Spectre.Console;

namespace ClusterNet.Benchmarks.Local;

/// <summary>What a person reads.</summary>
internal static class LocalReport
{
    public static void Print(IReadOnlyList<Comparison> comparisons)
    {
        var table = new Table().Border(TableBorder.Simple);
        table.AddColumn("workload");
        foreach (var column in new[] { "plain, samples/s", "cluster, samples/s", "ratio", "lowest", "highest", "goal" })
            table.AddColumn(new TableColumn(column).RightAligned());
        foreach (var comparison in comparisons)
        {
            var ratios = comparison.Ratios;
            table.AddRow(
                Markup.Escape(comparison.Name),
                Rate(comparison, round => round.Plain),
                Rate(comparison, round => round.Cluster),
                Ratio(Figure.Median(ratios)),
                Ratio(ratios.Min()),
                Ratio(ratios.Max()),
                Ratio(Comparison.Goal));
        }
        AnsiConsole.Write(table);
        AnsiConsole.WriteLine("Medians over the rounds; a ratio is of the two measurements of one round. Batch 128, one torch thread, one worker.");
    }

    private static string Rate(Comparison comparison, Func<(Measurement Plain, Measurement Cluster), Measurement> side) =>
        Figure.Median([.. comparison.Rounds.Select(round => side(round).SamplesPerSecond)]).ToString("#,0", CultureInfo.InvariantCulture);

    private static string Ratio(double value) => value.ToString("0.000", CultureInfo.InvariantCulture);
}
