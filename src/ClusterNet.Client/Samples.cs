using System.Globalization;

namespace ClusterNet.Client;

/// <summary>What to predict for.</summary>
public abstract class Samples
{
    private Samples()
    {
    }

    /// <summary>Number of samples.</summary>
    public abstract int Count { get; }

    /// <summary>Raw features by name, which the model's own fitted preparation turns into tensors.</summary>
    /// <param name="columns">names; more than a model needs are no fault</param>
    /// <param name="rows">values in the columns' order: numbers, texts, truths, or null for a missing one</param>
    /// <exception cref="ArgumentException">a row is longer or shorter than the columns, or has a value of another type</exception>
    public static Samples Table(IReadOnlyList<string> columns, IEnumerable<IReadOnlyList<object?>> rows)
    {
        ArgumentNullException.ThrowIfNull(columns);
        ArgumentNullException.ThrowIfNull(rows);
        if (columns.Distinct(StringComparer.Ordinal).Count() != columns.Count)
            throw new ArgumentException("a column is there twice", nameof(columns));
        var cells = new List<string?[]>();
        foreach (var row in rows)
        {
            if (row.Count != columns.Count)
                throw new ArgumentException($"row {cells.Count} has {row.Count} values for {columns.Count} columns", nameof(rows));
            cells.Add([.. row.Select((value, column) => Cell(value, columns[column], cells.Count))]);
        }
        return new TableSamples(columns, cells);
    }

    /// <summary>One sample of raw features.</summary>
    /// <param name="features">values by name: numbers, texts, truths, or null for a missing one</param>
    public static Samples Row(IReadOnlyDictionary<string, object?> features)
    {
        ArgumentNullException.ThrowIfNull(features);
        return Table([.. features.Keys], [[.. features.Values]]);
    }

    /// <summary>Raw arrays, such as pictures or signals, as they are before the model's preparation.</summary>
    /// <param name="shape">of one sample</param>
    /// <param name="values">count x product of the shape values, row-major</param>
    public static Samples Array(IReadOnlyList<int> shape, ReadOnlyMemory<float> values) => new ArraySamples(Checked(shape, values), values, isPrepared: false);

    /// <summary>What the network itself sees: prepared by the caller.</summary>
    /// <param name="shape">of one sample</param>
    /// <param name="values">count x product of the shape values, row-major</param>
    public static Samples Prepared(IReadOnlyList<int> shape, ReadOnlyMemory<float> values) => new ArraySamples(Checked(shape, values), values, isPrepared: true);

    private static IReadOnlyList<int> Checked(IReadOnlyList<int> shape, ReadOnlyMemory<float> values)
    {
        ArgumentNullException.ThrowIfNull(shape);
        var elements = shape.Aggregate(1L, (product, axis) => axis > 0 && product * axis <= int.MaxValue ? product * axis : throw new ArgumentException($"[{string.Join(", ", shape)}] is no shape", nameof(shape)));
        return values.Length % elements == 0 ? shape : throw new ArgumentException($"{values.Length} values are no whole number of samples of shape [{string.Join(", ", shape)}]", nameof(values));
    }

    /// <summary>As a file would have it: the shortest text that reads as the same number.</summary>
    private static string? Cell(object? value, string column, int row) => value switch
    {
        null or double.NaN or float.NaN => null,
        string text => text,
        bool truth => truth ? "true" : "false",
        double number => number.ToString("R", CultureInfo.InvariantCulture),
        float number => number.ToString("R", CultureInfo.InvariantCulture),
        sbyte or byte or short or ushort or int or uint or long or ulong or decimal => ((IFormattable)value).ToString(null, CultureInfo.InvariantCulture),
        _ => throw new ArgumentException($"row {row}, column '{column}': a {value.GetType().Name} is neither number, text nor truth"),
    };

    internal sealed class TableSamples(IReadOnlyList<string> columns, IReadOnlyList<string?[]> rows) : Samples
    {
        public override int Count => Rows.Count;

        public IReadOnlyList<string> Columns { get; } = columns;

        public IReadOnlyList<string?[]> Rows { get; } = rows;
    }

    internal sealed class ArraySamples(IReadOnlyList<int> shape, ReadOnlyMemory<float> values, bool isPrepared) : Samples
    {
        public override int Count => Values.Length / Shape.Aggregate(1, (product, axis) => product * axis);

        public IReadOnlyList<int> Shape { get; } = shape;

        public ReadOnlyMemory<float> Values { get; } = values;

        public bool IsPrepared { get; } = isPrepared;
    }
}
