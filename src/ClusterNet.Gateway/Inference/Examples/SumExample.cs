using System.Globalization;
using ClusterNet.Cluster.Serving;
using ClusterNet.Data;

namespace ClusterNet.Gateway.Inference.Examples;

/// <summary>Sum and difference of two rows of 16 numbers, which may be texts. What leaves its type's range wraps around.</summary>
/// <param name="name">unique</param>
/// <param name="type">of inputs and outputs</param>
internal sealed class SumExample(string name, DataType type) : ExampleModel(name, Tensors("INPUT", type), Tensors("OUTPUT", type))
{
    private const int Width = 16;

    /// <inheritdoc/>
    protected override ExamplePrediction Compute(ModelInput input, SequenceStep? step)
    {
        if (input is not ModelInput.Raw { Samples: RawSamples.Table table })
            throw OtherInputs();
        var (sums, differences) = (new int[table.Count * Width], new int[table.Count * Width]);
        foreach (var (row, cells) in table.Rows.Index())
        {
            for (var i = 0; i < Width; i++)
            {
                // a row has the cells of one input, then those of the other
                var (left, right) = (Number(table, cells, i), Number(table, cells, Width + i));
                var at = (row * Width) + i;
                (sums[at], differences[at]) = unchecked(type == DataType.Int8 ? ((sbyte)(left + right), (sbyte)(left - right)) : (left + right, left - right));
            }
        }
        return new ExamplePrediction(this, type == DataType.Bytes ? [Texts(sums), Texts(differences)] : [sums, differences], [table.Count, Width]);
    }

    private static TensorSignature[] Tensors(string name, DataType type) =>
        [new(name + "0", DataTypes.NameOf(type), [-1, Width]), new(name + "1", DataTypes.NameOf(type), [-1, Width])];

    private static string[] Texts(int[] numbers) => [.. numbers.Select(number => number.ToString(CultureInfo.InvariantCulture))];

    private int Number(RawSamples.Table table, IReadOnlyList<string?> cells, int column) =>
        NumberOf(cells[column], type == DataType.Int8 ? DataType.Int8 : DataType.Int32, $"{table.Columns[column]}, element {column % Width} of a sample");
}
