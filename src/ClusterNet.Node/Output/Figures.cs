using System.Globalization;
using ClusterNet.Core.Metrics;

namespace ClusterNet.Node.Output;

/// <summary>Numbers, times and metrics as people read them.</summary>
internal static class Figures
{
    /// <summary>A count with separators: <c>12,430</c>.</summary>
    public static string Count(double value) => value.ToString("#,0", CultureInfo.InvariantCulture);

    /// <summary>A count of something: <c>1 step</c>, <c>12,430 steps</c>.</summary>
    public static string Count(double value, string noun) => $"{Count(value)} {noun}{(value == 1 ? "" : "s")}";

    /// <summary>A loss or metric with four digits that say something.</summary>
    public static string Metric(double? value) => value switch
    {
        null => "-",
        { } number when !double.IsFinite(number) => number.ToString(CultureInfo.InvariantCulture),
        0 => "0.0000",
        { } number when Math.Abs(number) is >= 1e-3 and < 1e4 => number.ToString(Math.Abs(number) < 100 ? "0.0000" : "0.00", CultureInfo.InvariantCulture),
        { } number => number.ToString("0.000e+0", CultureInfo.InvariantCulture),
    };

    /// <summary>A duration: <c>3 s</c>, <c>2:05</c>, <c>1:02:05</c>.</summary>
    public static string Duration(TimeSpan time) => time switch
    {
        { TotalSeconds: < 10 } => string.Create(CultureInfo.InvariantCulture, $"{Math.Max(0, time.TotalSeconds):0.0} s"),
        { TotalMinutes: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0} s"),
        { TotalHours: < 1 } => time.ToString(@"m\:ss", CultureInfo.InvariantCulture),
        _ => string.Create(CultureInfo.InvariantCulture, $"{(long)time.TotalHours}:{time.Minutes:00}:{time.Seconds:00}"),
    };

    /// <summary>A moment in local time: <c>2025-03-01 14:05</c>.</summary>
    public static string Moment(DateTimeOffset time) => time.ToLocalTime().ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture);

    /// <summary>A shape: <c>1 x 8 x 8</c>.</summary>
    public static string Shape(IReadOnlyList<int> shape) => shape.Count == 0 ? "-" : string.Join(" x ", shape);

    /// <summary>The metrics that belong in a table, in the order of <see cref="MetricNames"/>: not those of single classes, nor those averaged in other ways.</summary>
    public static IReadOnlyList<string> TableMetrics(IEnumerable<string> names)
    {
        var given = names.ToHashSet(StringComparer.Ordinal);
        var known = MetricNames.All.Where(name => given.Contains(name) && !name.EndsWith(MetricNames.Macro, StringComparison.Ordinal) && !name.EndsWith(MetricNames.Weighted, StringComparison.Ordinal));
        var own = given.Where(name => !MetricNames.All.Contains(name) && !name.Contains('/', StringComparison.Ordinal)).Order(StringComparer.Ordinal);
        return [.. known, .. own];
    }
}
