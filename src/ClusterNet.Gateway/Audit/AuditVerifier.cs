using ClusterNet.Cluster;
using ClusterNet.Gateway.Store;

namespace ClusterNet.Gateway.Audit;

/// <summary>Something that is wrong with the audit log.</summary>
/// <param name="Chain">where</param>
/// <param name="Sequence">the record, or the first that is missing</param>
/// <param name="Message">what is wrong</param>
public sealed record AuditFault(string Chain, long Sequence, string Message)
{
    /// <inheritdoc/>
    public override string ToString() => FormattableString.Invariant($"{Chain}@{Sequence}: {Message}");
}

/// <summary>What a verification found.</summary>
/// <param name="Records">looked at</param>
/// <param name="Heads">of the chains as their records have them: kept elsewhere, they are what a later verification can hold the log to</param>
/// <param name="Faults">all that is wrong, at most a hundred</param>
public sealed record AuditReport(long Records, IReadOnlyList<AuditHead> Heads, IReadOnlyList<AuditFault> Faults)
{
    /// <summary>What is wrong with the database file itself, its indexes among it.</summary>
    public IReadOnlyList<string> Damage { get; init; } = [];

    /// <summary>Whether everything is as it was written.</summary>
    public bool IsWhole => Faults.Count == 0 && Damage.Count == 0;
}

/// <summary>
/// Verifies the audit log: each record's hash, that records follow each other, and that each chain ends where its head says. What changes a record, takes one out of the middle, adds one or cuts the end off is seen. Who can
/// write to the store and computes all hashes again from there on, the head's too, is seen only by a head that was kept elsewhere: in the node's log, or from an earlier verification.
/// </summary>
public static class AuditVerifier
{
    private const int MaxFaults = 100;

    /// <summary>Reads everything.</summary>
    /// <param name="store">where the log is</param>
    /// <param name="expected">heads that were kept elsewhere: these records must be there as they were</param>
    /// <param name="cancel">gives up</param>
    /// <exception cref="ClusterException">the store does not answer</exception>
    public static AuditReport Verify(GatewayStore store, IReadOnlyList<AuditHead> expected, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(expected);
        using var connection = store.Connect();
        using var transaction = GatewayStore.BeginSnapshot(connection);
        var (heads, records) = AuditTable.ReadTogether(store, connection, transaction);
        var state = new State(expected);
        foreach (var record in records)
        {
            cancel.ThrowIfCancellationRequested();
            state.Add(record);
        }
        return state.Finish(heads) with { Damage = GatewayStore.FindDamage(connection, transaction) };
    }

    private sealed class State(IReadOnlyList<AuditHead> expected)
    {
        private readonly List<AuditFault> _faults = [];
        private readonly Dictionary<string, AuditHead> _heads = new(StringComparer.Ordinal);
        private readonly HashSet<AuditHead> _met = [];
        private AuditHead? _last;
        private long _records;

        public void Add(AuditRecord record)
        {
            _records++;
            if (_last is null || _last.Chain != record.Chain)
                _last = new AuditHead(record.Chain, 0, AuditRecord.Start);
            if (record.Sequence != _last.Sequence + 1)
                Fault(record.Chain, _last.Sequence + 1, $"missing: after {_last.Sequence} comes {record.Sequence}");
            else if (!record.Previous.Span.SequenceEqual(_last.Hash.Span))
                Fault(record.Chain, record.Sequence, "does not follow the record before it: one of the two was changed");
            if (!record.Hash.Span.SequenceEqual(AuditRecord.HashOf(record.Chain, record.Sequence, record.Entry, record.Previous.Span)))
                Fault(record.Chain, record.Sequence, "was changed: its hash is not that of what it says");
            foreach (var head in expected.Where(head => head.Chain == record.Chain && head.Sequence == record.Sequence))
            {
                _met.Add(head);
                if (!head.Hash.Span.SequenceEqual(record.Hash.Span))
                    Fault(record.Chain, record.Sequence, "is another record than the one that is expected there: the chain was written anew");
            }
            _last = new AuditHead(record.Chain, record.Sequence, record.Hash);
            _heads[record.Chain] = _last;
        }

        public AuditReport Finish(IReadOnlyList<AuditHead> stored)
        {
            foreach (var head in stored)
            {
                if (!_heads.TryGetValue(head.Chain, out var last))
                    Fault(head.Chain, 1, $"missing: the chain's head tells of {head.Sequence} records, and none is there");
                else if (last.Sequence < head.Sequence)
                    Fault(head.Chain, last.Sequence + 1, $"missing: the chain's head tells of {head.Sequence} records");
                else if (last.Sequence > head.Sequence || !last.Hash.Span.SequenceEqual(head.Hash.Span))
                    Fault(head.Chain, head.Sequence, "is not what the chain's head tells of: one of the two was changed");
            }
            foreach (var chain in _heads.Keys.Except(stored.Select(head => head.Chain)))
                Fault(chain, _heads[chain].Sequence, "the chain has no head: it was deleted, or the chain was given another name");
            foreach (var head in expected.Where(head => !_met.Contains(head) && head.Sequence > 0))
                Fault(head.Chain, head.Sequence, "missing, though it is expected");
            return new AuditReport(_records, [.. _heads.Values], _faults);
        }

        private void Fault(string chain, long sequence, string message)
        {
            if (_faults.Count < MaxFaults)
                _faults.Add(new AuditFault(chain, sequence, message));
        }
    }
}
