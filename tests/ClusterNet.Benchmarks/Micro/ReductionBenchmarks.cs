using BenchmarkDotNet.Attributes;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Benchmarks.Micro;

/// <summary>One step's slice gradients of an MLP 784-512-512-10 become one sum.</summary>
public class ReductionBenchmarks
{
    private const int Length = 669_706;
    private readonly TensorBufferPool _pool = new(Length);
    private readonly TensorBuffer[] _gradients = new TensorBuffer[4];
    private ReductionTree _tree = null!;

    [Params(1, 4)]
    public int Slices { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _tree = new ReductionTree(Slices, _pool);
        for (var slice = 0; slice < _gradients.Length; slice++)
        {
            _gradients[slice] = _pool.Rent();
            _gradients[slice].Span.Fill(slice);
        }
    }

    [Benchmark]
    public double Reduce()
    {
        for (var slice = 0; slice < Slices; slice++)
            _tree.Offer(new TreeNode(0, slice), new ReductionTree.Part(_gradients[slice].Share(), 0, Length, default));
        var first = _tree.Root.Span[0];
        _tree.Clear();
        return first;
    }
}
