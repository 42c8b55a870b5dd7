using System.Net.Sockets;
using System.Runtime.Serialization;
using Akka.Actor;
using ClusterNet.Cluster.Lanes;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Cluster.Tests.Serialization;
using CsCheck;
using Google.Protobuf;
using static ClusterNet.Cluster.Parameters.ParameterProtocol;
using Wire = ClusterNet.Cluster.Serialization.Wire;

namespace ClusterNet.Cluster.Tests.Lanes;

/// <summary>Between two nodes a message with tensors arrives as it was, in order, at most once and within bounds; the sender's holds come back; on one node it is passed by reference.</summary>
/// <param name="way">how they are connected</param>
public abstract class LaneTests(LaneWay way)
{
    // every pattern of bits, so every NaN too
    private static readonly Gen<float[]> Values = Gen.Int.Select(BitConverter.Int32BitsToSingle).Array[0, 5000];

    [Fact]
    public async Task Any_bits_arrive_both_ways_and_holds_come_back()
    {
        await using var one = Node();
        await using var two = Node();
        var worker = one.Probe();
        var shard = two.Probe();
        var target = one.See(two, shard);
        await Task.Run(() => Values.Sample(
            values =>
            {
                var push = LaneMessages.Push(7, values);
                one.Lane.Tell(target, push, worker);
                var pushed = shard.ExpectMsg<Commands.Push>();
                StructuralComparer.AssertSame(push, pushed);
                Assert.NotSame(push.Gradient.Buffer, pushed.Gradient.Buffer);
                pushed.Gradient.Release();

                var pulled = LaneMessages.Pulled(8, values);
                two.Lane.Tell(shard.LastSender, pulled, shard);
                var weights = worker.ExpectMsg<Replies.Pulled>();
                StructuralComparer.AssertSame(pulled, weights);
                Assert.Equal(target, worker.LastSender);
                weights.Weights.Release();
                one.AwaitAssert(() => Assert.True(LaneMessages.IsReleased(push.Gradient.Buffer) && LaneMessages.IsReleased(pulled.Weights.Buffer)));
            },
            iter: 200,
            threads: 1));
        one.AwaitAssert(() => Assert.Equal((0, 0), (one.Lane.Statistics.QueuedBytes, one.Lane.Statistics.HeldBytes)));
        Assert.Equal(one.Lane.Statistics.SentBytes, two.Lane.Statistics.ReceivedBytes);
        Assert.Equal(0, one.Lane.Statistics.DroppedMessages);
    }

    [Fact]
    public async Task A_question_that_was_lost_does_not_hold_up_what_is_for_who_starts_there_later()
    {
        await using var one = Node();
        var port = Clusters.Nodes.FreePort();
        var nobody = one.System.Provider.ResolveActorRef($"akka.tcp://{LaneTestNode.Cluster}@127.0.0.1:{port}/user/nobody#1");
        one.Lane.Tell(nobody, LaneMessages.Push(1, 1), one.Probe());
        // by the time that the other has started, its address was asked
        one.AwaitAssert(() => Assert.True(one.Lane.Statistics.QueuedBytes > 0));
        await using var two = Node(port: port);
        var shard = two.Probe();
        one.Lane.Tell(one.See(two, shard), LaneMessages.Push(2, 2), one.Probe());
        shard.ExpectMsg<Commands.Push>(push => push.Step == 2).Gradient.Release();
        Assert.Equal(0, one.Lane.Statistics.DroppedMessages);
    }

    [Fact]
    public async Task Messages_of_any_size_arrive_in_order()
    {
        await using var one = Node();
        await using var two = Node();
        var shard = two.Probe();
        var target = one.See(two, shard);
        const int Count = 500;
        for (var i = 0; i < Count; i++)
            one.Lane.Tell(target, LaneMessages.Push(i, new float[i % 7 == 0 ? 300_000 : i]), one.Probe());
        for (var i = 0; i < Count; i++)
        {
            var push = shard.ExpectMsg<Commands.Push>();
            Assert.Equal((i, i % 7 == 0 ? 300_000 : i), (push.Step, push.Gradient.Length));
            push.Gradient.Release();
        }
    }

    [Fact]
    public async Task On_one_node_it_is_passed_by_reference_with_its_hold()
    {
        await using var node = Node();
        var shard = node.Probe();
        var push = LaneMessages.Push(1, 2, 3);
        node.Lane.Tell(shard, push, shard);
        Assert.Same(push, shard.ExpectMsg<Commands.Push>());
        Assert.False(LaneMessages.IsReleased(push.Gradient.Buffer));
    }

    [Fact]
    public async Task What_carries_no_tensors_is_an_error_at_the_sender_wherever_the_receiver_is()
    {
        await using var one = Node();
        await using var two = Node();
        var pull = new Queries.Pull(LaneMessages.Shard, Core.Jobs.Generation.None, 1);
        foreach (var target in new[] { one.Probe().Ref, one.See(two, two.Probe()) })
            Assert.Contains("carries no tensors", Assert.Throws<SerializationException>(() => one.Lane.Tell(target, pull, target)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_too_large_or_broken_is_an_error_at_the_sender()
    {
        await using var one = Node(new LaneSettings { MaxFrameBytes = 1024 });
        await using var two = Node();
        var target = one.See(two, two.Probe());
        Assert.Contains("more shards", Assert.Throws<SerializationException>(() => one.Lane.Tell(target, LaneMessages.Push(1, new float[257]), target)).Message, StringComparison.Ordinal);
        var empty = new Replies.Pulled(LaneMessages.Shard, Core.Jobs.Generation.None, 1, default);
        Assert.Contains("Pulled (P:pulled) can't be written", Assert.Throws<SerializationException>(() => one.Lane.Tell(target, empty, target)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_for_nobody_is_passed_over_and_the_next_one_arrives()
    {
        await using var one = Node();
        await using var two = Node();
        var shard = two.Probe();
        var gone = two.Probe("gone");
        var target = one.See(two, gone);
        two.System.Stop(gone.Ref);
        two.AwaitAssert(() => Assert.False(ActorCache.IsAlive(two.System.Provider.ResolveActorRef(gone.Ref.Path.ToSerializationFormatWithAddress(two.Address)))));
        one.Lane.Tell(target, LaneMessages.Push(1, new float[100_000]), one.Probe());
        one.Lane.Tell(one.See(two, shard), LaneMessages.Push(2, 1, 2), one.Probe());
        shard.ExpectMsg<Commands.Push>().Gradient.Release();
        Assert.Equal(1, two.Lane.Statistics.NobodyThere);
        Assert.Equal(0, two.Lane.Statistics.HeldBytes);
    }

    [Fact]
    public async Task A_receiver_that_stalls_costs_no_more_than_the_bounds()
    {
        const int Values = 64 << 10;
        const long Bytes = Values * sizeof(float);
        await using var one = Node(new LaneSettings { SendQueueBytes = 4 * Bytes });
        await using var two = Node(new LaneSettings { ReceiveBytes = 3 * Bytes });
        var shard = two.Probe();
        var target = one.See(two, shard);
        // what the kernel's buffers take is beside the bounds: more than that must be sent
        const int Count = 400;
        var first = new List<Commands.Push>();
        for (var i = 0; i < Count; i++)
        {
            one.Lane.Tell(target, LaneMessages.Push(i, new float[Values]), one.Probe());
            Assert.InRange(one.Lane.Statistics.QueuedBytes, 0, 5 * Bytes);
            Assert.InRange(two.Lane.Statistics.HeldBytes, 0, 3 * Bytes);
        }
        for (var i = 0; i < 3; i++)
            first.Add(shard.ExpectMsg<Commands.Push>());
        Assert.Equal(3 * Bytes, two.Lane.Statistics.HeldBytes);
        Assert.Equal(3, two.Lane.Statistics.ReceivedMessages);
        Assert.True(one.Lane.Statistics.DroppedMessages > 0);

        // with the first released the rest comes, in order, with gaps where it was dropped
        foreach (var push in first)
            push.Gradient.Release();
        var last = first[^1].Step;
        while (two.Lane.Statistics.ReceivedMessages + one.Lane.Statistics.DroppedMessages < Count)
        {
            var push = shard.ExpectMsg<Commands.Push>();
            Assert.True(push.Step > last);
            last = push.Step;
            push.Gradient.Release();
        }
        two.AwaitAssert(() =>
        {
            while (shard.HasMessages)
                shard.ExpectMsg<Commands.Push>().Gradient.Release();
            Assert.Equal(0, two.Lane.Statistics.HeldBytes);
        });
        Assert.Equal(0, one.Lane.Statistics.QueuedBytes);
    }

    [Fact]
    public async Task A_message_larger_than_the_bounds_passes_alone()
    {
        await using var one = Node(new LaneSettings { SendQueueBytes = 10 });
        await using var two = Node(new LaneSettings { ReceiveBytes = 10 });
        var shard = two.Probe();
        one.Lane.Tell(one.See(two, shard), LaneMessages.Push(1, new float[100_000]), one.Probe());
        shard.ExpectMsg<Commands.Push>().Gradient.Release();
    }

    [Fact]
    public async Task A_node_that_ends_is_reported_and_its_successor_gets_nothing_that_was_meant_for_it()
    {
        await using var one = Node();
        var events = one.Probe();
        one.System.EventStream.Subscribe(events, typeof(LaneDisconnected));
        IActorRef old;
        LaneDisconnected expected;
        int port, lanePort;
        await using (var two = Node())
        {
            var shard = two.Probe("shard");
            old = one.See(two, shard);
            one.Lane.Tell(old, LaneMessages.Push(1, 1), one.Probe());
            shard.ExpectMsg<Commands.Push>();
            (port, lanePort) = (two.Address.Port!.Value, two.Lane.Port);
            expected = new LaneDisconnected(two.Address, two.Uid);
        }
        Assert.Equal(expected, events.ExpectMsg<LaneDisconnected>());

        await using var three = Node(new LaneSettings { Port = lanePort }, port);
        Assert.Equal(expected.Address, three.Address);
        Assert.NotEqual(expected.Uid, three.Uid);
        var successor = three.Probe("shard");
        // Akka.Remote itself needs a while until it is connected again: what is lost meanwhile is told again
        var step = 100;
        one.AwaitAssert(() =>
        {
            one.Lane.Tell(old, LaneMessages.Push(2, 2), one.Probe());
            one.Lane.Tell(one.See(three, successor), LaneMessages.Push(++step, 3), one.Probe());
            Assert.True(successor.HasMessages);
        });
        Assert.InRange(successor.ExpectMsg<Commands.Push>().Step, 100, step);
        while (successor.HasMessages)
            Assert.InRange(successor.ExpectMsg<Commands.Push>().Step, 100, step);
    }

    [Fact]
    public async Task A_node_that_has_ended_listens_no_more_and_drops_what_it_is_told()
    {
        await using var two = Node();
        var one = Node();
        var target = one.See(two, two.Probe());
        await one.DisposeAsync();
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await Assert.ThrowsAsync<SocketException>(() => socket.ConnectAsync("127.0.0.1", one.Lane.Port));
        var push = LaneMessages.Push(1, 1);
        one.Lane.Tell(target, push, target);
        Assert.True(LaneMessages.IsReleased(push.Gradient.Buffer));
    }

    [Fact]
    public void A_port_that_is_taken_is_named()
    {
        using var taken = new TcpListener(System.Net.IPAddress.Loopback, 0);
        taken.Start();
        var port = ((System.Net.IPEndPoint)taken.LocalEndpoint).Port;
        var context = new LaneNodeContext(null!, new LaneSettings { Port = port }, null!, null!, null!, null!);
        Assert.Contains($"127.0.0.1:{port}", Assert.Throws<ClusterException>(() => LaneListener.Start(context)).Message, StringComparison.Ordinal);
    }

    private LaneTestNode Node(LaneSettings? settings = null, int port = 0) => new((settings ?? new LaneSettings()).By(way), port);
}

/// <summary>As nodes of different machines, or containers, are connected.</summary>
public sealed class LaneByTcpTests() : LaneTests(LaneWay.Tcp);

/// <summary>As nodes of one machine are connected.</summary>
public sealed class LaneBySharedMemoryTests() : LaneTests(LaneWay.SharedMemory)
{
    [Fact]
    public async Task As_many_as_may_share_memory_and_the_others_messages_arrive_too()
    {
        await using var node = new LaneTestNode(new LaneSettings { MaxSharedMemories = 2 });
        var shard = node.Probe();
        for (var peers = 1; peers <= 4; peers++)
        {
            await using var peer = new LaneTestNode();
            peer.Lane.Tell(peer.See(node, shard), LaneMessages.Push(peers, 1, 2, 3), peer.Probe());
            shard.ExpectMsg<Commands.Push>(push => push.Step == peers).Gradient.Release();
            Assert.Equal(1, node.Lane.SharedMemories);
            // who leaves makes room
            await peer.DisposeAsync();
            node.AwaitAssert(() => Assert.Equal(0, node.Lane.SharedMemories));
        }
        await using var first = new LaneTestNode();
        await using var second = new LaneTestNode();
        await using var third = new LaneTestNode();
        foreach (var peer in new[] { first, second, third })
        {
            peer.Lane.Tell(peer.See(node, shard), LaneMessages.Push(9, 4, 5), peer.Probe());
            shard.ExpectMsg<Commands.Push>().Gradient.Release();
        }
        Assert.Equal(2, node.Lane.SharedMemories);
    }

    [Fact]
    public async Task What_finds_no_place_because_others_are_held_arrives_all_the_same()
    {
        await using var one = new LaneTestNode();
        await using var two = new LaneTestNode();
        var shard = two.Probe();
        var target = one.See(two, shard);
        var worker = one.Probe();
        var held = new List<Commands.Push>();
        // more than there are places, and then more than the ring has room for
        for (var step = 0; step < 3 * SharedRing.SlotCount; step++)
        {
            var values = Enumerable.Repeat((float)step, SharedRing.SlotBytes / sizeof(float) - step).ToArray();
            one.Lane.Tell(target, LaneMessages.Push(step, values), worker);
            held.Add(shard.ExpectMsg<Commands.Push>());
        }
        foreach (var (step, push) in held.Index())
        {
            Assert.Equal(SharedRing.SlotBytes / sizeof(float) - step, push.Gradient.Length);
            Assert.False(push.Gradient.Span.ContainsAnyExcept(step));
        }
        // the order of the places does not matter
        foreach (var push in Enumerable.Reverse(held))
            push.Gradient.Release();
        one.AwaitAssert(() => Assert.Equal((0, 0), (one.Lane.Statistics.QueuedBytes, two.Lane.Statistics.HeldBytes)));
        one.Lane.Tell(target, LaneMessages.Push(99, new float[100_000]), worker);
        shard.ExpectMsg<Commands.Push>(push => push.Step == 99).Gradient.Release();
    }

    [Fact]
    public async Task What_is_computed_in_a_rented_buffer_is_read_where_it_lies_and_comes_back_when_both_have_let_go()
    {
        await using var one = new LaneTestNode();
        await using var two = new LaneTestNode();
        var shard = two.Probe();
        var worker = one.Probe();
        var target = one.See(two, shard);
        // nobody knows yet where it is
        Assert.Null(one.Lane.Rent(target, 100_000));
        one.Lane.Tell(target, LaneMessages.Push(0, 1), worker);
        shard.ExpectMsg<Commands.Push>().Gradient.Release();
        one.AwaitAssert(() => Assert.NotNull(one.Lane.Rent(target, 100_000)));
        Assert.Null(one.Lane.Rent(worker, 100_000));
        Assert.Null(one.Lane.Rent(target, SharedRing.SlotBytes / sizeof(float) + 1));
        Assert.Null(one.Lane.Rent(target, 100));
        one.AwaitAssert(() =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            Assert.Equal(0, one.Lane.Rented);
        });
        for (var step = 1; step < 3 * SharedRing.SlotCount; step++)
        {
            var buffer = one.Lane.Rent(target, 100_000)!;
            buffer.Span.Fill(step);
            buffer.Share();
            one.Lane.Tell(target, LaneMessages.Push(step, new TensorPayload(buffer, 0, buffer.Length)), worker);
            var read = shard.ExpectMsg<Commands.Push>().Gradient;
            Assert.Equal(100_000, read.Length);
            Assert.False(read.Span.ContainsAnyExcept(step));
            // no maker does that: it shows that there is one copy of it
            buffer.Span[7] = -1;
            Assert.Equal(-1, read.Span[7]);
            (step % 2 == 0 ? buffer : read.Buffer).Release();
            Assert.Equal(-1, (step % 2 == 0 ? read.Buffer : buffer).Span[7]);
            (step % 2 == 0 ? read.Buffer : buffer).Release();
        }
        one.AwaitAssert(() => Assert.Equal((0, 0), (one.Lane.Rented, two.Lane.Statistics.HeldBytes)));
        var held = Enumerable.Range(0, SharedRing.MostRented).Select(_ => one.Lane.Rent(target, 5000)!).ToArray();
        Assert.Null(one.Lane.Rent(target, 5000));
        held[0].Release();
        Assert.NotNull(one.Lane.Rent(target, 5000));
        await two.DisposeAsync();
        one.AwaitAssert(() => Assert.Null(one.Lane.Rent(target, 5000)));
        held[1].Span.Fill(3);
        held[1].Release();
    }

    [Fact]
    public async Task A_peer_that_scribbles_over_the_memory_loses_the_connection_and_who_tells_it_something_is_not_harmed()
    {
        await using var one = new LaneTestNode();
        await using var two = new LaneTestNode();
        var (listening, name) = LocalSocket.Listen(4);
        using (listening)
        {
            var actor = await two.System.ActorSelection($"/user/{LaneProtocol.ActorName}").ResolveOne(TimeSpan.FromSeconds(30));
            Assert.True(await actor.GracefulStop(TimeSpan.FromSeconds(30)));
            two.System.ActorOf(LaneActor.PropsFor(new LaneProtocol.Replies.At("127.0.0.1", two.Lane.Port, two.Uid) { Local = name }), LaneProtocol.ActorName);
            var target = one.See(two, two.Probe());
            one.Lane.Tell(target, LaneMessages.Push(1, 1), one.Probe());
            using var hostile = new LaneStream(await listening.AcceptAsync());
            Assert.True(LaneHandshake.Hear(hostile, new LaneNode(LaneTestNode.Cluster, two.Address, two.Uid)).TakesMemory);
            hostile.MakeRing();
            LaneHandshake.Accept(hostile, 1 << 20);
            one.AwaitAssert(() => Assert.Equal(1, one.Lane.Statistics.SentMessages));
            // more was read than was ever written
            RandomAccess.Write(hostile.Ring!.Memory, BitConverter.GetBytes(1L << 40), 128);
            var push = LaneMessages.Push(2, 2);
            one.Lane.Tell(target, push, one.Probe());
            one.AwaitAssert(() => Assert.True(LaneMessages.IsReleased(push.Gradient.Buffer)));
            Assert.Equal(1, one.Lane.Statistics.DroppedMessages);
            one.AwaitAssert(() => Assert.Equal(0, one.Lane.Statistics.QueuedBytes));
        }
    }
}

/// <summary>As nodes of one machine are connected where the system gives no memory to share.</summary>
public sealed class LaneByLocalSocketTests() : LaneTests(LaneWay.LocalSocket)
{
    [Fact]
    public async Task They_need_no_address_of_each_other()
    {
        // of a network that nobody has
        var settings = new LaneSettings { PublicHost = "192.0.2.1" };
        await using var one = new LaneTestNode(settings);
        await using var two = new LaneTestNode(settings);
        var shard = two.Probe();
        one.Lane.Tell(one.See(two, shard), LaneMessages.Push(1, 2, 3), one.Probe());
        shard.ExpectMsg<Commands.Push>().Gradient.Release();
        one.AwaitAssert(() => Assert.Equal((1, 0), (one.Lane.Statistics.SentMessages, one.Lane.Statistics.DroppedMessages)));
    }

    [Fact]
    public async Task Who_finds_nobody_by_that_name_goes_by_tcp()
    {
        await using var one = new LaneTestNode();
        await using var two = new LaneTestNode();
        var shard = two.Probe();
        // as from another machine: a name is told, and nobody here has it
        var actor = await two.System.ActorSelection($"/user/{LaneProtocol.ActorName}").ResolveOne(TimeSpan.FromSeconds(30));
        Assert.True(await actor.GracefulStop(TimeSpan.FromSeconds(30)));
        two.System.ActorOf(LaneActor.PropsFor(new LaneProtocol.Replies.At("127.0.0.1", two.Lane.Port, two.Uid) { Local = "clusternet-lane-" + new string('0', 32) }), LaneProtocol.ActorName);
        one.Lane.Tell(one.See(two, shard), LaneMessages.Push(1, 2, 3), one.Probe());
        shard.ExpectMsg<Commands.Push>().Gradient.Release();
    }

    /// <summary>Whoever listens and accepts nobody, a node that hangs or a stranger who took the name, must not hold up who would otherwise go by TCP.</summary>
    [Fact]
    public async Task Who_has_no_room_is_not_waited_for()
    {
        const int Room = 2;
        var (listening, name) = LocalSocket.Listen(Room);
        using (listening)
        {
            var connected = new List<Socket?>();
            for (var i = 0; i < 2 * (Room + 1); i++)
                connected.Add(await Task.Run(() => LocalSocket.Connect(name)).WaitAsync(TimeSpan.FromSeconds(30)));
            connected.ForEach(socket => socket?.Dispose());
            Assert.NotNull(connected[0]);
            Assert.Null(connected[^1]);
        }
    }

    [Theory]
    [InlineData("clusternet-lane-0123456789abcdef0123456789abcdef", true)]
    [InlineData("clusternet-lane-0123456789abcdef0123456789abcde", false)]
    [InlineData("clusternet-lane-0123456789abcdef0123456789abcdeF", false)]
    [InlineData("clusternet-lane-0123456789abcdef0123456789abcd/f", false)]
    [InlineData("dbus-/tmp/clusternet-lane-0123456789abcdef01234567", false)]
    [InlineData("", false)]
    public async Task Nobody_is_led_to_sockets_of_other_programs(string name, bool isOne)
    {
        await using var node = new LaneTestNode();
        var serializer = new LaneSerializer(node.System);
        var bytes = new Wire.LaneAt { Host = "127.0.0.1", Port = 1, Uid = 1, Local = name }.ToByteArray();
        if (isOne)
            Assert.Equal(name, Assert.IsType<LaneProtocol.Replies.At>(serializer.FromBinary(bytes, "L:at")).Local);
        else
            Assert.Contains("no lane's", Assert.Throws<SerializationException>(() => serializer.FromBinary(bytes, "L:at")).Message, StringComparison.Ordinal);
    }
}
