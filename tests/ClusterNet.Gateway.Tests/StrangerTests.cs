using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Text;
using ClusterNet.Cluster.Tests.Hosting;

namespace ClusterNet.Gateway.Tests;

/// <summary>With TLS on, the HTTP port speaks to holders of a certificate of the cluster's authorities and to nobody else.</summary>
[Collection(OneByOne.Name)]
#pragma warning disable CA1001 // xunit disposes of it by IAsyncLifetime
public sealed class StrangerTests : IAsyncLifetime
#pragma warning restore CA1001
{
    private readonly TestAuthority _ours = new();
    private readonly TestAuthority _theirs = new("theirs");
    private ObservedCluster _observed = null!;
    private NodeEndpoints _endpoints = null!;

    public async Task InitializeAsync()
    {
        _observed = await ObservedCluster.StartAsync();
        _endpoints = await NodeEndpoints.StartAsync(new EndpointSettings { Tls = _ours.Node() }, _observed.Cluster.System);
    }

    public async Task DisposeAsync()
    {
        await _endpoints.DisposeAsync();
        await _observed.DisposeAsync();
        _ours.Dispose();
        _theirs.Dispose();
    }

    [Fact]
    public async Task A_member_is_let_in()
    {
        Assert.Equal(Uri.UriSchemeHttps, _endpoints.Address.Scheme);
        Assert.StartsWith("HTTP/1.1 200", await AskAsync(_ours.Node().ClientOptions("localhost")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_shows_no_certificate_is_refused()
    {
        var options = _ours.Node().ClientOptions("localhost");
        options.ClientCertificateContext = null;
        await RefusedAsync(options);
    }

    [Fact]
    public async Task Who_shows_a_foreign_certificate_is_refused() => await RefusedAsync(_theirs.Node(believes: _ours).ClientOptions("localhost"));

    [Fact]
    public async Task Who_shows_an_expired_certificate_is_refused() => await RefusedAsync(_ours.Node(fromDays: -20, untilDays: -1).ClientOptions("localhost"));

    [Fact]
    public async Task A_plain_request_is_refused() => Assert.DoesNotContain("200", await SendAsync(Encoding.ASCII.GetBytes("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")), StringComparison.Ordinal);

    [Fact]
    public async Task Random_bytes_are_refused_and_the_port_lives_on()
    {
        for (var i = 0; i < 10; i++)
            Assert.DoesNotContain("200", await SendAsync(RandomNumberGenerator.GetBytes(4096)), StringComparison.Ordinal);
        await A_member_is_let_in();
    }

    /// <summary>In TLS 1.3 a client learns of its refusal when it first reads.</summary>
    private async Task RefusedAsync(SslClientAuthenticationOptions options)
    {
        var refusal = await Record.ExceptionAsync(async () =>
        {
            if (await AskAsync(options) is { Length: 0 })
                throw new IOException("closed without an answer");
        });
        Assert.True(refusal is AuthenticationException or IOException, $"it was let in: {refusal}");
    }

    private async Task<string> AskAsync(SslClientAuthenticationOptions options)
    {
        using var patience = new CancellationTokenSource(ObservedCluster.Patience);
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(_endpoints.Address.Host, _endpoints.Address.Port, patience.Token);
        await using var stream = new SslStream(tcp.GetStream());
        await stream.AuthenticateAsClientAsync(options, patience.Token);
        await stream.WriteAsync(Encoding.ASCII.GetBytes("GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), patience.Token);
        using var reader = new StreamReader(stream, Encoding.ASCII);
        return await reader.ReadToEndAsync(patience.Token);
    }

    private async Task<string> SendAsync(byte[] bytes)
    {
        using var patience = new CancellationTokenSource(ObservedCluster.Patience);
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(_endpoints.Address.Host, _endpoints.Address.Port, patience.Token);
        try
        {
            await using var stream = tcp.GetStream();
            await stream.WriteAsync(bytes, patience.Token);
            tcp.Client.Shutdown(SocketShutdown.Send);
            using var reader = new StreamReader(stream, Encoding.Latin1);
            return await reader.ReadToEndAsync(patience.Token);
        }
        catch (Exception closed) when (closed is IOException or SocketException)
        {
            return "";
        }
    }
}
