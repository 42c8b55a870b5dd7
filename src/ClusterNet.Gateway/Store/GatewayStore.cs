using System.Data.Common;
using System.Globalization;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Hosting;
using Microsoft.Data.Sqlite;
using Npgsql;

namespace ClusterNet.Gateway.Store;

/// <summary>
/// Where gateways keep API keys and the audit log. In a cluster the PostgreSQL database that is its store; else a SQLite file beside the node's own one: a checkpoint that is being written there must not hold up an
/// answer, and commands may read and write it while the gateway runs.
/// </summary>
public sealed class GatewayStore : IDisposable
{
    private const string FileName = "gateway.db";

    // one writes the audit log and stays open, one at a time reads keys, and one is asked whether the store answers: fewer would wait for the first for ever, and more are not needed
    private const int Connections = 4;

    // any number that nobody else takes: gateways that start at the same moment make the tables one after the other
    private const long StartLock = 0x436C75737465474E;

    private const string SqliteTables = """
        PRAGMA journal_mode=WAL;
        CREATE TABLE IF NOT EXISTS gateway_keys (id TEXT PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER, revoked INTEGER, hash BLOB NOT NULL) STRICT;
        CREATE TABLE IF NOT EXISTS audit_log (
          chain TEXT NOT NULL, sequence INTEGER NOT NULL, at INTEGER NOT NULL, actor TEXT NOT NULL, client TEXT, action TEXT NOT NULL, subject TEXT NOT NULL, version INTEGER, weights TEXT,
          input BLOB, output BLOB, outcome TEXT NOT NULL, request TEXT, trace TEXT, input_data BLOB, output_data BLOB, previous BLOB NOT NULL, hash BLOB NOT NULL,
          PRIMARY KEY (chain, sequence)) STRICT;
        CREATE TABLE IF NOT EXISTS audit_heads (chain TEXT PRIMARY KEY, sequence INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
        """;

    private const string PostgresTables = """
        CREATE TABLE IF NOT EXISTS gateway_keys (id TEXT PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL, created BIGINT NOT NULL, expires BIGINT, revoked BIGINT, hash BYTEA NOT NULL);
        CREATE TABLE IF NOT EXISTS audit_log (
          chain TEXT NOT NULL, sequence BIGINT NOT NULL, at BIGINT NOT NULL, actor TEXT NOT NULL, client TEXT, action TEXT NOT NULL, subject TEXT NOT NULL, version BIGINT, weights TEXT,
          input BYTEA, output BYTEA, outcome TEXT NOT NULL, request TEXT, trace TEXT, input_data BYTEA, output_data BYTEA, previous BYTEA NOT NULL, hash BYTEA NOT NULL,
          PRIMARY KEY (chain, sequence));
        CREATE TABLE IF NOT EXISTS audit_heads (chain TEXT PRIMARY KEY, sequence BIGINT NOT NULL, hash BYTEA NOT NULL);
        """;

    private readonly string _connectionString;
    private readonly bool _isPostgres;

    private GatewayStore(string connectionString, bool isPostgres, string description)
    {
        _connectionString = connectionString;
        _isPostgres = isPostgres;
        Description = description;
    }

    /// <summary>Whether it is a file of this machine, which answers at once unless something is wrong.</summary>
    internal bool IsFile => !_isPostgres;

    /// <summary>For people, without secrets.</summary>
    public string Description { get; }

    /// <summary>Opens the store and makes its tables where they are missing.</summary>
    /// <param name="dataDirectory">where the SQLite file is; made if it is not there</param>
    /// <param name="postgres">connection string of the cluster's PostgreSQL database; null for the file</param>
    /// <exception cref="ClusterException">it can't be used</exception>
    public static GatewayStore Open(string dataDirectory, string? postgres)
    {
        var store = postgres is null ? OfFile(dataDirectory) : OfPostgres(postgres, givesUp: true);
        try
        {
            try
            {
                store.MakeTables();
            }
            catch (PostgresException refused) when (PostgresStore.RefusesOptions(refused))
            {
                store = OfPostgres(postgres!, givesUp: false);
                store.MakeTables();
            }
            return store;
        }
        catch (Exception exception) when (exception is DbException or TimeoutException or InvalidOperationException)
        {
            throw new ClusterException($"the gateway's store ({store.Description}) can't be used: {StoreFault.ReasonOf(exception)}; see that it can be written, and that its user may create tables there", exception);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_isPostgres)
            SqliteConnection.ClearAllPools();
    }

    /// <summary>A connection that is open. Commits on it are on disk when they return.</summary>
    internal DbConnection Connect()
    {
        if (_isPostgres)
        {
            var postgres = new NpgsqlConnection(_connectionString);
            postgres.Open();
            return postgres;
        }
        var sqlite = new SqliteConnection(_connectionString);
        sqlite.Open();
        // in WAL mode the usual setting would lose the last commits with the machine's power
        using var command = Command(sqlite, "PRAGMA synchronous=FULL; PRAGMA busy_timeout=10000;");
        command.ExecuteNonQuery();
        return sqlite;
    }

    /// <summary>A transaction that sees one moment, however long it reads, and holds no writer up.</summary>
    internal static DbTransaction BeginSnapshot(DbConnection connection) =>
        connection is SqliteConnection sqlite ? sqlite.BeginTransaction(deferred: true) : connection.BeginTransaction(System.Data.IsolationLevel.RepeatableRead);

    /// <summary>What is wrong with the store's own structure, whatever stands in its rows; empty where nothing is, and for PostgreSQL, which is somebody else's to check.</summary>
    internal static IReadOnlyList<string> FindDamage(DbConnection connection, DbTransaction transaction)
    {
        List<string> damage = [];
        if (connection is not SqliteConnection)
            return damage;
        try
        {
            using var command = Command(connection, "PRAGMA integrity_check(10)", transaction);
            using var reader = command.ExecuteReader();
            while (reader.Read())
                damage.AddRange(reader.GetString(0).Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => line != "ok" && !line.StartsWith("***", StringComparison.Ordinal)));
        }
        catch (SqliteException exception)
        {
            damage.Add(exception.Message);
        }
        return damage;
    }

    /// <summary>A command of this store's own text.</summary>
    internal static DbCommand Command(DbConnection connection, string text, DbTransaction? transaction = null)
    {
        var command = connection.CreateCommand();
#pragma warning disable CA2100 // texts of this program alone; what comes from outside goes by parameters
        command.CommandText = text;
#pragma warning restore CA2100
        command.Transaction = transaction;
        return command;
    }

    /// <summary>A parameter with its type: a null alone does not tell PostgreSQL.</summary>
    internal static DbParameter Add(DbCommand command, string name, System.Data.DbType type, object? value = null)
    {
        var parameter = command.CreateParameter();
        parameter.ParameterName = Named(name);
        parameter.DbType = type;
        parameter.Value = value ?? DBNull.Value;
        command.Parameters.Add(parameter);
        return parameter;
    }

    /// <summary>A parameter's name as statements have it: SQLite's provider would look for it under each of its prefixes first, with each execution.</summary>
    internal static string Named(string name) => $"@{name}";

    private void MakeTables()
    {
        using var connection = Connect();
        if (!_isPostgres)
        {
            using var tables = Command(connection, SqliteTables);
            tables.ExecuteNonQuery();
            return;
        }
        using var transaction = connection.BeginTransaction();
        using var command = Command(connection, string.Create(CultureInfo.InvariantCulture, $"SELECT pg_advisory_xact_lock({StartLock});{PostgresTables}"), transaction);
        command.ExecuteNonQuery();
        transaction.Commit();
    }

    private static GatewayStore OfFile(string dataDirectory)
    {
        var path = Path.Combine(dataDirectory, FileName);
        try
        {
            Directory.CreateDirectory(dataDirectory);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ClusterException($"the data directory '{dataDirectory}' can't be used: {exception.Message}; name another one with --data-dir", exception);
        }
        return new GatewayStore(new SqliteConnectionStringBuilder { DataSource = path, DefaultTimeout = 30 }.ToString(), false, $"SQLite, {path}");
    }

    private static GatewayStore OfPostgres(string connectionString, bool givesUp)
    {
        if (PostgresStore.Fault(connectionString) is { } fault)
            throw new Core.Faults.InputException("store.postgres", fault);
        var builder = new NpgsqlConnectionStringBuilder(connectionString) { PersistSecurityInfo = false, ApplicationName = "clusternet gateway", Timeout = 15, MinPoolSize = 0, MaxPoolSize = Connections };
        if (givesUp)
            builder = PostgresStore.GivingUp(builder);
        return new GatewayStore(builder.ConnectionString, true, string.Create(CultureInfo.InvariantCulture, $"PostgreSQL, {builder.Host}:{builder.Port}/{builder.Database}"));
    }
}
