using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Cluster.Tools.Client;
using Akka.Cluster.Tools.PublishSubscribe;
using Akka.Configuration;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Serialization;

namespace ClusterNet.Cluster.Access;

/// <summary>From outside: by Akka's cluster client, which finds another node when the one it speaks to is gone.</summary>
internal sealed class RemoteRoad : IClusterRoad, IAsyncDisposable
{
    private const string AccessPath = $"/user/{AccessActor.Name}";

    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan FirstAnswer = TimeSpan.FromSeconds(9);
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(3);

    private readonly ActorSystem _system;
    private readonly IActorRef _client;

    private RemoteRoad(ActorSystem system, IActorRef client, NodeAddress address)
    {
        _system = system;
        _client = client;
        Place = $"the cluster at {address}";
    }

    public string Place { get; }

    public bool LeavesNode => true;

    /// <summary>Connects, and waits for a first answer, so that what is wrong is said at once.</summary>
    /// <exception cref="ClusterException">nobody is there, or it is no cluster, or TLS does not fit</exception>
    public static async Task<RemoteRoad> ConnectAsync(NodeAddress address, TlsSettings? tls, CancellationToken cancel)
    {
        var (own, hosts) = await ReachAsync(address, tls, cancel).ConfigureAwait(false);
        // one after the other: Akka takes two addresses of one node for two nodes, and their connections for each other's
        foreach (var host in hosts)
        {
            var road = Start(own, address with { Host = host }, tls);
            try
            {
                if (await road.AnswersAsync(cancel).ConfigureAwait(false))
                    return road;
            }
            catch
            {
                await road.DisposeAsync().ConfigureAwait(false);
                throw;
            }
            await road.DisposeAsync().ConfigureAwait(false);
        }
        var otherTls = tls is null ? "it wants TLS (give --tls-certificate, --tls-key and --tls-authorities)" : "its authorities do not know this certificate";
        throw new ClusterException(
            $"what listens at {address} does not answer as a ClusterNet node: it stands still, it is another program, {otherTls}, or it goes by another name there (use the address that its 'is ready at' line says)");
    }

    public Task<object> AskAsync(object message, TimeSpan patience, CancellationToken cancel) => _client.Ask<object>(ToAccess(message), patience, cancel);

    public Task<object> AskLongAsync(object question, CancellationToken cancel) =>
        LongQuestion.AskAsync(_system, question, (message, sender) => _client.Tell(ToAccess(message), sender), leavesNode: true, LongQuestionActor.Silence, cancel);

    private static ClusterClient.Send ToAccess(object message) => new(AccessPath, message, localAffinity: true);

    public async ValueTask DisposeAsync() => await _system.Terminate().ConfigureAwait(false);

    private static RemoteRoad Start(string own, NodeAddress address, TlsSettings? tls)
    {
        Setup[] setups = [BootstrapSetup.Create().WithConfig(Configuration(own, tls is not null)), .. tls is null ? [] : new Setup[] { RemoteTls.Setup(tls) }];
        var system = ActorSystem.Create("clusternet-client", ActorSystemSetup.Create(setups));
        var receptionist = new RootActorPath(address.ToAkka(tls is null ? "akka.tcp" : "akka.ssl.tcp")) / "system" / "receptionist";
        return new RemoteRoad(system, system.ActorOf(ClusterClient.Props(ClusterClientSettings.Create(system).WithInitialContacts([receptionist])), "client"), address);
    }

    private async Task<bool> AnswersAsync(CancellationToken cancel)
    {
        for (var left = FirstAnswer; left > TimeSpan.Zero; left -= Retry)
        {
            try
            {
                await AskAsync(new AccessProtocol.Queries.GetMembers(), Retry, cancel).ConfigureAwait(false);
                return true;
            }
            catch (AskTimeoutException)
            {
                cancel.ThrowIfCancellationRequested();
            }
        }
        return false;
    }

    /// <summary>Whether anybody listens there; gives this machine's own address on the way, and the names that the node may know itself by.</summary>
    private static async Task<(string Own, IReadOnlyList<string> Contacts)> ReachAsync(NodeAddress address, TlsSettings? tls, CancellationToken cancel)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        patience.CancelAfter(ConnectTimeout);
        var host = address.Host.Trim('[', ']');
        try
        {
            var known = IPAddress.TryParse(host, out _) ? [] : await Dns.GetHostAddressesAsync(host, patience.Token).ConfigureAwait(false);
            using var connection = new TcpClient();
            await connection.ConnectAsync(host, address.Port, patience.Token).ConfigureAwait(false);
            var own = ((IPEndPoint)connection.Client.LocalEndPoint!).Address;
            if (tls is not null)
            {
                await using var stream = new SslStream(connection.GetStream());
                await stream.AuthenticateAsClientAsync(tls.ClientOptions(host), patience.Token).ConfigureAwait(false);
            }
            // a node on this machine usually knows itself by number
            var numbers = known.Select(Text).Where(name => name != address.Host).Distinct().OrderBy(name => name.StartsWith('[')).Take(2).ToArray();
            return (Text(own), host == "localhost" ? [.. numbers, address.Host] : [address.Host, .. numbers]);
        }
        catch (SocketException exception) when (exception.SocketErrorCode is SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain)
        {
            throw new ClusterException($"there is no host '{host}': {exception.Message}");
        }
        catch (SocketException exception)
        {
            throw new ClusterException($"no node can be reached at {address}: {exception.Message}; see that it runs and that this is the address of its 'is ready at' line");
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new ClusterException($"no node can be reached at {address}: no answer within {ConnectTimeout.TotalSeconds:0} s; a firewall may be in between");
        }
        catch (Exception exception) when (exception is AuthenticationException or IOException)
        {
            throw new ClusterException($"TLS with {address} failed: {exception.Message.TrimEnd('.')}; it has no TLS, or its certificate does not come from the authorities given here, or it refused this one's");
        }
    }

    private static string Text(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4().ToString()
        : address.AddressFamily == AddressFamily.InterNetworkV6 ? $"[{address}]" : address.ToString();

    private static Config Configuration(string own, bool isEncrypted) => ConfigurationFactory.ParseString($$"""
        akka {
          actor.provider = remote
          remote.dot-netty.tcp {
            hostname = "{{own.Trim('[', ']')}}"
            port = 0
            enable-ssl = {{(isEncrypted ? "on" : "off")}}
          }
          cluster.client {
            establishing-get-contacts-interval = 500ms
            refresh-contacts-interval = 5s
            # it speaks to one of the nodes, whichever answered first: where that one is lost it finds another after this
            heartbeat-interval = 500ms
            acceptable-heartbeat-pause = 1500ms
          }
          loglevel = OFF
        }
        """)
        .WithFallback(SerializationConfiguration.Config)
        .WithFallback(NodeConfiguration.Common)
        .WithFallback(ClusterClientReceptionist.DefaultConfig())
        .WithFallback(DistributedPubSub.DefaultConfig());
}
