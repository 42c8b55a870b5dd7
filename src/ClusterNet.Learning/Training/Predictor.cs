using System.Runtime.InteropServices;
using ClusterNet.Core.Data;
using ClusterNet.Learning.Models;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Training;

/// <summary>
/// Answers for samples without targets. Who must have the same bits for a sample whatever it is asked together with gives a fixed batch: a matrix product of another height may round differently in
/// the last bit, and so may another row of the same product (MKL takes rows by twos where few columns are added: seen at 8). Used by one thread at a time, and never while another computes with the
/// same model.
/// </summary>
public sealed class Predictor : IDisposable
{
    /// <summary>The most samples that the model sees at once where no fixed batch is given.</summary>
    public const int LargestBatch = 256;

    private readonly TrainableModel _model;
    private readonly LossFunction _loss;
    private readonly int _fixedBatch;
    private readonly Staging _staging;
    private readonly int[] _rows = [];

    /// <summary>With a fixed batch it tries now which rows round alike.</summary>
    /// <param name="model">computes with what its weights are at the time</param>
    /// <param name="loss">says what the model's outputs mean</param>
    /// <param name="fixedBatch">the model always sees so many samples, zeros where fewer are left; 0 for as many as there are, up to <see cref="LargestBatch"/>, the fastest</param>
    public Predictor(TrainableModel model, LossFunction loss, int fixedBatch = 0)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(loss);
        ArgumentOutOfRangeException.ThrowIfNegative(fixedBatch);
        (_model, _loss, _fixedBatch, _staging) = (model, loss, fixedBatch, new Staging(model.Signature.Shape));
        if (fixedBatch > 0)
            _rows = RowsThatRoundAlike();
    }

    /// <summary>Values of each sample in the answer: one a class, or one.</summary>
    public int Columns => _loss.Columns;

    private int Elements => _model.Signature.Shape.Aggregate(1, (product, axis) => product * axis);

    /// <summary>The probability of each class, or the value, of each sample, with the model in evaluation mode.</summary>
    /// <returns>row-major [samples, <see cref="Columns"/>]</returns>
    public float[] Predict(SampleSet samples)
    {
        ArgumentNullException.ThrowIfNull(samples);
        if (samples.ElementsPerSample != Elements)
            throw new ArgumentException($"samples of shape [{string.Join(", ", samples.Shape)}] for a model of [{string.Join(", ", _model.Signature.Shape)}]", nameof(samples));
        var answer = new float[samples.Count * Columns];
        _model.Enter(training: false);
        using var inference = inference_mode();
        var most = _fixedBatch > 0 ? _rows.Length : LargestBatch;
        for (var first = 0; first < samples.Count; first += most)
        {
            using var scope = NewDisposeScope();
            var count = Math.Min(most, samples.Count - first);
            var batch = _fixedBatch > 0 ? _staging.Scatter(samples, first, _rows.AsSpan(0, count), _fixedBatch) : _staging.Gather(samples, first, count);
            var values = Values(_loss.ToProbabilities(_model.Module.call(batch.Features)));
            for (var i = 0; i < count; i++)
                values.AsSpan((_fixedBatch > 0 ? _rows[i] : i) * Columns, Columns).CopyTo(answer.AsSpan((first + i) * Columns));
        }
        return answer;
    }

    /// <inheritdoc/>
    public void Dispose() => _staging.Dispose();

    private static float[] Values(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.contiguous().bytes).ToArray();

    /// <summary>
    /// The rows of the fixed batch whose answers have the bits of the first row's. Which these are follows from the sizes of the layers and the processor, not from the values: samples drawn at
    /// random, each tried on each row, show it.
    /// </summary>
    private int[] RowsThatRoundAlike()
    {
        const int Rounds = 2;
        _model.Enter(training: false);
        using var inference = inference_mode();
        var isAlike = new bool[_fixedBatch];
        Array.Fill(isAlike, true);
        for (var round = 1; round <= Rounds; round++)
        {
            var random = new Random(round);
            var features = new float[_fixedBatch * Elements];
            foreach (ref var value in features.AsSpan())
                value = (float)((random.NextDouble() * 4) - 2);
            var samples = new SampleSet(_model.Signature.Shape, features, default, default, new int[_fixedBatch]);
            var first = new float[_fixedBatch][];
            var all = new List<float[][]>();
            for (var shift = 0; shift < _fixedBatch; shift++)
            {
                // row r has sample (r + shift) modulo the batch
                var outputs = Outputs(samples, [.. Enumerable.Range(0, _fixedBatch).Select(sample => (sample - shift + _fixedBatch) % _fixedBatch)]);
                first[shift] = outputs[0];
                all.Add(outputs);
            }
            for (var row = 1; row < _fixedBatch; row++)
                isAlike[row] &= Enumerable.Range(0, _fixedBatch).All(shift => AreAlike(all[shift][row], first[(row + shift) % _fixedBatch]));
        }
        return [.. Enumerable.Range(0, _fixedBatch).Where(row => isAlike[row])];
    }

    /// <summary>What each row comes to, before and after it is made a probability.</summary>
    private float[][] Outputs(SampleSet samples, int[] rows)
    {
        using var scope = NewDisposeScope();
        var outputs = _model.Module.call(_staging.Scatter(samples, 0, rows, _fixedBatch).Features);
        var (raw, probabilities) = (Values(outputs), Values(_loss.ToProbabilities(outputs)));
        var width = raw.Length / _fixedBatch;
        return [.. Enumerable.Range(0, _fixedBatch).Select(row => (float[])[.. raw.AsSpan(row * width, width), .. probabilities.AsSpan(row * Columns, Columns)])];
    }

    private static bool AreAlike(float[] one, float[] other) => MemoryMarshal.Cast<float, int>(one).SequenceEqual(MemoryMarshal.Cast<float, int>(other));
}
