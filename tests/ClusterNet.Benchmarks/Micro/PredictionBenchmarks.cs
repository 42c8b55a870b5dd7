using BenchmarkDotNet.Attributes;
using ClusterNet.Core.Data;
using ClusterNet.Core.Jobs;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Training;
using static TorchSharp.torch;

namespace ClusterNet.Benchmarks.Micro;

/// <summary>Predictions of the MLP with 669,706 parameters and of the CNN with 16 and 32 channels, of samples with the same bits in any company, over the module's own forward pass of as many rows, which does not give that.</summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001", Justification = "disposed of when the benchmark is over")]
public class PredictionBenchmarks
{
    private const int Side = 28;
    private const int Features = Side * Side;
    private TrainableModel _model = null!;
    private LossFunction _loss = null!;
    private Predictor _predictor = null!;
    private SampleSet _samples = null!;
    private Tensor _batch = null!;

    [Params("mlp", "cnn")]
    public string Model { get; set; } = "";

    [Params(1, 2, 4, 16, 64)]
    public int Rows { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        int[] shape = Model == "cnn" ? [1, Side, Side] : [Features];
        var signature = new DataSignature(LearningTask.Classification, ["x"], shape, [.. Enumerable.Range(0, 10).Select(i => $"c{i}")], "y");
        var settings = Model == "cnn"
            ? new Dictionary<string, SettingValue> { ["channels"] = List("16", "32"), ["head"] = List("64") }
            : new Dictionary<string, SettingValue> { ["hidden"] = List("512", "512") };
        var spec = new ModelSpec(Model, settings, new InitialisationSpec());
        _model = new ModelCatalog(ModelCatalog.BuiltIn).Build(spec, new LossSpec(), signature, seed: 1, threads: 1);
        _loss = new LossFunction(new LossSpec(), signature);
        _predictor = new Predictor(_model, _loss, isBatchInvariant: true);
        var values = Enumerable.Range(0, Rows * Features).Select(i => (i * 7 % 19) / 19f).ToArray();
        _samples = new SampleSet(signature.Shape, values, default, default, new int[Rows]);
        _batch = tensor(values).view([Rows, .. shape.Select(axis => (long)axis)]);
    }

    [Benchmark(Baseline = true)]
    public float[] Module()
    {
        set_num_threads(1);
        using var inference = inference_mode();
        using var scope = NewDisposeScope();
        return _model.Module.call(_batch).softmax(1).data<float>().ToArray();
    }

    [Benchmark]
    public float[] Predict() => _predictor.Predict(_samples);

    [GlobalCleanup]
    public void Cleanup()
    {
        _batch.Dispose();
        _predictor.Dispose();
        _loss.Dispose();
        _model.Dispose();
    }

    private static SettingValue.List List(params string[] values) => new([.. values.Select(value => new SettingValue.Scalar(value))]);
}
