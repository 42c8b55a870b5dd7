using System.Net.Sockets;
using System.Text;

namespace ClusterNet.Gateway.Tests.Serving;

/// <summary>A place that a connection takes comes back however it ends: a gateway that lost one each time would take nobody any more after a few thousand strangers.</summary>
[Collection(OneByOne.Name)]
public sealed class HeldConnectionTests(Gateways gateways) : IClassFixture<Gateways>
{
    [Theory]
    [InlineData("", false)]
    [InlineData("", true)]
    [InlineData("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n", false)]
    [InlineData("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n", true)]
    [InlineData("GET /health/live HT", false)]
    [InlineData("GET /health/live HT", true)]
    [InlineData("nonsense\r\n\r\n", false)]
    [InlineData("nonsense\r\n\r\n", true)]
    public async Task It_comes_back_however_a_connection_ends(string sent, bool isReset)
    {
        // 16 more are accepted to be refused: 18 places of each port
        const int Many = 60;
        await using var server = await gateways.StartAsync(gateways.NewStore(), settings => settings with { MaxConnections = 2, GrpcPort = 0 });
        foreach (var address in new[] { server.Address, server.GrpcAddress! })
        {
            for (var i = 0; i < Many; i++)
            {
                using var client = new TcpClient();
                await client.ConnectAsync(address.Host, address.Port);
                await client.Client.SendAsync(Encoding.ASCII.GetBytes(sent));
                client.LingerState = new LingerOption(isReset, 0);
            }
        }
        await RequireLiveAsync(server.Address);
    }

    [Fact]
    public async Task It_comes_back_from_those_that_were_refused()
    {
        await using var server = await gateways.StartAsync(gateways.NewStore(), settings => settings with { MaxConnections = 2 });
        for (var round = 0; round < 3; round++)
        {
            TcpClient[] clients = [.. Enumerable.Range(0, 60).Select(_ => new TcpClient())];
            await Task.WhenAll(clients.Select(client => client.ConnectAsync(server.Address.Host, server.Address.Port)));
            foreach (var client in clients)
                client.Dispose();
        }
        await RequireLiveAsync(server.Address);
    }

    private static async Task RequireLiveAsync(Uri address)
    {
        using var http = new HttpClient { BaseAddress = address };
        using var patience = new CancellationTokenSource(ObservedCluster.Patience);
        while (true)
        {
            try
            {
                using var answer = await http.GetAsync(new Uri("/health/live", UriKind.Relative), patience.Token);
                Assert.True(answer.IsSuccessStatusCode);
                return;
            }
            catch (HttpRequestException)
            {
                // those before are still being let go
                patience.Token.ThrowIfCancellationRequested();
            }
        }
    }
}
