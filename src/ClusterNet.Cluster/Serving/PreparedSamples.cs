using ClusterNet.Core.Data;
using ClusterNet.Core.Faults;

namespace ClusterNet.Cluster.Serving;

/// <summary>Samples that a caller has prepared: taken as they are, once they fit.</summary>
internal static class PreparedSamples
{
    /// <param name="prepared">what came</param>
    /// <param name="shape">what the model sees</param>
    /// <exception cref="InputException">another shape, not a whole number of samples, or a value that is not finite</exception>
    public static SampleSet Of(ModelInput.Prepared prepared, IReadOnlyList<int> shape)
    {
        if (!prepared.Shape.SequenceEqual(shape))
            throw new InputException(TensorSignature.PreparedName, $"a sample has the shape [{string.Join(", ", prepared.Shape.Take(16))}]; this model takes [{string.Join(", ", shape)}]");
        var elements = shape.Aggregate(1, (product, axis) => product * axis);
        if (prepared.Values.Length == 0 || prepared.Values.Length % elements != 0)
            throw new InputException(TensorSignature.PreparedName, $"{prepared.Values.Length} values are not a whole number of samples of {elements}");
        var bad = prepared.Values.Span.IndexOfAnyExceptInRange(float.MinValue, float.MaxValue);
        if (bad >= 0)
            throw new InputException($"samples[{bad / elements}]", FormattableString.Invariant($"element {bad % elements} is {prepared.Values.Span[bad]}: what a model sees is finite"));
        return new SampleSet(shape, prepared.Values, default, default, Enumerable.Range(0, prepared.Values.Length / elements).ToArray());
    }
}
