namespace ClusterNet.Data;

/// <summary>Samples as they come, before any preparation: rows of named cells, or an array. See <c>RawSampleReader</c> for where they come from.</summary>
public abstract record RawSamples
{
    private RawSamples()
    {
    }

    /// <summary>Number of samples.</summary>
    public abstract int Count { get; }

    /// <summary>Rows of cells by column name.</summary>
    /// <param name="Columns">the columns' names; more than a model needs is no fault, fewer is</param>
    /// <param name="Rows">cells in the columns' order; null for a missing value</param>
    public sealed record Table(IReadOnlyList<string> Columns, IReadOnlyList<IReadOnlyList<string?>> Rows) : RawSamples
    {
        /// <inheritdoc/>
        public override int Count => Rows.Count;
    }

    /// <summary>Samples along the first axis of a dense array.</summary>
    /// <param name="Shape">shape of one sample</param>
    /// <param name="Values">count x product of the shape values, row-major, unscaled</param>
    /// <param name="Targets">the target of each sample as text; empty where none came along</param>
    public sealed record Array(IReadOnlyList<int> Shape, ReadOnlyMemory<float> Values, IReadOnlyList<string> Targets) : RawSamples
    {
        /// <inheritdoc/>
        public override int Count => Values.Length / Math.Max(1, Shape.Aggregate(1, (product, axis) => checked(product * axis)));
    }
}
