using System.Net;
using System.Net.Sockets;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>Makes a server that listens on loopback alone reachable at another address of this machine, or as one that takes connections and never answers.</summary>
internal sealed class TcpForwarder : IAsyncDisposable
{
    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _accepting;
    private volatile TaskCompletionSource _passing = new();

    /// <param name="address">to listen on</param>
    /// <param name="host">of the server</param>
    /// <param name="port">of the server</param>
    /// <param name="own">the port to listen on; 0 for any free one</param>
    public TcpForwarder(string address, string host, int port, int own = 0)
    {
        _passing.SetResult();
        _listener = new TcpListener(IPAddress.Parse(address), own);
        _listener.Start();
        _accepting = AcceptAsync(host, port);
    }

    /// <summary>Where it listens.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>From now on connections are taken and stay open, and nothing passes.</summary>
    public void Freeze() => _passing = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What was held back passes, and all that comes.</summary>
    public void Thaw() => _passing.TrySetResult();

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

    private async Task ForwardAsync(TcpClient client, string host, int port, CancellationToken cancel)
    {
        using (client)
        using (var server = new TcpClient())
        {
            try
            {
                await _passing.Task.WaitAsync(cancel);
                await server.ConnectAsync(host, port, cancel);
                (client.NoDelay, server.NoDelay) = (true, true);
                await Task.WhenAny(CopyAsync(client, server, cancel), CopyAsync(server, client, cancel));
            }
            catch (Exception end) when (end is OperationCanceledException or SocketException or IOException)
            {
                // the other end sees it by its connection
            }
        }
    }

    private async Task CopyAsync(TcpClient from, TcpClient to, CancellationToken cancel)
    {
        var bytes = new byte[64 * 1024];
        while (await from.GetStream().ReadAsync(bytes, cancel) is > 0 and var read)
        {
            await _passing.Task.WaitAsync(cancel);
            await to.GetStream().WriteAsync(bytes.AsMemory(0, read), cancel);
        }
    }
}
