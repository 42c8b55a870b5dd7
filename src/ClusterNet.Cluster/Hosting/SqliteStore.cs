using Akka.Configuration;
using Microsoft.Data.Sqlite;

namespace ClusterNet.Cluster.Hosting;

/// <summary>The embedded store: one SQLite file in a data directory that one process at a time may use.</summary>
internal sealed class SqliteStore : INodeStore
{
    private readonly FileStream _lock;

    private SqliteStore(string directory, FileStream held)
    {
        _lock = held;
        Id = ReadId(held);
        Path = System.IO.Path.Combine(directory, "clusternet.db");
    }

    /// <summary>The database file.</summary>
    public string Path { get; }

    /// <summary>What opens it.</summary>
    public string ConnectionString => new SqliteConnectionStringBuilder { DataSource = Path, Cache = SqliteCacheMode.Default, DefaultTimeout = 30 }.ToString();

    /// <inheritdoc/>
    public string Id { get; }

    /// <inheritdoc/>
    public string Description => $"SQLite, {Path}";

    Config INodeStore.Configuration => NodeConfiguration.Store("SQLite.MS", ConnectionString);

    /// <summary>Takes the data directory, which is made if it is not there, and has the database use a write-ahead log.</summary>
    /// <exception cref="ClusterException">another process has it, or it can't be written</exception>
    public static SqliteStore Open(string directory)
    {
        try
        {
            Directory.CreateDirectory(directory);
            var store = new SqliteStore(directory, Lock(directory));
            store.UseWriteAheadLog();
            return store;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or SqliteException)
        {
            throw new ClusterException($"the data directory '{directory}' can't be used: {exception.Message}; name another one with --data-dir", exception);
        }
    }

    /// <summary>Lets the data directory go.</summary>
    public void Dispose()
    {
        SqliteConnection.ClearAllPools();
        _lock.Dispose();
    }

    private static FileStream Lock(string directory)
    {
        var path = System.IO.Path.Combine(directory, "clusternet.lock");
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException exception) when (File.Exists(path))
        {
            throw new ClusterException($"the data directory '{directory}' is in use by another clusternet process; wait until it ends, or name another directory with --data-dir", exception);
        }
    }

    /// <summary>The lock file holds the store's identity, given once.</summary>
    private static string ReadId(FileStream held)
    {
        Span<byte> bytes = stackalloc byte[16];
        if (held.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false) < bytes.Length)
        {
            Guid.NewGuid().TryWriteBytes(bytes);
            held.SetLength(0);
            held.Write(bytes);
            held.Flush();
        }
        return Convert.ToHexStringLower(bytes[..8]);
    }

    private void UseWriteAheadLog()
    {
        using var connection = new SqliteConnection(ConnectionString);
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "PRAGMA journal_mode=WAL; PRAGMA integrity_check(1);";
        using var reader = command.ExecuteReader();
        reader.Read();
        if (reader.NextResult() && reader.Read() && reader.GetString(0) is not "ok" and var fault)
            throw new ClusterException($"the database '{Path}' is damaged: {fault}; restore it from a backup, or name another directory with --data-dir");
    }
}
