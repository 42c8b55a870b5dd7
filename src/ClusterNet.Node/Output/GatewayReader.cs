using System.Net;
using System.Net.Security;
using System.Text.Json;
using System.Text.Json.Nodes;
using ClusterNet.Cluster;
using ClusterNet.Node.Commands;

namespace ClusterNet.Node.Output;

/// <summary>What a gateway says of itself and its cluster. A part that the key does not allow is null.</summary>
/// <param name="Session">who asks, and what that allows</param>
/// <param name="Nodes">members</param>
/// <param name="Shards">entities by kind and node</param>
/// <param name="Jobs">summaries, the newest last</param>
/// <param name="Active">all that is known of those in progress</param>
/// <param name="Versions">as they are served</param>
/// <param name="Events">the latest, the oldest first</param>
internal sealed record GatewayMoment(JsonNode Session, JsonArray? Nodes, JsonArray? Shards, JsonArray? Jobs, IReadOnlyList<JsonNode> Active, JsonArray? Versions, JsonArray? Events);

/// <summary>Asks a gateway by HTTP.</summary>
internal sealed class GatewayReader : IDisposable
{
    private const int MostActive = 8;
    private const int MostBytes = 16 << 20;
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(10);
    private static readonly string[] _inProgress = ["preparing", "training"];
    private readonly HttpClient _http;
    private readonly Uri _address;

    public GatewayReader(Uri address, string? key, SslClientAuthenticationOptions tls)
    {
        _address = address;
        _http = new HttpClient(new SocketsHttpHandler { UseProxy = false, SslOptions = tls }) { Timeout = _patience, MaxResponseContentBufferSize = MostBytes };
        if (!string.IsNullOrEmpty(key))
            _http.DefaultRequestHeaders.TryAddWithoutValidation("x-api-key", key);
    }

    /// <exception cref="ClusterException">it does not answer, or lets nobody in</exception>
    public async Task<GatewayMoment> ReadAsync(CancellationToken cancel)
    {
        var session = await GetAsync("api/session", cancel) ?? throw NoGateway();
        var scopes = (session["scopes"] as JsonArray)?.Select(scope => scope?.ToString()).ToArray() ?? throw NoGateway();
        if (scopes.Length == 0)
            throw new ClusterException($"the gateway at {_address} asks who you are: put a key into {TopCommand.KeyVariable} ('clusternet keys create' makes one)");
        var jobs = (await GetAsync("api/jobs", cancel))?["jobs"] as JsonArray;
        var active = new List<JsonNode>();
        foreach (var job in jobs?.Where(job => _inProgress.Contains(job?["status"]?.ToString())).TakeLast(MostActive) ?? [])
        {
            if (await GetAsync($"api/jobs/{Uri.EscapeDataString(job!["job"]!.ToString())}", cancel) is { } details)
                active.Add(details);
        }
        return new GatewayMoment(
            session,
            (await GetAsync("api/cluster", cancel))?["nodes"] as JsonArray,
            (await GetAsync("api/cluster/shards", cancel))?["regions"] as JsonArray,
            jobs,
            active,
            (await GetAsync("api/serving", cancel))?["versions"] as JsonArray,
            (await GetAsync("api/events", cancel))?["events"] as JsonArray);
    }

    public void Dispose() => _http.Dispose();

    /// <returns>null where the caller may not see it, or it is not there</returns>
    private async Task<JsonNode?> GetAsync(string path, CancellationToken cancel)
    {
        try
        {
            using var response = await _http.GetAsync(new Uri(_address, path), cancel);
            if (response.StatusCode is HttpStatusCode.Forbidden or HttpStatusCode.NotFound or HttpStatusCode.ServiceUnavailable)
                return null;
            if (response.StatusCode == HttpStatusCode.Unauthorized)
                throw new ClusterException($"the gateway at {_address} does not accept this key; see {TopCommand.KeyVariable}");
            response.EnsureSuccessStatusCode();
            return JsonNode.Parse(await response.Content.ReadAsByteArrayAsync(cancel)) ?? throw NoGateway();
        }
        catch (TaskCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new ClusterException($"no answer from {_address} within {_patience.TotalSeconds:0} s");
        }
        catch (HttpRequestException error)
        {
            throw new ClusterException($"no gateway can be reached at {_address}: {error.Message}; 'clusternet serve' starts one, --url says where another is");
        }
        catch (JsonException)
        {
            throw NoGateway();
        }
    }

    private ClusterException NoGateway() => new($"what answers at {_address} is no gateway of ClusterNet");
}
