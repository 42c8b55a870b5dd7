using System.Data;
using System.Data.Common;
using ClusterNet.Gateway.Store;

namespace ClusterNet.Gateway.Audit;

/// <summary>A connection that records are added by. Its commands are made once: making them anew took longer than what they do.</summary>
internal sealed class AuditAppender : IDisposable
{
    private const string HeadText =
        "INSERT INTO audit_heads (chain, sequence, hash) VALUES (@chain, @sequence, @hash) ON CONFLICT (chain) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash";

    private readonly DbConnection _connection;
    private readonly DbCommand _insert;
    private readonly DbParameter[] _values;
    private readonly DbCommand _moveHead;
    private readonly DbParameter[] _head;

    public AuditAppender(DbConnection connection)
    {
        _connection = connection;
        _insert = GatewayStore.Command(connection, AuditTable.InsertText);
        _values = AuditTable.Parameters(_insert.CreateParameter, _insert.Parameters);
        _moveHead = GatewayStore.Command(connection, HeadText);
        _head =
        [
            GatewayStore.Add(_moveHead, "chain", DbType.String),
            GatewayStore.Add(_moveHead, "sequence", DbType.Int64),
            GatewayStore.Add(_moveHead, "hash", DbType.Binary),
        ];
        if (!connection.CanCreateBatch)
            _insert.Prepare();
        _moveHead.Prepare();
    }

    /// <summary>The head of a chain as the records have it; before the first where it has none.</summary>
    public AuditHead HeadOf(string chain) => AuditTable.HeadOf(_connection, chain);

    /// <summary>Adds records and moves their chain's head, all or nothing, on disk when it returns. Who has another idea of the chain's head fails: each sequence number is there once.</summary>
    public void Append(IReadOnlyList<AuditRecord> records)
    {
        using var transaction = _connection.BeginTransaction();
        if (_connection.CanCreateBatch)
            InsertTogether(transaction, records);
        else
            InsertEach(transaction, records);
        var last = records[^1];
        _moveHead.Transaction = transaction;
        (_head[0].Value, _head[1].Value, _head[2].Value) = (last.Chain, last.Sequence, last.Hash.ToArray());
        _moveHead.ExecuteNonQuery();
        transaction.Commit();
    }

    public void Dispose()
    {
        _insert.Dispose();
        _moveHead.Dispose();
        _connection.Dispose();
    }

    private void InsertEach(DbTransaction transaction, IReadOnlyList<AuditRecord> records)
    {
        _insert.Transaction = transaction;
        foreach (var record in records)
        {
            AuditTable.Fill(_values, record);
            _insert.ExecuteNonQuery();
        }
    }

    /// <summary>In one round trip, where the database is elsewhere.</summary>
    private void InsertTogether(DbTransaction transaction, IReadOnlyList<AuditRecord> records)
    {
        using var batch = _connection.CreateBatch();
        batch.Transaction = transaction;
        foreach (var record in records)
        {
            var insert = batch.CreateBatchCommand();
#pragma warning disable CA2100 // a constant
            insert.CommandText = AuditTable.InsertText;
#pragma warning restore CA2100
            AuditTable.Fill(AuditTable.Parameters(insert.CreateParameter, insert.Parameters), record);
            batch.BatchCommands.Add(insert);
        }
        batch.ExecuteNonQuery();
    }
}
