using static ClusterNet.Cluster.Access.AccessProtocol;

namespace ClusterNet.Cluster.Access;

/// <summary>The requests that are coming in pieces. What was begun and is not gone on with is forgotten after a while; all together hold no more than they may.</summary>
/// <param name="mostBytes">of all requests that are under way</param>
/// <param name="patience">between two pieces of a request</param>
/// <param name="time">the clock</param>
internal sealed class PieceBook(long mostBytes, TimeSpan patience, TimeProvider time)
{
    private readonly Dictionary<string, Whole> _under = new(StringComparer.Ordinal);
    private long _bytes;

    /// <summary>What comes of a piece.</summary>
    public enum Outcome
    {
        /// <summary>It is kept, and the next is awaited.</summary>
        Taken,

        /// <summary>It was the last: the request is whole.</summary>
        Whole,

        /// <summary>It is not the next one of a request that is known here.</summary>
        Unexpected,

        /// <summary>There is no room for it now.</summary>
        Full,
    }

    /// <summary>Takes a piece.</summary>
    /// <param name="piece">the next of its request</param>
    /// <param name="whole">all bytes of the request, where it is whole</param>
    public Outcome Take(Commands.Piece piece, out byte[] whole)
    {
        whole = [];
        Forget();
        if (!_under.TryGetValue(piece.Request, out var known))
        {
            if (piece.Index != 0 || piece.Count < 1)
                return Outcome.Unexpected;
            _under.Add(piece.Request, known = new Whole(piece.Count));
        }
        // a piece that is sent again, since the answer to it was lost
        else if (piece.Index == known.Pieces.Count - 1 && piece.Count == known.Count)
        {
            return Outcome.Taken;
        }
        // nothing that takes no room may be kept without end
        if (piece.Index != known.Pieces.Count || piece.Count != known.Count || piece.Bytes.IsEmpty)
        {
            Drop(piece.Request, known);
            return Outcome.Unexpected;
        }
        if (piece.Bytes.Length > mostBytes - _bytes)
        {
            Drop(piece.Request, known);
            return Outcome.Full;
        }
        known.Pieces.Add(piece.Bytes);
        known.Last = time.GetTimestamp();
        known.Bytes += piece.Bytes.Length;
        _bytes += piece.Bytes.Length;
        if (known.Pieces.Count < known.Count)
            return Outcome.Taken;
        Drop(piece.Request, known);
        whole = new byte[known.Bytes];
        var at = 0;
        foreach (var part in known.Pieces)
        {
            part.CopyTo(whole.AsMemory(at));
            at += part.Length;
        }
        return Outcome.Whole;
    }

    private void Forget()
    {
        foreach (var (request, old) in _under.Where(one => time.GetElapsedTime(one.Value.Last) > patience).ToArray())
            Drop(request, old);
    }

    private void Drop(string request, Whole known)
    {
        _under.Remove(request);
        _bytes -= known.Bytes;
    }

    private sealed class Whole(int count)
    {
        public int Count { get; } = count;

        public List<ReadOnlyMemory<byte>> Pieces { get; } = [];

        public long Last { get; set; }

        public long Bytes { get; set; }
    }
}
