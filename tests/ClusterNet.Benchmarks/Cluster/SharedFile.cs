using Akka.Configuration;
using ClusterNet.Cluster.Hosting;
using Microsoft.Data.Sqlite;

namespace ClusterNet.Benchmarks.Cluster;

/// <summary>One SQLite file for several nodes: they are on one machine, so that SQLite's locks suffice.</summary>
internal sealed class SharedFile : INodeStore
{
    private readonly string _connectionString;

    public SharedFile(string path)
    {
        _connectionString = new SqliteConnectionStringBuilder { DataSource = path, DefaultTimeout = 30 }.ToString();
        using var connection = new SqliteConnection(_connectionString);
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "PRAGMA journal_mode=WAL;";
        command.ExecuteNonQuery();
    }

    public Config Configuration => NodeConfiguration.Store("SQLite.MS", _connectionString);

    public string Id => "shared";

    public string Description => "a file that the nodes share";

    public void Dispose() => SqliteConnection.ClearAllPools();
}
