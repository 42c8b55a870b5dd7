using System.Diagnostics;
using System.Runtime.InteropServices;
using ClusterNet.Core.Data;
using ClusterNet.Learning.Models;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Training;

/// <summary>
/// How many samples a model may see at once without a bit of an answer changing. A matrix product of another height may add in another order, which is the library's affair: it depends on the
/// processor, on the sizes of the layers, on the number of threads. So it is not assumed but measured, once a model is loaded: a height is used where every output, before it is made a
/// probability, has the bits that it has at <see cref="Reference"/>. What a processor does with given sizes does not depend on the values, so samples drawn at random show it.
/// </summary>
public sealed class BatchHeights
{
    /// <summary>The height whose bits are the answer.</summary>
    public const int Reference = 16;

    private const int Rounds = 2;

    // below four rows MKL's order depends on where the factors lie in memory, too: what was measured once would not hold
    private static readonly int[] _lower = [4, 8];
    private static readonly int[] _higher = [32, 64];
    private static readonly TimeSpan MostTime = TimeSpan.FromSeconds(2);

    private readonly int[] _heights;

    private BatchHeights(int[] heights) => _heights = heights;

    /// <summary>The reference alone.</summary>
    public static BatchHeights Fixed { get; } = new([Reference]);

    /// <summary>Heights that give the same bits, ascending.</summary>
    public IReadOnlyList<int> All => _heights;

    /// <summary>How many samples the model sees next, where so many are left: the rest is padding.</summary>
    public int For(int left)
    {
        var under = _heights[0];
        foreach (var height in _heights)
        {
            if (height >= left)
                return under > left || height <= left + (left / 2) ? height : under;
            under = height;
        }
        return under;
    }

    /// <summary>Measures which heights a model can be computed at. Stops early where that takes long: the fewer are used, the slower it is, and no answer is another one.</summary>
    public static BatchHeights Of(TrainableModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        var started = Stopwatch.GetTimestamp();
        using var staging = new Staging(model.Signature.Shape);
        model.Enter(training: false);
        using var inference = inference_mode();
        var most = _higher[^1];
        var rounds = Enumerable.Range(1, Rounds).Select(seed => Samples(model, most, seed)).ToArray();
        var references = rounds.Select(samples => Outputs(model, staging, samples, most, Reference)).ToArray();
        var same = new List<int> { Reference };
        foreach (var height in _lower.Reverse().Concat(_higher))
        {
            if (Stopwatch.GetElapsedTime(started) > MostTime)
                break;
            var count = Math.Max(height, Reference);
            if (Enumerable.Range(0, Rounds).All(round => IsStart(Outputs(model, staging, rounds[round], count, height), references[round])))
                same.Add(height);
        }
        return new BatchHeights([.. same.Order()]);
    }

    private static SampleSet Samples(TrainableModel model, int count, int seed)
    {
        var random = new Random(seed);
        var elements = model.Signature.Shape.Aggregate(1, (product, axis) => product * axis);
        var values = new float[count * elements];
        foreach (ref var value in values.AsSpan())
            value = (float)((random.NextDouble() * 4) - 2);
        return new SampleSet(model.Signature.Shape, values, default, default, Enumerable.Range(0, count).ToArray());
    }

    private static float[] Outputs(TrainableModel model, Staging staging, SampleSet samples, int count, int height)
    {
        var outputs = new List<float>();
        for (var first = 0; first < count; first += height)
        {
            using var scope = NewDisposeScope();
            var values = model.Module.call(staging.Gather(samples, first, height, height).Features).contiguous();
            outputs.AddRange(MemoryMarshal.Cast<byte, float>(values.bytes));
        }
        return [.. outputs];
    }

    private static bool IsStart(float[] part, float[] whole) =>
        MemoryMarshal.Cast<float, int>(part).SequenceEqual(MemoryMarshal.Cast<float, int>(whole.AsSpan(0, part.Length)));
}
