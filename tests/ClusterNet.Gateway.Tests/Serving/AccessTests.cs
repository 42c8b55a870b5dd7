using System.Buffers.Text;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using ClusterNet.Core.Faults;
using ClusterNet.Gateway.Access;
using ClusterNet.Gateway.Health;
using ClusterNet.Gateway.Inference;
using ClusterNet.Gateway.Store;
using ClusterNet.Tests;
using Microsoft.AspNetCore.Routing;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using Npgsql;

namespace ClusterNet.Gateway.Tests.Serving;

/// <summary>No route of a gateway answers who may not ask it, and none is forgotten: the routes themselves are gone through.</summary>
[Collection(OneByOne.Name)]
public sealed class AccessTests(Gateways gateways) : IClassFixture<Gateways>
{
    private const string Unlikely = "/api/jobs/nothing-1";

    [Fact]
    public async Task Every_route_refuses_every_wrong_key_and_lets_the_right_scope_in()
    {
        var store = gateways.NewStore();
        var byScope = Scopes.All.ToDictionary(scope => scope, scope => Gateways.NewKey(store, scope));
        var expired = Gateways.NewKey(store, new Past(TimeSpan.FromDays(2)), TimeSpan.FromDays(1), [.. Scopes.All]);
        var revoked = Gateways.NewKey(store, [.. Scopes.All]);
        var keys = new ApiKeyStore(store, TimeProvider.System);
        keys.Revoke(ApiKey.IdOf(revoked)!);
        var altered = byScope[Scopes.Admin][..^2] + (byScope[Scopes.Admin][^2] == 'A' ? 'B' : 'A') + byScope[Scopes.Admin][^1];
        await using var server = await gateways.StartAsync(store);
        Assert.True(server.IsAuthenticated);
        using var http = new HttpClient { BaseAddress = server.Address };
        var routes = 0;
        foreach (var endpoint in server.Endpoints.OfType<RouteEndpoint>())
        {
            var needs = endpoint.Metadata.GetMetadata<RequiredScopeAttribute>();
            if (needs is { Scope: null })
                continue;
            var method = endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods[0] ?? "GET";
            var path = Path(endpoint);
            foreach (var key in new[] { null, "", "cnk_", "nonsense", expired, revoked, altered, byScope[Scopes.Admin] + "A" })
                Assert.True(HttpStatusCode.Unauthorized == await StatusAsync(http, method, path, key), $"{method} {path} with '{key}'");
            var right = needs?.Scope ?? Scopes.Admin;
            foreach (var scope in Scopes.All)
            {
                var status = await StatusAsync(http, method, path, byScope[scope]);
                Assert.True((status == HttpStatusCode.Forbidden) == (scope != right) && status != HttpStatusCode.Unauthorized, $"{method} {path} with scope {scope}: {status}");
            }
            routes++;
        }
        Assert.True(routes >= 15, $"only {routes} routes ask for anything");
    }

    [Fact]
    public async Task Health_and_the_description_are_for_anyone()
    {
        var store = gateways.NewStore();
        Gateways.NewKey(store, Scopes.Admin);
        await using var server = await gateways.StartAsync(store);
        using var http = new HttpClient { BaseAddress = server.Address };
        foreach (var path in new[] { "/health/live", "/health/ready", "/api/clusternet.json", "/api/docs/", "/api/session" })
            Assert.True(HttpStatusCode.OK == await StatusAsync(http, "GET", path, null), path);
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(http, "GET", "/nothing", null));
    }

    [Fact]
    public async Task A_key_works_as_a_bearer_too_and_is_kept_and_logged_nowhere()
    {
        var store = gateways.NewStore();
        var key = Gateways.NewKey(store, Scopes.Operate);
        await using (var server = await gateways.StartAsync(store))
        {
            using var http = new HttpClient { BaseAddress = server.Address };
            using var request = Gateways.Request("GET", "/api/jobs");
            request.Headers.Authorization = new("Bearer", key);
            using var response = await http.SendAsync(request);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(http, "GET", "/api/keys", key));
        }
        // it may have underscores of its own
        var secret = key.Split('_', 3)[2];
        Assert.True(secret.Length > 40, $"{secret.Length} characters are no secret");
        Assert.DoesNotContain(gateways.Log.Lines, line => line.Text.Contains(secret, StringComparison.Ordinal));
        var folder = System.IO.Path.GetDirectoryName(store.Description[(store.Description.IndexOf(' ', StringComparison.Ordinal) + 1)..])!;
        foreach (var file in Directory.GetFiles(folder))
        {
            using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using var bytes = new MemoryStream();
            await stream.CopyToAsync(bytes);
            Assert.True(bytes.GetBuffer().AsSpan(0, (int)bytes.Length).IndexOf(Encoding.ASCII.GetBytes(secret)) < 0, file);
        }
    }

    [Fact]
    public async Task A_key_that_is_revoked_while_the_gateway_runs_is_soon_refused()
    {
        var store = gateways.NewStore();
        var key = Gateways.NewKey(store, Scopes.Operate);
        await using var server = await gateways.StartAsync(store);
        using var http = new HttpClient { BaseAddress = server.Address };
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(http, "GET", "/api/jobs", key));
        var keys = new ApiKeyStore(store, TimeProvider.System);
        keys.Revoke("someone");
        using var patience = new CancellationTokenSource(ObservedCluster.Patience);
        while (await StatusAsync(http, "GET", "/api/jobs", key) != HttpStatusCode.Unauthorized)
            patience.Token.ThrowIfCancellationRequested();
    }

    /// <summary>The table is locked until the answer is there: a request that waited for it would wait for ever.</summary>
    [SkippableFact]
    public async Task Who_shows_a_key_is_put_off_while_the_store_stands_still()
    {
        await using var database = await PostgresDatabase.CreateAsync();
        using var store = GatewayStore.Open(gateways.NewPath(), database.ConnectionString);
        var key = Gateways.NewKey(store, Scopes.Operate);
        await using var server = await gateways.StartAsync(store);
        using var http = new HttpClient { BaseAddress = server.Address };
        using var patience = new CancellationTokenSource(ObservedCluster.Patience);
        await using (var other = new NpgsqlConnection(database.ConnectionString))
        {
            await other.OpenAsync();
            await using var transaction = await other.BeginTransactionAsync();
            await using (var command = new NpgsqlCommand("LOCK TABLE gateway_keys IN ACCESS EXCLUSIVE MODE", other, transaction))
                await command.ExecuteNonQueryAsync();
            // what was read a moment ago counts for a second
            while (await StatusAsync(http, "GET", "/api/jobs", key) != HttpStatusCode.ServiceUnavailable)
                patience.Token.ThrowIfCancellationRequested();
            using var refused = await http.SendAsync(Gateways.Request("GET", "/api/jobs", key));
            Assert.DoesNotContain(database.Name, await Gateways.ErrorAsync(refused, HttpStatusCode.ServiceUnavailable), StringComparison.Ordinal);
            Assert.NotNull(refused.Headers.RetryAfter);
        }
        while (await StatusAsync(http, "GET", "/api/jobs", key) != HttpStatusCode.OK)
            patience.Token.ThrowIfCancellationRequested();
    }

    /// <summary>The audit log keeps one; what is said of connections is for what nodes keep in the store.</summary>
    [SkippableFact]
    public async Task A_gateway_has_connections_enough_whatever_is_said_of_them()
    {
        await using var database = await PostgresDatabase.CreateAsync();
        using var store = GatewayStore.Open(gateways.NewPath(), new NpgsqlConnectionStringBuilder(database.ConnectionString) { Pooling = true, MinPoolSize = 1, MaxPoolSize = 1 }.ConnectionString);
        await using var log = store.Connect();
        await using var check = store.Connect();
        Assert.Empty(new ApiKeyStore(store, TimeProvider.System).List());
    }

    [SkippableFact]
    public async Task A_gateway_whose_store_is_gone_is_not_ready()
    {
        await using var database = await PostgresDatabase.CreateAsync();
        using var store = GatewayStore.Open(gateways.NewPath(), database.ConnectionString);
        await using var server = await gateways.StartAsync(store);
        using var http = new HttpClient { BaseAddress = server.Address };
        Assert.Equal("healthy", (await CheckAsync())["status"]!.GetValue<string>());
        await database.DisposeAsync();
        var check = await CheckAsync();
        Assert.Equal("unhealthy", check["status"]!.GetValue<string>());
        Assert.DoesNotContain(database.Name, check["reason"]!.GetValue<string>(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await StatusAsync(http, "GET", "/health/ready", null));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await StatusAsync(http, "GET", "/v2/health/ready", null));

        async Task<JsonNode> CheckAsync()
        {
            using var response = await http.GetAsync(new Uri("/health/ready", UriKind.Relative));
            return (await response.Content.ReadFromJsonAsync<JsonNode>())!["checks"]![GatewayStoreCheck.Name]!;
        }
    }

    [Theory]
    [InlineData("0.0.0.0", null)]
    [InlineData("0.0.0.0", false)]
    [InlineData("0.0.0.0", true)]
    [InlineData("::", null)]
    [InlineData("127.0.0.1", true)]
    public async Task Nobody_listens_where_strangers_could_come_in_or_nobody_could(string host, bool? required)
    {
        var fault = await Assert.ThrowsAsync<InputException>(() => gateways.StartAsync(gateways.NewStore(), settings => settings with { Host = host, IsAuthenticationRequired = required }));
        Assert.Equal("auth.required", fault.Faults.Single().Place);
        Assert.Contains("clusternet keys create", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_is_enough_to_listen_anywhere()
    {
        var store = gateways.NewStore();
        Gateways.NewKey(store, Scopes.Predict);
        await using var server = await gateways.StartAsync(store, settings => settings with { Host = "0.0.0.0" });
        Assert.True(server.IsAuthenticated);
        Assert.IsType<InputException>(await Record.ExceptionAsync(() => gateways.StartAsync(store, settings => settings with { Host = "0.0.0.0", IsAuthenticationRequired = false })));
    }

    [Fact]
    public async Task Without_authentication_browsers_of_this_machine_are_still_guarded()
    {
        await using var server = await gateways.StartAsync(gateways.NewStore());
        Assert.False(server.IsAuthenticated);
        using var http = new HttpClient { BaseAddress = server.Address };
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(http, "GET", "/api/jobs", null));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(http, "GET", "/api/jobs", "wrong"));
        using var foreign = Gateways.Request("POST", Unlikely + "/cancel");
        foreign.Headers.Add("Origin", "https://elsewhere.example");
        using var refused = await http.SendAsync(foreign);
        await Gateways.ErrorAsync(refused, HttpStatusCode.Forbidden);
        using var rebound = Gateways.Request("GET", "/api/jobs");
        rebound.Headers.Host = "elsewhere.example";
        using var refusedToo = await http.SendAsync(rebound);
        await Gateways.ErrorAsync(refusedToo, HttpStatusCode.Forbidden);
    }

    [Fact]
    public async Task A_gRPC_client_is_refused_in_its_own_words()
    {
        var store = gateways.NewStore();
        var key = Gateways.NewKey(store, Scopes.Predict);
        await using var server = await gateways.StartAsync(store, settings => settings with { GrpcPort = 0 });
        using var http = new HttpClient { BaseAddress = server.GrpcAddress };
        Assert.Equal("16", await GrpcStatusAsync(http, null));
        Assert.Equal("16", await GrpcStatusAsync(http, key + "A"));
        Assert.Equal("12", await GrpcStatusAsync(http, key));
    }

    [Fact]
    public async Task Tokens_are_taken_from_who_signs_them_for_this_gateway_alone()
    {
        using var signer = RSA.Create(2048);
        using var stranger = RSA.Create(2048);
        var file = gateways.NewPath();
        await File.WriteAllTextAsync(file, signer.ExportSubjectPublicKeyInfoPem());
        var jwt = new JwtSettings { KeysFile = file, Issuer = "issuer", Audience = "gateway", ScopeNames = new Dictionary<string, string> { [Scopes.Operate] = "ops" } };
        await using var server = await gateways.StartAsync(gateways.NewStore(), settings => settings with { Access = new AccessSettings { Jwt = jwt } });
        Assert.True(server.IsAuthenticated);
        using var http = new HttpClient { BaseAddress = server.Address };
        var good = new RsaSecurityKey(signer);
        Assert.Equal(HttpStatusCode.OK, await WithTokenAsync(http, Token(good)));
        Assert.Equal(HttpStatusCode.OK, await WithTokenAsync(http, Token(good, scopes: "read ops")));
        Assert.Equal(HttpStatusCode.Forbidden, await WithTokenAsync(http, Token(good, scopes: "operate")));
        Assert.Equal(HttpStatusCode.Unauthorized, await WithTokenAsync(http, Token(new RsaSecurityKey(stranger))));
        Assert.Equal(HttpStatusCode.Unauthorized, await WithTokenAsync(http, Token(good, audience: "other")));
        Assert.Equal(HttpStatusCode.Unauthorized, await WithTokenAsync(http, Token(good, issuer: "other")));
        Assert.Equal(HttpStatusCode.Unauthorized, await WithTokenAsync(http, Token(good, expires: -10)));
        // the classic: a symmetric signature by what everybody may know, and none at all
        var shared = new SymmetricSecurityKey(Encoding.UTF8.GetBytes(signer.ExportSubjectPublicKeyInfoPem()));
        Assert.Equal(HttpStatusCode.Unauthorized, await WithTokenAsync(http, Token(shared, algorithm: SecurityAlgorithms.HmacSha256)));
        Assert.Equal(HttpStatusCode.Unauthorized, await WithTokenAsync(http, Token(null)));
        Assert.Equal(HttpStatusCode.Unauthorized, await WithTokenAsync(http, "a.b.c"));
    }

    /// <summary>A provider that says nothing says so to nobody: a request that waited for it would wait until the test gave up.</summary>
    [Fact]
    public async Task Tokens_of_a_provider_are_taken_once_it_has_told_its_keys_and_nobody_waits_for_it_long()
    {
        using var signer = RSA.Create(2048);
        using var stranger = RSA.Create(2048);
        using var provider = new Provider(signer);
        var jwt = new JwtSettings { Authority = Provider.Address, Audience = "gateway", Handler = provider, ScopeNames = new Dictionary<string, string> { [Scopes.Operate] = "ops" } };
        await using var server = await gateways.StartAsync(gateways.NewStore(), settings => settings with { Access = new AccessSettings { Jwt = jwt } });
        using var http = new HttpClient { BaseAddress = server.Address };
        var good = new RsaSecurityKey(signer) { KeyId = "1" };
        var waiting = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => WithTokenAsync(http, Token(good, issuer: Provider.Address))));
        Assert.All(waiting, status => Assert.Equal(HttpStatusCode.ServiceUnavailable, status));
        Assert.Equal(1, provider.Asked);
        provider.Fail();
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await WithTokenAsync(http, Token(good, issuer: Provider.Address)));
        provider.Answer();
        using var patience = new CancellationTokenSource(ObservedCluster.Patience);
        while (await WithTokenAsync(http, Token(good, issuer: Provider.Address)) is var status && status != HttpStatusCode.OK)
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
            patience.Token.ThrowIfCancellationRequested();
        }
        Assert.Equal(HttpStatusCode.Unauthorized, await WithTokenAsync(http, Token(new RsaSecurityKey(stranger) { KeyId = "1" }, issuer: Provider.Address)));
        Assert.Equal(HttpStatusCode.Unauthorized, await WithTokenAsync(http, Token(good, issuer: "other")));
        Assert.Equal(HttpStatusCode.Forbidden, await WithTokenAsync(http, Token(good, scopes: "operate", issuer: Provider.Address)));
    }

    [Fact]
    public async Task Who_asks_too_often_is_told_when_to_come_back_and_others_are_not_held_up()
    {
        var store = gateways.NewStore();
        var (greedy, other) = (Gateways.NewKey(store, Scopes.Operate), Gateways.NewKey(store, Scopes.Operate));
        await using var server = await gateways.StartAsync(store, settings => settings with { Access = settings.Access with { RequestsPerSecond = 1 } });
        using var http = new HttpClient { BaseAddress = server.Address };
        var answers = await Task.WhenAll(Enumerable.Range(0, 60).Select(async _ =>
        {
            using var request = Gateways.Request("GET", "/api/events", greedy);
            return await http.SendAsync(request);
        }));
        var refused = answers.Where(answer => answer.StatusCode == HttpStatusCode.TooManyRequests).ToArray();
        Assert.NotEmpty(refused);
        foreach (var answer in refused)
        {
            Assert.Contains("try again", await Gateways.ErrorAsync(answer, HttpStatusCode.TooManyRequests), StringComparison.Ordinal);
            Assert.True(answer.Headers.RetryAfter?.Delta >= TimeSpan.FromSeconds(1));
        }
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(http, "GET", "/api/events", other));
        foreach (var answer in answers)
            answer.Dispose();
    }

    /// <summary>An OpenID Connect provider that is silent at first, then fails, then answers.</summary>
    private sealed class Provider(RSA signer) : HttpMessageHandler
    {
        public const string Address = "https://login.test";

        private readonly TaskCompletionSource _silence = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private bool _answers;
        private int _asked;

        public int Asked => _asked;

        public void Fail() => _silence.SetResult();

        public void Answer() => Volatile.Write(ref _answers, true);

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _asked);
            await _silence.Task.WaitAsync(cancellationToken);
            if (!Volatile.Read(ref _answers))
                return new HttpResponseMessage(HttpStatusCode.BadGateway);
            var key = signer.ExportParameters(false);
            return new HttpResponseMessage
            {
                Content = JsonContent.Create<object>(request.RequestUri!.AbsolutePath == "/keys"
                    ? new { keys = new[] { new { kty = "RSA", use = "sig", kid = "1", n = Base64Url.EncodeToString(key.Modulus), e = Base64Url.EncodeToString(key.Exponent) } } }
                    : new { issuer = Address, jwks_uri = $"{Address}/keys" }),
            };
        }
    }

    private static string Path(RouteEndpoint endpoint)
    {
        var path = endpoint.RoutePattern.RawText!;
        foreach (var parameter in endpoint.RoutePattern.Parameters)
            path = path.Replace($"{{{parameter.Name}:int}}", "1", StringComparison.Ordinal).Replace($"{{{parameter.Name}}}", "nothing-1", StringComparison.Ordinal);
        return path.StartsWith('/') ? path : "/" + path;
    }

    private static async Task<HttpStatusCode> StatusAsync(HttpClient http, string method, string path, string? key)
    {
        using var request = Gateways.Request(method, path, key);
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        return response.StatusCode;
    }

    private static async Task<HttpStatusCode> WithTokenAsync(HttpClient http, string token)
    {
        using var request = Gateways.Request("GET", "/api/jobs");
        request.Headers.Authorization = new("Bearer", token);
        using var response = await http.SendAsync(request);
        return response.StatusCode;
    }

    private static async Task<string> GrpcStatusAsync(HttpClient http, string? key)
    {
        using var request = Gateways.Request("POST", "/no.Such/Method", key, new ByteArrayContent([]));
        request.Content!.Headers.ContentType = new("application/grpc");
        (request.Version, request.VersionPolicy) = (HttpVersion.Version20, HttpVersionPolicy.RequestVersionExact);
        using var response = await http.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return response.Headers.GetValues("grpc-status").Single();
    }

    private static string Token(SecurityKey? key, string scopes = "ops", string audience = "gateway", string issuer = "issuer", int expires = 10, string algorithm = SecurityAlgorithms.RsaSha256) =>
        new JsonWebTokenHandler { SetDefaultTimesOnTokenCreation = false }.CreateToken(new SecurityTokenDescriptor
        {
            Audience = audience,
            Issuer = issuer,
            IssuedAt = DateTime.UtcNow.AddMinutes(-20),
            NotBefore = DateTime.UtcNow.AddMinutes(-20),
            Expires = DateTime.UtcNow.AddMinutes(expires),
            Claims = new Dictionary<string, object> { ["sub"] = "someone", ["scope"] = scopes },
            SigningCredentials = key is null ? null : new SigningCredentials(key, algorithm),
        });
}
