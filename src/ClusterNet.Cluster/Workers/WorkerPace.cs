using System.Diagnostics;
using System.Globalization;
using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Workers;

/// <summary>
/// How fast a worker computes, for benchmarks and tests of what a slow one does to the others: one that is slowed four times lets its thread sleep for three times as long as each computation took. The
/// variable <see cref="Variable"/> holds INDEX:FACTOR. Slow is whoever a synchronous job's slice INDEX belongs to, or an asynchronous job's worker of that index on a node; unset, everyone goes at full pace.
/// </summary>
/// <param name="worker">the worker's index among those of its job on its node</param>
/// <param name="slow">which is slow; null for none</param>
/// <param name="factor">1 for full pace, 4 for a quarter of it</param>
internal sealed class WorkerPace(int worker, int? slow, double factor)
{
    public const string Variable = "CLUSTERNET_TEST_SLOW_WORKER";

    /// <summary>No delay.</summary>
    public static WorkerPace Full { get; } = new(0, null, 1);

    /// <summary>Whether nobody is slowed.</summary>
    public bool IsFull => slow is null;

    /// <summary>When something begins.</summary>
    public long Now => slow is null ? 0 : Stopwatch.GetTimestamp();

    /// <summary>Of a node's worker.</summary>
    public static WorkerPace Of(int worker) => Parse(Environment.GetEnvironmentVariable(Variable), worker);

    /// <summary>The same of a setting.</summary>
    public static WorkerPace Parse(string? setting, int worker) => setting?.Split(':') is [var which, var times]
        && int.TryParse(which, NumberStyles.None, CultureInfo.InvariantCulture, out var slow)
        && double.TryParse(times, NumberStyles.Float, CultureInfo.InvariantCulture, out var factor) && factor is > 1 and <= 1000
            ? new WorkerPace(worker, slow, factor)
            : Full;

    /// <summary>Makes what began then last as long as it would on a slower machine.</summary>
    /// <param name="since">when it began</param>
    /// <param name="own">the nodes that belong to the worker; null where it claims what it computes</param>
    public void Linger(long since, IReadOnlyList<TreeNode>? own)
    {
        if (slow is { } index && (own is null ? worker == index : own.Any(node => node.Covers(new TreeNode(0, index)))))
            Thread.Sleep(Stopwatch.GetElapsedTime(since) * (factor - 1));
    }
}
