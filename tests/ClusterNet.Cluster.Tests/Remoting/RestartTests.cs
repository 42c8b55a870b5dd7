using Akka.Actor;
using Akka.Configuration;
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
        MortalTransport.Open(here);
        using var stop = new CancellationTokenSource();
        var echo = here.ActorOf(Props.Create<Echo>(), "echo");
        var there = Start(0);
        MortalTransport.Open(there);
        var address = there.Provider.DefaultAddress;
        var speaking = SpeakAsync(here, address, stop.Token);
        await RequireAnswerAsync(there, echo, here);
        for (var time = 0; time < 3; time++)
        {
            await MortalTransport.KillAsync(there);
            there = Start(address.Port!.Value);
            // the other connects as soon as it tries again, and waits for an answer
            await MortalTransport.SoughtAsync(there).WaitAsync(_patience);
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
        for (var asked = 0; asked < 100; asked++)
        {
            if (await IsAnsweredAsync(from, other, to, TimeSpan.FromMilliseconds(100)))
                return;
        }
        Assert.Fail("a node has been there for ten seconds, and another does not answer it");
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
