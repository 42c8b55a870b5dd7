using System.Runtime.InteropServices;
using System.Security.Cryptography;
using ClusterNet.Core.Data;
using ClusterNet.Learning.Inference;
using ClusterNet.Learning.Models;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Training;

/// <summary>
/// Answers for samples without targets. Used by one thread at a time, and never while another computes with the same model.
/// </summary>
public sealed class Predictor : IDisposable
{
    /// <summary>The most samples that the model sees at once where a sample's bits may depend on its company.</summary>
    public const int LargestBatch = 256;

    private readonly TrainableModel _model;
    private readonly LossFunction _loss;
    private readonly Staging _staging;
    private readonly InferencePass _pass;
    private readonly IReadOnlyList<BatchHeight> _heights = [];

    /// <param name="model">computes with what its weights are at the time</param>
    /// <param name="loss">says what the model's outputs mean</param>
    /// <param name="isBatchInvariant">whether a sample has the same bits whatever it is asked together with. It is tried now, on the weights that the model has, how: trained weights that are zeros would hide how sums are taken</param>
    public Predictor(TrainableModel model, LossFunction loss, bool isBatchInvariant = false)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(loss);
        (_model, _loss, _staging, _pass) = (model, loss, new Staging(model.Signature.Shape), new InferencePass(model));
        if (isBatchInvariant)
            _heights = BatchHeights.Find(model, _pass, _staging);
    }

    /// <summary>Whether several samples together take less time than one after the other.</summary>
    public bool IsQuickerTogether => _heights.Count == 0 || _heights[^1].Rows.Length > 1;

    /// <summary>Values of each sample in the answer: one a class, or one.</summary>
    public int Columns => _loss.Columns;

    /// <summary>The probability of each class, or the value, of each sample, with the model in evaluation mode.</summary>
    /// <returns>row-major [samples, <see cref="Columns"/>]</returns>
    public float[] Predict(SampleSet samples)
    {
        ArgumentNullException.ThrowIfNull(samples);
        if (samples.ElementsPerSample != _staging.ElementsPerSample)
            throw new ArgumentException($"samples of shape [{string.Join(", ", samples.Shape)}] for a model of [{string.Join(", ", _model.Signature.Shape)}]", nameof(samples));
        var answer = new float[samples.Count * Columns];
        _model.Enter(training: false);
        using var inference = inference_mode();
        for (var first = 0; first < samples.Count;)
            first += Predict(samples, first, answer);
        return answer;
    }

    /// <summary>
    /// Tells apart processors and libraries that do not compute the same bits of this model with the weights that it has now: SHA-256, lower-case hexadecimal, of what samples drawn at random come to, before and after that is made a
    /// probability. Computed as <see cref="Predict(SampleSet)"/> does it.
    /// </summary>
    public string TrialOutputs()
    {
        const int Samples = 32;
        var random = new Random(1);
        var features = new float[Samples * _staging.ElementsPerSample];
        foreach (ref var value in features.AsSpan())
            value = (float)((random.NextDouble() * 4) - 2);
        var samples = new SampleSet(_model.Signature.Shape, features, default, default, new int[Samples]);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        _model.Enter(training: false);
        using var inference = inference_mode();
        var answer = new float[Samples * Columns];
        for (var first = 0; first < Samples;)
            first += Predict(samples, first, answer, hash);
        hash.AppendData(MemoryMarshal.AsBytes<float>(answer));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _staging.Dispose();
        _pass.Dispose();
    }

    internal static float[] Values(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.contiguous().bytes).ToArray();

    /// <returns>how many samples were answered</returns>
    private int Predict(SampleSet samples, int first, float[] answer, IncrementalHash? raw = null)
    {
        using var scope = NewDisposeScope();
        var left = samples.Count - first;
        if (_heights.Count == 0)
        {
            var all = Math.Min(LargestBatch, left);
            _loss.ToProbabilities(Outputs(_staging.Gather(samples, first, all).Features, raw), answer.AsSpan(first * Columns, all * Columns));
            return all;
        }
        var height = _heights.FirstOrDefault(height => height.Rows.Length >= left) ?? _heights[^1];
        var rows = height.Rows.AsSpan(0, Math.Min(left, height.Rows.Length));
        var outputs = Outputs(_staging.Scatter(samples, first, rows, height.Size).Features, raw);
        for (var i = 0; i < rows.Length; i++)
            _loss.ToProbabilities(outputs.Slice(rows[i] * _loss.Outputs, _loss.Outputs), answer.AsSpan((first + i) * Columns, Columns));
        return rows.Length;
    }

    /// <returns>[batch, outputs], as long as the dispose scope is</returns>
    private ReadOnlySpan<float> Outputs(Tensor features, IncrementalHash? hash)
    {
        var outputs = _pass.Call(features).contiguous().bytes;
        hash?.AppendData(outputs);
        return MemoryMarshal.Cast<byte, float>(outputs);
    }
}
