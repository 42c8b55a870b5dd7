using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Serving;

/// <summary>What a model says of samples.</summary>
/// <param name="Version">which model said it</param>
/// <param name="Classes">labels by class index; empty for regression</param>
/// <param name="Outputs">samples x classes probabilities, or one value a sample, row by row</param>
public sealed record Prediction(ModelVersionId Version, IReadOnlyList<string> Classes, ReadOnlyMemory<float> Outputs)
{
    /// <summary>Outputs of one sample: a probability for each class, or 1.</summary>
    public int Width => Math.Max(1, Classes.Count);

    /// <summary>Number of samples.</summary>
    public int Count => Outputs.Length / Width;

    /// <summary>The probabilities, or the one value, of sample <paramref name="index"/>.</summary>
    public ReadOnlySpan<float> this[int index] => Outputs.Span.Slice(index * Width, Width);

    /// <summary>The label of the most probable class of sample <paramref name="index"/>, the first of equals; null for regression.</summary>
    public string? ClassOf(int index) => Classes.Count == 0 ? null : Classes[System.Numerics.Tensors.TensorPrimitives.IndexOfMax(this[index])];
}
