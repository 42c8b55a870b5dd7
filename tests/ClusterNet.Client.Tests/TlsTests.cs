using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Tests;
using ClusterNet.Cluster.Tests.Hosting;
using ClusterNet.Cluster.Training;
using ClusterNet.Gateway;
using ClusterNet.Gateway.Store;
using ClusterNet.Learning.Models;

namespace ClusterNet.Client.Tests;

/// <summary>A cluster with TLS answers programs that show a certificate of its authorities, and no others.</summary>
public sealed class TlsTests : IDisposable
{
    private const string Model = "sealed";

    private static readonly float[] _values = [.. Enumerable.Range(0, 30).Select(i => i * 0.1f)];

    private static readonly Samples _sample = Samples.Prepared([30], _values);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("clusternet-client-");
    private readonly TestAuthority _authority = new();
    private readonly TestAuthority _stranger = new("somebody else");

    [Fact]
    public async Task By_message_and_by_gRPC()
    {
        var files = Write(_authority.Issue(), _authority.Certificate);
        await using var node = await ClusterNode.StartAsync(
            new NodeOptions { Name = "node", Roles = Roles.All, DataDirectory = Path.Combine(_folder.FullName, "node"), Tls = files, ResumesJobs = false }, new ModelCatalog(ModelCatalog.BuiltIn));
        await foreach (var moment in node.Cluster.WatchAsync(await node.Cluster.SubmitAsync(TestJobs.Wdbc("mlp", null, ("hidden", ["8"])) with { Name = Model })))
            Assert.NotEqual(JobStatus.Failed, moment.Status);
        var expected = (await node.Serving.PredictAsync(new PredictRequest(Model, new ModelInput.Prepared([30], _values)))).Prediction.Outputs.ToArray();
        using var store = GatewayStore.Open(Path.Combine(_folder.FullName, "gateway"), null);
        await using var gateway = await GatewayServer.StartAsync(
            new GatewaySettings { Port = 0, Node = "gateway", Tls = GatewayTls.Load(files, isRequired: true), Access = new() { CertificateScopes = ["predict"] } },
            new GatewayParts(node.System, node.Cluster, node.Serving, store, (_, source) => throw new NotSupportedException(source)));

        foreach (var way in (string[])["message", "grpc"])
        {
            await using (var client = ClientOf(way, node, gateway, _authority.Issue("program"), _authority))
                Assert.Equal(expected.Select(BitConverter.SingleToInt32Bits), (await client.PredictAsync(Model, _sample)).Outputs.Select(BitConverter.SingleToInt32Bits));
            await RefusedAsync(ClientOf(way, node, gateway, _stranger.Issue("program"), _authority));
            // nor does a program believe a cluster that its own authorities know nothing of
            await RefusedAsync(ClientOf(way, node, gateway, _authority.Issue("program"), _stranger));
            await RefusedAsync(ClientOf(way, node, gateway, null, _authority));
        }
    }

    public void Dispose()
    {
        _authority.Dispose();
        _stranger.Dispose();
        _folder.Delete(true);
    }

    private static RetryingClient ClientOf(string way, ClusterNode node, GatewayServer gateway, X509Certificate2? certificate, TestAuthority believes)
    {
        var options = new ClusterNetClientOptions { Silence = TimeSpan.FromSeconds(1) };
        if (way == "message")
            options.UseCluster([node.Address.ToString()], certificate, certificate is null ? null : [believes.Certificate]);
        else
            options.UseGrpc(gateway.GrpcAddress!, configure: handler => Trust(handler.SslOptions, certificate, believes));
        return new RetryingClient(options);
    }

    private static void Trust(SslClientAuthenticationOptions tls, X509Certificate2? certificate, TestAuthority believes)
    {
        tls.ClientCertificates = certificate is null ? [] : [certificate];
        tls.CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, CustomTrustStore = { believes.Certificate } };
    }

    private static async Task RefusedAsync(RetryingClient client)
    {
        await using (client)
        {
            var failure = await Assert.ThrowsAsync<PredictionFailedException>(() => client.PredictAsync(Model, _sample, new PredictOptions { Timeout = TimeSpan.FromSeconds(3) }));
            Assert.True(failure.Kind is FailureKind.Unavailable or FailureKind.DeadlineExceeded or FailureKind.Refused, failure.ToString());
        }
    }

    private TlsFiles Write(X509Certificate2 certificate, X509Certificate2 authority)
    {
        var (own, key, authorities) = (Path.Combine(_folder.FullName, "node.pem"), Path.Combine(_folder.FullName, "node.key"), Path.Combine(_folder.FullName, "authorities.pem"));
        File.WriteAllText(own, certificate.ExportCertificatePem());
        File.WriteAllText(key, certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        File.WriteAllText(authorities, authority.ExportCertificatePem());
        return new TlsFiles(own, key, null, authorities);
    }
}
