using System.Buffers.Binary;
using Google.Protobuf;

namespace ClusterNet.Cluster.Remoting;

/// <summary>
/// How a message that no frame has room for travels: as frames of a zero (which no message of Akka.Remote begins with), the length of the whole and where the piece belongs in it, both as 32 bits, little-endian, and the piece.
/// They come in order. Whole messages may come in between; another message in pieces may not.
/// </summary>
internal static class Pieces
{
    /// <summary>The largest message, with what Akka.Remote puts around it. At a gigabit per second it takes half a second, which a failure detector bears.</summary>
    public const int MostBytes = 65 << 20;

    /// <summary>Of all messages that are under way to a node.</summary>
    public const long MostBytesHeld = 4L * MostBytes;

    /// <summary>Of each piece but the last, its head aside.</summary>
    public const int PieceBytes = 128 << 10;

    /// <summary>Before each piece.</summary>
    public const int HeadBytes = 9;

    private const byte Mark = 0;

    /// <summary>Whether it is a piece, and not a whole message.</summary>
    public static bool IsPiece(ByteString frame) => !frame.IsEmpty && frame[0] == Mark;

    /// <summary>Cuts a message, in the order in which the pieces are to be sent.</summary>
    public static IEnumerable<ByteString> Of(ByteString message)
    {
        for (var start = 0; start < message.Length; start += PieceBytes)
        {
            var piece = new byte[HeadBytes + Math.Min(PieceBytes, message.Length - start)];
            piece[0] = Mark;
            BinaryPrimitives.WriteInt32LittleEndian(piece.AsSpan(1), message.Length);
            BinaryPrimitives.WriteInt32LittleEndian(piece.AsSpan(5), start);
            message.Span.Slice(start, piece.Length - HeadBytes).CopyTo(piece.AsSpan(HeadBytes));
            yield return UnsafeByteOperations.UnsafeWrap(piece);
        }
    }
}

/// <summary>What all connections of a node may hold of messages that are not whole yet.</summary>
internal sealed class PieceRoom(long mostBytes)
{
    private long _held;

    /// <summary>Bytes that are held now.</summary>
    public long Held => Interlocked.Read(ref _held);

    /// <summary>Whether there is room; it is taken then.</summary>
    public bool TryTake(int bytes)
    {
        if (Interlocked.Add(ref _held, bytes) <= mostBytes)
            return true;
        Free(bytes);
        return false;
    }

    /// <summary>Gives room back.</summary>
    public void Free(long bytes) => Interlocked.Add(ref _held, -bytes);
}

/// <summary>Puts the pieces of one connection together. Its frames come one after the other, but its end may be told from elsewhere.</summary>
internal sealed class PieceReader(PieceRoom room)
{
    private readonly Lock _lock = new();
    private readonly List<ByteString> _pieces = [];
    private int _expected;
    private int _held;
    private bool _isEnded;

    /// <summary>Takes the next piece; the message where it was the last.</summary>
    /// <exception cref="InvalidDataException">it is not the next piece of any message that may be, or there is no room for it</exception>
    public ByteString? Take(ByteString frame)
    {
        lock (_lock)
        {
            if (_isEnded)
                return null;
            if (frame.Length <= Pieces.HeadBytes)
                throw new InvalidDataException("a piece of a message is empty");
            var whole = BinaryPrimitives.ReadInt32LittleEndian(frame.Span[1..]);
            var start = BinaryPrimitives.ReadInt32LittleEndian(frame.Span[5..]);
            var bytes = frame.Length - Pieces.HeadBytes;
            if (whole is <= 0 or > Pieces.MostBytes)
                throw new InvalidDataException($"a message of {whole} bytes is announced, and none may have more than {Pieces.MostBytes}");
            if (start != _held || (start > 0 && whole != _expected) || bytes != Math.Min(Pieces.PieceBytes, whole - start))
                throw new InvalidDataException($"bytes {start} to {start + (long)bytes} of a message of {whole} came where {_held} of {_expected} were there");
            if (!room.TryTake(bytes))
                throw new InvalidDataException($"the messages that are under way have {room.Held} bytes, and there is no room for more");
            _expected = whole;
            _held += bytes;
            _pieces.Add(frame);
            return _held == whole ? Join() : null;
        }
    }

    /// <summary>Gives up what is not whole, and takes no more.</summary>
    public void End()
    {
        lock (_lock)
        {
            _isEnded = true;
            Clear();
        }
    }

    private ByteString Join()
    {
        var message = new byte[_held];
        var at = 0;
        foreach (var piece in _pieces)
        {
            piece.Span[Pieces.HeadBytes..].CopyTo(message.AsSpan(at));
            at += piece.Length - Pieces.HeadBytes;
        }
        Clear();
        return UnsafeByteOperations.UnsafeWrap(message);
    }

    private void Clear()
    {
        room.Free(_held);
        _pieces.Clear();
        (_held, _expected) = (0, 0);
    }
}
