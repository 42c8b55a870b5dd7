using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using Akka.Actor;
using Akka.Hosting;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Tests;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Gateway.Tests;

/// <summary>A node's endpoints tell whether it lives, whether it can work, and what it measured, in forms that probes and Prometheus understand.</summary>
[Collection(OneByOne.Name)]
public sealed partial class EndpointTests
{
    private static readonly string[] AllRoles = [Roles.Coordinator, Roles.Parameters, Roles.Worker, Roles.Inference];
    private static readonly EndpointSettings Settings = new() { Node = "node-1", Roles = AllRoles, CheckTimeout = TimeSpan.FromSeconds(20) };

    [Fact]
    public async Task A_node_becomes_ready_and_says_why()
    {
        await using var observed = await ObservedCluster.StartAsync();
        await using var endpoints = await NodeEndpoints.StartAsync(Settings, observed.Cluster.System);
        using var http = new HttpClient { BaseAddress = endpoints.Address };
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(http, "/health/live")).Status);
        var (status, body) = await UntilAsync(http, "/health/ready", HttpStatusCode.OK);
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal("healthy", body.GetProperty("status").GetString());
        Assert.Equal(["membership", "placement", "store"], body.GetProperty("checks").EnumerateObject().Select(check => check.Name).Order());
        Assert.All(body.GetProperty("checks").EnumerateObject(), check => Assert.NotEqual("", check.Value.GetProperty("reason").GetString()));
    }

    [Fact]
    public async Task A_store_that_stops_makes_the_node_unready_and_leaves_it_alive()
    {
        await using var observed = await ObservedCluster.StartAsync();
        await using var endpoints = await NodeEndpoints.StartAsync(Settings, observed.Cluster.System);
        using var http = new HttpClient { BaseAddress = endpoints.Address };
        await UntilAsync(http, "/health/ready", HttpStatusCode.OK);
        observed.Store.FailSnapshots = "";
        var (_, body) = await UntilAsync(http, "/health/ready", HttpStatusCode.ServiceUnavailable);
        Assert.Equal("unhealthy", body.GetProperty("checks").GetProperty("store").GetProperty("status").GetString());
        Assert.Equal("healthy", body.GetProperty("checks").GetProperty("membership").GetProperty("status").GetString());
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(http, "/health/live")).Status);
        observed.Store.FailSnapshots = null;
        await UntilAsync(http, "/health/ready", HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_node_that_has_ended_is_neither_ready_nor_alive()
    {
        await using var observed = await ObservedCluster.StartAsync();
        await using var endpoints = await NodeEndpoints.StartAsync(Settings, observed.Cluster.System);
        using var http = new HttpClient { BaseAddress = endpoints.Address };
        await observed.Cluster.System.Terminate();
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await GetAsync(http, "/health/ready")).Status);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await GetAsync(http, "/health/live")).Status);
    }

    [Fact]
    public async Task A_node_that_loads_what_is_in_use_is_not_ready_yet()
    {
        await using var observed = await ObservedCluster.StartAsync();
        var system = observed.Cluster.System;
        await using var endpoints = await NodeEndpoints.StartAsync(Settings, system);
        using var http = new HttpClient { BaseAddress = endpoints.Address };
        await UntilAsync(http, "/health/ready", HttpStatusCode.OK);
        var router = ActorRegistry.For(system).Get<ServingRouter>();
        ActorRegistry.For(system).Register<ServingRouter>(system.ActorOf(Props.Create(() => new Loading(new ModelVersionId("tumor", 3)))), overwrite: true);
        var (status, body) = await GetAsync(http, "/health/ready");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
        Assert.Contains("being loaded: tumor:3", body.GetProperty("checks").GetProperty("placement").GetProperty("reason").GetString(), StringComparison.Ordinal);
        ActorRegistry.For(system).Register<ServingRouter>(router, overwrite: true);
        await UntilAsync(http, "/health/ready", HttpStatusCode.OK);
    }

    [Fact]
    public async Task Metrics_are_text_that_Prometheus_reads()
    {
        await using var observed = await ObservedCluster.StartAsync();
        await using var endpoints = await NodeEndpoints.StartAsync(Settings, observed.Cluster.System);
        using var http = new HttpClient { BaseAddress = endpoints.Address };
        var job = (await observed.TrainAsync(TestJobs.Xor())).Summary.Job.Value;
        using var response = await http.GetAsync(new Uri("/metrics", UriKind.Relative));
        Assert.Equal("text/plain", response.Content.Headers.ContentType!.MediaType);
        var lines = (await response.Content.ReadAsStringAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.All(lines, line => Assert.Matches(Exposition(), line));
        Assert.Contains(lines, line => line.StartsWith("clusternet_training_steps_total{", StringComparison.Ordinal) && line.Contains($"clusternet_job=\"{job}\"", StringComparison.Ordinal) && line.Contains("} 10", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("clusternet_worker_step_duration_seconds_bucket{", StringComparison.Ordinal) && line.Contains("le=\"0.0005\"", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("clusternet_cluster_unreachable{", StringComparison.Ordinal) || line.StartsWith("clusternet_cluster_unreachable ", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("target_info{", StringComparison.Ordinal) && line.Contains("service_instance_id=\"node-1\"", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("GET", "/", HttpStatusCode.NotFound)]
    [InlineData("GET", "/health", HttpStatusCode.NotFound)]
    [InlineData("GET", "/../../etc/passwd", HttpStatusCode.NotFound)]
    [InlineData("POST", "/nothing", HttpStatusCode.NotFound)]
    public async Task Errors_are_JSON(string method, string path, HttpStatusCode expected)
    {
        await using var observed = await ObservedCluster.StartAsync();
        await using var endpoints = await NodeEndpoints.StartAsync(Settings, observed.Cluster.System);
        using var http = new HttpClient { BaseAddress = endpoints.Address };
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(path, UriKind.Relative));
        using var response = await http.SendAsync(request);
        Assert.Equal(expected, response.StatusCode);
        using var body = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        Assert.NotEqual("", body.RootElement.GetProperty("error").GetString());
        Assert.False(response.Headers.Contains("Server"));
    }

    [Fact]
    public async Task A_port_that_is_taken_is_said_so()
    {
        await using var observed = await ObservedCluster.StartAsync();
        await using var first = await NodeEndpoints.StartAsync(Settings, observed.Cluster.System);
        var fault = await Assert.ThrowsAsync<Cluster.ClusterException>(() => NodeEndpoints.StartAsync(Settings with { Port = first.Address.Port }, observed.Cluster.System));
        Assert.Contains("http.port", fault.Message, StringComparison.Ordinal);
    }

    private static async Task<(HttpStatusCode Status, JsonElement Body)> GetAsync(HttpClient http, string path)
    {
        using var response = await http.GetAsync(new Uri(path, UriKind.Relative));
        using var body = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        return (response.StatusCode, body.RootElement.Clone());
    }

    private static async Task<(HttpStatusCode Status, JsonElement Body)> UntilAsync(HttpClient http, string path, HttpStatusCode expected)
    {
        using var patience = new CancellationTokenSource(ObservedCluster.Patience);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (true)
        {
            var answer = await GetAsync(http, path);
            if (answer.Status == expected)
                return answer;
            Assert.False(patience.IsCancellationRequested, answer.Body.ToString());
            await pace.WaitForNextTickAsync();
        }
    }

    // the text format 0.0.4: comments, or name{labels} value [timestamp]
    [GeneratedRegex("""^(# .*|[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\.)*",?)*\})? (NaN|[+-]Inf|-?[0-9.eE+-]+)( -?[0-9]+)?)$""")]
    private static partial Regex Exposition();

    /// <summary>A router whose node has not loaded everything yet.</summary>
    private sealed class Loading : ReceiveActor
    {
        public Loading(ModelVersionId awaited) => Receive<ServingRouterActor.GetView>(_ => Sender.Tell(new ServingRouterActor.View(
            true,
            Array.Empty<ModelEntry>(),
            new Dictionary<string, IReadOnlyList<(int Version, double Share)>>(),
            new Dictionary<ModelVersionId, string>(),
            new Dictionary<ModelVersionId, ShadowStatistics>(),
            Array.Empty<IActorRef>(),
            new[] { awaited })));
    }
}
