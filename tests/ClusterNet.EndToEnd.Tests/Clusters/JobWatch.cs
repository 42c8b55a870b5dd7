using System.Globalization;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Jobs;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>Follows a job closely from outside the cluster: every few milliseconds its step and its generations.</summary>
internal sealed class JobWatch : IAsyncDisposable
{
    private static readonly TimeSpan _patience = TimeSpan.FromMinutes(4);

    private readonly CancellationTokenSource _stop = new();
    private readonly List<(DateTime At, long Step, int Generations)> _seen = [];
    private readonly List<Moment> _marks = [];
    private readonly Func<IReadOnlyList<ClusterMember>> _nodes;
    private readonly JobId _job;
    private readonly Task _watching;
    private JobDetails? _last;

    private JobWatch(Func<IReadOnlyList<ClusterMember>> nodes, string job)
    {
        (_nodes, _job) = (nodes, new JobId(job));
        _watching = WatchAsync();
    }

    /// <summary>Whether the job has ended.</summary>
    public bool IsOver => _last is { Progress.Status: not (JobStatus.Preparing or JobStatus.Training) };

    /// <summary>Begins, by way of a node; by another one where it does not answer.</summary>
    public static JobWatch Start(Func<IReadOnlyList<ClusterMember>> nodes, string job) => new(nodes, job);

    /// <summary>From now on it is measured how long the job takes to get over what happens.</summary>
    public Moment Mark()
    {
        var moment = new Moment(DateTime.UtcNow, _last?.Generations.Count ?? 0, _last?.Progress.Step ?? 0);
        _marks.Add(moment);
        return moment;
    }

    /// <summary>Waits until the job has come to a step, or is over.</summary>
    public Task UntilAsync(long step) => UntilAsync(() => _last?.Progress.Step >= step);

    /// <summary>Waits until a step was done in a generation that opened after the last mark.</summary>
    public Task UntilNewGenerationStepsAsync() => UntilAsync(() => _marks[^1].Measure(_last!, _seen));

    /// <summary>Gives what was last seen of the job.</summary>
    public async Task<JobDetails> EndAsync()
    {
        await UntilAsync(() => IsOver);
        foreach (var mark in _marks)
            mark.Measure(_last!, _seen);
        return _last!;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching;
        _stop.Dispose();
    }

    private async Task UntilAsync(Func<bool> isSo)
    {
        using var patience = new CancellationTokenSource(_patience);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (true)
        {
            lock (_seen)
            {
                if (_last is not null && (IsOver || isSo()))
                    return;
            }
            await pace.WaitForNextTickAsync(patience.Token);
        }
    }

    private async Task WatchAsync()
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(25));
        RemoteCluster? cluster = null;
        var silences = 0;
        try
        {
            while (await pace.WaitForNextTickAsync(_stop.Token) && !IsOver)
            {
                try
                {
                    cluster ??= await RemoteCluster.ConnectAsync(AddressOf(_nodes() is { Count: > 0 } nodes ? nodes[silences % nodes.Count] : null), null, _stop.Token);
                    using var patience = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
                    patience.CancelAfter(TimeSpan.FromSeconds(1));
                    var details = await cluster.JobAsync(_job, patience.Token);
                    lock (_seen)
                    {
                        _last = details;
                        _seen.Add((DateTime.UtcNow, details.Progress.Step, details.Generations.Count));
                    }
                }
                catch (Exception fault) when (!_stop.IsCancellationRequested && fault is ClusterException or OperationCanceledException)
                {
                    // the job's coordinator is about to come back elsewhere, or the node that was asked is gone: how long the client takes to notice is not what is measured
                    silences++;
                    if (cluster is not null)
                        await cluster.DisposeAsync();
                    cluster = null;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // enough was seen
        }
        if (cluster is not null)
            await cluster.DisposeAsync();
    }

    private static NodeAddress AddressOf(ClusterMember? node) =>
        node is not null && NodeAddress.TryParse(string.Create(CultureInfo.InvariantCulture, $"{node.Host}:{node.Port}"), out var address) ? address : throw new ClusterException("no node is up");

    /// <summary>A disturbance, and how long the job took to get over it.</summary>
    internal sealed class Moment(DateTime at, int generations, long step)
    {
        /// <summary>Until the next generation opened.</summary>
        public TimeSpan? ToGeneration { get; private set; }

        /// <summary>Until a step was seen that is later than where that generation began, or than the last before.</summary>
        public TimeSpan? ToStep { get; private set; }

        /// <summary>Steps that were computed again.</summary>
        public long Redone { get; private set; }

        public bool Measure(JobDetails job, IReadOnlyList<(DateTime At, long Step, int Generations)> seen)
        {
            if (ToStep is not null || job.Generations.Count <= generations)
                return ToStep is not null;
            var opened = job.Generations[generations];
            ToGeneration = opened.At.ToUniversalTime() - at;
            var before = seen.Where(look => look.At <= opened.At.ToUniversalTime()).Select(look => look.Step).DefaultIfEmpty(step).Max();
            Redone = opened.RestoreStep is { } restore ? Math.Max(0, before - restore) : 0;
            var from = opened.RestoreStep ?? before;
            var first = seen.FirstOrDefault(look => look.Generations > generations && look.Step > from);
            if (first.At == default)
                return false;
            ToStep = first.At - at;
            return true;
        }
    }
}
