using Akka.Actor;
using Akka.Event;
using Akka.Hosting.Logging;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Cluster.Telemetry;

/// <summary>
/// Akka's way to the program's log. All that goes it has one category; whose words a line is, the program's or Akka's own, is said by the property <see cref="Source"/>, the type that logs: a console may
/// leave out what is no user's concern.
/// </summary>
internal sealed class NodeLogger : LoggerFactoryLogger
{
    /// <summary>The property's name.</summary>
    public const string Source = "Source";

    private readonly ILogger _scopes = Context.System.Settings.Setup.Get<LoggerFactorySetup>().Value.LoggerFactory.CreateLogger<NodeLogger>();

    /// <inheritdoc/>
    protected override void Log(LogEvent log, ActorPath path)
    {
        ArgumentNullException.ThrowIfNull(log);
        using (_scopes.BeginScope(new KeyValuePair<string, object?>[] { new(Source, log.LogClass.FullName) }))
            base.Log(log, path);
    }
}
