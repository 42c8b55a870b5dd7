using ClusterNet.Cluster.Serving;
using ClusterNet.Data;

namespace ClusterNet.Gateway.Inference.Examples;

/// <summary>A row of texts as it came.</summary>
/// <param name="name">unique</param>
internal sealed class IdentityExample(string name)
    : ExampleModel(name, [new("INPUT0", DataTypes.NameOf(DataType.Bytes), [-1, -1])], [new("OUTPUT0", DataTypes.NameOf(DataType.Bytes), [-1, -1])])
{
    /// <inheritdoc/>
    protected override ExamplePrediction Compute(ModelInput input, SequenceStep? step)
    {
        if (input is not ModelInput.Raw { Samples: RawSamples.Table table })
            throw OtherInputs();
        string[] texts = [.. table.Rows.SelectMany(row => row.Select((cell, i) => cell ?? throw Refusal.Invalid($"{table.Columns[i]}, element {i} of a sample", "a value is missing")))];
        return new ExamplePrediction(this, [texts], [table.Count, table.Columns.Count]);
    }
}
