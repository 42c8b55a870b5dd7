using BenchmarkDotNet.Attributes;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Optimizers;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Benchmarks.Micro;

/// <summary>One update of a shard that holds all of an MLP 784-512-512-10.</summary>
public class UpdateBenchmarks
{
    private const int Length = 669_706;
    private readonly float[] _gradient = new float[Length];
    private readonly float[] _new = new float[Length];
    private float[] _weights = [];
    private ShardUpdater _updater = null!;
    private long _step;

    [Params(OptimizerKind.Sgd, OptimizerKind.Adam, OptimizerKind.Lamb)]
    public OptimizerKind Kind { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        var training = new TrainingSpec { Optimizer = new OptimizerSpec { Kind = Kind, Momentum = Kind == OptimizerKind.Sgd ? 0.9 : 0 } };
        _updater = new ShardUpdater(training, long.MaxValue, new ParameterLayout([("all", (IReadOnlyList<int>)[Length])]), new ShardRange(0, Length));
        _weights = [.. Enumerable.Range(0, Length).Select(i => 0.01f * MathF.Sin(i))];
        for (var i = 0; i < Length; i++)
            _gradient[i] = MathF.Cos(i);
    }

    [Benchmark]
    public void Update()
    {
        _updater.Begin(_step++, _gradient, 128, _weights, _new);
        while (_updater.NeedsNorms)
            _updater.Combine([_updater.Partials()]);
    }
}
