using System.Net.Sockets;
using System.Text;

namespace ClusterNet.Gateway.Tests.Serving;

/// <summary>A gateway stops while callers use their connections: each has its answer, and is told to connect elsewhere before its connection ends.</summary>
[Collection(OneByOne.Name)]
public sealed class FarewellTests(Gateways gateways) : IClassFixture<Gateways>
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Nobody_who_asks_is_left_without_an_answer()
    {
        // until all have gone: nobody is silent
        var server = await gateways.StartAsync(gateways.NewStore(), settings => settings with { StopPatience = TimeSpan.FromHours(1), Farewell = TimeSpan.FromHours(1) });
        var address = server.Address;
        var asking = new SemaphoreSlim(0);
        var callers = Enumerable.Range(0, 8).Select(_ => AskAsync(address, asking)).ToArray();
        for (var caller = 0; caller < callers.Length; caller++)
            Assert.True(await asking.WaitAsync(_patience));
        await server.DisposeAsync().AsTask().WaitAsync(_patience);
        foreach (var answers in await Task.WhenAll(callers).WaitAsync(_patience))
            Assert.True(answers > 1, "it was told at once");
        using var late = new TcpClient();
        await Assert.ThrowsAsync<SocketException>(() => late.ConnectAsync(address.Host, address.Port));
    }

    /// <summary>Asks again and again by one connection until an answer says that it ends; how many there were.</summary>
    private static async Task<int> AskAsync(Uri address, SemaphoreSlim asking)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(address.Host, address.Port);
        using var patience = new CancellationTokenSource(_patience);
        using var reader = new StreamReader(client.GetStream(), Encoding.Latin1);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        for (var answers = 1; ; answers++)
        {
            await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes($"HEAD /health/live HTTP/1.1\r\nHost: localhost:{address.Port}\r\n\r\n"), patience.Token);
            var (status, isLast) = (await reader.ReadLineAsync(patience.Token), false);
            Assert.True(status is not null, $"the connection ended after {answers - 1} answers, and nothing had said so");
            Assert.Equal("HTTP/1.1 200 OK", status);
            while (await reader.ReadLineAsync(patience.Token) is { Length: > 0 } header)
                isLast |= header.Equals("Connection: close", StringComparison.OrdinalIgnoreCase);
            if (isLast)
                return answers;
            if (answers == 2)
                asking.Release();
            await pace.WaitForNextTickAsync(patience.Token);
        }
    }
}
