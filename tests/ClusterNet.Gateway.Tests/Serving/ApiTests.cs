using System.Net;
using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json;
using ClusterNet.Gateway.Access;
using ClusterNet.Gateway.Audit;

namespace ClusterNet.Gateway.Tests.Serving;

/// <summary>What <c>/api</c> does to a real cluster, what it says of it, and how it says that something is wrong.</summary>
[Collection(OneByOne.Name)]
public sealed class ApiTests(Gateways gateways) : IClassFixture<Gateways>
{
    [Fact]
    public async Task A_job_is_submitted_followed_and_shown_and_its_model_is_listed_and_deleted()
    {
        var store = gateways.NewStore();
        await using (var server = await gateways.StartAsync(store))
        {
            using var http = new HttpClient { BaseAddress = server.Address };
            using var job = await SendAsync(http, "POST", "/api/jobs", HttpStatusCode.Created, Yaml("name: followed"));
            var id = job.RootElement.GetProperty("job").GetString()!;
            var moments = await FollowAsync(http, $"/api/jobs/{id}/progress");
            Assert.All(moments, moment => Assert.Equal("progress", moment.EventType));
            using var last = JsonDocument.Parse(moments[^1].Data);
            Assert.Equal("completed", last.RootElement.GetProperty("status").GetString());
            Assert.Equal(200, last.RootElement.GetProperty("step").GetInt64());

            using var shown = await SendAsync(http, "GET", $"/api/jobs/{id}", HttpStatusCode.OK);
            Assert.Equal("completed", shown.RootElement.GetProperty("progress").GetProperty("status").GetString());
            Assert.NotEqual(0, shown.RootElement.GetProperty("losses").GetArrayLength());
            Assert.All(shown.RootElement.GetProperty("paces").EnumerateArray(), pace => Assert.True(pace.GetProperty("samples_per_second").GetDouble() > 0));
            Assert.NotEqual(0, shown.RootElement.GetProperty("paces").GetArrayLength());
            var weights = shown.RootElement.GetProperty("result").GetProperty("weights_sha256").GetString();
            using var jobs = await SendAsync(http, "GET", "/api/jobs", HttpStatusCode.OK);
            Assert.Contains(jobs.RootElement.GetProperty("jobs").EnumerateArray(), one => one.GetProperty("job").GetString() == id);
            using var model = await SendAsync(http, "GET", "/api/models/followed/versions/1", HttpStatusCode.OK);
            Assert.Equal(weights, model.RootElement.GetProperty("weights_sha256").GetString());
            using var shards = await SendAsync(http, "GET", "/api/cluster/shards", HttpStatusCode.OK);
            Assert.Contains(shards.RootElement.GetProperty("regions").EnumerateArray(), region => region.GetProperty("kind").GetString() == "jobs" && region.GetProperty("entities").GetInt32() > 0);
            using var nodes = await SendAsync(http, "GET", "/api/cluster", HttpStatusCode.OK);
            Assert.Contains(nodes.RootElement.GetProperty("nodes").EnumerateArray(), node => node.GetProperty("roles").EnumerateArray().Any(role => role.GetString() == "gateway"));
            using var deleted = await SendAsync(http, "DELETE", "/api/models/followed/versions/1", HttpStatusCode.OK);
            Assert.Equal(1, deleted.RootElement.GetProperty("deleted").GetArrayLength());
            using var events = await SendAsync(http, "GET", "/api/events", HttpStatusCode.OK);
            Assert.Contains(events.RootElement.GetProperty("events").EnumerateArray(), happened => happened.GetProperty("kind").GetString() == "act" && happened.GetProperty("subject").GetString() == id);
            using var missing = await http.DeleteAsync(new Uri("/api/models/followed", UriKind.Relative));
            await Gateways.ErrorAsync(missing, HttpStatusCode.NotFound);
        }
        Assert.Empty(AuditVerifier.Verify(store, []).Faults);
        Assert.Equal(
            ["jobs.submit begun", "jobs.submit done", "models.delete begun", "models.delete done", "models.delete begun", "models.delete refused"],
            AuditTable.Read(store).Select(record => $"{record.Entry.Action} {record.Entry.Outcome}"));
        Assert.All(AuditTable.Read(store), record => Assert.Equal("anonymous", record.Entry.Actor));
    }

    [Fact]
    public async Task Keys_are_made_used_and_revoked_by_HTTP()
    {
        var store = gateways.NewStore();
        var admin = Gateways.NewKey(store, Scopes.Admin);
        await using var server = await gateways.StartAsync(store);
        using var http = new HttpClient { BaseAddress = server.Address };
        using var made = await SendAsync(http, "POST", "/api/keys", HttpStatusCode.Created, Json("""{"name":"ward 7","scopes":["operate"],"days":1}"""), admin);
        var secret = made.RootElement.GetProperty("secret").GetString()!;
        (await SendAsync(http, "GET", "/api/jobs", HttpStatusCode.OK, null, secret)).Dispose();
        using var listed = await SendAsync(http, "GET", "/api/keys", HttpStatusCode.OK, null, admin);
        Assert.Equal(2, listed.RootElement.GetProperty("keys").GetArrayLength());
        Assert.DoesNotContain(secret, listed.RootElement.GetRawText(), StringComparison.Ordinal);
        (await SendAsync(http, "DELETE", $"/api/keys/{made.RootElement.GetProperty("key").GetProperty("id").GetString()}", HttpStatusCode.OK, null, admin)).Dispose();
        using var patience = new CancellationTokenSource(ObservedCluster.Patience);
        while (true)
        {
            using var request = Gateways.Request("GET", "/api/jobs", secret);
            using var response = await http.SendAsync(request, patience.Token);
            if (response.StatusCode == HttpStatusCode.Unauthorized)
                break;
        }
        Assert.Contains(AuditTable.Read(store), record => record.Entry is { Action: "keys.create", Outcome: "done" } entry && entry.Subject.StartsWith("ward 7 (", StringComparison.Ordinal) && entry.Actor.StartsWith("key:someone (", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("GET", "/nothing", HttpStatusCode.NotFound, "/nothing")]
    [InlineData("PUT", "/api/jobs", HttpStatusCode.MethodNotAllowed, "GET")]
    [InlineData("GET", "/api/jobs/nothing-1", HttpStatusCode.NotFound, "nothing-1")]
    [InlineData("GET", "/api/jobs/%20", HttpStatusCode.NotFound, "no job")]
    [InlineData("GET", "/api/jobs/nothing-1/progress", HttpStatusCode.NotFound, "nothing-1")]
    [InlineData("POST", "/api/jobs/nothing-1/resume", HttpStatusCode.NotFound, "nothing-1")]
    [InlineData("GET", "/api/models/nothing", HttpStatusCode.NotFound, "nothing")]
    [InlineData("GET", "/api/models/nothing/versions/x", HttpStatusCode.NotFound, "versions/x")]
    [InlineData("DELETE", "/api/keys/nothing", HttpStatusCode.NotFound, "nothing")]
    public async Task What_is_not_there_is_said_so(string method, string path, HttpStatusCode expected, string says)
    {
        await using var server = await gateways.StartAsync(gateways.NewStore());
        using var http = new HttpClient { BaseAddress = server.Address };
        using var request = Gateways.Request(method, path);
        using var response = await http.SendAsync(request);
        Assert.Contains(says, await Gateways.ErrorAsync(response, expected), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/api/jobs", "application/json", "{}", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("/api/jobs", "application/yaml", "nonsense", HttpStatusCode.BadRequest)]
    [InlineData("/api/jobs", "application/yaml", "\u00ff", HttpStatusCode.BadRequest)]
    [InlineData("/api/keys", "application/json", "{", HttpStatusCode.BadRequest)]
    [InlineData("/api/keys", "application/json", "null", HttpStatusCode.BadRequest)]
    [InlineData("/api/keys", "application/json", "{}", HttpStatusCode.BadRequest)]
    [InlineData("/api/keys", "application/json", """{"name":"a","scopes":["everything"]}""", HttpStatusCode.BadRequest)]
    [InlineData("/api/keys", "application/json", """{"name":"a","scopes":["admin"],"days":1e300}""", HttpStatusCode.BadRequest)]
    [InlineData("/api/keys", "text/plain", "{}", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("/api/keys", "application/json; charset=klingon", "{}", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("/api/keys", "application/json; charset=utf-7", "{}", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("/api/keys", "application/json; charset=\"\"", "{}", HttpStatusCode.UnsupportedMediaType)]
    public async Task What_can_not_be_read_is_said_so(string path, string type, string body, HttpStatusCode expected)
    {
        await using var server = await gateways.StartAsync(gateways.NewStore());
        using var http = new HttpClient { BaseAddress = server.Address };
        using var content = new ByteArrayContent(Encoding.Latin1.GetBytes(body));
        content.Headers.TryAddWithoutValidation("Content-Type", type);
        using var request = Gateways.Request("POST", path, null, content);
        using var response = await http.SendAsync(request);
        Assert.NotEqual("", await Gateways.ErrorAsync(response, expected));
    }

    [Fact]
    public async Task A_job_file_that_is_too_long_is_refused()
    {
        await using var server = await gateways.StartAsync(gateways.NewStore());
        using var http = new HttpClient { BaseAddress = server.Address };
        http.DefaultRequestHeaders.ExpectContinue = true;
        using var request = Gateways.Request("POST", "/api/jobs", null, Yaml(new string('a', 2 << 20)));
        using var response = await http.SendAsync(request);
        await Gateways.ErrorAsync(response, HttpStatusCode.RequestEntityTooLarge);
    }

    [Fact]
    public async Task Who_follows_events_is_told_and_let_go_when_the_gateway_stops()
    {
        var server = await gateways.StartAsync(gateways.NewStore());
        try
        {
            using var http = new HttpClient { BaseAddress = server.Address };
            using var request = Gateways.Request("GET", "/api/events/stream");
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            using var patience = new CancellationTokenSource(ObservedCluster.Patience);
            await using var stream = await response.Content.ReadAsStreamAsync();
            var events = SseParser.Create(stream).EnumerateAsync(patience.Token).GetAsyncEnumerator();
            Assert.True(await events.MoveNextAsync());
            Assert.Equal("node-up", events.Current.EventType);
            await server.DisposeAsync();
            while (await events.MoveNextAsync())
                Assert.NotEqual("", events.Current.Data);
        }
        finally
        {
            await server.DisposeAsync();
        }
    }

    [Fact]
    public async Task The_description_names_every_route_and_its_page_brings_all_it_needs()
    {
        await using var server = await gateways.StartAsync(gateways.NewStore());
        using var http = new HttpClient { BaseAddress = server.Address };
        using var document = await SendAsync(http, "GET", "/api/clusternet.json", HttpStatusCode.OK);
        var paths = document.RootElement.GetProperty("paths").EnumerateObject().Select(path => path.Name).ToArray();
        foreach (var path in new[] { "/api/jobs", "/api/jobs/{job}/progress", "/api/models/{model}/versions/{version}", "/api/cluster/shards", "/api/keys", "/api/events/stream" })
            Assert.Contains(path, paths);
        Assert.Contains("scope 'admin'", document.RootElement.GetProperty("paths").GetProperty("/api/keys").GetProperty("post").GetProperty("description").GetString(), StringComparison.Ordinal);
        using var page = await http.GetAsync(new Uri("/api/docs/", UriKind.Relative));
        var html = await page.Content.ReadAsStringAsync();
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        Assert.DoesNotContain("https://", html, StringComparison.Ordinal);
        Assert.Contains("default-src 'self'", page.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        Assert.Contains("scalar", html, StringComparison.OrdinalIgnoreCase);
    }

    private static StringContent Yaml(string text) => new(text, Encoding.UTF8, "application/yaml");

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

    private static async Task<JsonDocument> SendAsync(HttpClient http, string method, string path, HttpStatusCode expected, HttpContent? content = null, string? key = null)
    {
        using var request = Gateways.Request(method, path, key, content);
        using var response = await http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(expected == response.StatusCode, $"{(int)response.StatusCode} {text}");
        return JsonDocument.Parse(text);
    }

    private static async Task<List<SseItem<string>>> FollowAsync(HttpClient http, string path)
    {
        using var patience = new CancellationTokenSource(ObservedCluster.Patience);
        using var request = Gateways.Request("GET", path);
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, patience.Token);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        await using var stream = await response.Content.ReadAsStreamAsync(patience.Token);
        var items = new List<SseItem<string>>();
        await foreach (var item in SseParser.Create(stream).EnumerateAsync(patience.Token))
            items.Add(item);
        return items;
    }
}
