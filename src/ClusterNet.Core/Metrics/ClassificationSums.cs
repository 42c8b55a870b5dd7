using System.Runtime.InteropServices;

namespace ClusterNet.Core.Metrics;

/// <summary>What the metrics of a classification are computed from.</summary>
internal sealed class ClassificationSums
{
    private const int Bins = 15;

    private readonly int _classes;
    private readonly int _scoresPerSample;
    private readonly long[][] _confusion;
    private readonly (long Samples, long Correct, ExactSum Confidence)[] _bins = new (long, long, ExactSum)[Bins];
    private readonly List<ushort> _labels = [];
    private readonly List<float> _scores = [];
    private ExactSum _brier = new();

    public ClassificationSums(int classes)
    {
        _classes = classes;
        _scoresPerSample = ScoresOf(classes);
        _confusion = [.. Enumerable.Range(0, classes).Select(_ => new long[classes])];
        for (var i = 0; i < Bins; i++)
            _bins[i].Confidence = new ExactSum();
    }

    public long Samples => _labels.Count;

    /// <summary>A label and the scores.</summary>
    public static int BytesOfSample(int classes) => sizeof(ushort) + (ScoresOf(classes) * sizeof(float));

    /// <summary>A copy of the counts.</summary>
    public IReadOnlyList<long[]> Confusion() => [.. _confusion.Select(row => row.ToArray())];

    public void Add(ReadOnlySpan<float> outputs, int label)
    {
        if (outputs.Length != _classes)
            throw new ArgumentException($"{outputs.Length} probabilities for {_classes} classes", nameof(outputs));
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)label, (uint)_classes, nameof(label));
        var predicted = 0;
        var squares = 0.0;
        for (var k = 0; k < outputs.Length; k++)
        {
            if (outputs[k] > outputs[predicted])
                predicted = k;
            var error = (double)outputs[k] - (k == label ? 1 : 0);
            squares = _classes == 2 ? error * error : squares + error * error;
        }
        _brier.Add(squares);
        _confusion[label][predicted]++;
        // the product of a float and 15 is exact in double, so no probability falls on the wrong side of a bound
        ref var bin = ref _bins[(int)Math.Clamp(Math.Ceiling((double)outputs[predicted] * Bins) - 1, 0, Bins - 1)];
        bin.Samples++;
        bin.Correct += predicted == label ? 1 : 0;
        bin.Confidence.Add(outputs[predicted]);
        _labels.Add((ushort)label);
        _scores.AddRange(_classes == 2 ? outputs[1..] : outputs);
    }

    public void Merge(ClassificationSums other)
    {
        for (var label = 0; label < _classes; label++)
        {
            for (var predicted = 0; predicted < _classes; predicted++)
                _confusion[label][predicted] += other._confusion[label][predicted];
        }
        for (var i = 0; i < Bins; i++)
        {
            _bins[i].Samples += other._bins[i].Samples;
            _bins[i].Correct += other._bins[i].Correct;
            _bins[i].Confidence.Add(other._bins[i].Confidence);
        }
        _brier.Add(other._brier);
        _labels.AddRange(other._labels);
        _scores.AddRange(other._scores);
    }

    public void Report(Action<string, double> put)
    {
        var classes = Enumerable.Range(0, _classes).Select(Count).ToArray();
        var occurring = classes.Where(c => c.Labelled + c.Predicted > 0).ToArray();
        var labelled = classes.Where(c => c.Labelled > 0).ToArray();
        put(MetricNames.Accuracy, (double)classes.Sum(c => c.Hits) / Samples);
        put(MetricNames.BalancedAccuracy, Mean(labelled, c => c.Recall));
        foreach (var (name, of) in (ReadOnlySpan<(string, Func<ClassCounts, double>)>)
            [(MetricNames.Precision, c => c.Precision), (MetricNames.Recall, c => c.Recall), (MetricNames.Specificity, c => c.Specificity), (MetricNames.F1, c => c.F1)])
        {
            var macro = Mean(occurring, c => OrZero(of(c)));
            put(name, _classes == 2 ? of(classes[1]) : macro);
            put(name + MetricNames.Macro, macro);
            put(name + MetricNames.Weighted, labelled.Sum(c => c.Labelled * OrZero(of(c))) / Samples);
            for (var label = 0; label < _classes; label++)
                put(MetricNames.OfClass(name, label), of(classes[label]));
        }
        var areas = _classes == 2 ? [Areas(0, 1)] : Enumerable.Range(0, _classes).Where(k => classes[k].Labelled > 0).Select(k => Areas(k, k)).ToArray();
        put(MetricNames.RocAuc, Mean(areas, area => area.RocAuc));
        put(MetricNames.PrAuc, Mean(areas, area => area.AveragePrecision));
        put(MetricNames.Brier, _brier.Value / Samples);
        put(MetricNames.Ece, _bins.Sum(bin => Math.Abs(bin.Correct - bin.Confidence.Value)) / Samples);
    }

    private static int ScoresOf(int classes) => classes == 2 ? 1 : classes;

    public void Write(BinaryWriter writer)
    {
        _brier.Write(writer);
        foreach (var (samples, correct, confidence) in _bins)
        {
            writer.Write(samples);
            writer.Write(correct);
            confidence.Write(writer);
        }
        var cells = _confusion.SelectMany((row, label) => row.Select((count, predicted) => (Index: label * _classes + predicted, Count: count))).Where(cell => cell.Count > 0).ToArray();
        writer.Write(cells.Length);
        foreach (var (index, count) in cells)
        {
            writer.Write(index);
            writer.Write(count);
        }
        writer.Write(Samples);
        foreach (var label in _labels)
            writer.Write(label);
        foreach (var score in _scores)
            writer.Write(score);
    }

    /// <exception cref="FormatException">the bytes are not of the form, or the counts contradict each other</exception>
    public static ClassificationSums Read(int classes, ref MetricReader reader)
    {
        var sums = new ClassificationSums(classes) { _brier = ExactSum.Read(ref reader) };
        for (var i = 0; i < Bins; i++)
            sums._bins[i] = (reader.Count(), reader.Count(), ExactSum.Read(ref reader));
        for (var cells = reader.Int32(); cells > 0; cells--)
        {
            var (index, count) = (reader.Int32(), reader.Count());
            if ((uint)index >= (uint)(classes * classes))
                throw new FormatException($"cell {index} of a confusion matrix of {classes} classes");
            sums._confusion[index / classes][index % classes] = count;
        }
        var samples = reader.Count();
        if (samples > int.MaxValue / sums._scoresPerSample)
            throw new FormatException($"{samples} samples are too many");
        var labels = reader.Bytes(2 * samples);
        var scores = reader.Bytes(4 * samples * sums._scoresPerSample);
        var ofClass = new long[classes];
        for (var rest = new MetricReader(labels); !rest.IsAtEnd;)
        {
            var label = rest.UInt16();
            if (label >= classes)
                throw new FormatException($"label {label} of {classes} classes");
            sums._labels.Add(label);
            ofClass[label]++;
        }
        for (var rest = new MetricReader(scores); !rest.IsAtEnd;)
            sums._scores.Add(BitConverter.Int32BitsToSingle(rest.Int32()));
        if (!sums.IsConsistent(ofClass))
            throw new FormatException("counts contradict each other");
        return sums;
    }

    // Int128: counts from outside may be as large as a long, and must not wrap to what looks right
    private bool IsConsistent(long[] ofClass)
    {
        for (var label = 0; label < _classes; label++)
        {
            if (Total(_confusion[label]) != ofClass[label])
                return false;
        }
        return _bins.All(bin => bin.Correct <= bin.Samples)
            && Total(_bins.Select(bin => bin.Samples)) == Samples
            && Total(_bins.Select(bin => bin.Correct)) == Total(_confusion.Select((row, label) => row[label]));

        static Int128 Total(IEnumerable<long> counts) => counts.Aggregate(Int128.Zero, (sum, count) => sum + count);
    }

    private ClassCounts Count(int k) => new(_confusion[k][k], _confusion[k].Sum(), _confusion.Sum(row => row[k]), Samples);

    // scores of class k: at `column` of each sample's scores
    private (double RocAuc, double AveragePrecision) Areas(int column, int k)
    {
        var labels = CollectionsMarshal.AsSpan(_labels);
        var (scores, isPositive) = (new float[labels.Length], new bool[labels.Length]);
        for (var i = 0; i < scores.Length; i++)
            (scores[i], isPositive[i]) = (_scores[i * _scoresPerSample + column], labels[i] == k);
        return Ranking.Areas(scores, isPositive);
    }

    private static double Mean<T>(T[] items, Func<T, double> of) => items.Sum(of) / items.Length;

    private static double OrZero(double value) => double.IsNaN(value) ? 0 : value;

    /// <summary>A class against the rest.</summary>
    private readonly record struct ClassCounts(long Hits, long Labelled, long Predicted, long Samples)
    {
        public double Precision => (double)Hits / Predicted;

        public double Recall => (double)Hits / Labelled;

        public double Specificity => (double)(Samples - Labelled - Predicted + Hits) / (Samples - Labelled);

        public double F1 => 2.0 * Hits / (Labelled + Predicted);
    }
}
