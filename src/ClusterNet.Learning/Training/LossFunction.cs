using ClusterNet.Core.Data;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;
using ClusterNet.Learning.Kernels;
using ClusterNet.Learning.Native;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace ClusterNet.Learning.Training;

/// <summary>
/// The loss of a job as the <i>sum</i> of weighted sample losses, so that slices can be added; divided by the sum of weights it is what torch calls the mean. Formulas, weights and label
/// smoothing are those of torch.nn.functional. May be used on several threads at a time.
/// </summary>
public sealed class LossFunction : IDisposable
{
    private const string Place = "training.loss";
    private readonly LossKind _kind;
    private readonly double _smoothing;
    private readonly double _delta;
    private readonly float[]? _weights;
    private readonly Tensor? _weightTensor;

    /// <param name="loss">which loss</param>
    /// <param name="signature">of the data</param>
    /// <param name="classCounts">samples of each class in the training part (<see cref="ClassCounts"/>); needed for balanced weights only</param>
    /// <exception cref="InputException">the loss does not go with the data</exception>
    public LossFunction(LossSpec loss, DataSignature signature, IReadOnlyList<int>? classCounts = null)
    {
        ArgumentNullException.ThrowIfNull(loss);
        ArgumentNullException.ThrowIfNull(signature);
        var faults = new List<Fault>();
        Validate(loss, signature, faults);
        if (faults.Count > 0)
            throw new InputException(faults);
        TorchLoader.EnsureLoaded();
        _kind = KindOf(loss, signature);
        _smoothing = loss.LabelSmoothing;
        _delta = loss.Delta;
        Task = signature.Task;
        Outputs = OutputsOf(loss, signature);
        Classes = signature.Classes.Count;
        _weights = WeightsOf(loss, signature, classCounts);
        if (_weights is not null)
            _weightTensor = tensor(_weights).DetachFromDisposeScope();
    }

    /// <summary>With the counts of the training part, where they are needed.</summary>
    /// <exception cref="InputException">the loss does not go with the data</exception>
    public static LossFunction For(LossSpec loss, PreparedData data)
    {
        ArgumentNullException.ThrowIfNull(data);
        var signature = data.Preparation.Signature;
        return new LossFunction(loss, signature, signature.Task == LearningTask.Classification ? ClassCounts(data.Training, signature.Classes.Count) : null);
    }

    /// <summary>What is learned.</summary>
    public LearningTask Task { get; }

    /// <summary>Values that a model must give for each sample.</summary>
    public int Outputs { get; }

    /// <summary>Number of classes; 0 for regression.</summary>
    public int Classes { get; }

    /// <summary>Values of each sample in what <see cref="ToProbabilities"/> gives: one a class, or one.</summary>
    public int Columns => Task == LearningTask.Classification ? Classes : 1;

    /// <summary>Outputs that a model needs: one a class for cross-entropy, else one.</summary>
    public static int OutputsOf(LossSpec loss, DataSignature signature) =>
        KindOf(loss, signature) == LossKind.CrossEntropy ? Math.Max(1, signature.Classes.Count) : 1;

    /// <summary>Samples of each class.</summary>
    public static int[] ClassCounts(SampleSet samples, int classes)
    {
        ArgumentNullException.ThrowIfNull(samples);
        var counts = new int[classes];
        foreach (var label in samples.Labels.Span)
            counts[label]++;
        return counts;
    }

    /// <summary>Adds what is wrong with the loss for this data.</summary>
    public static void Validate(LossSpec loss, DataSignature signature, ICollection<Fault> faults)
    {
        ArgumentNullException.ThrowIfNull(loss);
        ArgumentNullException.ThrowIfNull(signature);
        ArgumentNullException.ThrowIfNull(faults);
        void Add(string setting, string message) => faults.Add(new Fault($"{Place}.{setting}", message));
        var kind = KindOf(loss, signature);
        var classes = signature.Classes.Count;
        if (signature.Task == LearningTask.Regression)
        {
            if (kind is LossKind.CrossEntropy or LossKind.BinaryCrossEntropy)
                Add("kind", "cross-entropy is for classes; regression takes mse, mae or huber");
            if (loss.BalancedClassWeights || loss.ClassWeights.Count > 0)
                Add("class-weights", "there are no classes in regression");
        }
        else if (kind is LossKind.Mae or LossKind.Huber)
        {
            Add("kind", "mae and huber are for regression; classification takes cross-entropy, binary-cross-entropy (two classes) or mse (two classes)");
        }
        else if (kind is LossKind.BinaryCrossEntropy or LossKind.Mse && classes != 2)
        {
            Add("kind", $"{(kind == LossKind.Mse ? "mse" : "binary-cross-entropy")} tells two classes apart, and '{signature.TargetName}' has {classes}; use cross-entropy");
        }
        if (!(loss.LabelSmoothing is >= 0 and < 1))
            Add("label-smoothing", FormattableString.Invariant($"{loss.LabelSmoothing} is out of range: 0 up to but not including 1"));
        else if (loss.LabelSmoothing > 0 && kind is not (LossKind.CrossEntropy or LossKind.BinaryCrossEntropy))
            Add("label-smoothing", "goes with the cross-entropies only");
        if (!(loss.Delta > 0))
            Add("delta", FormattableString.Invariant($"{loss.Delta} is out of range: above 0"));
        if (loss.BalancedClassWeights && loss.ClassWeights.Count > 0)
            Add("class-weights", "weights are given and balanced ones asked for: only one of the two can be");
        foreach (var (label, weight) in loss.ClassWeights)
        {
            if (signature.Task == LearningTask.Classification && !signature.Classes.Contains(label))
                faults.Add(Fault.Unknown($"{Place}.class-weights", label, signature.Classes));
            if (!(weight > 0) || !double.IsFinite(weight))
                Add("class-weights", FormattableString.Invariant($"the weight of '{label}', {weight}, is not above 0"));
        }
    }

    /// <summary>What a model's outputs mean: probabilities (softmax of logits, or 1 - p and p with p the sigmoid), or values.</summary>
    /// <param name="outputs">[n, <see cref="Outputs"/>], row-major</param>
    /// <param name="probabilities">receives [n, <see cref="Columns"/>]</param>
    public void ToProbabilities(ReadOnlySpan<float> outputs, Span<float> probabilities)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(probabilities.Length, outputs.Length / Outputs * Columns);
        if (Task == LearningTask.Regression)
            outputs.CopyTo(probabilities);
        else if (_kind == LossKind.CrossEntropy)
            Probabilities.Softmax(outputs, Outputs, probabilities);
        else
            Probabilities.Sigmoid(outputs, probabilities);
    }

    /// <summary>Frees the native side.</summary>
    public void Dispose() => _weightTensor?.Dispose();

    /// <summary>The weight of a sample with this label.</summary>
    internal double WeightOf(int label) => _weights is null ? 1 : _weights[label];

    /// <summary>Writes the targets of samples as the loss wants them.</summary>
    /// <returns>the sum of the samples' weights</returns>
    internal double Fill(SampleSet samples, ReadOnlySpan<int> positions, Staging staging)
    {
        var sum = 0.0;
        for (var i = 0; i < positions.Length; i++)
            sum += FillRow(samples, positions[i], i, staging);
        return sum;
    }

    /// <summary>Writes the targets of consecutive samples as the loss wants them.</summary>
    internal void Fill(SampleSet samples, int first, int count, Staging staging)
    {
        for (var i = 0; i < count; i++)
            FillRow(samples, first + i, i, staging);
    }

    /// <summary>The weighted losses of the samples, [n] or [n, 1], or (reduction sum) their sum.</summary>
    internal Tensor Of(Tensor outputs, Staging.Views batch, nn.Reduction reduction)
    {
        switch (_kind)
        {
            case LossKind.CrossEntropy:
                return F.cross_entropy(outputs, batch.Labels, _weightTensor, reduction: reduction, label_smoothing: _smoothing);
            case LossKind.BinaryCrossEntropy:
                return F.binary_cross_entropy_with_logits(outputs, batch.Targets, _weights is null ? null : batch.Weights, reduction);
            case LossKind.Mae:
                return F.l1_loss(outputs, batch.Targets, reduction);
            case LossKind.Huber:
                return F.huber_loss(outputs, batch.Targets, _delta, reduction);
            default:
                if (Task == LearningTask.Regression)
                    return F.mse_loss(outputs, batch.Targets, reduction);
                var probabilities = outputs.sigmoid();
                if (_weights is null)
                    return F.mse_loss(probabilities, batch.Targets, reduction);
                var losses = F.mse_loss(probabilities, batch.Targets, nn.Reduction.None).mul(batch.Weights);
                return reduction == nn.Reduction.Sum ? losses.sum() : losses;
        }
    }

    /// <summary>The sum of the weighted losses of samples, and its gradient, in double precision: what <see cref="Of"/> says, with the same bits on every processor.</summary>
    /// <param name="outputs">[n, <see cref="Outputs"/>], row-major</param>
    /// <param name="targets">filled with those of the samples</param>
    /// <param name="gradient">receives [n, <see cref="Outputs"/>]</param>
    internal double Differentiate(ReadOnlySpan<float> outputs, Staging targets, Span<float> gradient)
    {
        var sum = 0.0;
        for (var i = 0; i < outputs.Length; i += Outputs)
        {
            if (_kind == LossKind.CrossEntropy)
                sum += CrossEntropy(outputs.Slice(i, Outputs), (int)targets.Labels[i / Outputs], gradient.Slice(i, Outputs));
            else
                sum += OfOne(outputs[i], targets.Targets[i], Task == LearningTask.Regression ? 1 : targets.Weights[i], out gradient[i]);
        }
        return sum;
    }

    /// <summary>-Σ a_c log p_c, a_c = w_c ((1 - e) [c = label] + e / C), with p the softmax of the logits; its gradient is (Σ a) p - a.</summary>
    private double CrossEntropy(ReadOnlySpan<float> logits, int label, Span<float> gradient)
    {
        const int Few = 256;
        Span<double> powers = logits.Length <= Few ? stackalloc double[logits.Length] : new double[logits.Length];
        double greatest = System.Numerics.Tensors.TensorPrimitives.Max(logits);
        var (sum, shares, rest) = (0.0, 0.0, 0.0);
        for (var i = 0; i < logits.Length; i++)
        {
            var share = ShareOf(i, label, logits.Length);
            sum += powers[i] = Probabilities.Exp(logits[i] - greatest);
            shares += share;
            rest += share * (logits[i] - greatest);
        }
        for (var i = 0; i < logits.Length; i++)
            gradient[i] = (float)((shares * (powers[i] / sum)) - ShareOf(i, label, logits.Length));
        return (shares * Probabilities.Log(sum)) - rest;
    }

    private double ShareOf(int index, int label, int classes) => WeightOf(index) * ((index == label ? 1 - _smoothing : 0) + (_smoothing / classes));

    private double OfOne(float output, float target, float weight, out float gradient)
    {
        double difference = (double)output - target;
        switch (_kind)
        {
            case LossKind.BinaryCrossEntropy:
                // log(1 + exp(y)) - t y, whose exponential can't overflow in this form
                var power = Probabilities.Exp(-Math.Abs((double)output));
                var p = (output >= 0 ? 1 : power) / (1 + power);
                gradient = (float)(weight * (p - target));
                return weight * (Math.Max(output, 0.0) - ((double)target * output) + Probabilities.Log(1 + power));
            case LossKind.Mae:
                gradient = difference > 0 ? 1 : difference < 0 ? -1 : (float)(0 * difference);
                return Math.Abs(difference);
            case LossKind.Huber:
                var isNear = Math.Abs(difference) <= _delta;
                gradient = (float)(isNear ? difference : double.IsNaN(difference) ? difference : Math.CopySign(_delta, difference));
                return isNear ? difference * difference / 2 : _delta * (Math.Abs(difference) - (_delta / 2));
            default:
                if (Task == LearningTask.Regression)
                {
                    gradient = (float)(2 * difference);
                    return difference * difference;
                }
                var probability = 1 / (1 + Probabilities.Exp(-(double)output));
                difference = probability - target;
                gradient = (float)(2 * weight * difference * probability * (1 - probability));
                return weight * difference * difference;
        }
    }

    private double FillRow(SampleSet samples, int position, int row, Staging staging)
    {
        if (Task == LearningTask.Regression)
        {
            staging.Targets[row] = samples.Values.Span[position];
            return 1;
        }
        var label = samples.Labels.Span[position];
        if (_kind == LossKind.CrossEntropy)
            staging.Labels[row] = label;
        else
            (staging.Targets[row], staging.Weights[row]) = BinaryTarget(label);
        return WeightOf(label);
    }

    /// <summary>
    /// Two-class cross-entropy with weights w and smoothing e is a1 * -log(p) + a0 * -log(1 - p), where a_c = w_c ((1 - e) [c = label] + e / 2): binary cross-entropy
    /// with target a1 / (a0 + a1) and weight a0 + a1.
    /// </summary>
    private (float Target, float Weight) BinaryTarget(int label)
    {
        var smoothing = _kind == LossKind.BinaryCrossEntropy ? _smoothing : 0;
        var a1 = WeightOf(_kind == LossKind.Mse ? label : 1) * ((label == 1 ? 1 - smoothing : 0) + smoothing / 2);
        var a0 = WeightOf(_kind == LossKind.Mse ? label : 0) * ((label == 0 ? 1 - smoothing : 0) + smoothing / 2);
        return ((float)(a1 / (a0 + a1)), (float)(a0 + a1));
    }

    private static LossKind KindOf(LossSpec loss, DataSignature signature) =>
        loss.Kind ?? (signature.Task == LearningTask.Classification ? LossKind.CrossEntropy : LossKind.Mse);

    private static float[]? WeightsOf(LossSpec loss, DataSignature signature, IReadOnlyList<int>? counts)
    {
        if (loss.BalancedClassWeights)
        {
            // a model that only predicts has no training part, and its loss no use
            if (counts is null)
                return null;
            var total = counts.Sum();
            return [.. counts.Select(count => (float)((double)total / ((double)counts.Count * Math.Max(1, count))))];
        }
        return loss.ClassWeights.Count == 0 ? null : [.. signature.Classes.Select(label => (float)loss.ClassWeights.GetValueOrDefault(label, 1.0))];
    }
}
