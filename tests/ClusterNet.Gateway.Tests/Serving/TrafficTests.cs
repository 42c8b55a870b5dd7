using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using ClusterNet.Cluster.Tests;
using ClusterNet.Gateway.Tests.Inference;

namespace ClusterNet.Gateway.Tests.Serving;

/// <summary>Which versions answer, said by HTTP; and a gateway that ends answers what it has taken.</summary>
[Collection(OneByOne.Name)]
public sealed class TrafficTests(Gateways gateways) : IClassFixture<Gateways>
{
    [Fact]
    public async Task Labels_and_traffic_decide_who_answers_and_what_can_not_be_is_refused()
    {
        for (var i = 0; i < 2; i++)
        {
            var job = await gateways.Cluster.SubmitAsync(TestJobs.Xor() with { Name = "steered" });
            await foreach (var moment in gateways.Cluster.WatchAsync(job))
                Assert.Null(moment.Failure);
        }
        await using var server = await gateways.StartAsync(gateways.NewStore(), serving: gateways.Cluster.Serving);
        using var http = new HttpClient { BaseAddress = server.Address };
        async Task<JsonElement> SendAsync(HttpMethod method, string path, object? body = null, HttpStatusCode expected = HttpStatusCode.OK)
        {
            using var request = new HttpRequestMessage(method, new Uri("/api/models/steered" + path, UriKind.Relative)) { Content = body is null ? null : JsonContent.Create(body) };
            using var response = await http.SendAsync(request);
            var text = await response.Content.ReadAsStringAsync();
            Assert.True(expected == response.StatusCode, $"{(int)response.StatusCode} {text}");
            return JsonDocument.Parse(text).RootElement;
        }

        double Share(JsonElement traffic, string version) => traffic.GetProperty("shares").TryGetProperty(version, out var share) ? share.GetDouble() : 0;

        // the newest, as long as nothing is said
        Assert.Equal(1, Share(await SendAsync(HttpMethod.Get, "/traffic"), "2"));
        Assert.Equal(1, Share(await SendAsync(HttpMethod.Post, "/promote", new { version = 1 }), "1"));
        var labelled = await SendAsync(HttpMethod.Put, "/labels/staging", new { version = 2 });
        Assert.Equal(2, labelled.GetProperty("labels").GetProperty("staging").GetInt32());
        var set = await SendAsync(HttpMethod.Put, "/traffic", new { arms = new[] { new { target = "production", weight = 3 }, new { target = "staging", weight = 1 } }, shadows = new[] { "2" } });
        Assert.Equal((0.75, 0.25), (Share(set, "1"), Share(set, "2")));
        Assert.Equal("2", set.GetProperty("shadows")[0].GetString());
        var signature = await SendAsync(HttpMethod.Get, "/signature?version=staging");
        Assert.Equal(2, signature.GetProperty("version").GetInt32());

        string Error(JsonElement answer) => answer.GetProperty("error").GetString()!;
        Assert.Contains("no version or label 'nobody'", Error(await SendAsync(HttpMethod.Get, "/signature?version=nobody", null, HttpStatusCode.NotFound)), StringComparison.Ordinal);
        Assert.Contains("7", Error(await SendAsync(HttpMethod.Post, "/promote", new { version = 7 }, HttpStatusCode.NotFound)), StringComparison.Ordinal);
        Assert.Contains("'7' is neither", Error(await SendAsync(HttpMethod.Put, "/traffic", new { arms = new[] { new { target = "7", weight = 1 } } }, HttpStatusCode.BadRequest)), StringComparison.Ordinal);
        Assert.Contains("is no weight", Error(await SendAsync(HttpMethod.Put, "/traffic", new { arms = new[] { new { target = "1", weight = -1 } } }, HttpStatusCode.BadRequest)), StringComparison.Ordinal);
        Assert.Contains("is in use", Error(await SendAsync(HttpMethod.Delete, "/versions/2", null, HttpStatusCode.BadRequest)), StringComparison.Ordinal);
        // what was refused has changed nothing
        Assert.Equal(0.75, Share(await SendAsync(HttpMethod.Get, "/traffic"), "1"));
        Assert.Equal(0, (await SendAsync(HttpMethod.Put, "/traffic", new { arms = Array.Empty<object>() })).GetProperty("arms").GetArrayLength());
        Assert.False((await SendAsync(HttpMethod.Delete, "/labels/staging")).GetProperty("labels").TryGetProperty("staging", out _));
        Assert.True((await SendAsync(HttpMethod.Post, "/unload")).GetProperty("unloaded").GetBoolean());
        Assert.False((await SendAsync(HttpMethod.Post, "/load")).GetProperty("unloaded").GetBoolean());
    }

    [Fact]
    public async Task A_gateway_that_ends_answers_the_request_that_it_holds()
    {
        var (asked, answer) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        var serving = new FakeServing
        {
            Answer = async (request, _) =>
            {
                asked.SetResult();
                await answer.Task;
                return FakeServing.AnswerTo(request);
            },
        };
        var server = await gateways.StartAsync(gateways.NewStore(), settings => settings with { StopPatience = TimeSpan.FromMinutes(1) }, serving);
        using var http = new HttpClient { BaseAddress = server.Address };
        using var body = new StringContent("""{"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1,2,3],"data":[0.5,1,2,3,4,5]}]}""");
        var held = http.PostAsync(new Uri("/v2/models/simple/infer", UriKind.Relative), body);
        await asked.Task;
        var ended = server.DisposeAsync().AsTask();
        // it takes nothing new
        using (var stranger = new HttpClient(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.Zero }) { BaseAddress = server.Address })
        {
            while (true)
            {
                try
                {
                    using var taken = await stranger.GetAsync(new Uri("/v2/health/live", UriKind.Relative));
                }
                catch (HttpRequestException)
                {
                    break;
                }
            }
        }
        Assert.False(ended.IsCompleted);
        answer.SetResult();
        using var response = await held;
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await ended;
    }

    [Fact]
    public async Task It_is_ready_once_the_models_that_are_to_be_there_from_the_start_are_loaded()
    {
        var serving = new FakeServing();
        await using var server = await gateways.StartAsync(gateways.NewStore(), settings => settings with { IsRequired = model => model is FakeServing.Arrays or "not-registered-yet" }, serving);
        using var http = new HttpClient { BaseAddress = server.Address };
        async Task<HttpStatusCode> ReadyAsync() => (await http.GetAsync(new Uri("/v2/health/ready", UriKind.Relative))).StatusCode;

        Assert.Equal(HttpStatusCode.OK, await ReadyAsync());
        await serving.UnloadAsync(FakeServing.Columns);
        Assert.Equal(HttpStatusCode.OK, await ReadyAsync());
        await serving.UnloadAsync(FakeServing.Arrays);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await ReadyAsync());
        Assert.Contains("simple (unloaded)", await (await http.GetAsync(new Uri("/v2/health/ready", UriKind.Relative))).Content.ReadAsStringAsync(), StringComparison.Ordinal);
        await serving.LoadAsync(FakeServing.Arrays);
        Assert.Equal(HttpStatusCode.OK, await ReadyAsync());
    }
}
