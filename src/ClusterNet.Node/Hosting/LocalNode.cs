using System.Globalization;
using ClusterNet.Cluster;
using ClusterNet.Learning.Models;
using Microsoft.Extensions.DependencyInjection;
using Serilog;
using Serilog.Events;

namespace ClusterNet.Node.Hosting;

/// <summary>The cluster that commands use where they are not told of another: one node in this process.</summary>
public static class LocalNode
{
    private const int LogFiles = 5;
    private const long LogFileBytes = 10 * 1024 * 1024;

    /// <summary>Starts it. Its log goes to <c>logs/clusternet.log</c> in the data directory; errors are shown on standard error as well.</summary>
    /// <exception cref="ClusterException">the data directory can't be used</exception>
    public static async Task<ICluster> StartAsync(ClusterOptions options, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(options);
        var catalog = options.Services.GetRequiredService<ModelCatalog>();
        return await LocalCluster.StartAsync(options.DataDirectory, catalog, logging => logging.AddSerilog(Log(options.DataDirectory), dispose: true), cancel);
    }

    private static Serilog.Core.Logger Log(string dataDirectory) => new LoggerConfiguration()
        .MinimumLevel.Information()
        .WriteTo.File(
            Path.Combine(dataDirectory, "logs", "clusternet.log"),
            formatProvider: CultureInfo.InvariantCulture,
            fileSizeLimitBytes: LogFileBytes,
            rollOnFileSizeLimit: true,
            retainedFileCountLimit: LogFiles)
        .WriteTo.Console(
            LogEventLevel.Error,
            "{Message:lj}{NewLine}",
            CultureInfo.InvariantCulture,
            standardErrorFromLevel: LogEventLevel.Verbose)
        .CreateLogger();
}
