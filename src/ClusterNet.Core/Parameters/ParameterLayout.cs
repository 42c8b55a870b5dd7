namespace ClusterNet.Core.Parameters;

/// <summary>One named tensor in the flat vector.</summary>
/// <param name="Name">as the module names it, e.g. <c>layers.0.weight</c></param>
/// <param name="Shape">its shape; empty for a scalar</param>
/// <param name="Offset">of its first element in the flat vector</param>
public sealed record ParameterEntry(string Name, IReadOnlyList<int> Shape, int Offset)
{
    /// <summary>Its number of elements.</summary>
    public int Length { get; } = Shape.Aggregate(1, (product, axis) => checked(product * axis));
}

/// <summary>How the parameters of a model lie in one flat float32 vector: in the module's order, without gaps.</summary>
public sealed class ParameterLayout
{
    /// <param name="parameters">name and shape, in the module's order</param>
    /// <exception cref="ArgumentException">a name occurs twice, an axis is negative, or there are no parameters</exception>
    /// <exception cref="OverflowException">over 2^31 - 1 elements</exception>
    public ParameterLayout(IEnumerable<(string Name, IReadOnlyList<int> Shape)> parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        var entries = new List<ParameterEntry>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        var offset = 0;
        foreach (var (name, shape) in parameters)
        {
            if (!names.Add(name))
                throw new ArgumentException($"parameter '{name}' occurs twice", nameof(parameters));
            if (shape.Any(axis => axis < 0))
                throw new ArgumentException($"parameter '{name}' has a negative axis", nameof(parameters));
            var entry = new ParameterEntry(name, [.. shape], offset);
            entries.Add(entry);
            offset = checked(offset + entry.Length);
        }
        if (offset == 0)
            throw new ArgumentException("a model needs at least one parameter", nameof(parameters));
        Entries = entries;
        Length = offset;
    }

    /// <summary>The tensors, by offset.</summary>
    public IReadOnlyList<ParameterEntry> Entries { get; }

    /// <summary>Elements of the flat vector.</summary>
    public int Length { get; }
}
