using BenchmarkDotNet.Attributes;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;

namespace ClusterNet.Benchmarks.Micro;

/// <summary>What an evaluation costs beside the model: ten classes, a thousand samples.</summary>
public class MetricBenchmarks
{
    private const int Samples = 1000;
    private const int Classes = 10;
    private readonly float[] _probabilities = new float[Samples * Classes];

    [GlobalSetup]
    public void Setup()
    {
        for (var i = 0; i < _probabilities.Length; i++)
            _probabilities[i] = (i * 7 % 19 + 1) / 200f;
    }

    [Benchmark(OperationsPerInvoke = Samples)]
    public MetricAccumulator Add()
    {
        var metrics = new MetricAccumulator(LearningTask.Classification, Classes);
        for (var i = 0; i < Samples; i++)
            metrics.Add(_probabilities.AsSpan(i * Classes, Classes), i % Classes, 0.1, 1);
        return metrics;
    }
}
