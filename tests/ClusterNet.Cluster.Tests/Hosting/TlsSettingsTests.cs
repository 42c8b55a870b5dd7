using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Core.Faults;

namespace ClusterNet.Cluster.Tests.Hosting;

/// <summary>A node believes exactly the certificates of its own authorities, in date, on both sides of a connection; files that do not fit are refused with the file and the remedy.</summary>
public sealed class TlsSettingsTests : IDisposable
{
    private const string Password = "correct horse";

    private readonly TestAuthority _own = new();
    private readonly TestAuthority _foreign = new("foreign authority");
    private readonly string _folder = Directory.CreateTempSubdirectory("clusternet-tls-").FullName;

    public void Dispose()
    {
        _own.Dispose();
        _foreign.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void Certificates_of_the_own_authority_in_date_are_accepted_and_no_others()
    {
        var node = _own.Node();
        Assert.True(node.Accepts(_own.Issue("another node")));
        Assert.False(node.Accepts(_foreign.Issue()));
        Assert.False(node.Accepts(_own.Issue(fromDays: -10, untilDays: -1)));
        Assert.False(node.Accepts(_own.Issue(fromDays: 1, untilDays: 10)));
        Assert.False(node.Accepts(null));
    }

    [Fact]
    public void An_authority_of_the_same_name_is_another_authority()
    {
        using var impostor = new TestAuthority();
        Assert.False(_own.Node().Accepts(impostor.Issue()));
    }

    [Fact]
    public async Task Two_nodes_of_one_authority_talk() => Assert.Null(await ConnectAsync(_own.Node(), _own.Node().ClientOptions("127.0.0.1")));

    [Fact]
    public async Task A_client_with_a_foreign_certificate_is_refused() => Assert.NotNull(await ConnectAsync(_own.Node(), _foreign.Node(believes: _own).ClientOptions("127.0.0.1")));

    [Fact]
    public async Task A_client_with_an_expired_certificate_is_refused() =>
        Assert.NotNull(await ConnectAsync(_own.Node(), _own.Node(fromDays: -10, untilDays: -1).ClientOptions("127.0.0.1")));

    [Fact]
    public async Task A_client_without_a_certificate_is_refused()
    {
        var options = _own.Node().ClientOptions("127.0.0.1");
        options.ClientCertificateContext = null;
        Assert.NotNull(await ConnectAsync(_own.Node(), options));
    }

    [Fact]
    public async Task A_server_with_a_foreign_certificate_is_refused() => Assert.NotNull(await ConnectAsync(_foreign.Node(believes: _own), _own.Node().ClientOptions("127.0.0.1")));

    [Fact]
    public async Task A_client_that_speaks_only_older_versions_is_refused()
    {
        var options = _own.Node().ClientOptions("127.0.0.1");
#pragma warning disable SYSLIB0039, CA5397 // that is what is to be refused
        options.EnabledSslProtocols = SslProtocols.Tls11;
#pragma warning restore SYSLIB0039, CA5397
        Assert.NotNull(await ConnectAsync(_own.Node(), options));
    }

    [Fact]
    public void Pem_with_key_apart_together_or_encrypted_and_pfx_are_read()
    {
        var certificate = _own.Issue();
        var pem = certificate.ExportCertificatePem();
        var key = Key(certificate).ExportPkcs8PrivateKeyPem();
        var encrypted = Key(certificate).ExportEncryptedPkcs8PrivateKeyPem(Password, new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1000));
        foreach (var files in new[]
        {
            Files(File("apart.pem", pem), File("key.pem", key)),
            Files(File("together.pem", pem + "\n" + key)),
            Files(File("apart2.pem", pem), File("encrypted.pem", encrypted), Password),
            Files(File("plain.pfx", certificate.Export(X509ContentType.Pkcs12))),
            Files(File("locked.pfx", certificate.Export(X509ContentType.Pkcs12, Password)), password: Password),
        })
        {
            var settings = TlsSettings.Load(files);
            Assert.Equal(certificate.Thumbprint, settings.Certificate.Thumbprint);
            Assert.True(settings.Certificate.HasPrivateKey);
        }
    }

    [Fact]
    public void What_does_not_fit_is_refused_with_file_and_remedy_and_no_secret()
    {
        var certificate = _own.Issue();
        var pem = certificate.ExportCertificatePem();
        var other = Key(_own.Issue()).ExportPkcs8PrivateKeyPem();
        var encrypted = Key(certificate).ExportEncryptedPkcs8PrivateKeyPem(Password, new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1000));
        Refused(Files(Path.Combine(_folder, "none.pem")), "tls.certificate", "none.pem");
        Refused(Files(File("garbage.pem", "garbage")), "tls.certificate", "garbage.pem", "neither PEM nor a PFX");
        Refused(Files(File("alone.pem", pem)), "tls.certificate", "alone.pem", "give the key");
        Refused(Files(File("a.pem", pem), File("other.key", other)), "tls.key", "other.key", "give the key");
        Refused(Files(File("b.pem", pem), File("locked.key", encrypted)), "tls.key", "locked.key", "give its password");
        Refused(Files(File("c.pem", pem), File("locked2.key", encrypted), "wrong secret"), "tls.key", "locked2.key", "password is wrong");
        Refused(Files(File("d.pfx", certificate.Export(X509ContentType.Pkcs12, Password)), password: "wrong secret"), "tls.certificate", "d.pfx");
        Refused(Whole(_own.Issue(fromDays: -10, untilDays: -1)), "tls.certificate", "expired", "issue a new one");
        Refused(Whole(_own.Issue(fromDays: 5)), "tls.certificate", "valid from", "clock");
        Refused(Whole(_foreign.Issue()), "tls.certificate", "does not lead to an authority");
        Refused(new TlsFiles(File("e.pem", pem), null, null, File("empty.pem", "")), "tls.authorities", "empty.pem", "there is no certificate");

        TlsFiles Whole(X509Certificate2 issued) => Files(File(issued.Thumbprint, issued.Export(X509ContentType.Pkcs12)));

        static void Refused(TlsFiles files, string place, params string[] parts)
        {
            var fault = Assert.Single(Assert.Throws<InputException>(() => TlsSettings.Load(files)).Faults);
            Assert.Equal(place, fault.Place);
            foreach (var part in parts)
                Assert.Contains(part, fault.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("wrong secret", fault.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("PRIVATE", fault.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void The_password_is_not_shown() => Assert.DoesNotContain(Password, new TlsFiles("a", "b", Password, "c").ToString(), StringComparison.Ordinal);

    /// <summary>What went wrong; null where a byte came through both ways.</summary>
    private static async Task<Exception?> ConnectAsync(TlsSettings server, SslClientAuthenticationOptions client)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var served = Task.Run(
            async () =>
            {
                using var accepted = await listener.AcceptTcpClientAsync(patience.Token);
                await using var stream = new SslStream(accepted.GetStream());
                await stream.AuthenticateAsServerAsync(server.ServerOptions(), patience.Token);
                Assert.Equal(7, await ReadByteAsync(stream, patience.Token));
                await stream.WriteAsync(new byte[] { 8 }, patience.Token);
            },
            patience.Token);
        try
        {
            using var connection = new TcpClient();
            await connection.ConnectAsync((IPEndPoint)listener.LocalEndpoint, patience.Token);
            await using var stream = new SslStream(connection.GetStream());
            await stream.AuthenticateAsClientAsync(client, patience.Token);
            await stream.WriteAsync(new byte[] { 7 }, patience.Token);
            Assert.Equal(8, await ReadByteAsync(stream, patience.Token));
        }
        catch (Exception exception) when (exception is IOException or AuthenticationException)
        {
            await Assert.ThrowsAnyAsync<Exception>(() => served);
            return exception;
        }
        await served;
        return null;
    }

    private static async Task<int> ReadByteAsync(SslStream stream, CancellationToken cancel)
    {
        var one = new byte[1];
        await stream.ReadExactlyAsync(one, cancel);
        return one[0];
    }

    private static ECDsa Key(X509Certificate2 certificate) => certificate.GetECDsaPrivateKey()!;

    private TlsFiles Files(string certificate, string? key = null, string? password = null) => new(certificate, key, password, File("authority.pem", _own.Certificate.ExportCertificatePem()));

    private string File(string name, string content) => File(name, System.Text.Encoding.ASCII.GetBytes(content));

    private string File(string name, byte[] content)
    {
        var path = Path.Combine(_folder, name);
        System.IO.File.WriteAllBytes(path, content);
        return path;
    }
}
