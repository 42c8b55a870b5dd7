using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;
using ClusterNet.Learning.Native;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Tests;

/// <summary>The other process of a test: prints the hash of a gradient.</summary>
public static class Program
{
    /// <summary>Second argument: the gradient is computed again and again, in memory that is full of what is no number.</summary>
    public const string Dirty = "dirty";

    public static int Main(string[] arguments)
    {
        ArgumentNullException.ThrowIfNull(arguments);
        var isDirty = arguments.Contains(Dirty);
        var hashes = new HashSet<string>();
        for (var i = 0; i < (isDirty ? 10 : 1); i++)
            hashes.Add(GradientHash(arguments[0], isDirty ? () => FillHeap(i) : () => { }));
        Console.WriteLine(string.Join(", ", hashes));
        Console.WriteLine(NativeHeap.IsClean ? "clean" : "as it is");
        return 0;
    }

    /// <summary>Of the gradient of a whole step, four slices, of one of the kinds in <see cref="Fixtures.Kind"/>.</summary>
    public static string GradientHash(string kind) => GradientHash(kind, () => { });

    private static string GradientHash(string kind, Action prepare)
    {
        var (spec, signature) = Fixtures.Kind(kind);
        var samples = Fixtures.Samples(signature, 50);
        using var model = Fixtures.Catalog.Build(spec, new LossSpec { LabelSmoothing = 0.1 }, signature, seed: 5, threads: 1);
        using var computer = Fixtures.Computer(model, new LossSpec { LabelSmoothing = 0.1 }, samples);
        prepare();
        return PlainLoop.Sha256(computer.ComputeNode(3, TreeNode.Root(4), new BatchPlan(50, 25, 4, seed: 5), [new ShardRange(0, model.Layout.Length)], new TensorBufferPool(model.Layout.Length))[0].Span);
    }

    /// <summary>Some 20 MB in blocks of all sizes that a small model needs, freed together.</summary>
    private static void FillHeap(int seed)
    {
        var random = new SplitMix64((ulong)seed);
        var blocks = Enumerable.Range(0, 2000).Select(_ => full(1 + random.Next(6000), float.NaN)).ToArray();
        foreach (var block in blocks)
            block.Dispose();
        for (var j = 0; j < 200; j++)
            full(1 + random.Next(6000), float.NaN).Dispose();
    }
}
