using System.Data.Common;
using System.Diagnostics;
using ClusterNet.Cluster;
using ClusterNet.Gateway.Store;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Gateway.Audit;

/// <summary>
/// One chain of the audit log. Who finds nobody writing writes at once; what gathers while a commit goes to disk is written with one commit more, and so is what comes within a millisecond of a record that may wait for
/// others: a commit for each of many takes more of the machine than what they tell of. Each gateway node has a chain named after it; a second writer of the same chain (two nodes of one name) can't fork it, since a
/// sequence number is there once: who comes second reads what the first wrote and goes on behind it.
/// </summary>
public sealed partial class AuditLog : IDisposable
{
    private const int MaxWaiting = 8192;
    private const int MaxGathered = 256;
    private const int MaxBatch = 1024;
    private const long MaxBatchBytes = 16 << 20;
    private const int MaxAttempts = 5;

    /// <summary>A store that took longer than this may take long again: then no request's own thread writes for a while, which could answer nobody meanwhile.</summary>
    private static readonly TimeSpan Prompt = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Wary = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan GatherFor = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan AnchorInterval = TimeSpan.FromMinutes(10);
    private readonly GatewayStore _store;
    private readonly string _chain;
    private readonly ILogger _log;
    private readonly object _gate = new();
    private readonly Queue<Waiting> _waiting = new();
    private readonly Timer _gathered;
    private long _ownThreadFrom;
    private bool _isGathering;
    private bool _isDue;
    private bool _isWriting;
    private bool _isClosed;
    private AuditAppender? _appender;
    private AuditHead? _head;
    private long _nextAnchor;

    /// <param name="store">where it is kept</param>
    /// <param name="chain">the gateway's name</param>
    /// <param name="log">for failures, and from time to time the chain's head: an anchor outside the store</param>
    public AuditLog(GatewayStore store, string chain, ILogger log)
    {
        _store = store;
        _ownThreadFrom = store.IsFile ? 0 : long.MaxValue;
        _chain = AuditRecord.Clean(chain);
        _log = log;
        // a timer would carry the trace of the request at hand to all that it is set for
        using var flow = ExecutionContext.SuppressFlow();
        _gathered = new Timer(static log => ((AuditLog)log!).WriteGathered(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Adds an entry; done when it is on disk.</summary>
    /// <param name="entry">what happened</param>
    /// <param name="mayWait">whether it may wait for others, which the caller knows will come, to be written with them</param>
    /// <exception cref="ClusterException">it can't be written, or too many wait already: what it tells of must not be answered</exception>
    public Task AppendAsync(AuditEntry entry, bool mayWait = false)
    {
        ArgumentNullException.ThrowIfNull(entry);
        var waiting = new Waiting(entry);
        lock (_gate)
        {
            if (_isClosed)
                throw new ClusterException("the audit log is closed: this gateway ends");
            if (_waiting.Count >= MaxWaiting)
                throw new ClusterException($"{MaxWaiting} records wait for the audit log already; try again later");
            _waiting.Enqueue(waiting);
            _isDue |= !mayWait || _waiting.Count >= MaxGathered;
            if (_isWriting || !_isDue)
            {
                Gather();
                return waiting.Written.Task;
            }
            _isWriting = true;
        }
        // by the caller's own thread: to wake another one takes as long as a commit to a file
        if (Environment.TickCount64 >= Interlocked.Read(ref _ownThreadFrom))
            WriteNext();
        else
            WriteNextElsewhere();
        return waiting.Written.Task;
    }

    /// <summary>Whether a thread is at it now.</summary>
    internal bool IsWriting
    {
        get
        {
            lock (_gate)
                return _isWriting;
        }
    }

    /// <summary>Writes what waits and closes.</summary>
    public void Dispose()
    {
        bool isMine;
        lock (_gate)
        {
            if (_isClosed)
                return;
            _isClosed = _isDue = true;
            isMine = !_isWriting && _waiting.Count > 0;
            _isWriting |= isMine;
        }
        if (isMine)
            WriteNext();
        lock (_gate)
        {
            while (_isWriting)
                Monitor.Wait(_gate);
        }
        _gathered.Dispose();
        if (_head is { Sequence: > 0 })
            Anchor(_log, _head.ToString());
        _appender?.Dispose();
    }

    /// <summary>Has what waits written in a while, where nobody does before.</summary>
    private void Gather()
    {
        if (_isGathering || _isDue || _isClosed)
            return;
        _isGathering = true;
        _gathered.Change(GatherFor, Timeout.InfiniteTimeSpan);
    }

    private void WriteGathered()
    {
        lock (_gate)
        {
            _isGathering = false;
            if (_waiting.Count == 0)
                return;
            _isDue = true;
            if (_isWriting)
                return;
            _isWriting = true;
        }
        WriteNext();
    }

    /// <summary>Writes what waits, and has another thread go on where more is due: nobody's answer waits for the records of those who came later.</summary>
    private void WriteNext()
    {
        var batch = new List<Waiting>();
        lock (_gate)
        {
            for (var bytes = 0L; batch.Count < MaxBatch && bytes < MaxBatchBytes && _waiting.TryDequeue(out var next); bytes += next.Bytes)
                batch.Add(next);
            _isDue = _isClosed || _waiting.Count > 0;
        }
        var started = Stopwatch.GetTimestamp();
        WriteBatch(batch);
        if (_store.IsFile && Stopwatch.GetElapsedTime(started) >= Prompt)
            Interlocked.Exchange(ref _ownThreadFrom, Environment.TickCount64 + (long)Wary.TotalMilliseconds);
        bool isMore;
        lock (_gate)
        {
            _isWriting = isMore = _isDue && _waiting.Count > 0;
            if (!isMore)
            {
                if (_waiting.Count > 0)
                    Gather();
                Monitor.PulseAll(_gate);
            }
        }
        if (isMore)
            WriteNextElsewhere();
    }

    private void WriteNextElsewhere() => ThreadPool.UnsafeQueueUserWorkItem(static log => log.WriteNext(), this, preferLocal: false);

    private void WriteBatch(List<Waiting> batch)
    {
        for (var attempt = 1; ; attempt++)
        {
            AuditRecord? last = null;
            try
            {
                _appender ??= new AuditAppender(_store.Connect());
                _head ??= _appender.HeadOf(_chain);
                var records = Chained(batch, _head);
                last = records[^1];
                _appender.Append(records);
                Finish(batch, last);
                return;
            }
#pragma warning disable CA1031 // whatever it is, those who wait must learn of it, and the writer goes on
            catch (Exception exception)
#pragma warning restore CA1031
            {
                Forget();
                // a connection that broke while it committed does not say whether it did
                if (last is not null && IsThere(last))
                {
                    Finish(batch, last);
                    return;
                }
                if (attempt < MaxAttempts && exception is DbException { IsTransient: true } or DbException { SqlState: "23505" } or Microsoft.Data.Sqlite.SqliteException { SqliteErrorCode: 19 })
                    continue;
                Failed(_log, exception, batch.Count);
                foreach (var waiting in batch)
                    waiting.Written.TrySetException(new ClusterException("the audit log can't be written, so nothing is answered; the node's log says more"));
                return;
            }
        }
    }

    private List<AuditRecord> Chained(List<Waiting> batch, AuditHead head)
    {
        var records = new List<AuditRecord>(batch.Count);
        var (sequence, previous) = (head.Sequence, head.Hash);
        foreach (var waiting in batch)
        {
            var record = AuditRecord.Following(_chain, ++sequence, waiting.Entry, previous);
            previous = record.Hash;
            records.Add(record);
        }
        return records;
    }

    private void Finish(List<Waiting> batch, AuditRecord last)
    {
        _head = new AuditHead(_chain, last.Sequence, last.Hash);
        foreach (var waiting in batch)
            waiting.Written.TrySetResult();
        if (Environment.TickCount64 < _nextAnchor)
            return;
        _nextAnchor = Environment.TickCount64 + (long)AnchorInterval.TotalMilliseconds;
        Anchor(_log, _head.ToString());
    }

    private bool IsThere(AuditRecord record)
    {
        try
        {
            using var connection = _store.Connect();
            using var command = GatewayStore.Command(connection, "SELECT hash FROM audit_log WHERE chain = @chain AND sequence = @sequence");
            GatewayStore.Add(command, "chain", System.Data.DbType.String, record.Chain);
            GatewayStore.Add(command, "sequence", System.Data.DbType.Int64, record.Sequence);
            return command.ExecuteScalar() is byte[] hash && record.Hash.Span.SequenceEqual(hash);
        }
        catch (Exception exception) when (exception is DbException or TimeoutException or InvalidOperationException)
        {
            return false;
        }
    }

    private void Forget()
    {
        _appender?.Dispose();
        (_appender, _head) = (null, null);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Audit: {Count} records can't be written, and what they tell of is not answered")]
    private static partial void Failed(ILogger log, Exception exception, int count);

    [LoggerMessage(Level = LogLevel.Information, Message = "Audit: the chain stands at {Head}")]
    private static partial void Anchor(ILogger log, string head);

    private sealed class Waiting(AuditEntry entry)
    {
        public AuditEntry Entry { get; } = entry;

        public TaskCompletionSource Written { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public long Bytes => (Entry.InputData?.Length ?? 0) + (Entry.OutputData?.Length ?? 0) + 512;
    }
}
