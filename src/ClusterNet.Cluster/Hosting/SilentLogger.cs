using Akka.Event;

namespace ClusterNet.Cluster.Hosting;

/// <summary>Stands in for Akka's logger to standard output, which speaks up when the others have stopped: standard output belongs to the program's results.</summary>
internal sealed class SilentLogger : MinimalLogger
{
    /// <inheritdoc/>
    protected override void Log(object message)
    {
    }
}
