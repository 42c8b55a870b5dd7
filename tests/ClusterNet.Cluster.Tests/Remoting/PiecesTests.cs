using System.Buffers.Binary;
using ClusterNet.Cluster.Remoting;
using CsCheck;
using Google.Protobuf;

namespace ClusterNet.Cluster.Tests.Remoting;

/// <summary>A message in pieces arrives as it was sent, and what is none costs a node nothing.</summary>
public sealed class PiecesTests
{
    private const int Piece = Pieces.PieceBytes;

    private static readonly Gen<int> _sizes = Gen.OneOf(
        Gen.Int[1, 40], Gen.Int[Piece - 2, Piece + 2], Gen.Int[(2 * Piece) - 1, (2 * Piece) + 1], Gen.Int[1, 5 * Piece]);

    [Fact]
    public void Messages_of_any_size_come_as_they_went_one_after_the_other() => Gen.Select(_sizes.List[1, 4], Gen.Int).Sample((sizes, seed) =>
    {
        var room = new PieceRoom(sizes.Max());
        var reader = new PieceReader(room);
        var random = new Random(seed);
        foreach (var size in sizes)
        {
            var message = Message(size, random);
            var pieces = Pieces.Of(message).ToList();
            Assert.All(pieces, piece => Assert.True(Pieces.IsPiece(piece)));
            Assert.All(pieces, piece => Assert.InRange(piece.Length, Pieces.HeadBytes + 1, Pieces.HeadBytes + Piece));
            Assert.All(pieces.SkipLast(1), piece => Assert.Null(reader.Take(piece)));
            Assert.Equal(message, reader.Take(pieces[^1]));
            Assert.Equal(0, room.Held);
        }
    }, iter: 60);

    [Fact]
    public void Pieces_that_are_not_the_next_ones_are_refused() => Gen.Select(Gen.Int[Piece + 1, 5 * Piece], Gen.Int).Sample((size, seed) =>
    {
        var random = new Random(seed);
        var pieces = Pieces.Of(Message(size, random)).ToList();
        var next = random.Next(pieces.Count);
        var other = (next + 1 + random.Next(pieces.Count - 1)) % pieces.Count;
        Assert.Throws<InvalidDataException>(() => After(next, pieces).Take(pieces[other]));
        // of another message
        Assert.Throws<InvalidDataException>(() => After(1, pieces).Take(Pieces.Of(Message(size + 1, random)).ElementAt(1)));
        // more or less than belongs there
        Assert.Throws<InvalidDataException>(() => After(next, pieces).Take(ByteString.CopyFrom([.. pieces[next].Span, 7])));
        Assert.Throws<InvalidDataException>(() => After(next, pieces).Take(ByteString.CopyFrom(pieces[next].Span[..(Pieces.HeadBytes + random.Next(pieces[next].Length - Pieces.HeadBytes))])));
    }, iter: 60);

    [Theory]
    [InlineData(0, 0)]
    [InlineData(-1, 0)]
    [InlineData(int.MinValue, 0)]
    [InlineData(int.MaxValue, 0)]
    [InlineData(Pieces.MostBytes + 1, 0)]
    [InlineData(Pieces.MostBytes, -Piece)]
    [InlineData(Pieces.MostBytes, int.MaxValue)]
    [InlineData(Pieces.MostBytes, int.MinValue)]
    public void Lengths_that_no_message_has_are_refused_before_anything_is_kept(int whole, int start)
    {
        var room = new PieceRoom(Pieces.MostBytesHeld);
        var frame = new byte[Pieces.HeadBytes + Piece];
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(1), whole);
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(5), start);
        Assert.Throws<InvalidDataException>(() => new PieceReader(room).Take(ByteString.CopyFrom(frame)));
        Assert.Equal(0, room.Held);
    }

    [Fact]
    public void All_connections_together_hold_no_more_than_there_is_room_for()
    {
        var room = new PieceRoom(3 * Piece);
        var message = Message(3 * Piece, new Random(1));
        PieceReader first = new(room), second = new(room);
        foreach (var piece in Pieces.Of(message).Take(2))
            first.Take(piece);
        second.Take(Pieces.Of(message).First());
        Assert.Throws<InvalidDataException>(() => second.Take(Pieces.Of(message).ElementAt(1)));
        Assert.Equal(3 * Piece, room.Held);
        second.End();
        Assert.Equal(2 * Piece, room.Held);
        Assert.Equal(message, first.Take(Pieces.Of(message).Last()));
        Assert.Equal(0, room.Held);
        // a connection that has ended holds nothing any more
        Assert.Null(second.Take(Pieces.Of(message).First()));
        Assert.Equal(0, room.Held);
    }

    private static PieceReader After(int count, IEnumerable<ByteString> pieces)
    {
        var reader = new PieceReader(new PieceRoom(Pieces.MostBytesHeld));
        foreach (var piece in pieces.Take(count))
            Assert.Null(reader.Take(piece));
        return reader;
    }

    private static ByteString Message(int size, Random random)
    {
        var bytes = new byte[size];
        random.NextBytes(bytes);
        return ByteString.CopyFrom(bytes);
    }
}
