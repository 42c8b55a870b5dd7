using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace ClusterNet.EndToEnd.Tests;

/// <summary>A process that may have few files open says so, or takes fewer connections: it must never have none left, since the runtime ends a process that can't read how much memory there is.</summary>
public sealed class OpenFilesTests
{
    [Theory]
    [InlineData(64)]
    [InlineData(256)]
    public async Task Too_few_are_told_before_any_library_is_missed(int files)
    {
        using var process = Process.Start(new ProcessStartInfo("prlimit", [$"--nofile={files}", "dotnet", Repository.Program, "datasets", "describe", Repository.Wdbc]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        Assert.Equal((1, ""), (process.ExitCode, await output));
        Assert.Equal($"clusternet: the process may have {files} files open (ulimit -n); ClusterNet needs 512, and a gateway one more for each connection: raise the limit", (await error).Trim());
    }

    [Fact]
    public async Task Strangers_who_hold_more_connections_than_there_can_be_do_not_end_a_gateway()
    {
        using var directory = new DataDirectory();
        using var served = NodeProcess.Serve(["prlimit", "--nofile=640"], directory.Path, "--port", "0", "--grpc-port", "0");
        var ready = await served.ReadyAsync();
        Uri[] addresses = [new(ready["http"]!.GetValue<string>()), new(ready["grpc"]!.GetValue<string>())];
        // all at once: what is accepted before it is refused is an open file until then
        List<Socket> held = [.. Enumerable.Range(0, 2000).Select(i => BeginToConnect(addresses[i % 2]))];
        using var http = new HttpClient { BaseAddress = addresses[0] };
        // those beyond the bound were closed, the first were not
        await Assert.ThrowsAsync<HttpRequestException>(() => http.GetAsync(new Uri("/v2/health/live", UriKind.Relative)));
        Assert.Contains(held, connection => !IsClosed(connection));
        held.ForEach(connection => connection.Dispose());
        HttpResponseMessage? answer = null;
        for (var patience = Stopwatch.StartNew(); answer is null && patience.Elapsed < NodeProcess.Patience;)
        {
            try
            {
                answer = await http.GetAsync(new Uri("/v2/health/live", UriKind.Relative));
            }
            catch (HttpRequestException)
            {
                await Task.Delay(50);
            }
        }
        Assert.Equal(HttpStatusCode.OK, answer?.StatusCode);
        Assert.Contains("connections are taken on each port, not 4096 (http.max-connections), since the process may have only 640 files open", served + directory.Log, StringComparison.Ordinal);
        await served.SignalAsync("TERM");
        Assert.Equal(0, await served.EndAsync());
    }

    private static Socket BeginToConnect(Uri address)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
        try
        {
            socket.Connect(IPAddress.Parse(address.Host), address.Port);
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.WouldBlock)
        {
        }
        return socket;
    }

    private static bool IsClosed(Socket connection) => connection.Poll(0, SelectMode.SelectRead);
}
