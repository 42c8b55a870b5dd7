using ClusterNet.Cluster.Access;
using CsCheck;
using static ClusterNet.Cluster.Access.AccessProtocol;
using static ClusterNet.Cluster.Access.PieceBook;

namespace ClusterNet.Cluster.Tests.Access;

/// <summary>A request that comes in pieces comes whole or not at all, and what is under way holds no more memory than it may.</summary>
public sealed class PieceBookTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly ManualTime _time = new();

    [Fact]
    public void Requests_that_are_mixed_up_with_each_other_and_repeated_come_out_whole()
    {
        Gen.Int[0, 2].Array[0, 60].Sample(order =>
        {
            var book = new PieceBook(long.MaxValue, Patience, _time);
            var next = new int[3];
            foreach (var request in order)
            {
                var index = next[request]++ % 4;
                var outcome = book.Take(Piece(request, index), out var whole);
                Assert.Equal(index == 3 ? Outcome.Whole : Outcome.Taken, outcome);
                if (index == 3)
                    Assert.Equal(Enumerable.Range(0, 4).SelectMany(i => Bytes(request, i)), whole);
                else
                    Assert.Equal(Outcome.Taken, book.Take(Piece(request, index), out _));
            }
        });
    }

    [Fact]
    public void A_piece_that_is_not_the_next_ends_its_request()
    {
        var book = new PieceBook(long.MaxValue, Patience, _time);
        Assert.Equal(Outcome.Unexpected, book.Take(Piece(0, 1), out _));
        Assert.Equal(Outcome.Taken, book.Take(Piece(0, 0), out _));
        Assert.Equal(Outcome.Unexpected, book.Take(Piece(0, 2), out _));
        Assert.Equal(Outcome.Unexpected, book.Take(Piece(0, 1), out _));
        Assert.Equal(Outcome.Unexpected, book.Take(Piece(0, 0) with { Count = 0 }, out _));
        Assert.Equal(Outcome.Unexpected, book.Take(Piece(0, 0) with { Index = -1 }, out _));
        Assert.Equal(Outcome.Unexpected, book.Take(Piece(0, 0) with { Bytes = Array.Empty<byte>() }, out _));
    }

    [Fact]
    public void What_is_under_way_is_bounded_and_forgotten_when_nobody_goes_on_with_it()
    {
        var book = new PieceBook(10, Patience, _time);
        for (var i = 0; i < 3; i++)
            Assert.Equal(Outcome.Taken, book.Take(Piece(i, 0), out _));
        Assert.Equal(Outcome.Full, book.Take(Piece(3, 0), out _));
        Assert.Equal(Outcome.Full, book.Take(Piece(0, 1), out _));
        // that one was dropped, and there is room for another
        Assert.Equal(Outcome.Taken, book.Take(Piece(4, 0), out _));
        _time.Advance(Patience * 2);
        Assert.Equal(Outcome.Unexpected, book.Take(Piece(1, 1), out _));
        for (var i = 0; i < 3; i++)
            Assert.Equal(Outcome.Taken, book.Take(Piece(i, 0), out _));
    }

    private static byte[] Bytes(int request, int index) => [(byte)request, (byte)index, 7];

    private static Commands.Piece Piece(int request, int index) => new($"{request}", index, 4, 7105, "S:predict", Bytes(request, index));

    private sealed class ManualTime : TimeProvider
    {
        private long _ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _ticks;

        public void Advance(TimeSpan by) => _ticks += by.Ticks;
    }
}
