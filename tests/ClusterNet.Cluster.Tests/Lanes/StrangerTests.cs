using ClusterNet.Cluster.Lanes;
using CsCheck;
using static ClusterNet.Cluster.Parameters.ParameterProtocol;

namespace ClusterNet.Cluster.Tests.Lanes;

/// <summary>Whatever comes over a connection, it ends that connection and nothing else: nothing is told to an actor, nothing is held, and other peers go on.</summary>
/// <param name="way">how they come</param>
public abstract class StrangerTests(LaneWay way)
{
    private static readonly Gen<byte[]> Noise = Gen.Byte.Array[0, 300];

    [Fact]
    public async Task Noise_instead_of_a_handshake_is_refused()
    {
        await using var nodes = new Nodes(way);
        await Task.Run(() => Noise.Sample(
            noise =>
            {
                using var stranger = nodes.Visitor();
                stranger.Say(noise);
                stranger.Stop();
                stranger.AwaitEnd();
            },
            iter: 100,
            threads: 1));
        nodes.AssertUnharmed();
    }

    [Fact]
    public async Task A_handshake_with_any_byte_changed_or_cut_short_harms_nobody()
    {
        await using var nodes = new Nodes(way);
        var hello = Hello(nodes.Two);
        await Task.Run(() => Gen.Select(Gen.Int[0, hello.Length - 1], Gen.Byte, Gen.Int[0, hello.Length]).Sample(
            (position, value, cut) =>
            {
                var bytes = hello.ToArray();
                bytes[position] = value;
                using var stranger = nodes.Visitor();
                stranger.Say(bytes.AsSpan(0, cut));
                stranger.Stop();
                stranger.AwaitEnd();
            },
            iter: 100,
            threads: 1));
        nodes.AssertUnharmed();
    }

    [Fact]
    public async Task Noise_after_a_handshake_ends_the_connection()
    {
        await using var nodes = new Nodes(way);
        await Task.Run(() => Noise.Sample(
            noise =>
            {
                using var stranger = nodes.Visitor().Introduce(nodes.Two);
                stranger.Say(noise);
                stranger.Stop();
                stranger.AwaitEnd();
            },
            iter: 100,
            threads: 1));
        nodes.AssertUnharmed();
    }

    [Fact]
    public async Task A_frame_with_any_byte_changed_or_cut_short_harms_nobody()
    {
        await using var nodes = new Nodes(way);
        var nobody = new string('x', 40);
        var frame = Stranger.Frame($"akka.tcp://lanes@127.0.0.1:{nodes.Two.Address.Port}/user/{nobody}");
        await Task.Run(() => Gen.Select(Gen.Select(Gen.Int[0, frame.Length - 1], Gen.Byte).Array[0, 3], Gen.Int[0, 2 * frame.Length]).Sample(
            (changes, cut) =>
            {
                var bytes = frame.ToArray();
                foreach (var (position, value) in changes)
                    bytes[position] = value;
                using var stranger = nodes.Visitor().Introduce(nodes.Two);
                stranger.Say(bytes.AsSpan(0, Math.Min(cut, bytes.Length)));
                stranger.Stop();
                stranger.AwaitEnd();
            },
            iter: 200,
            threads: 1));
        nodes.AssertUnharmed();
    }

    [Fact]
    public async Task A_frame_that_lies_is_refused_before_anything_is_allocated_for_it()
    {
        await using var nodes = new Nodes(way, new LaneSettings { MaxFrameBytes = 1 << 20, ReceiveBytes = 1 << 20 });
        var here = nodes.Shard.Ref.Path.ToSerializationFormatWithAddress(nodes.Two.Address);
        foreach (var frame in new[]
        {
            Stranger.Frame(here, lengths: [uint.MaxValue]),
            Stranger.Frame(here, lengths: [.. Enumerable.Repeat(uint.MaxValue, 256)]),
            Stranger.Frame(here, lengths: [0x4000_0000, 0xC000_0003]),
            Stranger.Frame(here, lengths: [(1 << 18) + 1]),
            Stranger.Frame(here, headLength: -1),
            Stranger.Frame(here, headLength: (1 << 20) + 1),
            Stranger.Frame(here, tensors: 257),
            Stranger.Frame(""),
            Stranger.Frame(new string('x', 4097)),
            Stranger.Frame("not a path"),
            Stranger.Frame(here, sender: "not a path"),
            Stranger.Frame(here, manifest: "P:unheard"),
            Stranger.Frame(here, manifest: "P:close"),
            Stranger.Frame(here, manifest: ""),
            Stranger.Frame("akka.tcp://lanes@127.0.0.1:1/user/shard"),
            Stranger.Frame(here, head: Stranger.Push(4)),
            Stranger.Frame(here, head: Stranger.Push(-1)),
            Stranger.Frame(here, lengths: [1, 2]),
            Stranger.Frame(here, lengths: [], words: 0),
            Stranger.Frame(here, head: []),
            Stranger.Frame(here, head: [.. Enumerable.Repeat((byte)0xFF, 40)]),
        })
        {
            var refused = nodes.Two.Lane.Statistics.Refused;
            using var stranger = nodes.Visitor().Introduce(nodes.Two);
            stranger.Say(frame);
            stranger.AwaitEnd();
            nodes.Two.AwaitAssert(() => Assert.Equal(refused + 1, nodes.Two.Lane.Statistics.Refused));
        }
        nodes.AssertUnharmed();
    }

    [Fact]
    public async Task Who_means_another_incarnation_another_cluster_or_another_node_is_refused()
    {
        await using var nodes = new Nodes(way);
        using (var late = nodes.Visitor())
            Assert.Contains("OtherNode", Assert.Throws<LaneViolationException>(() => late.Introduce(nodes.Two, nodes.Two.Uid + 1)).Message, StringComparison.Ordinal);
        using (var lost = nodes.Visitor())
            Assert.Contains("OtherNode", Assert.Throws<LaneViolationException>(() => lost.Introduce(nodes.One, nodes.Two.Uid)).Message, StringComparison.Ordinal);
        using (var foreign = nodes.Visitor())
            Assert.Contains("OtherCluster", Assert.Throws<LaneViolationException>(() => foreign.Introduce(nodes.Two, cluster: "others")).Message, StringComparison.Ordinal);
        nodes.AssertUnharmed();
    }

    [Fact]
    public async Task Who_does_not_introduce_itself_in_time_is_put_out_and_so_is_who_is_too_many()
    {
        await using var nodes = new Nodes(way, new LaneSettings { HandshakeTimeout = TimeSpan.FromSeconds(3), MaxStrangers = 3 });
        var silent = Enumerable.Range(0, 12).Select(_ => nodes.Visitor()).ToList();
        silent.ForEach(stranger => stranger.Say("C"u8));
        silent.ForEach(stranger => stranger.AwaitEnd());
        silent.ForEach(stranger => stranger.Dispose());
        nodes.Two.AwaitAssert(() => Assert.Equal(12, nodes.Two.Lane.Statistics.Refused));
        nodes.AssertUnharmed();
    }

    [Fact]
    public async Task Who_falls_silent_in_a_frame_is_put_out_and_who_is_silent_between_frames_is_not()
    {
        await using var nodes = new Nodes(way, new LaneSettings { StallTimeout = TimeSpan.FromMilliseconds(300) });
        nodes.AssertUnharmed();
        var here = nodes.Shard.Ref.Path.ToSerializationFormatWithAddress(nodes.Two.Address);
        using var stranger = nodes.Visitor().Introduce(nodes.Two);
        stranger.Say(Stranger.Frame(here).AsSpan()[..^1]);
        stranger.AwaitEnd();
        var sent = nodes.One.Lane.Statistics.DroppedMessages;
        nodes.AssertUnharmed();
        Assert.Equal(sent, nodes.One.Lane.Statistics.DroppedMessages);
    }

    [Fact]
    public async Task A_peer_that_comes_again_takes_the_place_of_its_last_connection()
    {
        await using var nodes = new Nodes(way);
        var here = nodes.Shard.Ref.Path.ToSerializationFormatWithAddress(nodes.Two.Address);
        using var first = nodes.Visitor().Introduce(nodes.Two);
        using var second = nodes.Visitor().Introduce(nodes.Two);
        first.AwaitEnd();
        second.Say(Stranger.Frame(here));
        nodes.Shard.ExpectMsg<Commands.Push>().Gradient.Release();
    }

    private static byte[] Hello(LaneTestNode to)
    {
        // as it goes over a wire
        using var listener = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        using var stranger = new Stranger(((System.Net.IPEndPoint)listener.LocalEndpoint).Port);
        using var accepted = listener.AcceptSocket();
        var introducing = Task.Run(() => Assert.ThrowsAny<Exception>(() => stranger.Introduce(to)));
        var bytes = new byte[4096];
        var length = accepted.Receive(bytes);
        accepted.Dispose();
        introducing.GetAwaiter().GetResult();
        return bytes[..length];
    }

    /// <summary>Two nodes, the second of which is visited by strangers.</summary>
    internal sealed class Nodes : IAsyncDisposable
    {
        private readonly LaneWay _way;
        private long _step;

        public Nodes(LaneWay way, LaneSettings? settings = null)
        {
            _way = way;
            Two = new LaneTestNode((settings ?? new LaneSettings()).By(way));
            Shard = Two.Probe("shard");
        }

        public LaneTestNode One { get; } = new();

        public LaneTestNode Two { get; }

        public Akka.TestKit.TestProbe Shard { get; }

        public Stranger Visitor() => _way == LaneWay.Tcp ? new Stranger(Two.Lane.Port) : new Stranger(Two.Lane.Local!) { TakesMemory = _way == LaneWay.SharedMemory };

        /// <summary>A true peer's messages still arrive, and nobody else's have, and then nothing is held or waiting.</summary>
        public void AssertUnharmed()
        {
            // where the machine is busy a handshake may take longer than the test lets it: it is tried again
            Two.AwaitAssert(() =>
            {
                One.Lane.Tell(One.See(Two, Shard), LaneMessages.Push(++_step, 1, 2, 3), One.Probe());
                TakeTrueOnes();
            });
            Two.AwaitAssert(() =>
            {
                while (Shard.HasMessages)
                    TakeTrueOnes();
                Assert.Equal((0, 0), (Two.Lane.Statistics.HeldBytes, One.Lane.Statistics.QueuedBytes));
            });
        }

        private void TakeTrueOnes()
        {
            var push = Shard.ExpectMsg<Commands.Push>(TimeSpan.FromSeconds(5));
            push.Gradient.Release();
            Assert.Equal(LaneMessages.Shard, push.Shard);
        }

        public async ValueTask DisposeAsync()
        {
            await One.DisposeAsync();
            await Two.DisposeAsync();
        }
    }
}

/// <summary>By the port.</summary>
public sealed class StrangerByTcpTests() : StrangerTests(LaneWay.Tcp);

/// <summary>From the same machine.</summary>
public sealed class StrangerByLocalSocketTests() : StrangerTests(LaneWay.LocalSocket)
{
    [Fact]
    public async Task Who_tells_of_words_in_memory_and_shares_none_is_refused()
    {
        await using var nodes = new Nodes(LaneWay.LocalSocket);
        using var stranger = nodes.Visitor().Introduce(nodes.Two);
        stranger.Say(Stranger.Placed(nodes.Shard.Ref.Path.ToSerializationFormatWithAddress(nodes.Two.Address), 0));
        stranger.AwaitEnd();
        nodes.AssertUnharmed();
        Assert.Equal(1, nodes.Two.Lane.Statistics.Refused);
    }
}

/// <summary>From the same machine, where memory is shared with them once they have introduced themselves.</summary>
public sealed class StrangerBySharedMemoryTests() : StrangerTests(LaneWay.SharedMemory)
{
    [Fact]
    public async Task Noise_in_the_memory_itself_harms_nobody()
    {
        await using var nodes = new Nodes(LaneWay.SharedMemory);
        var frame = Stranger.Frame(nodes.Shard.Ref.Path.ToSerializationFormatWithAddress(nodes.Two.Address));
        // where positions and flags are, mostly, and now and then among the bytes
        var places = Gen.Frequency((5, Gen.Int[0, 63].Select(word => word * 8)), (1, Gen.Int[4096, 8192]));
        await Task.Run(() => Gen.Select(Gen.Select(places, Gen.Long).Array[1, 6], Gen.Int[0, frame.Length]).Sample(
            (scribbles, cut) =>
            {
                using var stranger = nodes.Visitor().Introduce(nodes.Two);
                stranger.Say(frame.AsSpan(0, cut));
                foreach (var (offset, value) in scribbles)
                    stranger.Scribble(offset, value);
                stranger.Call();
                stranger.Stop();
                stranger.AwaitEnd();
            },
            iter: 200,
            threads: 1));
        nodes.AssertUnharmed();
    }

    [Theory]
    [InlineData(SharedRing.SlotCount, 3)]
    [InlineData(255, 3)]
    [InlineData(0, SharedRing.SlotBytes / sizeof(float) + 1)]
    public async Task Who_tells_of_words_where_none_can_be_is_refused(byte slot, int words)
    {
        await using var nodes = new Nodes(LaneWay.SharedMemory);
        var here = nodes.Shard.Ref.Path.ToSerializationFormatWithAddress(nodes.Two.Address);
        using var stranger = nodes.Visitor().Introduce(nodes.Two);
        stranger.Say(Stranger.Placed(here, slot, words));
        stranger.AwaitEnd();
        nodes.AssertUnharmed();
        Assert.Equal(1, nodes.Two.Lane.Statistics.Refused);
    }

    [Fact]
    public async Task Words_that_are_still_read_are_not_told_of_again()
    {
        await using var nodes = new Nodes(LaneWay.SharedMemory);
        var here = nodes.Shard.Ref.Path.ToSerializationFormatWithAddress(nodes.Two.Address);
        using var stranger = nodes.Visitor().Introduce(nodes.Two);
        stranger.Say(Stranger.Placed(here, 2));
        var push = nodes.Shard.ExpectMsg<Commands.Push>();
        stranger.Say(Stranger.Placed(here, 2));
        stranger.AwaitEnd();
        // its connection is over, and it is read all the same
        Assert.Equal(3, push.Gradient.Span.Length);
        push.Gradient.Release();
        nodes.AssertUnharmed();
        Assert.Equal(1, nodes.Two.Lane.Statistics.Refused);
    }

    [Fact]
    public async Task Words_for_nobody_are_let_go()
    {
        await using var nodes = new Nodes(LaneWay.SharedMemory);
        var nobody = $"{nodes.Two.Address}/user/nobody";
        var here = nodes.Shard.Ref.Path.ToSerializationFormatWithAddress(nodes.Two.Address);
        using var stranger = nodes.Visitor().Introduce(nodes.Two);
        for (var i = 0; i < 3; i++)
            stranger.Say(Stranger.Placed(nobody, 1));
        stranger.Say(Stranger.Placed(here, 1));
        nodes.Shard.ExpectMsg<Commands.Push>().Gradient.Release();
        Assert.Equal((3, 0), (nodes.Two.Lane.Statistics.NobodyThere, nodes.Two.Lane.Statistics.Refused));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(long.MinValue)]
    [InlineData(long.MaxValue)]
    [InlineData(SharedRing.Capacity + 1)]
    public async Task Who_claims_to_have_written_what_can_not_be_is_refused(long written)
    {
        await using var nodes = new Nodes(LaneWay.SharedMemory);
        using var stranger = nodes.Visitor().Introduce(nodes.Two);
        stranger.Scribble(0, written);
        stranger.Call();
        stranger.AwaitEnd();
        nodes.AssertUnharmed();
        Assert.Equal(1, nodes.Two.Lane.Statistics.Refused);
    }
}
