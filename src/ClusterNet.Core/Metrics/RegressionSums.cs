namespace ClusterNet.Core.Metrics;

/// <summary>What the metrics of a regression are computed from.</summary>
internal sealed class RegressionSums
{
    private ExactSum _squaredError = new();
    private ExactSum _absoluteError = new();
    private ExactSum _target = new();
    private ExactSum _squaredTarget = new();

    public long Samples { get; private set; }

    public void Add(float prediction, float target)
    {
        var error = (double)prediction - target;
        _squaredError.Add(error * error);
        _absoluteError.Add(Math.Abs(error));
        _target.Add(target);
        _squaredTarget.Add((double)target * target);
        Samples++;
    }

    public void Merge(RegressionSums other)
    {
        _squaredError.Add(other._squaredError);
        _absoluteError.Add(other._absoluteError);
        _target.Add(other._target);
        _squaredTarget.Add(other._squaredTarget);
        Samples += other.Samples;
    }

    public void Report(Action<string, double> put)
    {
        var mse = _squaredError.Value / Samples;
        put(MetricNames.Mse, mse);
        put(MetricNames.Rmse, Math.Sqrt(mse));
        put(MetricNames.Mae, _absoluteError.Value / Samples);
        put(MetricNames.R2, 1 - _squaredError.Value / SquaresAboutTheMean());
    }

    public void Write(BinaryWriter writer)
    {
        writer.Write(Samples);
        foreach (var sum in (ReadOnlySpan<ExactSum>)[_squaredError, _absoluteError, _target, _squaredTarget])
            sum.Write(writer);
    }

    public static RegressionSums Read(ref MetricReader reader) => new()
    {
        Samples = reader.Count(),
        _squaredError = ExactSum.Read(ref reader),
        _absoluteError = ExactSum.Read(ref reader),
        _target = ExactSum.Read(ref reader),
        _squaredTarget = ExactSum.Read(ref reader),
    };

    // (n sum(y^2) - sum(y)^2) / n, rounded only at the end: in doubles the difference of two large numbers could be all rounding. NaN where it is 0, and R2 undefined.
    private double SquaresAboutTheMean()
    {
        if (Samples == 0 || !_target.IsFinite || !_squaredTarget.IsFinite)
            return double.NaN;
        var sum = _target.Units;
        var numerator = ((Samples * _squaredTarget.Units) << -ExactSum.UnitExponent) - sum * sum;
        return numerator.Sign > 0 ? ExactSum.Round(numerator, 2 * ExactSum.UnitExponent) / Samples : double.NaN;
    }
}
