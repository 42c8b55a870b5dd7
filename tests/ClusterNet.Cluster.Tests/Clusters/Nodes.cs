using System.Net;
using System.Net.Sockets;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Tests.OneHash;
using ClusterNet.Learning.Models;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Cluster.Tests.Clusters;

/// <summary>Nodes of one cluster in this process, and their data directories; both are gone with it.</summary>
internal sealed class Nodes : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);
    private readonly DirectoryInfo _folder = System.IO.Directory.CreateTempSubdirectory("clusternet-nodes-");
    private readonly List<ClusterNode> _nodes = [];
    private readonly MemoryLog _log = new();

    public IReadOnlyList<ClusterNode> All => _nodes;

    public string Log => _log.ToString();

    /// <summary>A data directory.</summary>
    public string Directory(string name) => Path.Combine(_folder.FullName, name);

    /// <summary>Starts a node that joins those there are.</summary>
    public async Task<ClusterNode> StartAsync(NodeOptions options)
    {
        using var patience = new CancellationTokenSource(Patience);
        if (_nodes.Count > 0)
            options = options with { Seeds = [_nodes[0].Address.ToString()] };
        if (options.DataDirectory.Length == 0)
            options = options with { DataDirectory = Directory(options.Name) };
        var node = await ClusterNode.StartAsync(options, new ModelCatalog(ModelCatalog.BuiltIn), logging => logging.AddProvider(_log), patience.Token);
        _nodes.Add(node);
        return node;
    }

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_nodes.Select(node => node.DisposeAsync().AsTask()));
        _log.Dispose();
        _folder.Delete(true);
    }
}
