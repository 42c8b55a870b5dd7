using System.Globalization;
using ClusterNet.Cluster.Models;

namespace ClusterNet.Cluster.Serving;

/// <summary>Judges an arm of a model's traffic by what its requests came to within a window.</summary>
internal sealed class CanaryJudge
{
    /// <summary>The most requests that are remembered: the newest.</summary>
    public const int Most = 10_000;

    private readonly Queue<(TimeSpan At, bool IsFailure, TimeSpan Latency)> _requests = [];

    /// <summary>A request has ended.</summary>
    public void Ended(TimeSpan now, bool isFailure, TimeSpan latency)
    {
        _requests.Enqueue((now, isFailure, latency));
        if (_requests.Count > Most)
            _requests.Dequeue();
    }

    /// <summary>Why the arm is to be taken out; null where it is not.</summary>
    public string? Fault(RollbackRule rule, TimeSpan now)
    {
        while (_requests.TryPeek(out var oldest) && now - oldest.At > rule.Window)
            _requests.Dequeue();
        if (_requests.Count < rule.LeastRequests)
            return null;
        var failures = _requests.Count(request => request.IsFailure);
        var rate = (double)failures / _requests.Count;
        if (rate > rule.MaxErrorRate)
            return string.Create(CultureInfo.InvariantCulture, $"{failures} of {_requests.Count} requests to '{rule.Canary}' failed within {rule.Window.TotalSeconds:0.###} s: {rate:P1} is more than {rule.MaxErrorRate:P1}");
        if (rule.MaxLatency is not { } most)
            return null;
        TimeSpan[] latencies = [.. _requests.Where(request => !request.IsFailure).Select(request => request.Latency).Order()];
        // the nearest rank: of n values the one that 95 of 100 do not exceed
        var rank = (int)Math.Ceiling(latencies.Length * 0.95) - 1;
        return rank < 0 || latencies[rank] <= most ? null
            : string.Create(CultureInfo.InvariantCulture, $"the 95th percentile of {latencies.Length} requests to '{rule.Canary}' within {rule.Window.TotalSeconds:0.###} s took {latencies[rank].TotalMilliseconds:0.###} ms: more than {most.TotalMilliseconds:0.###} ms");
    }
}
