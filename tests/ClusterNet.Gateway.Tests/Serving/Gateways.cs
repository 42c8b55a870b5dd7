using System.Net;
using System.Text.Json;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Tests;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Gateway.Access;
using ClusterNet.Gateway.Store;
using ClusterNet.Learning.Models;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Gateway.Tests.Serving;

/// <summary>One real cluster of one node for all tests of a class, and gateways in front of it, each with a store of its own.</summary>
public sealed class Gateways : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("clusternet-gateways-");
    private readonly List<GatewayStore> _stores = [];

    internal LocalCluster Cluster { get; private set; } = null!;

    internal LineLog Log { get; } = new();

    public async Task InitializeAsync() => Cluster = await LocalCluster.StartAsync(Path.Combine(_folder.FullName, "cluster"), new ModelCatalog(ModelCatalog.BuiltIn));

    public async Task DisposeAsync()
    {
        await Cluster.DisposeAsync();
        _stores.ForEach(store => store.Dispose());
        _folder.Delete(true);
        Log.Dispose();
    }

    /// <summary>A path in this fixture's folder that nothing uses yet.</summary>
    internal string NewPath() => Path.Combine(_folder.FullName, Guid.NewGuid().ToString("n"));

    internal GatewayStore NewStore()
    {
        var store = GatewayStore.Open(NewPath(), null);
        _stores.Add(store);
        return store;
    }

    internal async Task<GatewayServer> StartAsync(GatewayStore store, Func<GatewaySettings, GatewaySettings>? change = null, IModelServing? serving = null)
    {
        var settings = new GatewaySettings { Port = 0, Node = "gateway-1", CheckTimeout = ObservedCluster.Patience, Farewell = TimeSpan.Zero };
        var parts = new GatewayParts(Cluster.System, Cluster, serving ?? new NoModels(), store, ReadJob);
        return await GatewayServer.StartAsync(change is null ? settings : change(settings), parts, log => log.AddProvider(Log));
    }

    /// <summary>A key as its holder has it.</summary>
    internal static string NewKey(GatewayStore store, params string[] scopes) => NewKey(store, TimeProvider.System, null, scopes);

    internal static string NewKey(GatewayStore store, TimeProvider clock, TimeSpan? lifetime, params string[] scopes)
    {
        var keys = new ApiKeyStore(store, clock);
        return keys.Create("someone", scopes, lifetime).Text;
    }

    internal static HttpRequestMessage Request(string method, string path, string? key = null, HttpContent? content = null)
    {
        var request = new HttpRequestMessage(new HttpMethod(method), new Uri(path, UriKind.Relative)) { Content = content };
        if (key is not null)
            request.Headers.Add("x-api-key", key);
        return request;
    }

    /// <summary>What an error says; fails where it is not of the one form that errors have.</summary>
    internal static async Task<string> ErrorAsync(HttpResponseMessage response, HttpStatusCode expected)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(expected == response.StatusCode, $"{(int)response.StatusCode} {text}");
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        using var body = JsonDocument.Parse(text);
        Assert.Equal(["error"], body.RootElement.EnumerateObject().Select(property => property.Name));
        return body.RootElement.GetProperty("error").GetString()!;
    }

    // the real reader is the program's
    private static JobSpec ReadJob(string text, string source) => text.StartsWith("name: ", StringComparison.Ordinal)
        ? TestJobs.Xor(training => training with { Steps = 200 }) with { Name = text["name: ".Length..].Trim() }
        : throw new InputException($"{source}:1", "no name is given");
}

/// <summary>A clock that is behind.</summary>
internal sealed class Past(TimeSpan by) : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => System.GetUtcNow() - by;
}
