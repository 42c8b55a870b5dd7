using ClusterNet.Core.Faults;
using ClusterNet.Gateway.Access;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Jobs;

namespace ClusterNet.Node.Tests.Jobs;

/// <summary>A gateway's settings are read as they are written, and what would let strangers in by a slip is named.</summary>
public sealed class GatewaySettingsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("clusternet-gateway-settings-");

    public void Dispose() => _folder.Delete(true);

    [Fact]
    public void All_settings_of_a_gateway_are_read()
    {
        var file = Write("""
            http: {host: localhost, port: 1234, max-body-bytes: 2048, max-connections: 7, keep-alive-seconds: 9, stop-seconds: 3}
            grpc: {port: 1235, max-streams: 5}
            auth:
              required: true
              certificate-scopes: [predict, operate]
              jwt:
                authority: https://login.example.org
                audience: gateway
                scope-claim: scp
                scopes: {admin: root}
            rate-limit: {requests-per-second: 10, burst: 20}
            audit: {enabled: true, store-input: true}
            """);
        var (node, gateway) = NodeSettings.ReadAll(file, new Dictionary<string, string> { ["CLUSTERNET__AUTH__JWT__ISSUER"] = "issuer" }, [("name", "g-1", "--name")], _folder.FullName);
        Assert.Equal(1234, node.HttpPort);
        Assert.Equal(("localhost", 1234, 1235, "g-1"), (gateway.Host, gateway.Port, gateway.GrpcPort, gateway.Node));
        Assert.Equal((2048, 7, 5, TimeSpan.FromSeconds(9), TimeSpan.FromSeconds(3)), (gateway.MaxBodyBytes, gateway.MaxConnections, gateway.MaxStreams, gateway.KeepAlive, gateway.StopPatience));
        Assert.Equal((true, true, true), (gateway.IsAuthenticationRequired, gateway.IsAudited, gateway.StoresInput));
        Assert.Equal(["predict", "operate"], gateway.Access.CertificateScopes);
        Assert.Equal((10, 20), (gateway.Access.RequestsPerSecond, gateway.Access.Burst));
        Assert.Equal(("https://login.example.org", "gateway", "scp", "issuer"), (gateway.Access.Jwt!.Authority, gateway.Access.Jwt.Audience, gateway.Access.Jwt.ScopeClaim, gateway.Access.Jwt.Issuer));
        Assert.Equal("root", gateway.Access.Jwt.ScopeNames[Scopes.Admin]);
    }

    [Fact]
    public void Every_slip_is_named_with_its_line()
    {
        var file = Write("http: {port: 80, max-body-bytes: 1}\ngrpc: {port: 80}\nauth:\n  certificate-scopes: [predicts]\n  jwt: {authority: 'http://login.example.org'}\nrate-limit: {burst: 5}\naudit: {store-inputs: true}\n");
        var refused = Assert.Throws<InputException>(() => NodeSettings.ReadAll(file, new Dictionary<string, string>(), [], _folder.FullName));
        foreach (var place in new[] { "1 http.max-body-bytes", "2 grpc.port", "4 auth.certificate-scopes", "5 auth.jwt.authority", "5 auth.jwt.audience", "6 rate-limit.burst", "7 audit.store-inputs" })
            Assert.Contains(refused.Faults, fault => fault.Place.EndsWith(place, StringComparison.Ordinal));
    }

    [Fact]
    public void A_job_that_is_sent_has_whole_paths_and_a_name()
    {
        var refused = Assert.Throws<InputException>(() => JobFile.Parse("data: {source: rows.csv}\nmodel: {kind: mlp}\ntraining: {epochs: 1}\n", "job file"));
        Assert.Contains(refused.Faults, fault => fault.Message.Contains("relative", StringComparison.Ordinal));
        Assert.Contains(refused.Faults, fault => fault.Message.Contains("missing", StringComparison.Ordinal) && fault.Place.EndsWith("name", StringComparison.Ordinal));
        Assert.Equal("sent", JobFile.Parse("name: sent\ndata: {source: 'builtin:wdbc'}\nmodel: {kind: mlp}\ntraining: {epochs: 1}\n", "job file").Name);
    }

    private string Write(string text)
    {
        var path = Path.Combine(_folder.FullName, "node.yaml");
        File.WriteAllText(path, text);
        return path;
    }
}
