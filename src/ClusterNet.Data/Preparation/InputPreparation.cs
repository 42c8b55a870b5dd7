using System.Text.Json.Serialization;
using ClusterNet.Data.Sources;

namespace ClusterNet.Data.Preparation;

/// <summary>What turns raw features into the float32 values a model sees.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "input")]
[JsonDerivedType(typeof(TablePreparation), "table")]
[JsonDerivedType(typeof(ArrayPreparation), "array")]
internal abstract record InputPreparation
{
    /// <summary>Elements of one prepared sample.</summary>
    [JsonIgnore]
    public abstract int Elements { get; }

    /// <summary>Whether all numbers in it can be computed with: false for a document that was tampered with.</summary>
    [JsonIgnore]
    public abstract bool IsUsable { get; }

    /// <summary>Prepares some samples.</summary>
    /// <param name="frame">the raw samples, of the layout this was fitted on</param>
    /// <param name="rows">which of them</param>
    /// <param name="faults">receives values that are missing or infinite in the end</param>
    /// <returns>rows x <see cref="Elements"/> values, row-major</returns>
    public abstract float[] Apply(Frame frame, ReadOnlySpan<int> rows, FaultList faults);
}

/// <summary>Columns of a table, side by side in their order.</summary>
internal sealed record TablePreparation(IReadOnlyList<ColumnPreparation> Columns) : InputPreparation
{
    /// <inheritdoc/>
    public override int Elements => Columns.Sum(column => column.Width);

    /// <inheritdoc/>
    public override bool IsUsable => Columns.Count > 0 && Columns.All(column => column.IsUsable);

    /// <inheritdoc/>
    public override float[] Apply(Frame frame, ReadOnlySpan<int> rows, FaultList faults)
    {
        var columns = ((TableFeatures)frame.Features).Columns;
        var width = Elements;
        var output = new float[rows.Length * width];
        var offset = 0;
        for (var c = 0; c < Columns.Count && rows.Length > 0 && !faults.IsFull; c++)
        {
            Columns[c].Apply(columns[c], rows, output.AsSpan(offset), width, frame.Places, faults);
            offset += Columns[c].Width;
        }
        return output;
    }
}

/// <summary>One column of a table.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(Number), "number")]
[JsonDerivedType(typeof(Category), "category")]
internal abstract record ColumnPreparation(string Name)
{
    /// <summary>Values it gives for a sample.</summary>
    [JsonIgnore]
    public abstract int Width { get; }

    /// <inheritdoc cref="InputPreparation.IsUsable"/>
    [JsonIgnore]
    public abstract bool IsUsable { get; }

    /// <summary>What its raw cells are.</summary>
    [JsonIgnore]
    public abstract ColumnRole Role { get; }

    /// <summary>Writes the values of each row to <paramref name="output"/>, <paramref name="stride"/> apart.</summary>
    public abstract void Apply(Column column, ReadOnlySpan<int> rows, Span<float> output, int stride, SamplePlaces places, FaultList faults);

    /// <summary>Numbers, one value each.</summary>
    public sealed record Number(string Name, IReadOnlyList<NumberStep> Steps) : ColumnPreparation(Name)
    {
        private const int BlockLength = 1024;

        /// <inheritdoc/>
        public override int Width => 1;

        /// <inheritdoc/>
        public override bool IsUsable => Steps.All(step => step.IsUsable);

        /// <inheritdoc/>
        public override ColumnRole Role => ColumnRole.Number;

        /// <inheritdoc/>
        public override void Apply(Column column, ReadOnlySpan<int> rows, Span<float> output, int stride, SamplePlaces places, FaultList faults)
        {
            var raw = ((NumberColumn)column).Values;
            Span<double> block = stackalloc double[BlockLength];
            for (var start = 0; start < rows.Length; start += BlockLength)
            {
                var values = block[..Math.Min(BlockLength, rows.Length - start)];
                for (var i = 0; i < values.Length; i++)
                    values[i] = raw[rows[start + i]];
                foreach (var step in Steps)
                    step.Apply(values);
                for (var i = 0; i < values.Length; i++)
                {
                    var row = rows[start + i];
                    var prepared = (float)values[i];
                    output[(start + i) * stride] = prepared;
                    if (!float.IsFinite(prepared))
                        faults.Add(places[row], float.IsNaN(raw[row]) ? Missing(Name) : FormattableString.Invariant($"column '{Name}': {raw[row]} is too large to be prepared (float32); scale it down, or exclude the column"));
                }
            }
        }
    }

    /// <summary>Categories, one value of 0 or 1 for each that training had; all are 0 for an unknown one.</summary>
    /// <param name="Name">the column</param>
    /// <param name="Fill">what a missing category counts as; null where that is a fault</param>
    /// <param name="Categories">in the order of their values</param>
    public sealed record Category(string Name, string? Fill, IReadOnlyList<string> Categories) : ColumnPreparation(Name)
    {
        /// <inheritdoc/>
        public override int Width => Categories.Count;

        /// <inheritdoc/>
        public override bool IsUsable => Categories.Count > 0 && Categories.Distinct(StringComparer.Ordinal).Count() == Categories.Count;

        /// <inheritdoc/>
        public override ColumnRole Role => ColumnRole.Category;

        /// <inheritdoc/>
        public override void Apply(Column column, ReadOnlySpan<int> rows, Span<float> output, int stride, SamplePlaces places, FaultList faults)
        {
            var words = (WordColumn)column;
            var positions = new Dictionary<string, int>(StringComparer.Ordinal);
            for (var i = 0; i < Categories.Count; i++)
                positions.Add(Categories[i], i);
            var fill = Fill is null ? -1 : positions.GetValueOrDefault(Fill, -1);
            var positionOf = words.Words.Select(word => positions.GetValueOrDefault(word, -1)).ToArray();
            for (var i = 0; i < rows.Length; i++)
            {
                var code = words.Codes[rows[i]];
                if (code < 0 && Fill is null)
                    faults.Add(places[rows[i]], Missing(Name));
                var position = code < 0 ? fill : positionOf[code];
                if (position >= 0)
                    output[(i * stride) + position] = 1;
            }
        }
    }

    private static string Missing(string name) =>
        $"column '{name}': no value is here and none of data.preparation fills it in; add an impute step for it, fill it in, or leave the sample out";
}

/// <summary>
/// A dense array. It is cut into lanes, runs of equal length that share their statistics: each element of a sample of one dimension, all of a sample of two (a
/// sequence), each leading channel of a sample of three (a picture).
/// </summary>
/// <param name="Name">the array's name</param>
/// <param name="SourceShape">of one raw sample</param>
/// <param name="Lanes">the steps of each lane</param>
internal sealed record ArrayPreparation(string Name, IReadOnlyList<int> SourceShape, IReadOnlyList<IReadOnlyList<NumberStep>> Lanes) : InputPreparation
{
    /// <inheritdoc/>
    public override int Elements => SourceShape.Aggregate(1, (product, axis) => checked(product * axis));

    /// <inheritdoc/>
    public override bool IsUsable =>
        SourceShape.All(axis => axis > 0) && Lanes.Count > 0 && Elements % Lanes.Count == 0 && Lanes.All(steps => steps.All(step => step.IsUsable));

    /// <summary>Lanes of a sample.</summary>
    /// <param name="shape">as the model sees it</param>
    public static int LanesOf(IReadOnlyList<int> shape) => shape.Count == 2 ? 1 : shape[0];

    /// <inheritdoc/>
    public override float[] Apply(Frame frame, ReadOnlySpan<int> rows, FaultList faults)
    {
        var elements = Elements;
        var length = elements / Lanes.Count;
        var raw = ((ArrayFeatures)frame.Features).Values.Span;
        var output = new float[rows.Length * elements];
        var buffer = new double[length];
        for (var i = 0; i < rows.Length && !faults.IsFull; i++)
        {
            for (var lane = 0; lane < Lanes.Count; lane++)
            {
                var source = raw.Slice((rows[i] * elements) + (lane * length), length);
                for (var e = 0; e < length; e++)
                    buffer[e] = source[e];
                foreach (var step in Lanes[lane])
                    step.Apply(buffer);
                var prepared = output.AsSpan((i * elements) + (lane * length), length);
                for (var e = 0; e < length; e++)
                    prepared[e] = (float)buffer[e];
            }
            var bad = output.AsSpan(i * elements, elements).IndexOfAnyExceptInRange(float.MinValue, float.MaxValue);
            if (bad >= 0)
            {
                var value = raw[(rows[i] * elements) + bad];
                faults.Add(
                    frame.Places[rows[i]],
                    FormattableString.Invariant($"array '{Name}', element {bad}: {value} {(float.IsNaN(value) ? "means no value, and no impute step fills it in" : "can't be prepared as a finite float32")}; add a step to data.preparation, or leave the sample out"));
            }
        }
        return output;
    }
}
