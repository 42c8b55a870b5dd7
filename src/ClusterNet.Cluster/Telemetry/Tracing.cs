using System.Diagnostics;

namespace ClusterNet.Cluster.Telemetry;

/// <summary>A message that begins something carries the trace it belongs to.</summary>
internal interface ITraced
{
    /// <summary>A W3C traceparent; null where nobody listens.</summary>
    string? Trace { get; }
}

/// <summary>
/// Activities of actors. An actor's turn is over long before what it began is: an activity that is started here is never <see cref="Activity.Current"/>, and its parent is what the message said, not what happens
/// to run on the thread.
/// </summary>
internal static class Tracing
{
    /// <summary>Of coordinators, and of who submits.</summary>
    public static readonly ActivitySource Training = new(TelemetryNames.Training);

    /// <summary>Of shards.</summary>
    public static readonly ActivitySource Parameters = new(TelemetryNames.Parameters);

    /// <summary>Of workers.</summary>
    public static readonly ActivitySource Workers = new(TelemetryNames.Workers);

    /// <summary>Of inference, and of who asks for it.</summary>
    public static readonly ActivitySource Serving = new(TelemetryNames.Serving);

    /// <summary>Starts an activity below one that a message named; null where nobody listens.</summary>
    /// <param name="source">whose</param>
    /// <param name="name">one of <see cref="TelemetryNames.Activities"/></param>
    /// <param name="parent">a traceparent; what is none is passed over and the activity begins a trace</param>
    /// <param name="start">when it began; now where not given</param>
    /// <param name="links">others that it belongs to</param>
    public static Activity? Start(ActivitySource source, string name, string? parent, DateTimeOffset start = default, IEnumerable<ActivityLink>? links = null)
    {
        if (!source.HasListeners())
            return null;
        var current = Activity.Current;
        // a default context would mean the current activity
        Activity.Current = null;
        try
        {
            return source.StartActivity(name, ActivityKind.Internal, ContextOf(parent), null, links, start);
        }
        finally
        {
            Activity.Current = current;
        }
    }

    /// <summary>Ends an activity that <see cref="Start"/> gave.</summary>
    public static void End(Activity? activity)
    {
        if (activity is null)
            return;
        var current = Activity.Current;
        activity.Dispose();
        Activity.Current = current;
    }

    /// <summary>What a traceparent says; nothing where it is none.</summary>
    public static ActivityContext ContextOf(string? traceparent) => ActivityContext.TryParse(traceparent, null, isRemote: true, out var context) ? context : default;
}
