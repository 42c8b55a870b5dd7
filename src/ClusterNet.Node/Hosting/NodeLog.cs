using System.Globalization;
using ClusterNet.Cluster.Hosting;
using Serilog;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting.Compact;

namespace ClusterNet.Node.Hosting;

/// <summary>Where a node's log goes.</summary>
internal static class NodeLog
{
    private const int LogFiles = 5;
    private const long LogFileBytes = 10 * 1024 * 1024;

    /// <summary>
    /// To <c>logs/NAME.log</c> in the data directory and to standard error: there what is for people, or all where programs read it, or errors alone where a command's own output matters.
    /// </summary>
    /// <param name="dataDirectory">of the node</param>
    /// <param name="name">of the node</param>
    /// <param name="isConsole">whether standard error is the node's alone</param>
    /// <param name="format"><see cref="NodeOptions.JsonLog"/>: one document a line, in Serilog's compact form with the text as <c>@m</c>; else text</param>
    public static Logger Create(string dataDirectory, string name, bool isConsole, string format = NodeOptions.TextLog)
    {
        var configuration = new LoggerConfiguration()
            .MinimumLevel.Information()
            // each request of a probe would be four lines
            .MinimumLevel.Override("Microsoft", LogEventLevel.Warning)
            .MinimumLevel.Override("System", LogEventLevel.Warning)
            .Enrich.WithProperty("Node", name);
        var console = new LoggerConfiguration();
        var least = isConsole ? LogEventLevel.Information : LogEventLevel.Error;
        if (format == NodeOptions.JsonLog)
        {
            configuration.WriteTo.File(new RenderedCompactJsonFormatter(), PathOf(dataDirectory, name), fileSizeLimitBytes: LogFileBytes, rollOnFileSizeLimit: true, retainedFileCountLimit: LogFiles);
            console.WriteTo.Console(new RenderedCompactJsonFormatter(), least, standardErrorFromLevel: LogEventLevel.Verbose);
        }
        else
        {
            configuration.WriteTo.File(PathOf(dataDirectory, name), formatProvider: CultureInfo.InvariantCulture, fileSizeLimitBytes: LogFileBytes, rollOnFileSizeLimit: true, retainedFileCountLimit: LogFiles);
            console.Filter.ByExcluding(IsNotForPeople).WriteTo.Console(
                least,
                isConsole ? "{Timestamp:HH:mm:ss.fff} {Level:u3} {Message:lj}{NewLine}{Exception}" : "{Message:lj}{NewLine}",
                CultureInfo.InvariantCulture,
                standardErrorFromLevel: LogEventLevel.Verbose);
        }
        return configuration.WriteTo.Logger(console.CreateLogger()).CreateLogger();
    }

    /// <summary>
    /// What Akka says of how it works, and what a probe was told: the file keeps it. That an actor failed is for people; that a connection did is said by <c>MembershipLogActor</c> in their words, and whom TLS
    /// refused by lines of ours in Akka's name.
    /// </summary>
    private static bool IsNotForPeople(LogEvent line)
    {
        if (TextOf(line, Constants.SourceContextPropertyName).StartsWith("Microsoft.Extensions.Diagnostics.HealthChecks", StringComparison.Ordinal))
            return true;
        if (!TextOf(line, "Source").StartsWith("Akka.", StringComparison.Ordinal) || line.MessageTemplate.Text.StartsWith("TLS: ", StringComparison.Ordinal))
            return false;
        var path = TextOf(line, "ActorPath");
        return line.Level < LogEventLevel.Error || path.Contains("/system/endpointManager", StringComparison.Ordinal) || path.Contains("/system/transports", StringComparison.Ordinal);
    }

    private static string TextOf(LogEvent line, string property) => line.Properties.GetValueOrDefault(property) is ScalarValue { Value: { } value } ? value.ToString() ?? "" : "";

    private static string PathOf(string dataDirectory, string name) => Path.Combine(dataDirectory, "logs", $"{name}.log");
}
