using Akka.Actor;
using Akka.Configuration;
using ClusterNet.Cluster.Lanes;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using static ClusterNet.Cluster.Parameters.ParameterProtocol;

namespace ClusterNet.Benchmarks.Cluster;

/// <summary>One side of a road: how tensors are told on it.</summary>
/// <param name="System">an actor system with an address</param>
/// <param name="Tell">to whom, what, from whom</param>
internal sealed record Road(ActorSystem System, Action<IActorRef, object, IActorRef> Tell)
{
    /// <summary>Tensors by the lane.</summary>
    /// <param name="isLocal">by shared memory, as between nodes of one machine; else by TCP, as between machines</param>
    public static Road Lane(bool isLocal)
    {
        var config = ConfigurationFactory.ParseString(BenchmarkSerializer.Hocon(tensors: false)).WithFallback(Common).WithFallback(SerializationConfiguration.Config);
        var system = ActorSystem.Create("lane", BootstrapSetup.Create().WithConfig(config).And(new LaneSetup(new LaneSettings { HasLocalSocket = isLocal })));
        return new Road(system, ClusterNet.Cluster.Lanes.Lane.Get(system).Tell);
    }

    /// <summary>Tensors by Akka.Remote, with frames as large as they are.</summary>
    public static Road Remote()
    {
        var config = ConfigurationFactory.ParseString("akka.remote.dot-netty.tcp.maximum-frame-size = 33554432b")
            .WithFallback(ConfigurationFactory.ParseString(BenchmarkSerializer.Hocon(tensors: true)))
            .WithFallback(Common);
        return new Road(ActorSystem.Create("remote", config), (target, message, sender) => target.Tell(message, sender));
    }

    private static Config Common { get; } = ConfigurationFactory.ParseString($$"""
        compute-dispatcher.type = PinnedDispatcher
        parameters-dispatcher {
          type = ForkJoinDispatcher
          throughput = 1
          dedicated-thread-pool.thread-count = 2
        }
        akka {
          loglevel = WARNING
          stdout-loglevel = OFF
          actor.provider = remote
          remote.dot-netty.tcp {
            hostname = 127.0.0.1
            port = 0
          }
        }
        """);

    public int Port => ((ExtendedActorSystem)System).Provider.DefaultAddress.Port!.Value;

    /// <summary>An actor of the other process.</summary>
    public Task<IActorRef> FindAsync(int port, string name, CancellationToken cancel) =>
        System.ActorSelection($"akka.tcp://{System.Name}@127.0.0.1:{port}/user/{name}").ResolveOne(TimeSpan.FromSeconds(30), cancel);
}

/// <summary>Answers each push with as many values, as a shard does; and pings.</summary>
internal sealed class EchoActor : ReceiveActor
{
    private TensorBuffer? _weights;

    public EchoActor(Road road)
    {
        Receive<Commands.Push>(push =>
        {
            if (_weights?.Length != push.Gradient.Length)
                _weights = new TensorBufferPool(push.Gradient.Length).Rent();
            push.Gradient.Release();
            road.Tell(Sender, new Replies.Pulled(push.Shard, push.Generation, push.Step, TensorPayload.Of(_weights)), Self);
        });
    }
}

/// <summary>Takes tensors and acknowledges every so many.</summary>
internal sealed class SinkActor : ReceiveActor
{
    private long _messages;

    public SinkActor() => Receive<Commands.Push>(push =>
    {
        push.Gradient.Release();
        // the sender says by the step after how many it wants to hear
        if (++_messages % push.Step == 0)
            Sender.Tell(new BenchmarkMessages.Acknowledged(push.Step));
    });
}

/// <summary>Answers small questions.</summary>
internal sealed class ControlActor : ReceiveActor
{
    public ControlActor()
    {
        Receive<BenchmarkMessages.Ping>(ping => Sender.Tell(new BenchmarkMessages.Pong(ping.Number)));
        Receive<BenchmarkMessages.GetAllocated>(_ => Sender.Tell(new BenchmarkMessages.Allocated(GC.GetTotalAllocatedBytes(precise: true))));
    }
}

/// <summary>Pushes, waits for the answer, pushes again; says when all is done.</summary>
internal sealed class RoundsActor : ReceiveActor
{
    private readonly Road _road;
    private readonly IActorRef _echo;
    private TensorBuffer? _gradient;
    private TaskCompletionSource? _done;
    private int _left;

    public RoundsActor(Road road, IActorRef echo)
    {
        (_road, _echo) = (road, echo);
        Receive<Run>(run =>
        {
            _gradient = run.Gradient;
            (_left, _done) = (run.Rounds, run.Done);
            Push();
        });
        Receive<Replies.Pulled>(pulled =>
        {
            pulled.Weights.Release();
            if (--_left == 0)
                _done!.SetResult();
            else
                Push();
        });
    }

    private void Push() => _road.Tell(_echo, Messages.Push(_gradient!, 1), Self);

    public sealed record Run(TensorBuffer Gradient, int Rounds, TaskCompletionSource Done) : INoSerializationVerificationNeeded;
}

/// <summary>Sends messages, a bounded number of them ahead of what was acknowledged; says when all are.</summary>
internal sealed class FloodActor : ReceiveActor
{
    private readonly Road _road;
    private readonly IActorRef _sink;
    private Run? _run;
    private long _sent;
    private long _acknowledged;

    public FloodActor(Road road, IActorRef sink)
    {
        (_road, _sink) = (road, sink);
        Receive<Run>(run =>
        {
            (_run, _sent, _acknowledged) = (run, 0, 0);
            Send();
        });
        Receive<BenchmarkMessages.Acknowledged>(acknowledged =>
        {
            _acknowledged += acknowledged.Messages;
            if (_acknowledged == _run!.Messages)
                _run.Done.SetResult();
            else
                Send();
        });
    }

    private void Send()
    {
        for (; _sent < _run!.Messages && _sent - _acknowledged < _run.Window; _sent++)
            _road.Tell(_sink, Messages.Push(_run.Gradient, _run.Window / 4), Self);
    }

    /// <param name="Gradient">what is sent</param>
    /// <param name="Messages">how many, a multiple of a quarter of the window</param>
    /// <param name="Window">how many may be ahead</param>
    /// <param name="Done">set when the last was acknowledged</param>
    public sealed record Run(TensorBuffer Gradient, long Messages, long Window, TaskCompletionSource Done) : INoSerializationVerificationNeeded;
}

/// <summary>Messages as training sends them.</summary>
internal static class Messages
{
    private static readonly ShardId Shard = new(new JobId("benchmark"), 0);

    public static Commands.Push Push(TensorBuffer gradient, long step) => new(Shard, Generation.None, step, new TreeNode(0, 0), TensorPayload.Of(gradient), new StepStatistics(128, 1));
}
