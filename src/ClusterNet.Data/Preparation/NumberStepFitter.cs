using System.Globalization;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Data.Preparation;

/// <summary>Fits one step of the job file on one column or lane.</summary>
internal static class NumberStepFitter
{
    /// <summary>The step, or null where there is a fault.</summary>
    /// <param name="spec">the step: not one-hot and not labels</param>
    /// <param name="lane">the training values</param>
    /// <param name="what">the column or array, as faults call it</param>
    /// <param name="place">where the step stands</param>
    /// <param name="faults">receives what keeps it from being fitted</param>
    public static NumberStep? Fit(PreparationSpec spec, Lane lane, string what, string place, FaultList faults)
    {
        switch (spec.Kind)
        {
            case PreparationKind.Scale:
                return Number(spec.Value) is { } divisor and not 0 ? new NumberStep.Divide(divisor) : Fault($"value '{spec.Value}' is not a number to divide by, such as 255");
            case PreparationKind.Impute when spec.Strategy == ImputeStrategy.Constant:
                return Number(spec.Value) is { } constant ? new NumberStep.Fill(constant) : Fault($"value '{spec.Value}' is not a number that could stand in {what}");
            case PreparationKind.MinMax when !(spec.Range.Low < spec.Range.High && double.IsFinite(spec.Range.High - spec.Range.Low)):
                return Fault(FormattableString.Invariant($"range {spec.Range.Low} to {spec.Range.High} is not one from a lower to a higher number"));
        }

        var statistics = lane.Statistics();
        if (statistics.Count == 0)
            return Fault($"{what} has no value at all in the training part; exclude it");
        switch (spec.Kind)
        {
            case PreparationKind.Standardize:
                return new NumberStep.Standardize(statistics.Mean, statistics.Deviation > 0 ? statistics.Deviation : 1);
            case PreparationKind.MinMax:
                return new NumberStep.MinMax(statistics.Least, statistics.Most, spec.Range.Low, spec.Range.High);
            case PreparationKind.Impute:
                return new NumberStep.Fill(spec.Strategy switch
                {
                    ImputeStrategy.Median => Median(lane.Sorted()),
                    ImputeStrategy.MostFrequent => MostFrequent(lane.Sorted()),
                    _ => statistics.Mean,
                });
            default:
                throw new ArgumentException($"{spec.Kind} is no step over numbers", nameof(spec));
        }

        NumberStep? Fault(string message)
        {
            faults.Add(place, message);
            return null;
        }
    }

    /// <summary>A finite number, or null.</summary>
    public static double? Number(string? text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? number : null;

    private static double Median(ReadOnlySpan<double> sorted)
    {
        var middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : sorted[middle - 1] + ((sorted[middle] - sorted[middle - 1]) / 2);
    }

    private static double MostFrequent(ReadOnlySpan<double> sorted)
    {
        var (best, most) = (sorted[0], 0);
        for (var start = 0; start < sorted.Length;)
        {
            var end = start;
            while (end < sorted.Length && sorted[end] == sorted[start])
                end++;
            if (end - start > most)
                (best, most) = (sorted[start], end - start);
            start = end;
        }
        return best;
    }
}
