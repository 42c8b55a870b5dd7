using ClusterNet.Core.Jobs;

namespace ClusterNet.Core.Metrics;

/// <summary>
/// Takes samples one by one and gives their metrics. Accumulators of parts merge, and the report is the same, bit for bit, however the samples were ordered and dealt to
/// parts: counts and exact sums, and for ranking metrics the scores themselves (4 bytes a sample with two classes, else 4 bytes a sample and class). Not thread-safe.
/// </summary>
public sealed class MetricAccumulator
{
    /// <summary>The most classes.</summary>
    public const int MaxClasses = 1024;

    private const uint Magic = 0x314D4E43; // "CNM1"

    private readonly ClassificationSums? _classification;
    private readonly RegressionSums? _regression;
    private readonly ExactSum _loss;
    private readonly ExactSum _weight;

    /// <param name="task">which metrics</param>
    /// <param name="classes">classification: 2 to <see cref="MaxClasses"/>; regression: unused</param>
    public MetricAccumulator(LearningTask task, int classes)
        : this(task, task == LearningTask.Classification ? CheckedClasses(classes) : 0, new ExactSum(), new ExactSum())
    {
        if (task == LearningTask.Classification)
            _classification = new ClassificationSums(classes);
        else
            _regression = new RegressionSums();
    }

    private MetricAccumulator(LearningTask task, int classes, ExactSum loss, ExactSum weight) => (Task, Classes, _loss, _weight) = (task, classes, loss, weight);

    private MetricAccumulator(LearningTask task, int classes, ref MetricReader reader)
        : this(task, classes, ExactSum.Read(ref reader), ExactSum.Read(ref reader))
    {
        if (task == LearningTask.Classification)
            _classification = ClassificationSums.Read(classes, ref reader);
        else
            _regression = RegressionSums.Read(ref reader);
    }

    /// <summary>What is learned.</summary>
    public LearningTask Task { get; }

    /// <summary>Number of classes; 0 for regression.</summary>
    public int Classes { get; }

    /// <summary>Samples so far.</summary>
    public long Samples => _classification?.Samples ?? _regression!.Samples;

    /// <summary>Takes a sample of a classification.</summary>
    /// <param name="outputs">the probability of each class, two where there are two classes</param>
    /// <param name="label">the true class</param>
    /// <param name="loss">the sample's loss, not yet multiplied by its weight</param>
    /// <param name="weight">of the sample in the mean loss; other metrics count each sample once</param>
    /// <exception cref="ArgumentException">as many outputs as classes, or the label, is not what was given</exception>
    public void Add(ReadOnlySpan<float> outputs, int label, double loss, double weight)
    {
        (_classification ?? throw new InvalidOperationException("metrics of a regression take predictions and targets")).Add(outputs, label);
        _loss.Add(weight * loss);
        _weight.Add(weight);
    }

    /// <summary>Takes a sample of a regression.</summary>
    /// <param name="prediction">the model's value</param>
    /// <param name="target">the true value</param>
    /// <param name="loss">the sample's loss, not yet multiplied by its weight</param>
    /// <param name="weight">of the sample in the mean loss; other metrics count each sample once</param>
    public void Add(float prediction, float target, double loss, double weight)
    {
        (_regression ?? throw new InvalidOperationException("metrics of a classification take probabilities and labels")).Add(prediction, target);
        _loss.Add(weight * loss);
        _weight.Add(weight);
    }

    /// <summary>Takes all samples of <paramref name="other"/>, which stays as it is.</summary>
    /// <exception cref="ArgumentException">it is of another task or number of classes</exception>
    public void Merge(MetricAccumulator other)
    {
        ArgumentNullException.ThrowIfNull(other);
        if (other.Task != Task || other.Classes != Classes)
            throw new ArgumentException($"metrics of {other.Task} with {other.Classes} classes are not of {Task} with {Classes}", nameof(other));
        _loss.Add(other._loss);
        _weight.Add(other._weight);
        _classification?.Merge(other._classification!);
        _regression?.Merge(other._regression!);
    }

    /// <summary>The metrics so far.</summary>
    public MetricReport Report()
    {
        var values = new Dictionary<string, double>();
        void Put(string name, double value)
        {
            if (double.IsFinite(value))
                values.Add(name, value);
        }
        Put(MetricNames.Loss, _loss.Value / _weight.Value);
        _classification?.Report(Put);
        _regression?.Report(Put);
        return new MetricReport(Samples, values, _classification?.Confusion() ?? []);
    }

    /// <summary>Bytes that a sample more takes in <see cref="ToBytes"/>, with all its scores; those of a regression take none, and 1 stands for that.</summary>
    /// <param name="task">which metrics</param>
    /// <param name="classes">classification: 2 to <see cref="MaxClasses"/>; regression: unused</param>
    public static int BytesOfSample(LearningTask task, int classes) => task == LearningTask.Classification ? ClassificationSums.BytesOfSample(classes) : 1;

    /// <summary>A compact binary form for the way between nodes: little-endian, with a version.</summary>
    public byte[] ToBytes()
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write(Magic);
        writer.Write((byte)Task);
        writer.Write((ushort)Classes);
        _loss.Write(writer);
        _weight.Write(writer);
        _classification?.Write(writer);
        _regression?.Write(writer);
        writer.Flush();
        return stream.ToArray();
    }

    /// <summary>Reads what <see cref="ToBytes"/> gave.</summary>
    /// <exception cref="FormatException">the bytes are not of that form</exception>
    public static MetricAccumulator FromBytes(ReadOnlySpan<byte> bytes)
    {
        var reader = new MetricReader(bytes);
        if ((uint)reader.Int32() != Magic)
            throw new FormatException("no metrics, or metrics of another version");
        var task = (LearningTask)reader.Byte();
        int classes = reader.UInt16();
        var isValid = task switch
        {
            LearningTask.Classification => classes is >= 2 and <= MaxClasses,
            LearningTask.Regression => classes == 0,
            _ => false,
        };
        if (!isValid)
            throw new FormatException($"metrics of task {(int)task} with {classes} classes");
        var accumulator = new MetricAccumulator(task, classes, ref reader);
        return reader.IsAtEnd ? accumulator : throw new FormatException("more bytes than metrics");
    }

    private static int CheckedClasses(int classes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(classes, 2);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(classes, MaxClasses);
        return classes;
    }
}
