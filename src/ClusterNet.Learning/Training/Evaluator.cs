using System.Runtime.InteropServices;
using ClusterNet.Core.Data;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;
using ClusterNet.Core.Plans;
using ClusterNet.Learning.Models;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Training;

/// <summary>
/// Evaluates a part in chunks of <see cref="ChunkSize"/> samples at fixed positions, so that the merged result does not depend on who evaluates which chunks: a matrix product of another
/// height may round differently. Used by one thread at a time, and never while another computes with the same model.
/// </summary>
/// <param name="model">computes with what its weights are at the time</param>
/// <param name="loss">the job's loss</param>
public sealed class Evaluator(TrainableModel model, LossFunction loss) : IDisposable
{
    /// <summary>Samples in a chunk; fewer in the last.</summary>
    public const int ChunkSize = EvaluationChunks.Length;

    private readonly Staging _staging = new(model.Signature.Shape);

    /// <summary>Chunks in a part of so many samples.</summary>
    public static int ChunkCount(int samples) => EvaluationChunks.Count(samples);

    /// <summary>The metrics of some chunks of a part, with the model in evaluation mode.</summary>
    /// <param name="part">with targets</param>
    /// <param name="firstChunk">from 0</param>
    /// <param name="chunks">how many</param>
    public MetricAccumulator Evaluate(SampleSet part, int firstChunk, int chunks)
    {
        ArgumentNullException.ThrowIfNull(part);
        ArgumentOutOfRangeException.ThrowIfNegative(firstChunk);
        ArgumentOutOfRangeException.ThrowIfNegative(chunks);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstChunk + chunks, ChunkCount(part.Count));
        var metrics = new MetricAccumulator(loss.Task, loss.Classes);
        model.Enter(training: false);
        using var inference = inference_mode();
        for (var first = firstChunk * ChunkSize; first < Math.Min(part.Count, (firstChunk + chunks) * ChunkSize); first += ChunkSize)
            Add(part, first, Math.Min(ChunkSize, part.Count - first), metrics);
        return metrics;
    }

    /// <summary>The metrics of a whole part.</summary>
    public MetricAccumulator Evaluate(SampleSet part) => Evaluate(part, 0, ChunkCount((part ?? throw new ArgumentNullException(nameof(part))).Count));

    /// <inheritdoc/>
    public void Dispose() => _staging.Dispose();

    private void Add(SampleSet part, int first, int count, MetricAccumulator metrics)
    {
        using var scope = NewDisposeScope();
        var batch = _staging.Gather(part, first, count);
        loss.Fill(part, first, count, _staging);
        var outputs = model.Module.call(batch.Features);
        var losses = Values(loss.Of(outputs, batch, nn.Reduction.None));
        Span<float> probabilities = new float[count * loss.Columns];
        loss.ToProbabilities(Values(outputs), probabilities);
        if (loss.Task == LearningTask.Regression)
        {
            var targets = part.Values.Span.Slice(first, count);
            for (var i = 0; i < count; i++)
                metrics.Add(probabilities[i], targets[i], losses[i], 1);
            return;
        }
        var labels = part.Labels.Span.Slice(first, count);
        for (var i = 0; i < count; i++)
        {
            var weight = loss.WeightOf(labels[i]);
            metrics.Add(probabilities.Slice(i * loss.Classes, loss.Classes), labels[i], losses[i] / weight, weight);
        }
    }

    private static ReadOnlySpan<float> Values(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.contiguous().bytes);
}
