using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using ClusterNet.Cluster.Tests.Hosting;
using ClusterNet.EndToEnd.Tests.Clusters;
using Xunit.Abstractions;

namespace ClusterNet.EndToEnd.Tests;

/// <summary>With TLS on, who shows no certificate of the cluster that is in date gets no answer on any port, and the node goes on; without TLS a node that others can reach says so loudly.</summary>
public sealed class StrangersTests(ITestOutputHelper output) : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static readonly byte[] _question = Encoding.ASCII.GetBytes("GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");

    private readonly TestAuthority _own = new();
    private readonly TestAuthority _foreign = new("foreign authority");
    private readonly DataDirectory _directory = new();

    public void Dispose()
    {
        _directory.Dispose();
        _own.Dispose();
        _foreign.Dispose();
    }

    [Fact]
    public async Task Strangers_are_refused_on_every_port_and_nodes_and_clients_of_the_cluster_are_not()
    {
        var ports = ProcessCluster.FreePorts(3);
        var (remote, lane, http) = (ports[0], ports[1], ports[2]);
        using var node = new NodeProcess(
            _directory.File("one"), Tls("one"), "--name", "one", "--workers", "1", "--port", Text(remote), "--lane-port", Text(lane), "--http-port", Text(http));
        await node.ReadyAsync();

        var noise = new byte[4096];
        new Random(7).NextBytes(noise);
        // the beginning of a TLS record that does not go on as one
        byte[] half = [0x16, 0x03, 0x01, 0x02, 0x00, .. noise.AsSpan(0, 600)];
        var unproven = _own.Node().ClientOptions("127.0.0.1");
        unproven.ClientCertificateContext = null;
        foreach (var (name, port) in new (string, EndPoint)[] { ("Akka.Remote", At(remote)), ("lane", At(lane)), ("HTTP", At(http)), ("lane, local socket", await LocalSocketAsync(node.Id)) })
        {
            await RefusedAsync(name, "plain text", SayAsync(port, _question, isAll: false));
            await RefusedAsync(name, "random bytes", SayAsync(port, noise, isAll: true));
            await RefusedAsync(name, "a broken TLS record", SayAsync(port, half, isAll: true));
            await RefusedAsync(name, "TLS without a certificate", AskAsync(port, unproven));
            await RefusedAsync(name, "TLS with a foreign certificate", AskAsync(port, _foreign.Node(believes: _own).ClientOptions("127.0.0.1")));
            await RefusedAsync(name, "TLS with an expired certificate", AskAsync(port, _own.Node(fromDays: -10, untilDays: -1).ClientOptions("127.0.0.1")));
        }
        // what is refused is the certificate, not the question
        Assert.StartsWith("HTTP/1.1 200", Encoding.ASCII.GetString(await AskAsync(At(http), _own.Node().ClientOptions("127.0.0.1"))), StringComparison.Ordinal);

        using var second = new NodeProcess(_directory.File("two"), Tls("two"), "--name", "two", "--port", "0", "--roles", "worker", "--workers", "1", "--seeds", node.Address);
        await second.ReadyAsync();
        var client = Tls("client");
        string[] flags = ["--tls-certificate", client["CLUSTERNET__TLS__CERTIFICATE"], "--tls-key", client["CLUSTERNET__TLS__KEY"], "--tls-authorities", client["CLUSTERNET__TLS__AUTHORITIES"]];
        var trained = await _directory.RunAsync(
            ["train", Repository.Job("breast-cancer.yaml"), "--json", "--set", "training.epochs=3", "--set", "training.workers=2", "--cluster", node.Address, .. flags]);
        Assert.True(trained.ExitCode == 0, $"{trained}\n{node}\n{second}");
        Assert.NotNull(trained.Document["weights_sha256"]);

        var file = _directory.File("client.yaml");
        await File.WriteAllTextAsync(file, $"tls:\n  certificate: {client["CLUSTERNET__TLS__CERTIFICATE"]}\n  key: {client["CLUSTERNET__TLS__KEY"]}\n  authorities: {client["CLUSTERNET__TLS__AUTHORITIES"]}\n");
        (await _directory.RunAsync("health", "--config", file, "--url", $"https://127.0.0.1:{Text(http)}/")).Expect(0);
        (await _directory.RunAsync("health", "--url", $"https://127.0.0.1:{Text(http)}/")).Expect(1);

        foreach (var leaving in new[] { second, node })
        {
            await leaving.SignalAsync("TERM");
            Assert.True(await leaving.EndAsync() == 0, leaving.ToString());
        }
        var log = node.ToString();
        Assert.Contains("HTTP: a connection from", log, StringComparison.Ordinal);
        Assert.Contains("lane: a connection from", log, StringComparison.Ordinal);
        Assert.Contains("TLS:", log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_that_others_can_reach_without_tls_warns_loudly()
    {
        using var node = new NodeProcess(_directory.File("open"), new Dictionary<string, string>(), "--host", "0.0.0.0", "--public-host", "127.0.0.1", "--port", "0", "--roles", "gateway");
        await node.ReadyAsync();
        await node.SignalAsync("TERM");
        Assert.True(await node.EndAsync() == 0, node.ToString());
        Assert.Contains("WARNING: this node listens on 0.0.0.0 without TLS", node.ToString(), StringComparison.Ordinal);
    }

    private static IPEndPoint At(int port) => new(IPAddress.Loopback, port);

    /// <summary>The one abstract Unix socket that a process listens on: what is to be found there is told to other nodes, not to strangers, but they may find it as this does.</summary>
    private static async Task<UnixDomainSocketEndPoint> LocalSocketAsync(int process)
    {
        var held = Directory.GetFiles($"/proc/{Text(process)}/fd").Select(file => File.ResolveLinkTarget(file, returnFinalTarget: false)?.Name).ToHashSet();
        // Num RefCount Protocol Flags Type St Inode Path
        var listening = (await File.ReadAllLinesAsync("/proc/net/unix")).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(socket => socket.Length == 8 && socket[7].StartsWith("@clusternet-lane-", StringComparison.Ordinal) && held.Contains($"socket:[{socket[6]}]"));
        return new UnixDomainSocketEndPoint("\0" + Assert.Single(listening)[7][1..]);
    }

    private static string Text(int port) => port.ToString(CultureInfo.InvariantCulture);

    /// <summary>A certificate of the cluster as files, told by variables.</summary>
    private Dictionary<string, string> Tls(string name)
    {
        var certificate = _own.Issue(name);
        using var key = certificate.GetECDsaPrivateKey()!;
        return new()
        {
            ["CLUSTERNET__TLS__CERTIFICATE"] = Write($"{name}.pem", certificate.ExportCertificatePem()),
            ["CLUSTERNET__TLS__KEY"] = Write($"{name}.key", key.ExportPkcs8PrivateKeyPem()),
            ["CLUSTERNET__TLS__AUTHORITIES"] = Write("authorities.pem", _own.Certificate.ExportCertificatePem()),
        };
    }

    private string Write(string name, string text)
    {
        var path = _directory.File(name);
        File.WriteAllText(path, text);
        return path;
    }

    /// <summary>Nothing but, at most, an alert of TLS (content type 21) comes back, and the connection ends.</summary>
    private async Task RefusedAsync(string port, string what, Task<byte[]> answered)
    {
        try
        {
            var answer = await answered;
            Assert.True(answer.Length == 0 || (answer[0] == 21 && answer.Length <= 64), $"{port}: {what} was answered with {answer.Length} bytes");
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"{port}: {what} did not lose its connection");
        }
        output.WriteLine($"{port}: {what} was refused");
    }

    /// <summary>Says something without TLS and listens until the connection ends.</summary>
    private static async Task<byte[]> SayAsync(EndPoint at, byte[] what, bool isAll)
    {
        using var patience = new CancellationTokenSource(Patience);
        using var client = await ConnectAsync(at, patience.Token);
        return await ToTheEndAsync(async (answer, cancel) =>
        {
            await using var stream = new NetworkStream(client);
            await stream.WriteAsync(what, cancel);
            if (isAll)
                client.Shutdown(SocketShutdown.Send);
            await stream.CopyToAsync(answer, cancel);
        }, patience.Token);
    }

    /// <summary>Asks with TLS and listens until the connection ends. A client learns only after its part of TLS 1.3's handshake whether it is accepted.</summary>
    private static async Task<byte[]> AskAsync(EndPoint at, SslClientAuthenticationOptions options)
    {
        using var patience = new CancellationTokenSource(Patience);
        using var client = await ConnectAsync(at, patience.Token);
        await using var stream = new SslStream(new NetworkStream(client));
        return await ToTheEndAsync(async (answer, cancel) =>
        {
            await stream.AuthenticateAsClientAsync(options, cancel);
            await stream.WriteAsync(_question, cancel);
            await stream.CopyToAsync(answer, cancel);
        }, patience.Token);
    }

    private static async Task<Socket> ConnectAsync(EndPoint at, CancellationToken cancel)
    {
        var socket = new Socket(at.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(at, cancel);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async Task<byte[]> ToTheEndAsync(Func<Stream, CancellationToken, Task> talk, CancellationToken cancel)
    {
        using var answer = new MemoryStream();
        try
        {
            await talk(answer, cancel);
        }
        catch (Exception ended) when (ended is IOException or AuthenticationException or SocketException)
        {
            // that is how a refusal looks from here
        }
        return answer.ToArray();
    }
}
