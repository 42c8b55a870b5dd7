using Akka.Actor;
using Akka.Configuration;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Lanes;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using static ClusterNet.Cluster.Parameters.ParameterProtocol;

namespace ClusterNet.Cluster.Tests.Lanes;

/// <summary>How a connection carries messages.</summary>
public enum LaneWay
{
    /// <summary>As between machines, or containers.</summary>
    Tcp,

    /// <summary>On one machine, where memory can't be shared.</summary>
    LocalSocket,

    /// <summary>On one machine.</summary>
    SharedMemory,
}

/// <summary>Settings with which nodes that could do more go one way.</summary>
internal static class LaneWays
{
    public static LaneSettings By(this LaneSettings settings, LaneWay way) =>
        settings with { HasLocalSocket = way != LaneWay.Tcp, MaxSharedMemories = way == LaneWay.SharedMemory ? settings.MaxSharedMemories : 0 };
}

/// <summary>An actor system on loopback with a lane of its own, and what tests need of it.</summary>
internal sealed class LaneTestNode : IAsyncDisposable
{
    public const string Cluster = "lanes";

    private readonly TestKit _kit;

    public LaneTestNode(LaneSettings? settings = null, int port = 0)
    {
        var config = ConfigurationFactory.ParseString($$"""
            akka {
              loglevel = ERROR
              actor.provider = remote
              extensions = ["{{typeof(LaneExtension).AssemblyQualifiedName}}"]
              test.default-timeout = 60s
              test.single-expect-default = 60s
              remote.dot-netty.tcp {
                hostname = 127.0.0.1
                port = {{port}}
              }
            }
            """).WithFallback(SerializationConfiguration.Config).WithFallback(TestKit.DefaultConfig);
        System = (ExtendedActorSystem)ActorSystem.Create(Cluster, BootstrapSetup.Create().WithConfig(config).And(new LaneSetup(settings ?? new LaneSettings())));
        _kit = new TestKit(System);
        Lane = Lane.Get(System);
    }

    public ExtendedActorSystem System { get; }

    public Lane Lane { get; }

    public Address Address => System.Provider.DefaultAddress;

    public int Uid => Akka.Remote.AddressUidExtension.Uid(System);

    /// <summary>A probe that other nodes can name.</summary>
    public TestProbe Probe(string? name = null) => name is null ? _kit.CreateTestProbe() : _kit.CreateTestProbe(name);

    /// <summary>An actor of another node, as this one sees it.</summary>
    public IActorRef See(LaneTestNode other, IActorRef actor) => System.Provider.ResolveActorRef(actor.Path.ToSerializationFormatWithAddress(other.Address));

    public void AwaitAssert(Action assert) => _kit.AwaitAssert(assert, TimeSpan.FromSeconds(60), TimeSpan.FromMilliseconds(20));

    public async ValueTask DisposeAsync() => await System.Terminate();
}

/// <summary>Messages that tests send, and what is in them.</summary>
internal static class LaneMessages
{
    public static readonly ShardId Shard = new(new JobId("lane-test"), 3);

    public static Commands.Push Push(long step, params float[] values) => Push(step, Serialization.SampleMessages.Tensor(values));

    public static Commands.Push Push(long step, TensorPayload gradient) => new(Shard, Generation.None, step, new TreeNode(1, 2), gradient, new StepStatistics(1, 2));

    public static Replies.Pulled Pulled(long version, params float[] values) => new(Shard, Generation.None, version, Serialization.SampleMessages.Tensor(values));

    /// <summary>Whether the sender's hold on the tensor is gone. Asks by giving a hold back that it takes first.</summary>
    public static bool IsReleased(TensorBuffer buffer)
    {
        try
        {
            buffer.Share().Release();
            return false;
        }
        catch (InvalidOperationException)
        {
            return true;
        }
    }
}
