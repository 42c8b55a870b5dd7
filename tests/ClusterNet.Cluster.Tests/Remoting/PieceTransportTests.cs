using System.Buffers.Binary;
using System.Net.Sockets;
using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Configuration;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Remoting;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Cluster.Tests.Hosting;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Tests.Remoting;

/// <summary>Two nodes on loopback: control messages larger than a frame arrive, among the others, and a stranger's pieces cost the node one connection.</summary>
public sealed class PieceTransportTests
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Messages_of_many_frames_arrive_among_small_ones_in_order(bool isEncrypted)
    {
        using var authority = isEncrypted ? new TestAuthority() : null;
        using var here = Start(authority);
        using var there = Start(authority);
        var (kit, far) = (new TestKit(here), new TestKit(there));
        var probe = far.CreateTestProbe();
        var seen = here.Provider.ResolveActorRef(probe.Ref.Path.ToSerializationFormatWithAddress(there.Provider.DefaultAddress));
        int[] counts = [3, 400_000, 1, 50_000, 100_000, 2];
        foreach (var count in counts)
        {
            seen.Tell(Jobs(count), kit.TestActor);
            seen.Tell(new TrainingProtocol.Queries.ListJobs(), kit.TestActor);
        }
        foreach (var count in counts)
        {
            var jobs = await probe.ExpectMsgAsync<TrainingProtocol.Replies.Jobs>(_patience);
            Assert.Equal(Jobs(count).Ids, jobs.Ids);
            await probe.ExpectMsgAsync<TrainingProtocol.Queries.ListJobs>(_patience);
        }
        // and the answer
        probe.Reply(Jobs(200_000));
        Assert.Equal(200_000, (await kit.ExpectMsgAsync<TrainingProtocol.Replies.Jobs>(_patience)).Ids.Count);
        await Task.WhenAll(here.Terminate(), there.Terminate());
    }

    [Fact]
    public async Task What_is_larger_than_any_message_may_be_is_dropped_alone()
    {
        using var here = Start(null);
        using var there = Start(null);
        var probe = new TestKit(there).CreateTestProbe();
        var seen = here.Provider.ResolveActorRef(probe.Ref.Path.ToSerializationFormatWithAddress(there.Provider.DefaultAddress));
        seen.Tell(new TrainingProtocol.Replies.Refused(new JobId("a"), [new Fault("", new string('a', Pieces.MostBytes))]));
        seen.Tell(Jobs(1));
        Assert.Single((await probe.ExpectMsgAsync<TrainingProtocol.Replies.Jobs>(_patience)).Ids);
        await Task.WhenAll(here.Terminate(), there.Terminate());
    }

    [Fact]
    public async Task A_strangers_pieces_close_its_connection_and_nothing_else()
    {
        using var here = Start(null);
        using var there = Start(null);
        var probe = new TestKit(there).CreateTestProbe();
        var seen = here.Provider.ResolveActorRef(probe.Ref.Path.ToSerializationFormatWithAddress(there.Provider.DefaultAddress));
        seen.Tell(Jobs(1));
        await probe.ExpectMsgAsync<TrainingProtocol.Replies.Jobs>(_patience);
        using var stranger = new TcpClient();
        await stranger.ConnectAsync("127.0.0.1", there.Provider.DefaultAddress.Port!.Value);
        var frame = new byte[4 + Pieces.HeadBytes + 1];
        BinaryPrimitives.WriteInt32BigEndian(frame, frame.Length - 4);
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(5), int.MaxValue);
        await stranger.GetStream().WriteAsync(frame);
        using var end = new CancellationTokenSource(_patience);
        Assert.Equal(0, await stranger.GetStream().ReadAsync(new byte[1], end.Token));
        seen.Tell(Jobs(100_000));
        Assert.Equal(100_000, (await probe.ExpectMsgAsync<TrainingProtocol.Replies.Jobs>(_patience)).Ids.Count);
        await Task.WhenAll(here.Terminate(), there.Terminate());
    }

    private static TrainingProtocol.Replies.Jobs Jobs(int count) => new([.. Enumerable.Range(1, count).Select(number => new JobId($"breast-cancer-{number}"))]);

    private static ExtendedActorSystem Start(TestAuthority? authority)
    {
        var config = ConfigurationFactory.ParseString($$"""
            akka {
              loglevel = ERROR
              actor.provider = remote
              remote.dot-netty.tcp {
                hostname = 127.0.0.1
                port = 0
                enable-ssl = {{(authority is null ? "off" : "on")}}
              }
            }
            """).WithFallback(SerializationConfiguration.Config).WithFallback(NodeConfiguration.Common).WithFallback(TestKit.DefaultConfig);
        Setup[] setups = [BootstrapSetup.Create().WithConfig(config), .. authority is null ? [] : new Setup[] { RemoteTls.Setup(authority.Node()) }];
        return (ExtendedActorSystem)ActorSystem.Create("nodes", ActorSystemSetup.Create(setups));
    }
}
