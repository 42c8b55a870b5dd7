using System.Security.Cryptography;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Lanes;
using ClusterNet.Cluster.Tests.Hosting;
using static ClusterNet.Cluster.Parameters.ParameterProtocol;

namespace ClusterNet.Cluster.Tests.Lanes;

/// <summary>With TLS on, nodes of one authority talk, and nobody else gets as far as a message.</summary>
/// <param name="isLocal">whether they connect by a local socket; no memory is shared then</param>
public abstract class LaneTlsTests(bool isLocal) : IDisposable
{
    private readonly TestAuthority _own = new();
    private readonly TestAuthority _foreign = new("foreign authority");

    public void Dispose()
    {
        _own.Dispose();
        _foreign.Dispose();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task Nodes_of_one_authority_talk()
    {
        await using var one = new LaneTestNode(new LaneSettings { HasLocalSocket = isLocal, Tls = _own.Node() });
        await using var two = new LaneTestNode(new LaneSettings { HasLocalSocket = isLocal, Tls = _own.Node() });
        var shard = two.Probe();
        for (var i = 0; i < 100; i++)
        {
            var push = LaneMessages.Push(i, new float[i * 1000]);
            one.Lane.Tell(one.See(two, shard), push, one.Probe());
        }
        for (var i = 0; i < 100; i++)
        {
            var push = shard.ExpectMsg<Commands.Push>();
            Assert.Equal((i, i * 1000), (push.Step, push.Gradient.Length));
            push.Gradient.Release();
        }
    }

    [Fact]
    public async Task A_node_without_tls_gets_nowhere() => await AssertRefusedAsync(null);

    [Fact]
    public async Task A_node_with_a_foreign_certificate_gets_nowhere() => await AssertRefusedAsync(_foreign.Node(believes: _own));

    [Fact]
    public async Task A_node_with_an_expired_certificate_gets_nowhere() => await AssertRefusedAsync(_own.Node(fromDays: -20, untilDays: -10));

    [Fact]
    public async Task A_node_whose_peer_is_foreign_tells_it_nothing()
    {
        await using var one = new LaneTestNode(new LaneSettings { HasLocalSocket = isLocal, Tls = _own.Node() });
        await using var two = new LaneTestNode(new LaneSettings { HasLocalSocket = isLocal, Tls = _foreign.Node(believes: _own) });
        one.Lane.Tell(one.See(two, two.Probe()), LaneMessages.Push(1, 1), one.Probe());
        one.AwaitAssert(() => Assert.Equal(1, one.Lane.Statistics.DroppedMessages));
        Assert.Equal(0, one.Lane.Statistics.SentMessages);
        Assert.Equal(0, two.Lane.Statistics.ReceivedMessages);
    }

    [Fact]
    public async Task Noise_and_plain_talk_are_refused()
    {
        await using var node = new LaneTestNode(new LaneSettings { HasLocalSocket = isLocal, Tls = _own.Node() });
        for (var i = 0; i < 20; i++)
        {
            using var stranger = Visitor(node);
            stranger.Say(RandomNumberGenerator.GetBytes(10 * i));
            stranger.Stop();
            stranger.AwaitEnd();
        }
        using (var plain = Visitor(node))
            Assert.ThrowsAny<Exception>(() => plain.Introduce(node));
        using (var tls = Visitor(node))
        {
            Assert.ThrowsAny<Exception>(() =>
            {
                tls.Stream.AuthenticateAsClient(_foreign.Node(believes: _own).ClientOptions("127.0.0.1"));
                tls.Introduce(node);
            });
        }
        node.AwaitAssert(() => Assert.Equal(22, node.Lane.Statistics.Refused));
        Assert.Equal(0, node.Lane.Statistics.ReceivedMessages);
    }

    private Stranger Visitor(LaneTestNode node) => isLocal ? new Stranger(node.Lane.Local!) : new Stranger(node.Lane.Port);

    private async Task AssertRefusedAsync(TlsSettings? tls)
    {
        await using var one = new LaneTestNode(new LaneSettings { HasLocalSocket = isLocal, Tls = tls });
        await using var two = new LaneTestNode(new LaneSettings { HasLocalSocket = isLocal, Tls = _own.Node() });
        var push = LaneMessages.Push(1, 1);
        one.Lane.Tell(one.See(two, two.Probe()), push, one.Probe());
        two.AwaitAssert(() => Assert.Equal(1, two.Lane.Statistics.Refused));
        one.AwaitAssert(() => Assert.True(LaneMessages.IsReleased(push.Gradient.Buffer)));
        Assert.Equal(0, two.Lane.Statistics.ReceivedMessages);
    }
}

/// <summary>By the port.</summary>
public sealed class LaneTlsByTcpTests() : LaneTlsTests(isLocal: false);

/// <summary>On one machine.</summary>
public sealed class LaneTlsByLocalSocketTests() : LaneTlsTests(isLocal: true);
