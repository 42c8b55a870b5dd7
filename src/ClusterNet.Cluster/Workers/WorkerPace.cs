using System.Diagnostics;
using System.Globalization;

namespace ClusterNet.Cluster.Workers;

/// <summary>
/// How fast a worker computes, for benchmarks and tests of what a slow one does to the others: one that is slowed four times lets its thread sleep for three times as long as each computation took. The
/// variable <see cref="Variable"/> holds INDEX:FACTOR for the worker of that index, from 0, of each job on a node; unset, everyone goes at full pace.
/// </summary>
/// <param name="factor">1 for full pace, 4 for a quarter of it</param>
internal sealed class WorkerPace(double factor)
{
    public const string Variable = "CLUSTERNET_TEST_SLOW_WORKER";

    /// <summary>No delay.</summary>
    public static WorkerPace Full { get; } = new(1);

    /// <summary>When something begins.</summary>
    public long Now => factor > 1 ? Stopwatch.GetTimestamp() : 0;

    /// <summary>Of a node's worker, by its index among those of its job.</summary>
    public static WorkerPace Of(int index) => Parse(Environment.GetEnvironmentVariable(Variable), index);

    /// <summary>The same of a setting.</summary>
    public static WorkerPace Parse(string? setting, int index) => setting?.Split(':') is [var which, var times]
        && int.TryParse(which, NumberStyles.None, CultureInfo.InvariantCulture, out var slow) && slow == index
        && double.TryParse(times, NumberStyles.Float, CultureInfo.InvariantCulture, out var factor) && factor is > 1 and <= 1000
            ? new WorkerPace(factor)
            : Full;

    /// <summary>Makes what began then last as long as it would on a slower machine.</summary>
    public void Linger(long since)
    {
        if (factor > 1)
            Thread.Sleep(Stopwatch.GetElapsedTime(since) * (factor - 1));
    }
}
