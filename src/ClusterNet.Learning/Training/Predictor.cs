using System.Runtime.InteropServices;
using ClusterNet.Core.Data;
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
    private readonly IReadOnlyList<BatchHeight> _heights = [];

    /// <param name="model">computes with what its weights are at the time</param>
    /// <param name="loss">says what the model's outputs mean</param>
    /// <param name="isBatchInvariant">whether a sample has the same bits whatever it is asked together with. It is tried now, on the weights that the model has, how: trained weights that are zeros would hide how sums are taken</param>
    public Predictor(TrainableModel model, LossFunction loss, bool isBatchInvariant = false)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(loss);
        (_model, _loss, _staging) = (model, loss, new Staging(model.Signature.Shape));
        if (isBatchInvariant)
            _heights = BatchHeights.Find(model, loss, _staging);
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

    /// <inheritdoc/>
    public void Dispose() => _staging.Dispose();

    internal static float[] Values(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.contiguous().bytes).ToArray();

    /// <returns>how many samples were answered</returns>
    private int Predict(SampleSet samples, int first, float[] answer)
    {
        using var scope = NewDisposeScope();
        var left = samples.Count - first;
        if (_heights.Count == 0)
        {
            var all = Math.Min(LargestBatch, left);
            Values(_loss.ToProbabilities(_model.Module.call(_staging.Gather(samples, first, all).Features))).CopyTo(answer.AsSpan(first * Columns));
            return all;
        }
        var height = _heights.FirstOrDefault(height => height.Rows.Length >= left) ?? _heights[^1];
        var rows = height.Rows.AsSpan(0, Math.Min(left, height.Rows.Length));
        var values = Values(_loss.ToProbabilities(_model.Module.call(_staging.Scatter(samples, first, rows, height.Size).Features)));
        for (var i = 0; i < rows.Length; i++)
            values.AsSpan(rows[i] * Columns, Columns).CopyTo(answer.AsSpan((first + i) * Columns));
        return rows.Length;
    }
}
