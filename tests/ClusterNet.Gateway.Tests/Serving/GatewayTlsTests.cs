using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Tests.Hosting;
using ClusterNet.Core.Faults;
using ClusterNet.Gateway.Access;

namespace ClusterNet.Gateway.Tests.Serving;

/// <summary>With TLS one port speaks HTTP/1.1 and HTTP/2, and a client's certificate says who it is where its authority is named.</summary>
[Collection(OneByOne.Name)]
public sealed class GatewayTlsTests(Gateways gateways) : IClassFixture<Gateways>, IDisposable
{
    private readonly TestAuthority _ours = new();
    private readonly TestAuthority _theirs = new("theirs");

    public void Dispose()
    {
        _ours.Dispose();
        _theirs.Dispose();
    }

    [Fact]
    public async Task A_certificate_or_a_key_lets_in_and_a_foreign_certificate_does_not()
    {
        var store = gateways.NewStore();
        var key = Gateways.NewKey(store, Scopes.Operate);
        await using var server = await gateways.StartAsync(store, settings => settings with { Tls = Tls(isRequired: false), Access = new AccessSettings { CertificateScopes = [Scopes.Predict] } });
        Assert.Equal(server.Address, server.GrpcAddress);
        foreach (var version in new[] { HttpVersion.Version11, HttpVersion.Version20 })
        {
            using var stranger = Client(server, null, version);
            Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(stranger, "/api/models", null));
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(stranger, "/api/jobs", key));
            using var known = Client(server, _ours.Issue("ward"), version);
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(known, "/api/models", null));
            Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(known, "/api/jobs", null));
        }
        using var foreign = Client(server, _theirs.Issue("ward"), HttpVersion.Version11);
        await Assert.ThrowsAsync<HttpRequestException>(() => StatusAsync(foreign, "/health/live", null));
    }

    [Fact]
    public async Task Where_certificates_are_required_a_key_alone_does_not_get_as_far_as_to_be_read()
    {
        var store = gateways.NewStore();
        var key = Gateways.NewKey(store, Scopes.Operate);
        await using var server = await gateways.StartAsync(store, settings => settings with { Tls = Tls(isRequired: true) });
        using var stranger = Client(server, null, HttpVersion.Version11);
        await Assert.ThrowsAsync<HttpRequestException>(() => StatusAsync(stranger, "/api/jobs", key));
        using var known = Client(server, _ours.Issue("ward"), HttpVersion.Version11);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(known, "/api/jobs", key));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(known, "/api/jobs", null));
    }

    [Fact]
    public void To_require_certificates_of_nobody_is_refused() =>
        Assert.Contains("client-authorities", Assert.Throws<InputException>(() => GatewayTls.Load(Files() with { Authorities = "" }, isRequired: true)).Message, StringComparison.Ordinal);

    private GatewayTls Tls(bool isRequired) => GatewayTls.Load(Files(), isRequired);

    private TlsFiles Files()
    {
        var own = _theirs.Issue("gateway");
        using var secret = own.GetECDsaPrivateKey()!;
        return new TlsFiles(Write(own.ExportCertificatePem()), Write(secret.ExportPkcs8PrivateKeyPem()), null, Write(_ours.Certificate.ExportCertificatePem()));
    }

    private string Write(string text)
    {
        var path = gateways.NewPath();
        File.WriteAllText(path, text);
        return path;
    }

    private static HttpClient Client(GatewayServer server, X509Certificate2? certificate, Version version)
    {
        var options = new SslClientAuthenticationOptions
        {
#pragma warning disable CA5359 // who the server is does not matter here
            RemoteCertificateValidationCallback = (_, _, _, _) => true,
#pragma warning restore CA5359
            ClientCertificateContext = certificate is null ? null : SslStreamCertificateContext.Create(certificate, null, offline: true),
        };
        return new HttpClient(new SocketsHttpHandler { SslOptions = options }, disposeHandler: true) { BaseAddress = server.Address, DefaultRequestVersion = version, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };
    }

    private static async Task<HttpStatusCode> StatusAsync(HttpClient http, string path, string? key)
    {
        using var request = Gateways.Request("GET", path, key);
        using var response = await http.SendAsync(request);
        return response.StatusCode;
    }
}
