using Akka.Actor;
using Akka.Remote.Transport;
using ClusterNet.Cluster.Remoting;
using Google.Protobuf;
using Microsoft.Extensions.Time.Testing;

namespace ClusterNet.Cluster.Tests.Remoting;

/// <summary>Who has its turn when a node that was killed is back while another still tries to reach it.</summary>
public sealed class EncountersTests
{
    private static readonly Address _peer = new("akka.tcp", "clusternet", "10.0.0.1", 4053);

    private static readonly ByteString _handshake = ByteString.CopyFrom(0x12, 0), _message = ByteString.CopyFrom(0x0A, 0);

    private readonly FakeTimeProvider _time = new();
    private readonly Encounters _encounters;

    public EncountersTests() => _encounters = new Encounters(_time);

    [Fact]
    public async Task An_attempt_that_has_said_nothing_gives_way_to_a_newcomer()
    {
        await ArriveAsync(1);
        var attempt = _encounters.Begin(_peer.WithProtocol("tcp"));
        await ArriveAsync(2);
        Assert.False(attempt.TrySay(_handshake));
    }

    [Fact]
    public async Task Nobody_connects_to_a_newcomer_that_has_just_come()
    {
        await ArriveAsync(1);
        await ArriveAsync(2);
        Assert.Throws<InvalidAssociationException>(() => _encounters.Begin(_peer));
        _encounters.Begin(_peer.WithPort(4054)).End();
        _time.Advance(Encounters.Margin);
        Assert.True(_encounters.Begin(_peer).TrySay(_handshake));
    }

    [Fact]
    public async Task A_newcomer_waits_for_an_attempt_that_has_spoken_and_a_moment_longer()
    {
        await ArriveAsync(1);
        var attempt = _encounters.Begin(_peer);
        Assert.True(attempt.TrySay(_handshake));
        var newcomer = _encounters.ArriveAsync(new Handshake(_peer, 2));
        Assert.False(newcomer.IsCompleted);
        attempt.Settle(2);
        var second = _encounters.ArriveAsync(new Handshake(_peer, 2));
        _time.Advance(Encounters.Margin - TimeSpan.FromMilliseconds(1));
        Assert.False(newcomer.IsCompleted || second.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await Task.WhenAll(newcomer, second).WaitAsync(TimeSpan.FromSeconds(30));
        // which did not come as another one than that of the attempt
        Assert.True(_encounters.Begin(_peer).TrySay(_handshake));
    }

    [Fact]
    public async Task A_newcomer_waits_no_longer_than_the_attempt_lasts()
    {
        await ArriveAsync(1);
        var attempt = _encounters.Begin(_peer);
        Assert.True(attempt.TrySay(_handshake));
        var newcomer = _encounters.ArriveAsync(new Handshake(_peer, 2));
        Assert.False(newcomer.IsCompleted);
        attempt.End();
        await newcomer.WaitAsync(TimeSpan.FromSeconds(30));
    }

    /// <summary>Akka.Remote has its own way with these: nothing waits, and nothing is refused.</summary>
    [Fact]
    public async Task Who_is_not_another_one_meets_as_ever()
    {
        var first = _encounters.Begin(_peer);
        Assert.True(first.TrySay(_handshake));
        await ArriveAsync(1);
        first.Settle(1);
        await ArriveAsync(1);
        var second = _encounters.Begin(_peer);
        await ArriveAsync(1);
        Assert.True(second.TrySay(_handshake));
        await ArriveAsync(1);
        // of the connections that were there only those that are being made are in the way
        second.Settle(1);
        await ArriveAsync(2);
    }

    [Fact]
    public async Task A_connection_that_nothing_is_said_by_ends_all_with_its_peer()
    {
        List<string> closed = [];
        var isClosed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var port in new[] { 4053, 4054 })
        {
            foreach (var (name, isUsed) in new[] { ("used", true), ("dropped", port == 4054) })
            {
                var own = _encounters.Begin(_peer.WithPort(port));
                own.Close = _ => closed.Add($"{port} {name}");
                Assert.True(own.TrySay(_handshake));
                own.Settle(1);
                if (isUsed)
                    Assert.True(own.TrySay(_message));
                Assert.True(own.TrySay(_handshake));
            }
            (await _encounters.ArriveAsync(new Handshake(_peer.WithPort(port), 1))).Close = _ =>
            {
                closed.Add($"{port} other's");
                isClosed.SetResult();
            };
        }
        _time.Advance(Encounters.Silence - TimeSpan.FromMilliseconds(1));
        Assert.Empty(closed);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await isClosed.Task.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(["4053 used", "4053 dropped", "4053 other's"], closed);
    }

    [Fact]
    public async Task What_has_ended_by_itself_ends_nothing_else()
    {
        List<int> closed = [];
        var isClosed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var (port, endsByItself) in new[] { (4053, true), (4054, false) })
        {
            var dropped = _encounters.Begin(_peer.WithPort(port));
            Assert.True(dropped.TrySay(_handshake));
            dropped.Settle(1);
            (await _encounters.ArriveAsync(new Handshake(_peer.WithPort(port), 1))).Close = _ =>
            {
                closed.Add(port);
                isClosed.TrySetResult();
            };
            if (endsByItself)
                dropped.End();
        }
        _time.Advance(Encounters.Silence);
        await isClosed.Task.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal([4054], closed);
    }

    [Fact]
    public async Task Many_clients_are_forgotten()
    {
        for (var port = 1; port <= 10_000; port++)
            (await _encounters.ArriveAsync(new Handshake(_peer.WithPort(port), 1)).WaitAsync(TimeSpan.FromSeconds(30))).End();
        Assert.InRange(_encounters.Known, 1, 4096);
    }

    private Task<Encounters.Connection> ArriveAsync(ulong uid)
    {
        var arrival = _encounters.ArriveAsync(new Handshake(_peer, uid));
        Assert.True(arrival.IsCompletedSuccessfully);
        return arrival;
    }
}
