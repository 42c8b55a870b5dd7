using Akka.Actor;
using Akka.Configuration;
using Akka.Remote;
using Akka.Util.Internal;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Hosting;

namespace ClusterNet.Cluster.Tests.Remoting;

/// <summary>A node is killed and is back at once, while another still has something to say to the one that was there before: both connect, and each must hear the other then.</summary>
public sealed class RestartTests
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Two_that_connect_to_each_other_at_the_same_moment_hear_each_other()
    {
        using var here = Start(0);
        using var stop = new CancellationTokenSource();
        var (echo, there, speaking) = await MeetAsync(here, stop.Token);
        for (var time = 0; time < 3; time++)
        {
            there = await RestartAsync(there);
            // the other has connected, and waits for an answer; now it is connected to as well
            await IsAnsweredAsync(there, echo, here, TimeSpan.FromMilliseconds(300));
            MortalTransport.Open(there);
            await RequireAnswerAsync(there, echo, here);
            // and when all has come to rest
            await RequireAnswerAsync(there, echo, here);
        }
        await stop.CancelAsync();
        await speaking;
        await Task.WhenAll(here.Terminate(), there.Terminate());
    }

    [Fact]
    public async Task Who_is_given_up_while_it_is_connected_to_anew_is_heard()
    {
        using var here = Start(0);
        using var stop = new CancellationTokenSource();
        var (echo, there, speaking) = await MeetAsync(here, stop.Token);
        var uid = AddressUidExtension.Uid(there);
        there = await RestartAsync(there);
        await stop.CancelAsync();
        await speaking;
        // as the cluster does with the process that was there before, some time after it was lost: what is just being connected with is dropped
        here.Provider.AsInstanceOf<IRemoteActorRefProvider>().Quarantine(there.Provider.DefaultAddress, uid);
        var taken = new TestKit(there).CreateTestProbe();
        there.EventStream.Subscribe(taken.Ref, typeof(AssociatedEvent));
        MortalTransport.Open(there);
        Assert.True((await taken.ExpectMsgAsync<AssociatedEvent>(_patience)).IsInbound);
        // by that connection
        await RequireAnswerAsync(there, echo, here);
        await Task.WhenAll(here.Terminate(), there.Terminate());
    }

    /// <summary>A node that answers, another that has an answer, and the first one's words to it, which never end.</summary>
    private static async Task<(IActorRef Echo, ExtendedActorSystem There, Task Speaking)> MeetAsync(ExtendedActorSystem here, CancellationToken stop)
    {
        MortalTransport.Open(here);
        var echo = here.ActorOf(Props.Create<Echo>(), "echo");
        var there = Start(0);
        MortalTransport.Open(there);
        var speaking = SpeakAsync(here, there.Provider.DefaultAddress, stop);
        await RequireAnswerAsync(there, echo, here);
        return (echo, there, speaking);
    }

    /// <summary>Kills a node and starts it anew; it takes nobody yet, and the other has connected.</summary>
    private static async Task<ExtendedActorSystem> RestartAsync(ExtendedActorSystem node)
    {
        var port = node.Provider.DefaultAddress.Port!.Value;
        await MortalTransport.KillAsync(node);
        var next = Start(port);
        await MortalTransport.SoughtAsync(next).WaitAsync(_patience);
        return next;
    }

    /// <summary>Whether a node gets an answer so soon.</summary>
    private static async Task<bool> IsAnsweredAsync(ExtendedActorSystem from, IActorRef other, ExtendedActorSystem to, TimeSpan within)
    {
        try
        {
            await from.Provider.ResolveActorRef(other.Path.ToSerializationFormatWithAddress(to.Provider.DefaultAddress)).Ask<string>("a question", within);
            return true;
        }
        catch (AskTimeoutException)
        {
            return false;
        }
    }

    /// <summary>Asks again and again, as heartbeats do.</summary>
    private static async Task RequireAnswerAsync(ExtendedActorSystem from, IActorRef other, ExtendedActorSystem to)
    {
        for (var asked = 0; asked < 600; asked++)
        {
            if (await IsAnsweredAsync(from, other, to, TimeSpan.FromMilliseconds(100)))
                return;
        }
        Assert.Fail("a node has been there for a minute, and another does not answer it");
    }

    private static async Task SpeakAsync(ExtendedActorSystem from, Address to, CancellationToken cancel)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(1));
        var there = from.Provider.ResolveActorRef(new RootActorPath(to) / "user" / "nobody");
        try
        {
            while (await pace.WaitForNextTickAsync(cancel))
                there.Tell("a word");
        }
        catch (OperationCanceledException)
        {
            // said enough
        }
    }

    private static ExtendedActorSystem Start(int port)
    {
        var config = ConfigurationFactory.ParseString($$"""
            akka {
              loglevel = OFF
              actor.provider = remote
              remote {
                retry-gate-closed-for = 2s
                dot-netty.tcp {
                  hostname = 127.0.0.1
                  port = {{port}}
                  tcp-reuse-addr = off
                  connection-timeout = 4s
                  transport-class = "{{typeof(MortalTransport).FullName}}, {{typeof(MortalTransport).Assembly.GetName().Name}}"
                }
              }
            }
            """).WithFallback(NodeConfiguration.Common).WithFallback(TestKit.DefaultConfig);
        return (ExtendedActorSystem)ActorSystem.Create("nodes", config);
    }

    private sealed class Echo : ReceiveActor
    {
        public Echo() => ReceiveAny(message => Sender.Tell(message));
    }
}
