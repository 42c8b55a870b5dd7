using System.Diagnostics.Metrics;
using Akka.Actor;
using ClusterNet.Cluster.Lanes;

namespace ClusterNet.Cluster.Telemetry;

/// <summary>What concerns a node as a whole: the cluster as it sees it, its lane, and what its store did not do.</summary>
internal static class NodeTelemetry
{
    private static readonly Meter _meter = new(TelemetryNames.Node);
    private static readonly Counter<long> _storeFailures = _meter.CreateCounter<long>(TelemetryNames.Instruments.StoreFailures, "{failure}", "What the store did not do");
    private static readonly Observed<int> _members = Observed<int>.Gauge(_meter, TelemetryNames.Instruments.Members, "{member}", "Members by status");
    private static readonly Observed<int> _unreachable = Observed<int>.Gauge(_meter, TelemetryNames.Instruments.Unreachable, "{member}", "Members that are unreachable");

    /// <summary>Shows the cluster as a node sees it, and the node's lane, until its actor system ends.</summary>
    public static void Watch(ActorSystem system)
    {
        var cluster = Akka.Cluster.Cluster.Get(system);
        IDisposable[] shown =
        [
            _members.Show(() => cluster.State.Members
                .GroupBy(member => member.Status)
                .Select(members => new Measurement<int>(members.Count(), new KeyValuePair<string, object?>(TelemetryNames.Tags.Status, members.Key.ToString().ToLowerInvariant())))),
            _unreachable.Show(() => cluster.State.Unreachable.Count),
            .. LaneTelemetry.Watch(Lane.Get(system)),
        ];
        system.RegisterOnTermination(() =>
        {
            foreach (var one in shown)
                one.Dispose();
        });
    }

    /// <summary>The store did not do something.</summary>
    /// <param name="operation">what: a word</param>
    public static void StoreFailed(string operation)
    {
        if (_storeFailures.Enabled)
            _storeFailures.Add(1, new KeyValuePair<string, object?>(TelemetryNames.Tags.Operation, operation));
    }
}
