using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Tests;
using ClusterNet.Cluster.Training;
using ClusterNet.Gateway;
using ClusterNet.Gateway.Store;
using ClusterNet.Learning.Models;

namespace ClusterNet.Client.Tests;

/// <summary>Two nodes, a gateway in front of the first, and a model of 30 numbers; clients by both ways.</summary>
public sealed class ServedCluster : IAsyncLifetime
{
    public const string Model = "served";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("clusternet-client-");
    private readonly List<IAsyncDisposable> _clients = [];
    private GatewayStore _store = null!;

    internal ClusterNode First { get; private set; } = null!;

    /// <summary>Routes requests, and has nothing itself.</summary>
    internal ClusterNode Second { get; private set; } = null!;

    internal GatewayServer Gateway { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        First = await StartAsync("first", Roles.All);
        Second = await StartAsync("second", [Roles.Gateway]);
        var job = await First.Cluster.SubmitAsync(TestJobs.Wdbc("mlp", null, ("hidden", ["8"])) with { Name = Model });
        await foreach (var moment in First.Cluster.WatchAsync(job))
            Assert.NotEqual(JobStatus.Failed, moment.Status);
        _store = GatewayStore.Open(Path.Combine(_folder.FullName, "gateway"), null);
        Gateway = await GatewayServer.StartAsync(
            new GatewaySettings { Port = 0, GrpcPort = 0, Node = "gateway" }, new GatewayParts(First.System, First.Cluster, First.Serving, _store, (_, source) => throw new NotSupportedException(source)));
    }

    public async Task DisposeAsync()
    {
        foreach (var client in _clients)
            await client.DisposeAsync();
        await Gateway.DisposeAsync();
        _store.Dispose();
        await Second.DisposeAsync();
        await First.DisposeAsync();
        _folder.Delete(true);
    }

    /// <summary>A further node of this cluster, or of another one when it has its own seeds.</summary>
    internal Task<ClusterNode> StartAsync(string name, IReadOnlyList<string> roles, IReadOnlyList<string>? seeds = null) => ClusterNode.StartAsync(
        new NodeOptions { Name = name, Roles = roles, Seeds = seeds ?? (First is null ? [] : [First.Address.ToString()]), DataDirectory = Path.Combine(_folder.FullName, name), ResumesJobs = false },
        new ModelCatalog(ModelCatalog.BuiltIn));

    /// <summary>By <c>grpc</c> or by <c>message</c>.</summary>
    internal IClusterNetClient Client(string way, Action<ClusterNetClientOptions>? configure = null)
    {
        var options = new ClusterNetClientOptions();
        if (way == "grpc")
            options.UseGrpc(Gateway.GrpcAddress!);
        else
            options.UseCluster([Second.Address.ToString(), First.Address.ToString()]);
        configure?.Invoke(options);
        var client = new RetryingClient(options);
        _clients.Add(client);
        return client;
    }

    /// <summary>Rows of 30 numbers that follow from their position.</summary>
    internal static (string[] Columns, double?[][] Rows) Rows(ClusterNode node, int count)
    {
        var columns = node.Cluster.ModelAsync(Model, 1).Result.Signature.InputNames.ToArray();
        return (columns, [.. Enumerable.Range(0, count).Select(row => Enumerable.Range(0, columns.Length).Select(column => (double?)(10 + row + (column * 0.37))).ToArray())]);
    }
}
