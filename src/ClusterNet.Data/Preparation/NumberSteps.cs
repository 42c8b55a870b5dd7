using System.Text.Json.Serialization;

namespace ClusterNet.Data.Preparation;

/// <summary>One fitted step over the numbers of a column, or of a lane of an array. NaN stands for a missing value and passes all steps but <see cref="Fill"/>.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "step")]
[JsonDerivedType(typeof(Fill), "fill")]
[JsonDerivedType(typeof(Standardize), "standardize")]
[JsonDerivedType(typeof(MinMax), "min-max")]
[JsonDerivedType(typeof(Divide), "divide")]
internal abstract record NumberStep
{
    private NumberStep()
    {
    }

    /// <summary>Whether the numbers of this step can be computed with.</summary>
    [JsonIgnore]
    public abstract bool IsUsable { get; }

    /// <summary>Applies the step in place.</summary>
    public abstract void Apply(Span<double> values);

    /// <summary>Puts a value where one is missing.</summary>
    public sealed record Fill(double Value) : NumberStep
    {
        /// <inheritdoc/>
        public override bool IsUsable => double.IsFinite(Value);

        /// <inheritdoc/>
        public override void Apply(Span<double> values)
        {
            foreach (ref var value in values)
                value = double.IsNaN(value) ? Value : value;
        }
    }

    /// <summary>(x - mean) / deviation.</summary>
    public sealed record Standardize(double Mean, double Deviation) : NumberStep
    {
        /// <inheritdoc/>
        public override bool IsUsable => double.IsFinite(Mean) && double.IsFinite(Deviation) && Deviation > 0;

        /// <inheritdoc/>
        public override void Apply(Span<double> values)
        {
            foreach (ref var value in values)
                value = (value - Mean) / Deviation;
        }
    }

    /// <summary>Maps <paramref name="Least"/> to <paramref name="Low"/> and <paramref name="Most"/> to <paramref name="High"/>; all to Low where the two are equal.</summary>
    public sealed record MinMax(double Least, double Most, double Low, double High) : NumberStep
    {
        /// <inheritdoc/>
        public override bool IsUsable => double.IsFinite(Most - Least) && double.IsFinite(High - Low) && Most >= Least && High > Low;

        /// <inheritdoc/>
        public override void Apply(Span<double> values)
        {
            var scale = Most > Least ? (High - Low) / (Most - Least) : 0;
            foreach (ref var value in values)
                value = Low + ((value - Least) * scale);
        }
    }

    /// <summary>x / divisor.</summary>
    public sealed record Divide(double By) : NumberStep
    {
        /// <inheritdoc/>
        public override bool IsUsable => double.IsFinite(By) && By != 0;

        /// <inheritdoc/>
        public override void Apply(Span<double> values)
        {
            foreach (ref var value in values)
                value /= By;
        }
    }
}
