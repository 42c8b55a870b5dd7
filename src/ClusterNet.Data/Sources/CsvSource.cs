using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Data.Sources;

/// <summary>Reads delimited text into typed columns, row by row: no row outlives its parsing.</summary>
internal static class CsvSource
{
    /// <summary>Reads all rows.</summary>
    /// <param name="rows">the text</param>
    /// <param name="spec">says which columns are what</param>
    /// <exception cref="InputException">unknown columns, ragged rows, cells that are not what they should be</exception>
    public static Frame Read(CsvRows rows, DataSpec spec)
    {
        var faults = new FaultList();
        var uses = TableLayout.Of(spec, rows.Columns, rows.Name, faults);
        faults.ThrowIfAny();
        var table = new TableBuilder(uses, rows.Columns, new Cells(spec.Csv), faults, TableBuilder.FileRemedy);
        var lines = new Chunks<int>();
        while (!faults.IsFull && rows.Read())
        {
            if (!rows.CheckLength(faults))
                continue;
            table.Add(rows);
            lines.Add(rows.Line);
        }
        if (lines.Count == 0 && faults.IsEmpty)
            faults.Add(rows.Name, "no rows below the header; there is nothing to learn from");
        return table.Build(rows.Name, new SamplePlaces.Lines(rows.Name, lines.Take()));
    }
}
