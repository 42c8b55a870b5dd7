using System.Globalization;
using ClusterNet.Core.Data;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data.Sources;

namespace ClusterNet.Data.Preparation;

/// <summary>Brings the raw samples of a request into the form that sources are read into, so that one code path prepares both.</summary>
internal static class RequestFrame
{
    private const string Samples = "samples";
    private const string Remedy = "a number belongs here, or nothing for a missing value";

    /// <summary>The samples as a frame with the columns, or the shape, that <paramref name="inputs"/> was fitted on.</summary>
    /// <exception cref="InputException">they are not of that form</exception>
    public static Frame Of(RawSamples raw, InputPreparation inputs, DataSignature signature, bool withTargets, Cells cells) => (raw, inputs) switch
    {
        (RawSamples.Table table, TablePreparation columns) => FromTable(table, columns, signature, withTargets, cells),
        (RawSamples.Array array, TablePreparation columns) => FromRows(array, columns, signature, withTargets, cells),
        (RawSamples.Array array, ArrayPreparation lanes) => FromArray(array, lanes, signature, withTargets, cells),
        _ => throw new InputException(Samples, $"rows of named cells; this model takes arrays of shape [{string.Join(", ", signature.Shape)}]: give NPZ, pictures or JSON arrays"),
    };

    private static ColumnUse TargetOf(DataSignature signature) =>
        new(signature.TargetName, signature.Task == LearningTask.Classification ? ColumnRole.Class : ColumnRole.Value);

    private static List<ColumnUse> UsesOf(TablePreparation columns, DataSignature signature, bool withTargets)
    {
        var uses = columns.Columns.Select(column => new ColumnUse(column.Name, column.Role)).ToList();
        if (withTargets)
            uses.Add(TargetOf(signature));
        return uses;
    }

    private static Frame FromTable(RawSamples.Table table, TablePreparation columns, DataSignature signature, bool withTargets, Cells cells)
    {
        var faults = new FaultList();
        var uses = UsesOf(columns, signature, withTargets);
        foreach (var twice in table.Columns.GroupBy(name => name, StringComparer.Ordinal).Where(group => group.Count() > 1))
            faults.Add(Samples, $"column '{twice.Key}' is given {twice.Count()} times");
        var given = table.Columns.ToHashSet(StringComparer.Ordinal);
        foreach (var use in uses.Where(use => !given.Contains(use.Name)))
            faults.AddUnknown(Samples, use.Role is ColumnRole.Class or ColumnRole.Value ? "target column" : "column", use.Name, "the samples, though the model needs it", table.Columns);
        faults.ThrowIfAny();
        var builder = new TableBuilder(uses, table.Columns, cells, faults, Remedy);
        for (var i = 0; i < table.Rows.Count && !faults.IsFull; i++)
        {
            var row = new TextRow(i, table);
            if (table.Rows[i].Count != table.Columns.Count)
                faults.Add(row.Place, $"{table.Rows[i].Count} cells where {table.Columns.Count} columns are");
            else
                builder.Add(row);
        }
        return builder.Build(Samples, new SamplePlaces.Entries(Samples));
    }

    /// <summary>Values without names are the model's columns in their order.</summary>
    private static Frame FromRows(RawSamples.Array array, TablePreparation columns, DataSignature signature, bool withTargets, Cells cells)
    {
        var width = columns.Columns.Count;
        var given = array.Shape.Aggregate(1L, (product, axis) => Math.Min(int.MaxValue, product * axis));
        if (given != width)
            throw new InputException(Samples, $"[{string.Join(", ", array.Shape)}] is {given} values a sample; this model takes {width}: {string.Join(", ", signature.InputNames.Take(40))}{(width > 40 ? ", ..." : "")}");
        CheckTargets(array, withTargets, signature);
        var faults = new FaultList();
        var uses = UsesOf(columns, signature, withTargets);
        var builder = new TableBuilder(uses, [.. uses.Select(use => use.Name)], cells, faults, Remedy);
        for (var i = 0; i < array.Count && !faults.IsFull; i++)
            builder.Add(new ValueRow(i, array, width));
        return builder.Build(Samples, new SamplePlaces.Entries(Samples));
    }

    private static Frame FromArray(RawSamples.Array array, ArrayPreparation lanes, DataSignature signature, bool withTargets, Cells cells)
    {
        var samples = ChannelOrder.First(new ArrayFeatures(lanes.Name, array.Shape, array.Values), signature.Shape);
        if (!SameButForOnes(samples.Shape, lanes.SourceShape) && !SameButForOnes(samples.Shape, signature.Shape) && !(samples.Shape.Count == 1 && samples.Elements == lanes.Elements))
            throw new InputException(Samples, $"samples of shape [{string.Join(", ", array.Shape)}]; this model takes [{string.Join(", ", signature.Shape)}]");
        CheckTargets(array, withTargets, signature);
        var faults = new FaultList();
        IReadOnlyList<ColumnUse> uses = withTargets ? [TargetOf(signature)] : [];
        var builder = new TableBuilder(uses, [signature.TargetName], cells, faults, Remedy);
        for (var i = 0; i < array.Count && !faults.IsFull; i++)
            builder.Add(new ValueRow(i, array, 0));
        var places = new SamplePlaces.Entries(Samples);
        return builder.Build(Samples, places) with { Features = samples with { Shape = lanes.SourceShape } };
    }

    private static void CheckTargets(RawSamples.Array array, bool withTargets, DataSignature signature)
    {
        if (withTargets && array.Targets.Count != array.Count)
            throw new InputException(Samples, $"{array.Targets.Count} targets came with {array.Count} samples; an evaluation needs '{signature.TargetName}' for each");
    }

    private static bool SameButForOnes(IReadOnlyList<int> left, IReadOnlyList<int> right) =>
        left.Where(axis => axis != 1).SequenceEqual(right.Where(axis => axis != 1));

    private sealed class TextRow(int index, RawSamples.Table table) : IRow
    {
        /// <inheritdoc/>
        public string Place => $"{Samples}[{index}]";

        /// <inheritdoc/>
        public ReadOnlySpan<char> Cell(int column)
        {
            var cell = table.Rows[index][column].AsSpan().Trim();
            return cell.Length <= Cells.MaxLength ? cell : throw new InputException(Place, $"column '{table.Columns[column]}': a cell of {cell.Length} characters, at most {Cells.MaxLength} are read");
        }
    }

    private sealed class ValueRow(int index, RawSamples.Array array, int width) : IRow
    {
        private readonly char[] _text = new char[32];

        /// <inheritdoc/>
        public string Place => $"{Samples}[{index}]";

        /// <inheritdoc/>
        public ReadOnlySpan<char> Cell(int column)
        {
            if (column == width)
                return array.Targets[index].AsSpan().Trim();
            var value = array.Values.Span[(index * width) + column];
            if (float.IsNaN(value))
                return [];
            value.TryFormat(_text, out var length, "R", CultureInfo.InvariantCulture);
            return _text.AsSpan(0, length);
        }
    }
}
