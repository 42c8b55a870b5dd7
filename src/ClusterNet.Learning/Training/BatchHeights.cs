using System.Runtime.InteropServices;
using ClusterNet.Core.Data;
using ClusterNet.Learning.Inference;
using ClusterNet.Learning.Models;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Training;

/// <summary>
/// Batch invariance: the numbers of samples that a model may see at once, and the rows of each, so that a sample's outputs have the same bits in any company. A matrix product of another height may
/// round differently in the last bit, since libraries change the way they add from one height to another, and so may another row of the same product (MKL takes rows by twos where few columns are
/// added). Which heights and rows agree follows from the sizes of the layers and the processor, not from the values: samples drawn at random, each tried on each row, show it. Kernels of our own take any height.
/// </summary>
internal sealed class BatchHeights
{
    /// <summary>Models with fewer parameters have sums so short that two orders of adding often agree by chance.</summary>
    private const int FewParameters = 100_000;

    /// <summary>A sample with more of them, some tenth of a millisecond, is hardly quicker together with others.</summary>
    private const long FewMultiplications = 4_000_000;

    /// <summary>Rows from which on a batch is worth the name: weights are read once for all of them.</summary>
    private const int Worthwhile = 8;

    private static readonly int[] _heights = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];

    /// <summary>What a lone sample is computed as, the cheapest first. 1 where no library sums: it takes that for a product of matrix and vector, whose sums no batch has.</summary>
    private static readonly int[] _references = [1, 2, 3, 4, 8, 16];

    private readonly InferencePass _pass;
    private readonly Staging _staging;
    private readonly SampleSet _tried;

    private BatchHeights(TrainableModel model, InferencePass pass, Staging staging)
    {
        (_pass, _staging) = (pass, staging);
        var count = model.Layout.Length < FewParameters ? 32 : 8;
        var random = new Random(1);
        var features = new float[count * staging.ElementsPerSample];
        foreach (ref var value in features.AsSpan())
            value = (float)((random.NextDouble() * 4) - 2);
        _tried = new SampleSet(model.Signature.Shape, features, default, default, new int[count]);
    }

    /// <summary>Finds them, the fewest rows first. The module computes for it some hundred times.</summary>
    public static IReadOnlyList<BatchHeight> Find(TrainableModel model, InferencePass pass, Staging staging)
    {
        model.Enter(training: false);
        using var inference = inference_mode();
        return new BatchHeights(model, pass, staging).Find();
    }

    private List<BatchHeight> Find()
    {
        // a convolution reads its few weights again for each of its many places: a batch saves only what a call costs, and libraries are quickest with one picture
        if (_pass.HasConvolutions && (!_pass.HasOwnSums || Multiplications() > FewMultiplications))
            return [new BatchHeight(1, [0])];
        if (_pass.IsOwn)
            return [.. Enumerable.Range(1, _heights[^1]).Select(height => new BatchHeight(height, [.. Enumerable.Range(0, height)]))];
        List<BatchHeight> found = [];
        foreach (var reference in _references.Skip(_pass.HasOwnSums ? 0 : 1))
        {
            var expected = Enumerable.Range(0, _tried.Count).Select(sample => Outputs(reference, [sample], [0])[0]).ToArray();
            found = [];
            foreach (var height in _heights)
            {
                var rows = RowsAlike(height, expected);
                if (rows.Length > (found.Count == 0 ? 0 : found[^1].Rows.Length))
                    found.Add(new BatchHeight(height, rows));
            }
            if (found[^1].Rows.Length >= Worthwhile)
                break;
        }
        return found;
    }

    /// <summary>For one sample.</summary>
    private long Multiplications()
    {
        Outputs(1, [0], [0]);
        return _pass.Multiplications;
    }

    /// <summary>The rows whose outputs have the expected bits whatever sample is in them.</summary>
    private int[] RowsAlike(int height, float[][] expected)
    {
        int[] rows = [.. Enumerable.Range(0, height)];
        for (var shift = 0; shift < _tried.Count && rows.Length > 0; shift++)
        {
            int[] samples = [.. Enumerable.Range(0, height).Select(row => (row + shift) % _tried.Count)];
            var outputs = Outputs(height, samples, [.. Enumerable.Range(0, height)]);
            rows = [.. rows.Where(row => AreAlike(outputs[row], expected[samples[row]]))];
        }
        return rows;
    }

    /// <summary>What each row comes to.</summary>
    private float[][] Outputs(int height, int[] samples, int[] rows)
    {
        using var scope = NewDisposeScope();
        var outputs = Predictor.Values(_pass.Call(_staging.Scatter(_tried, samples, rows, height).Features));
        var width = outputs.Length / height;
        return [.. rows.Select(row => outputs.AsSpan(row * width, width).ToArray())];
    }

    private static bool AreAlike(float[] one, float[] other) => MemoryMarshal.Cast<float, int>(one).SequenceEqual(MemoryMarshal.Cast<float, int>(other));
}

/// <summary>A number of samples that the module sees at once.</summary>
/// <param name="Size">with the rows that stay empty</param>
/// <param name="Rows">that may have a sample</param>
internal sealed record BatchHeight(int Size, int[] Rows);
