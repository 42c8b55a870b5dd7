using System.Globalization;
using Serilog;
using Serilog.Events;

namespace ClusterNet.Node.Hosting;

/// <summary>Where a node's log goes.</summary>
internal static class NodeLog
{
    private const int LogFiles = 5;
    private const long LogFileBytes = 10 * 1024 * 1024;

    /// <summary>To <c>logs/NAME.log</c> in the data directory and to standard error: there all, or errors alone where a command's own output matters.</summary>
    public static Serilog.Core.Logger Create(string dataDirectory, string name, bool isConsole) => new LoggerConfiguration()
        .MinimumLevel.Information()
        .WriteTo.File(
            Path.Combine(dataDirectory, "logs", $"{name}.log"),
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
