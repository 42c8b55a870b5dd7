using Microsoft.Extensions.Hosting;

namespace ClusterNet.Cluster.Hosting;

/// <summary>
/// Gives memory back to the system when a node has nothing to do. A job with many parameters leaves gigabytes of arrays behind; they are collected when more memory is asked for, which on a node that has come to rest nobody does.
/// While there is work nothing is given back: it would be asked for again at once.
/// </summary>
internal sealed class IdleMemory(TimeProvider time) : BackgroundService
{
    private const long WorthIt = 256 << 20;

    private static readonly TimeSpan _interval = TimeSpan.FromSeconds(30);

    // a node that has nothing to do takes about a fortieth of a core
    private static readonly TimeSpan _idle = _interval / 10;

    // what was in use may be garbage by now, and nobody counts while nobody collects
    private static readonly TimeSpan _again = TimeSpan.FromMinutes(10);

    private long _kept;
    private TimeSpan _since;

    /// <summary>Looks whether to collect.</summary>
    /// <param name="used">processor time that the process took in the last half minute</param>
    /// <param name="committed">bytes that the collector has from the system, as of its last run</param>
    public bool IsDue(TimeSpan used, long committed)
    {
        if ((_since += _interval) >= _again)
            _kept = 0;
        return used < _idle && committed - _kept > WorthIt;
    }

    /// <summary>Takes note of what could not be given back.</summary>
    public void Collected(long committed) => (_kept, _since) = (committed, TimeSpan.Zero);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var pace = new PeriodicTimer(_interval, time);
        var before = Environment.CpuUsage.TotalTime;
        while (await pace.WaitForNextTickAsync(stoppingToken).ConfigureAwait(false))
        {
            var now = Environment.CpuUsage.TotalTime;
            if (IsDue(now - before, GC.GetGCMemoryInfo().TotalCommittedBytes))
            {
                GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
                Collected(GC.GetGCMemoryInfo().TotalCommittedBytes);
            }
            before = now;
        }
    }
}
