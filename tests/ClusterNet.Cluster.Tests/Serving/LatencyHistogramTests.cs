using ClusterNet.Cluster.Serving;
using CsCheck;

namespace ClusterNet.Cluster.Tests.Serving;

/// <summary>Percentiles are near the true ones, nodes add up, and what is old is forgotten.</summary>
public sealed class LatencyHistogramTests
{
    private static readonly DateTimeOffset _now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_percentile_is_within_a_tenth_of_the_true_one()
    {
        Gen.Select(Gen.Double[0.03, 50_000].List[1, 200], Gen.Double[0.01, 1]).Sample((milliseconds, part) =>
        {
            var histogram = new LatencyHistogram();
            foreach (var time in milliseconds)
                histogram.Add(TimeSpan.FromMilliseconds(time), _now);
            var exact = milliseconds.Order().ElementAt((int)Math.Ceiling(milliseconds.Count * part) - 1);
            var told = LatencyHistogram.Quantile(histogram.Read(_now), part)!.Value.TotalMilliseconds;
            return told > 0.9 * exact && told < 1.1 * exact;
        });
    }

    [Fact]
    public void Extremes_are_counted_and_nothing_is_no_percentile()
    {
        var histogram = new LatencyHistogram();
        Assert.Null(LatencyHistogram.Quantile(histogram.Read(_now), 0.99));
        histogram.Add(TimeSpan.Zero, _now);
        histogram.Add(TimeSpan.FromDays(1), _now);
        Assert.Equal(2, histogram.Read(_now).Sum());
        Assert.True(LatencyHistogram.Quantile(histogram.Read(_now), 1) > TimeSpan.FromMinutes(1));
    }

    [Fact]
    public void What_is_older_than_two_minutes_is_forgotten_and_what_is_younger_than_one_is_not()
    {
        var histogram = new LatencyHistogram();
        histogram.Add(TimeSpan.FromMilliseconds(1), _now);
        Assert.Equal(1, histogram.Read(_now.AddSeconds(59)).Sum());
        histogram.Add(TimeSpan.FromMilliseconds(1), _now.AddSeconds(61));
        Assert.Equal(2, histogram.Read(_now.AddSeconds(100)).Sum());
        Assert.Equal(1, histogram.Read(_now.AddSeconds(122)).Sum());
        Assert.Equal(0, histogram.Read(_now.AddSeconds(1000)).Sum());
    }
}
