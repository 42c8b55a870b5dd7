using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Serving;

/// <summary>What several nodes say of one version, as one.</summary>
internal static class StatusMerge
{
    private static readonly ServingState[] _best = [ServingState.Ready, ServingState.Loading, ServingState.Draining, ServingState.Failed];

    /// <summary>It answers where one node answers; counts and times add up.</summary>
    public static (ServingState State, string? Reason, ServingStatistics Statistics) Of(IEnumerable<VersionStatus> nodes)
    {
        var all = nodes.ToArray();
        // of thousands of versions that there may be, few are loaded anywhere
        if (all.Length == 0)
            return (ServingState.Unloaded, null, ServingStatistics.None);
        var state = _best.Where(state => all.Any(node => node.State == state)).DefaultIfEmpty(ServingState.Unloaded).First();
        var failures = new Dictionary<FailureKind, long>();
        foreach (var (kind, count) in all.SelectMany(node => node.Statistics.Failures))
            failures[kind] = failures.GetValueOrDefault(kind) + count;
        return (state, state == ServingState.Ready ? null : all.FirstOrDefault(node => node.State == state)?.Reason, new ServingStatistics(
            all.Sum(node => node.Statistics.Requests),
            failures,
            all.Sum(node => node.Statistics.Samples),
            all.Sum(node => node.Statistics.Batches),
            Sum(all.Select(node => node.Statistics.Queued)),
            Sum(all.Select(node => node.Statistics.Computed)),
            all.Select(node => node.Statistics.Last).Max())
        {
            Waiting = all.Sum(node => node.Waiting),
            Latencies = [.. Enumerable.Range(0, LatencyHistogram.Buckets).Select(bucket => all.Sum(node => node.Statistics.Latencies.ElementAtOrDefault(bucket)))],
        });
    }

    private static TimeSpan Sum(IEnumerable<TimeSpan> times) => TimeSpan.FromTicks(times.Sum(time => time.Ticks));
}
