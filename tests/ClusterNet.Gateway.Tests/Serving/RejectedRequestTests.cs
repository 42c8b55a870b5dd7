using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Tests.Hosting;

namespace ClusterNet.Gateway.Tests.Serving;

/// <summary>What is no request of HTTP at all is answered in JSON too, once, and then the connection ends.</summary>
[Collection(OneByOne.Name)]
public sealed class RejectedRequestTests(Gateways gateways) : IClassFixture<Gateways>
{
    private const string Live = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";

    public static TheoryData<string, string, int> Requests()
    {
        var requests = new TheoryData<string, string, int>();
        void Add(string name, string request, int status) => requests.Add(name, request, status);
        Add("no request", "nonsense\r\n\r\n", 400);
        Add("a null in the path", "GET /v2/models/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400);
        Add("a null in the path of a request with a body", "POST /v2/models/%00/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", 400);
        Add("no host", "GET /v2 HTTP/1.1\r\n\r\n", 400);
        Add("two hosts", "GET /v2 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400);
        Add("a header without a colon", "GET /v2 HTTP/1.1\r\nHost localhost\r\n\r\n", 400);
        Add("a length that is none", "POST /v2/repository/index HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n", 400);
        Add("a length below zero", "POST /v2/repository/index HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400);
        Add("an encoding of the transfer that nobody knows", "POST /v2/repository/index HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: zip\r\n\r\n", 400);
        Add("a chunk that is none", "POST /v2/repository/index HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400);
        Add("another version", "GET /v2 HTTP/3.7\r\nHost: localhost\r\n\r\n", 505);
        Add("a path too long", $"GET /{new string('x', 5000)} HTTP/1.1\r\nHost: localhost\r\n\r\n", 414);
        Add("headers too long", $"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: {new string('x', 20_000)}\r\n\r\n", 431);
        Add("too many headers", $"GET /v2 HTTP/1.1\r\nHost: localhost\r\n{string.Concat(Enumerable.Range(0, 100).Select(i => $"X-{i}: 1\r\n"))}\r\n", 431);
        Add("a header that wants escaping in JSON", "GET /v2 HTTP/1.1\r\nHost: localhost\r\n\"\\<\r\n\r\n", 400);
        Add("a length beyond what is taken", "POST /v2/repository/index HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n", 413);
        return requests;
    }

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task It_is_answered_in_JSON(string name, string request, int status)
    {
        await using var server = await gateways.StartAsync(gateways.NewStore());
        Assert.NotEqual("", name);
        // alone, and behind one that is well
        var (answer, rest) = Split(await AnsweredAsync(server, request));
        AssertRefused(status, answer, rest);
        (answer, rest) = Split(await AnsweredAsync(server, Live + request));
        Assert.Equal(200, answer.Status);
        (answer, rest) = Split(rest);
        AssertRefused(status, answer, rest);
        using var http = new HttpClient { BaseAddress = server.Address };
        Assert.True((await http.GetAsync(new Uri("/health/live", UriKind.Relative))).IsSuccessStatusCode);
    }

    [Fact]
    public async Task Who_asks_for_the_head_alone_gets_no_body()
    {
        await using var server = await gateways.StartAsync(gateways.NewStore());
        var (answer, rest) = Split(await AnsweredAsync(server, "HEAD /v2 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), hasBody: false);
        Assert.Equal((400, ""), (answer.Status, rest));
    }

    [Fact]
    public async Task So_it_is_behind_TLS()
    {
        using var authority = new TestAuthority();
        using var own = authority.Issue("gateway");
        using var secret = System.Security.Cryptography.X509Certificates.ECDsaCertificateExtensions.GetECDsaPrivateKey(own)!;
        var files = new TlsFiles(Write(own.ExportCertificatePem()), Write(secret.ExportPkcs8PrivateKeyPem()), null, Write(authority.Certificate.ExportCertificatePem()));
        await using var server = await gateways.StartAsync(gateways.NewStore(), settings => settings with { Tls = GatewayTls.Load(files, isRequired: false) });
        var (answer, rest) = Split(await AnsweredAsync(server, "GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        AssertRefused(400, answer, rest);
    }

    private static void AssertRefused(int status, (int Status, string Head, string Body) answer, string rest)
    {
        Assert.Equal(status, answer.Status);
        Assert.Contains("Content-Type: application/json", answer.Head, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("Server:", answer.Head, StringComparison.OrdinalIgnoreCase);
        using var body = JsonDocument.Parse(answer.Body);
        Assert.NotEqual("", body.RootElement.GetProperty("error").GetString());
        Assert.Equal("", rest);
    }

    /// <summary>All that comes until the server ends the connection.</summary>
    private static async Task<string> AnsweredAsync(GatewayServer server, string request)
    {
        using var patience = new CancellationTokenSource(ObservedCluster.Patience);
        using var client = new TcpClient();
        await client.ConnectAsync(server.Address.Host, server.Address.Port, patience.Token);
        await using Stream stream = server.Address.Scheme == "https" ? new SslStream(client.GetStream(), false, (_, shown, _, _) => shown?.Subject.Contains("gateway", StringComparison.Ordinal) == true) : client.GetStream();
        if (stream is SslStream tls)
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "gateway" }, patience.Token);
        await stream.WriteAsync(Encoding.Latin1.GetBytes(request), patience.Token);
        var answer = new MemoryStream();
        var buffer = new byte[4096];
        try
        {
            while (await stream.ReadAsync(buffer, patience.Token) is > 0 and var count)
                answer.Write(buffer, 0, count);
        }
        catch (IOException)
        {
            // a server that ends a connection with unread bytes in it resets it
        }
        return Encoding.UTF8.GetString(answer.ToArray());
    }

    private static ((int Status, string Head, string Body) Answer, string After) Split(string answers, bool hasBody = true)
    {
        var end = answers.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        Assert.True(end > 0, $"no answer: {answers}");
        var (head, rest) = (answers[..end], answers[(end + 4)..]);
        var status = Number(head[9..12], "[0-9]{3}");
        if (!hasBody)
            return ((status, head, ""), rest);
        if (!head.Contains("Transfer-Encoding: chunked", StringComparison.OrdinalIgnoreCase))
        {
            var length = Number(head, "(?<=Content-Length: )[0-9]+");
            return ((status, head, rest[..length]), rest[length..]);
        }
        var body = new StringBuilder();
        while (true)
        {
            var line = rest.IndexOf("\r\n", StringComparison.Ordinal);
            var length = int.Parse(rest[..line], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            body.Append(rest, line + 2, length);
            rest = rest[(line + 2 + length + 2)..];
            if (length == 0)
                return ((status, head, body.ToString()), rest);
        }

        static int Number(string text, string pattern) => int.Parse(Regex.Match(text, pattern, RegexOptions.IgnoreCase).Value, CultureInfo.InvariantCulture);
    }

    private string Write(string text)
    {
        var path = gateways.NewPath();
        File.WriteAllText(path, text);
        return path;
    }
}
