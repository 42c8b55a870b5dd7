using System.Data;
using System.Data.Common;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Gateway.Store;

namespace ClusterNet.Gateway.Audit;

/// <summary>The audit log's tables: records by chain and sequence, and beside them the head of each chain.</summary>
public static class AuditTable
{
    private const string Columns = "chain, sequence, at, actor, client, action, subject, version, weights, input, output, outcome, request, trace, input_data, output_data, previous, hash";

    /// <summary>Adds a record.</summary>
    internal const string InsertText =
        $"INSERT INTO audit_log ({Columns}) VALUES (@chain, @sequence, @at, @actor, @client, @action, @subject, @version, @weights, @input, @output, @outcome, @request, @trace, @input_data, @output_data, @previous, @hash)";

    /// <summary>The heads of all chains, as they stand beside the records.</summary>
    /// <exception cref="ClusterException">the store does not answer</exception>
    public static IReadOnlyList<AuditHead> Heads(GatewayStore store)
    {
        ArgumentNullException.ThrowIfNull(store);
        return Try(store, () =>
        {
            using var connection = store.Connect();
            using var command = GatewayStore.Command(connection, "SELECT chain, sequence, hash FROM audit_heads ORDER BY chain");
            using var reader = command.ExecuteReader();
            var heads = new List<AuditHead>();
            while (reader.Read())
                heads.Add(new AuditHead(reader.GetString(0), reader.GetInt64(1), reader.GetFieldValue<byte[]>(2)));
            return heads;
        });
    }

    /// <summary>All records, each chain in its order, one after the other, as they were when the reading began.</summary>
    /// <exception cref="ClusterException">the store does not answer</exception>
    public static IEnumerable<AuditRecord> Read(GatewayStore store)
    {
        ArgumentNullException.ThrowIfNull(store);
        using var connection = Try(store, store.Connect);
        foreach (var record in Read(store, connection, null))
            yield return record;
    }

    /// <summary>Heads and records of one moment, although the log goes on meanwhile.</summary>
    internal static (IReadOnlyList<AuditHead> Heads, IEnumerable<AuditRecord> Records) ReadTogether(GatewayStore store, DbConnection connection, DbTransaction transaction)
    {
        using var command = GatewayStore.Command(connection, "SELECT chain, sequence, hash FROM audit_heads ORDER BY chain", transaction);
        var heads = Try(store, () =>
        {
            using var reader = command.ExecuteReader();
            var read = new List<AuditHead>();
            while (reader.Read())
                read.Add(new AuditHead(reader.GetString(0), reader.GetInt64(1), reader.GetFieldValue<byte[]>(2)));
            return read;
        });
        return (heads, Read(store, connection, transaction));
    }

    /// <summary>The head of a chain as the records have it; before the first where it has none.</summary>
    internal static AuditHead HeadOf(DbConnection connection, string chain)
    {
        using var command = GatewayStore.Command(connection, "SELECT sequence, hash FROM audit_log WHERE chain = @chain ORDER BY sequence DESC LIMIT 1");
        GatewayStore.Add(command, "chain", DbType.String, chain);
        using var reader = command.ExecuteReader();
        return reader.Read() ? new AuditHead(chain, reader.GetInt64(0), reader.GetFieldValue<byte[]>(1)) : new AuditHead(chain, 0, AuditRecord.Start);
    }

    /// <summary>Those of <see cref="InsertText"/>.</summary>
    internal static DbParameter[] Parameters(Func<DbParameter> create, DbParameterCollection parameters)
    {
        return
        [
            .. Columns.Split(", ").Select(Add),
        ];

        DbParameter Add(string name)
        {
            var parameter = create();
            parameter.ParameterName = GatewayStore.Named(name);
            parameter.DbType = name switch
            {
                "sequence" or "at" or "version" => DbType.Int64,
                "input" or "output" or "input_data" or "output_data" or "previous" or "hash" => DbType.Binary,
                _ => DbType.String,
            };
            parameters.Add(parameter);
            return parameter;
        }
    }

    /// <summary>Gives them a record's values.</summary>
    internal static void Fill(DbParameter[] parameters, AuditRecord record)
    {
        var entry = record.Entry;
        object?[] values =
        [
            record.Chain, record.Sequence, AuditRecord.Microseconds(entry.At), entry.Actor, entry.Client, entry.Action, entry.Subject, entry.Version, entry.Weights,
            entry.Input?.ToArray(), entry.Output?.ToArray(), entry.Outcome, entry.Request, entry.Trace, entry.InputData?.ToArray(), entry.OutputData?.ToArray(), record.Previous.ToArray(), record.Hash.ToArray(),
        ];
        for (var i = 0; i < values.Length; i++)
            parameters[i].Value = values[i] ?? DBNull.Value;
    }

    private static IEnumerable<AuditRecord> Read(GatewayStore store, DbConnection connection, DbTransaction? transaction)
    {
        using var command = GatewayStore.Command(connection, $"SELECT {Columns} FROM audit_log ORDER BY chain, sequence", transaction);
        using var reader = Try(store, command.ExecuteReader);
        while (Try(store, reader.Read))
            yield return Try(store, () => Record(reader));
    }

    private static AuditRecord Record(DbDataReader reader)
    {
        return new AuditRecord(
            reader.GetString(0),
            reader.GetInt64(1),
            new AuditEntry(AuditRecord.Moment(reader.GetInt64(2)), reader.GetString(3), reader.GetString(5), reader.GetString(6), reader.GetString(11))
            {
                Client = Text(4),
                Version = reader.IsDBNull(7) ? null : reader.GetInt64(7),
                Weights = Text(8),
                Input = Bytes(9),
                Output = Bytes(10),
                Request = Text(12),
                Trace = Text(13),
                InputData = Bytes(14),
                OutputData = Bytes(15),
            },
            reader.GetFieldValue<byte[]>(16),
            reader.GetFieldValue<byte[]>(17));

        string? Text(int column) => reader.IsDBNull(column) ? null : reader.GetString(column);

        // by an if: a conditional expression would turn null into an empty memory
        ReadOnlyMemory<byte>? Bytes(int column)
        {
            if (reader.IsDBNull(column))
                return null;
            return reader.GetFieldValue<byte[]>(column);
        }
    }

    private static T Try<T>(GatewayStore store, Func<T> body)
    {
        try
        {
            return body();
        }
        catch (Exception exception) when (exception is DbException or TimeoutException or InvalidCastException or InvalidOperationException)
        {
            throw new ClusterException($"the audit log ({store.Description}) can't be read: {StoreFault.ReasonOf(exception)}", exception);
        }
    }
}
