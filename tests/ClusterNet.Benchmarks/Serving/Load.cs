using System.Diagnostics;

namespace ClusterNet.Benchmarks.Serving;

/// <summary>What came of a load.</summary>
/// <param name="PerSecond">answers</param>
/// <param name="P50">half of the answers took no longer, in milliseconds</param>
/// <param name="P99">99 in 100 took no longer, in milliseconds</param>
internal readonly record struct LoadResult(double PerSecond, double P50, double P99)
{
    public static LoadResult Of(List<double> milliseconds, TimeSpan elapsed)
    {
        milliseconds.Sort();
        return new LoadResult(milliseconds.Count / elapsed.TotalSeconds, Quantile(milliseconds, 0.5), Quantile(milliseconds, 0.99));
    }

    public static double Quantile(List<double> sorted, double quantile) => sorted.Count == 0 ? double.NaN : sorted[Math.Min(sorted.Count - 1, (int)(sorted.Count * quantile))];

    public override string ToString() => FormattableString.Invariant($"{PerSecond:0}/s, p50 {P50:0.000} ms, p99 {P99:0.000} ms");
}

/// <summary>What came of a load that does not wait for answers.</summary>
/// <param name="Offered">requests a second</param>
/// <param name="Served">answers in time, a second</param>
/// <param name="Late">part of the requests that was answered too late, or refused when its time was over</param>
/// <param name="P99">of the answers, in milliseconds</param>
/// <param name="ShedP99">of the refusals, in milliseconds</param>
internal readonly record struct OverloadResult(double Offered, double Served, double Late, double P99, double ShedP99);

/// <summary>Clients that each send a request when they have the answer to the last one.</summary>
internal static class ClosedLoop
{
    /// <param name="clients">at the same time</param>
    /// <param name="duration">for how long</param>
    /// <param name="ask">one request, given its number; done when it is answered</param>
    public static async Task<LoadResult> RunAsync(int clients, TimeSpan duration, Func<int, Task> ask)
    {
        var watch = Stopwatch.StartNew();
        var took = await Task.WhenAll(Enumerable.Range(0, clients).Select(client => Task.Run(async () =>
        {
            var milliseconds = new List<double>();
            for (var i = client; watch.Elapsed < duration; i += clients)
            {
                var started = Stopwatch.GetTimestamp();
                await ask(i).ConfigureAwait(false);
                milliseconds.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            }
            return milliseconds;
        })));
        return LoadResult.Of([.. took.SelectMany(times => times)], watch.Elapsed);
    }
}
