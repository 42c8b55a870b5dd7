using System.Runtime.InteropServices;
using ClusterNet.Core.Data;
using ClusterNet.Learning.Models;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Training;

/// <summary>
/// Answers for samples without targets. A matrix product of another height may round differently in the last bit (seen with MKL below 4 rows); who must have the same bits for a sample whatever
/// it is asked together with gives a fixed batch. Used by one thread at a time, and never while another computes with the same model.
/// </summary>
/// <param name="model">computes with what its weights are at the time</param>
/// <param name="loss">says what the model's outputs mean</param>
/// <param name="fixedBatch">the model always sees so many samples, the last of them padding where fewer are left; 0 for as many as there are, up to <see cref="LargestBatch"/>, the fastest</param>
public sealed class Predictor(TrainableModel model, LossFunction loss, int fixedBatch = 0) : IDisposable
{
    /// <summary>The most samples that the model sees at once where no fixed batch is given.</summary>
    public const int LargestBatch = 256;

    private readonly int _batchSize = fixedBatch >= 0 ? fixedBatch : throw new ArgumentOutOfRangeException(nameof(fixedBatch), fixedBatch, "negative");
    private readonly Staging _staging = new(model.Signature.Shape);

    /// <summary>Values of each sample in the answer: one a class, or one.</summary>
    public int Columns => loss.Columns;

    /// <summary>The probability of each class, or the value, of each sample, with the model in evaluation mode.</summary>
    /// <returns>row-major [samples, <see cref="Columns"/>]</returns>
    public float[] Predict(SampleSet samples)
    {
        ArgumentNullException.ThrowIfNull(samples);
        if (samples.ElementsPerSample != model.Signature.Shape.Aggregate(1, (product, axis) => product * axis))
            throw new ArgumentException($"samples of shape [{string.Join(", ", samples.Shape)}] for a model of [{string.Join(", ", model.Signature.Shape)}]", nameof(samples));
        var answer = new float[samples.Count * Columns];
        model.Enter(training: false);
        using var inference = inference_mode();
        var most = _batchSize > 0 ? _batchSize : LargestBatch;
        for (var first = 0; first < samples.Count; first += most)
        {
            using var scope = NewDisposeScope();
            var count = Math.Min(most, samples.Count - first);
            var batch = _staging.Gather(samples, first, count, _batchSize > 0 ? _batchSize : count);
            var values = loss.ToProbabilities(model.Module.call(batch.Features)).contiguous();
            MemoryMarshal.Cast<byte, float>(values.bytes)[..(count * Columns)].CopyTo(answer.AsSpan(first * Columns));
        }
        return answer;
    }

    /// <inheritdoc/>
    public void Dispose() => _staging.Dispose();
}
