using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;

namespace ClusterNet.Learning.Tests;

/// <summary>The other process of a test: prints the hash of a gradient.</summary>
public static class Program
{
    public static int Main(string[] arguments)
    {
        ArgumentNullException.ThrowIfNull(arguments);
        Console.WriteLine(GradientHash(arguments[0]));
        return 0;
    }

    /// <summary>Of the gradient of a whole step, four slices, of one of the kinds in <see cref="Fixtures.Kind"/>.</summary>
    public static string GradientHash(string kind)
    {
        var (spec, signature) = Fixtures.Kind(kind);
        var samples = Fixtures.Samples(signature, 50);
        using var model = Fixtures.Catalog.Build(spec, new LossSpec { LabelSmoothing = 0.1 }, signature, seed: 5, threads: 1);
        using var computer = Fixtures.Computer(model, new LossSpec { LabelSmoothing = 0.1 }, samples);
        return PlainLoop.Sha256(computer.ComputeNode(3, TreeNode.Root(4), new BatchPlan(50, 25, 4, seed: 5), new TensorBufferPool(model.Layout.Length)).Span);
    }
}
