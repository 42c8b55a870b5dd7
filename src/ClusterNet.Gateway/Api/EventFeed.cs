using System.Globalization;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace ClusterNet.Gateway.Api;

/// <summary>What happened lately, and what happens: for those who look on. A reader that is too slow misses the oldest.</summary>
/// <param name="clock">for the moments</param>
internal sealed class EventFeed(TimeProvider clock)
{
    private const int Kept = 500;
    private const int MaxReaders = 256;
    private const int ReaderCapacity = 256;
    private readonly Lock _gate = new();
    private readonly Queue<EventDocument> _latest = new();
    private readonly List<Channel<EventDocument>> _readers = [];
    private long _last;

    /// <summary>The latest, the oldest first.</summary>
    public IReadOnlyList<EventDocument> Latest
    {
        get
        {
            lock (_gate)
                return [.. _latest];
        }
    }

    /// <summary>Something happened.</summary>
    public void Add(string kind, string subject, string message)
    {
        lock (_gate)
        {
            var happened = new EventDocument(++_last, clock.GetUtcNow(), kind, subject, message);
            _latest.Enqueue(happened);
            if (_latest.Count > Kept)
                _latest.Dequeue();
            foreach (var reader in _readers)
                reader.Writer.TryWrite(happened);
        }
    }

    /// <summary>Those after <paramref name="after"/>, then whatever happens, until one of the two fires; null where there are too many readers.</summary>
    public IAsyncEnumerable<SseItem<EventDocument>>? Follow(long after, CancellationToken gone, CancellationToken stopping)
    {
        var reader = Channel.CreateBounded<EventDocument>(new BoundedChannelOptions(ReaderCapacity) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
        EventDocument[] before;
        lock (_gate)
        {
            if (_readers.Count >= MaxReaders)
                return null;
            before = [.. _latest.Where(happened => happened.Id > after)];
            _readers.Add(reader);
        }
        return ReadAsync(before, reader, gone, stopping);
    }

    private async IAsyncEnumerable<SseItem<EventDocument>> ReadAsync(EventDocument[] before, Channel<EventDocument> reader, [EnumeratorCancellation] CancellationToken gone, CancellationToken stopping)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(gone, stopping);
        try
        {
            foreach (var happened in before)
                yield return Item(happened);
            while (await WaitAsync(reader, either.Token).ConfigureAwait(false))
            {
                while (reader.Reader.TryRead(out var happened))
                    yield return Item(happened);
            }
        }
        finally
        {
            lock (_gate)
                _readers.Remove(reader);
        }
    }

    private static async Task<bool> WaitAsync(Channel<EventDocument> reader, CancellationToken cancel)
    {
        try
        {
            return await reader.Reader.WaitToReadAsync(cancel).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private static SseItem<EventDocument> Item(EventDocument happened) => new(happened, happened.Kind) { EventId = happened.Id.ToString(CultureInfo.InvariantCulture) };
}
