using ClusterNet.Core.Jobs;

namespace ClusterNet.Core.Data;

/// <summary>Prepared samples, ready for a model: dense float32, row-major, in memory.</summary>
public sealed class SampleSet
{
    /// <param name="shape">shape of one sample, without the batch axis</param>
    /// <param name="features">count x product of <paramref name="shape"/> values</param>
    /// <param name="labels">class indices, one a sample; empty for regression or where targets are unknown</param>
    /// <param name="values">regression targets, one a sample; empty for classification or where targets are unknown</param>
    /// <param name="ids">the position of each sample in its source (0-based), unique</param>
    /// <exception cref="ArgumentException">the lengths do not agree</exception>
    public SampleSet(IReadOnlyList<int> shape, ReadOnlyMemory<float> features, ReadOnlyMemory<int> labels, ReadOnlyMemory<float> values, ReadOnlyMemory<int> ids)
    {
        ArgumentNullException.ThrowIfNull(shape);
        var elements = shape.Aggregate(1, (product, axis) => checked(product * axis));
        if ((long)ids.Length * elements != features.Length)
            throw new ArgumentException($"{ids.Length} samples of {elements} elements are not {features.Length} values", nameof(features));
        if (labels.Length != 0 && labels.Length != ids.Length)
            throw new ArgumentException($"{labels.Length} labels for {ids.Length} samples", nameof(labels));
        if (values.Length != 0 && values.Length != ids.Length)
            throw new ArgumentException($"{values.Length} target values for {ids.Length} samples", nameof(values));
        Shape = shape;
        ElementsPerSample = elements;
        Features = features;
        Labels = labels;
        Values = values;
        Ids = ids;
    }

    /// <summary>Shape of one sample, without the batch axis.</summary>
    public IReadOnlyList<int> Shape { get; }

    /// <summary>The product of <see cref="Shape"/>.</summary>
    public int ElementsPerSample { get; }

    /// <summary>Number of samples.</summary>
    public int Count => Ids.Length;

    /// <summary>Count x <see cref="ElementsPerSample"/> values.</summary>
    public ReadOnlyMemory<float> Features { get; }

    /// <summary>Class indices, or empty.</summary>
    public ReadOnlyMemory<int> Labels { get; }

    /// <summary>Regression targets, or empty.</summary>
    public ReadOnlyMemory<float> Values { get; }

    /// <summary>Positions in the source.</summary>
    public ReadOnlyMemory<int> Ids { get; }

    /// <summary>The features of sample <paramref name="index"/>.</summary>
    public ReadOnlySpan<float> this[int index] => Features.Span.Slice(index * ElementsPerSample, ElementsPerSample);
}

/// <summary>What a model needs to know of its data, and a client of its model: stored with every version.</summary>
/// <param name="Task">classification or regression</param>
/// <param name="InputNames">CSV: the raw columns a request gives, in order; NPZ and images: the one array's name</param>
/// <param name="Shape">shape of one prepared sample</param>
/// <param name="Classes">labels by class index; empty for regression</param>
/// <param name="TargetName">the column or array that is predicted</param>
public sealed record DataSignature(LearningTask Task, IReadOnlyList<string> InputNames, IReadOnlyList<int> Shape, IReadOnlyList<string> Classes, string TargetName);
