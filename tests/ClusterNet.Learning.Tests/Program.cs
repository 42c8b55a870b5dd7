using ClusterNet.Core.Data;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;
using ClusterNet.Learning.Native;
using ClusterNet.Learning.Training;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Tests;

/// <summary>The other process of a test: prints the hash of a gradient.</summary>
public static class Program
{
    /// <summary>Second argument: the gradient is computed again and again, in memory that is full of what is no number.</summary>
    public const string Dirty = "dirty";

    /// <summary>The only argument: for each kind, what its trial gradient is, the weights after a short training, its trial outputs with one and the same weights, and what it says of many samples with them.</summary>
    public const string Arithmetic = "arithmetic";

    public static int Main(string[] arguments)
    {
        ArgumentNullException.ThrowIfNull(arguments);
        if (arguments is [Arithmetic])
        {
            foreach (var (kind, trial, trained, outputs, said) in ArithmeticOfAll())
                Console.WriteLine($"{kind} {trial} {trained} {outputs} {said}");
            return 0;
        }
        var isDirty = arguments.Contains(Dirty);
        var hashes = new HashSet<string>();
        for (var i = 0; i < (isDirty ? 10 : 1); i++)
            hashes.Add(GradientHash(arguments[0], isDirty ? () => FillHeap(i) : () => { }));
        Console.WriteLine(string.Join(", ", hashes));
        Console.WriteLine(NativeHeap.IsClean ? "clean" : "as it is");
        return 0;
    }

    /// <summary>How this process computes.</summary>
    public static IReadOnlyList<(string Kind, string Trial, string Trained, string Outputs, string Said)> ArithmeticOfAll() => [.. new[] { "mlp", "mlp-odd", "cnn", "gru", "lstm", "rnn-odd" }.Select(ArithmeticOf)];

    private static (string Kind, string Trial, string Trained, string Outputs, string Said) ArithmeticOf(string kind)
    {
        var (spec, signature) = Fixtures.Kind(kind);
        var samples = Fixtures.Samples(signature, 310);
        using var model = Fixtures.Catalog.Build(spec, Fixtures.CrossEntropy, signature, seed: 5, threads: 1);
        using var computer = Fixtures.Computer(model, Fixtures.CrossEntropy, samples);
        var plan = new BatchPlan(310, 32, 4, seed: 5);
        var trial = TrialGradient.Sha256(computer, plan, model.Layout.Length);
        Assert.Equal(trial, TrialGradient.Sha256(computer, plan, model.Layout.Length));
        var pool = new TensorBufferPool(model.Layout.Length);
        for (var step = 0; step < 3 * plan.StepsPerEpoch; step++)
        {
            var part = computer.ComputeNode(step, TreeNode.Root(4), plan, [new ShardRange(0, model.Layout.Length)], pool)[0];
            for (var i = 0; i < model.Layout.Length; i++)
                model.Weights[i] -= 0.002f * part.Span[i];
            part.Buffer.Release();
        }
        var (outputs, said) = PredictionsOf(spec, signature);
        return (kind, trial, PlainLoop.Sha256(model.Weights), outputs, said);
    }

    private static (string Outputs, string Said) PredictionsOf(ModelSpec spec, DataSignature signature)
    {
        using var model = Fixtures.Catalog.Build(spec, Fixtures.CrossEntropy, signature, seed: 6, threads: 1);
        // initial weights are drawn by ATen where a library computes, and so not the same on every processor
        var random = new SplitMix64(6);
        foreach (ref var weight in model.Weights)
            weight = (random.Next(2_000_001) - 1_000_000) / 3_000_000f;
        using var loss = new LossFunction(Fixtures.CrossEntropy, signature);
        using var predictor = new Predictor(model, loss, isBatchInvariant: true);
        return (predictor.TrialOutputs(), PlainLoop.Sha256(predictor.Predict(Fixtures.Samples(signature, 500))));
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
