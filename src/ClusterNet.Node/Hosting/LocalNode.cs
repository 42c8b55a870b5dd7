using ClusterNet.Cluster;
using ClusterNet.Learning.Models;
using Microsoft.Extensions.DependencyInjection;
using Serilog;

namespace ClusterNet.Node.Hosting;

/// <summary>The cluster that commands use where they are not told of another: one node in this process.</summary>
public static class LocalNode
{
    /// <summary>Starts it. Its log goes to <c>logs/clusternet.log</c> in the data directory; errors are shown on standard error as well.</summary>
    /// <exception cref="ClusterException">the data directory can't be used</exception>
    public static async Task<ICluster> StartAsync(ClusterOptions options, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(options);
        var catalog = options.Services.GetRequiredService<ModelCatalog>();
        return await LocalCluster.StartAsync(options.DataDirectory, catalog, logging => logging.AddSerilog(NodeLog.Create(options.DataDirectory, "clusternet", isConsole: false), dispose: true), cancel);
    }
}
