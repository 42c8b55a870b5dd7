using System.Globalization;
using ClusterNet.Cluster.Hosting;
using Serilog;
using Serilog.Events;
using Serilog.Formatting.Compact;

namespace ClusterNet.Node.Hosting;

/// <summary>Where a node's log goes.</summary>
internal static class NodeLog
{
    private const int LogFiles = 5;
    private const long LogFileBytes = 10 * 1024 * 1024;

    /// <summary>To <c>logs/NAME.log</c> in the data directory and to standard error: there all, or errors alone where a command's own output matters.</summary>
    /// <param name="dataDirectory">of the node</param>
    /// <param name="name">of the node</param>
    /// <param name="isConsole">whether standard error is the node's alone</param>
    /// <param name="format"><see cref="NodeOptions.JsonLog"/>: one document a line, in Serilog's compact form with the text as <c>@m</c>; else text</param>
    public static Serilog.Core.Logger Create(string dataDirectory, string name, bool isConsole, string format = NodeOptions.TextLog) => format == NodeOptions.JsonLog
        ? new LoggerConfiguration()
            .MinimumLevel.Information()
            .Enrich.WithProperty("Node", name)
            .WriteTo.File(new RenderedCompactJsonFormatter(), PathOf(dataDirectory, name), fileSizeLimitBytes: LogFileBytes, rollOnFileSizeLimit: true, retainedFileCountLimit: LogFiles)
            .WriteTo.Console(new RenderedCompactJsonFormatter(), isConsole ? LogEventLevel.Information : LogEventLevel.Error, standardErrorFromLevel: LogEventLevel.Verbose)
            .CreateLogger()
        : Text(dataDirectory, name, isConsole);

    private static string PathOf(string dataDirectory, string name) => Path.Combine(dataDirectory, "logs", $"{name}.log");

    private static Serilog.Core.Logger Text(string dataDirectory, string name, bool isConsole) => new LoggerConfiguration()
        .MinimumLevel.Information()
        .WriteTo.File(
            PathOf(dataDirectory, name),
            formatProvider: CultureInfo.InvariantCulture,
            fileSizeLimitBytes: LogFileBytes,
            rollOnFileSizeLimit: true,
            retainedFileCountLimit: LogFiles)
        .WriteTo.Console(
            isConsole ? LogEventLevel.Information : LogEventLevel.Error,
            isConsole ? "{Timestamp:HH:mm:ss.fff} {Level:u3} {Message:lj}{NewLine}{Exception}" : "{Message:lj}{NewLine}",
            CultureInfo.InvariantCulture,
            standardErrorFromLevel: LogEventLevel.Verbose)
        .CreateLogger();
}
