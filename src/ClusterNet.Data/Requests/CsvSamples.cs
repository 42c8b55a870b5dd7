using ClusterNet.Core.Faults;
using ClusterNet.Data.Sources;

namespace ClusterNet.Data.Requests;

/// <summary>Samples as rows of delimited text.</summary>
internal static class CsvSamples
{
    /// <summary>All rows, cells trimmed, null where a cell means "no value".</summary>
    public static RawSamples.Table Read(CsvRows text, RawSampleOptions options)
    {
        var faults = new FaultList();
        var cells = new Cells(options.Csv);
        var rows = new List<IReadOnlyList<string?>>();
        var characters = 0L;
        while (!faults.IsFull && text.Read())
        {
            if (!text.CheckLength(faults))
                continue;
            if (rows.Count == options.MaxSamples)
                throw new InputException(text.Place, $"more than {options.MaxSamples} rows, which is the most that is read at once; give them in parts");
            var row = new string?[text.CellCount];
            for (var i = 0; i < row.Length; i++)
            {
                var cell = text.Cell(i);
                characters += cell.Length;
                row[i] = cells.IsMissing(cell) ? null : cell.ToString();
            }
            if (characters > options.MaxBytes)
                throw new InputException(text.Place, $"more than {options.MaxBytes >> 20} MB of text, which is the most that is read at once; give it in parts");
            rows.Add(row);
        }
        if (rows.Count == 0 && faults.IsEmpty)
            faults.Add(text.Name, "no rows below the header; there is nothing to predict");
        faults.ThrowIfAny();
        return new RawSamples.Table(text.Columns, rows);
    }
}
