namespace ClusterNet.Gateway.Inference;

/// <summary>What a request says of an input beside its values.</summary>
/// <param name="Place">path in the request</param>
/// <param name="Name">of the tensor</param>
/// <param name="Type">of its elements</param>
/// <param name="Shape">each axis 0 or more</param>
/// <param name="Elements">product of the shape</param>
internal readonly record struct TensorHead(string Place, string Name, DataType Type, long[] Shape, int Elements)
{
    /// <summary>The most axes.</summary>
    public const int MaxAxes = 16;

    /// <summary>Where its values are.</summary>
    public string DataPlace => Place + ".data";

    /// <summary>A head, checked.</summary>
    /// <exception cref="Cluster.Serving.PredictionException">an axis is negative, or the product of the shape is more than any request can bring</exception>
    public static TensorHead Of(string place, string name, DataType type, long[] shape)
    {
        if (shape.Length > MaxAxes)
            throw Refusal.Invalid(place + ".shape", $"{shape.Length} axes; at most {MaxAxes} are taken");
        var elements = 1L;
        foreach (var axis in shape)
        {
            if (axis < 0)
                throw Refusal.Invalid(place + ".shape", $"[{string.Join(", ", shape)}] has a negative axis; a request gives the sizes that it has");
            // once 0, it stays 0, and no other axis may be absurd either
            if (axis > int.MaxValue || (elements *= axis) > int.MaxValue)
                throw Refusal.Invalid(place + ".shape", $"[{string.Join(", ", shape)}] has more elements than a request can bring");
        }
        return new TensorHead(place, name, type, shape, (int)elements);
    }

    /// <summary>The shape as it is written.</summary>
    public string ShownShape => $"[{string.Join(", ", Shape)}]";
}
