using System.Net;
using System.Net.Sockets;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>Makes a server that listens on loopback alone reachable at another address of this machine.</summary>
internal sealed class TcpForwarder : IAsyncDisposable
{
    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _accepting;

    public TcpForwarder(string address, string host, int port)
    {
        _listener = new TcpListener(IPAddress.Parse(address), 0);
        _listener.Start();
        _accepting = AcceptAsync(host, port);
    }

    /// <summary>Where it listens.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting;
        _stop.Dispose();
    }

    private async Task AcceptAsync(string host, int port)
    {
        try
        {
            while (true)
                _ = ForwardAsync(await _listener.AcceptTcpClientAsync(_stop.Token), host, port, _stop.Token);
        }
        catch (Exception end) when (end is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // nobody is served any more
        }
    }

    private static async Task ForwardAsync(TcpClient client, string host, int port, CancellationToken cancel)
    {
        using (client)
        using (var server = new TcpClient())
        {
            try
            {
                await server.ConnectAsync(host, port, cancel);
                (client.NoDelay, server.NoDelay) = (true, true);
                await Task.WhenAny(client.GetStream().CopyToAsync(server.GetStream(), cancel), server.GetStream().CopyToAsync(client.GetStream(), cancel));
            }
            catch (Exception end) when (end is OperationCanceledException or SocketException or IOException)
            {
                // the other end sees it by its connection
            }
        }
    }
}
