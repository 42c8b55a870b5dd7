using Akka.Actor;

namespace ClusterNet.Cluster.Serving;

/// <summary>
/// Tells an actor a message at the earliest of the times it was set to, a millisecond late at most where the machine is idle. Akka's scheduler would be late by up to a tick, and a tick short enough
/// for requests keeps an idle node busy.
/// </summary>
internal sealed class Alarm : IDisposable
{
    /// <summary>What a timer can be set to. It rings too early for a later time: who is rung looks at the time, and sets it again.</summary>
    private static readonly TimeSpan Furthest = TimeSpan.FromDays(30);

    private readonly Timer _timer;

    /// <param name="actor">who is told</param>
    /// <param name="message">what it is told</param>
    public Alarm(IActorRef actor, object message)
    {
        // a timer would carry the trace of the request at hand to all the requests that it is set for
        using var flow = ExecutionContext.SuppressFlow();
        _timer = new Timer(_ => actor.Tell(message, ActorRefs.NoSender), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>When it rings; <see cref="TimeSpan.MaxValue"/> where it is not set.</summary>
    public TimeSpan Due { get; private set; } = TimeSpan.MaxValue;

    /// <summary>Rings at a time, or before, where it is set to an earlier one.</summary>
    /// <param name="due">by the same clock as <paramref name="now"/></param>
    /// <param name="now">the time it is</param>
    public void Set(TimeSpan due, TimeSpan now)
    {
        if (due >= Due)
            return;
        Due = due;
        var left = due > now ? due - now : TimeSpan.Zero;
        // whole milliseconds are what a timer knows, and too early would be for nothing
        _timer.Change(left > Furthest ? Furthest : TimeSpan.FromMilliseconds(Math.Ceiling(left.TotalMilliseconds)), Timeout.InfiniteTimeSpan);
    }

    /// <summary>It rang, or need not ring.</summary>
    public void Reset()
    {
        if (Due == TimeSpan.MaxValue)
            return;
        Due = TimeSpan.MaxValue;
        _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();
}
