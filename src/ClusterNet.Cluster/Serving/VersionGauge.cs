using ClusterNet.Core.Jobs;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Serving;

/// <summary>How a version is on a node: written by its actor, read by the host, without a message in between.</summary>
/// <param name="version">which</param>
internal sealed class VersionGauge(ModelVersionId version)
{
    private readonly Lock _lock = new();
    private readonly LatencyHistogram _latencies = new();
    private readonly long[] _failures = new long[Enum.GetValues<FailureKind>().Length];
    private ServingState _state = ServingState.Loading;
    private string? _reason;
    private int _waiting;
    private long _requests;
    private long _samples;
    private long _batches;
    private TimeSpan _queued;
    private TimeSpan _computed;
    private DateTimeOffset? _last;

    public void Is(ServingState state, string? reason = null)
    {
        lock (_lock)
            (_state, _reason) = (state, reason);
    }

    public void Waits(int requests) => Volatile.Write(ref _waiting, requests);

    public void Arrived(DateTimeOffset now)
    {
        lock (_lock)
            _last = now;
    }

    public void Computed(TimeSpan elapsed, long samples)
    {
        lock (_lock)
        {
            _batches++;
            _samples += samples;
            _computed += elapsed;
        }
    }

    /// <param name="queued">until its batch was taken</param>
    /// <param name="latency">until it was answered</param>
    public void Answered(TimeSpan queued, TimeSpan latency)
    {
        var now = DateTimeOffset.UtcNow;
        lock (_lock)
        {
            _latencies.Add(latency, now);
            _requests++;
            _queued += queued;
        }
    }

    public void Failed(FailureKind kind)
    {
        lock (_lock)
            _failures[(int)kind]++;
    }

    public VersionStatus Read()
    {
        lock (_lock)
        {
            var failures = new Dictionary<FailureKind, long>();
            foreach (var kind in Enum.GetValues<FailureKind>())
            {
                if (_failures[(int)kind] > 0)
                    failures.Add(kind, _failures[(int)kind]);
            }
            var statistics = new ServingStatistics(_requests, failures, _samples, _batches, _queued, _computed, _last) { Latencies = _latencies.Read(DateTimeOffset.UtcNow) };
            return new VersionStatus(version, _state, _reason, Volatile.Read(ref _waiting), statistics);
        }
    }
}
