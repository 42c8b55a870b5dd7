using System.Globalization;
using Npgsql;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>A database of a test's own on the PostgreSQL that <c>CLUSTERNET_TEST_POSTGRES</c> names.</summary>
internal sealed class PostgresDatabase : IAsyncDisposable
{
    private readonly string _server;
    private readonly string _name;

    private PostgresDatabase(string server, string name)
    {
        (_server, _name) = (server, name);
        ConnectionString = new NpgsqlConnectionStringBuilder(server) { Database = name }.ConnectionString;
    }

    /// <summary>What opens it.</summary>
    public string ConnectionString { get; }

    /// <summary>Makes a database, or skips the test where no server is named.</summary>
    /// <param name="own">another server than that of the tests</param>
    public static async Task<PostgresDatabase> CreateAsync(string? own = null)
    {
        var server = own ?? Environment.GetEnvironmentVariable("CLUSTERNET_TEST_POSTGRES");
        Skip.If(string.IsNullOrEmpty(server), "CLUSTERNET_TEST_POSTGRES names no PostgreSQL");
        var database = new PostgresDatabase(server!, $"clusternet_e2e_{Guid.NewGuid():N}");
        await database.OnServerAsync($"CREATE DATABASE {database._name}");
        return database;
    }

    /// <summary>The latest step of which a shard has saved a checkpoint; 0 where there is none.</summary>
    public async Task<long> LatestCheckpointAsync(string job)
    {
        await using var connection = new NpgsqlConnection(Unpooled(ConnectionString));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("SELECT COALESCE(MAX(sequence_number), 0) FROM snapshot WHERE persistence_id LIKE @shards", connection);
        command.Parameters.AddWithValue("shards", $"shard-{job}-%");
        return Convert.ToInt64(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture);
    }

    /// <summary>What is wrong with the journal: whoever wrote it must have written one history, without a gap and in one order.</summary>
    public async Task<IReadOnlyList<string>> JournalFaultsAsync()
    {
        await using var connection = new NpgsqlConnection(Unpooled(ConnectionString));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(
            "SELECT persistence_id FROM (SELECT persistence_id, sequence_number, row_number() OVER (PARTITION BY persistence_id ORDER BY ordering) AS place FROM journal) AS events "
            + "WHERE sequence_number <> place GROUP BY persistence_id",
            connection);
        await using var reader = await command.ExecuteReaderAsync();
        var faults = new List<string>();
        while (await reader.ReadAsync())
            faults.Add(reader.GetString(0));
        return faults;
    }

    /// <summary>Turns one bit over in the middle of the latest checkpoints of a shard, and gives their steps, the latest first.</summary>
    public async Task<IReadOnlyList<long>> DamageCheckpointsAsync(string job, int shard, int count)
    {
        await using var connection = new NpgsqlConnection(Unpooled(ConnectionString));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(
            "UPDATE snapshot SET snapshot = set_byte(snapshot, length(snapshot) / 2, get_byte(snapshot, length(snapshot) / 2) # 4) WHERE persistence_id = @id "
            + "AND sequence_number IN (SELECT sequence_number FROM snapshot WHERE persistence_id = @id ORDER BY sequence_number DESC LIMIT @count) RETURNING sequence_number",
            connection);
        command.Parameters.AddWithValue("id", string.Create(CultureInfo.InvariantCulture, $"shard-{job}-{shard}"));
        command.Parameters.AddWithValue("count", count);
        await using var reader = await command.ExecuteReaderAsync();
        var steps = new List<long>();
        while (await reader.ReadAsync())
            steps.Add(reader.GetInt64(0));
        return [.. steps.OrderDescending()];
    }

    /// <summary>Drops the database, whoever is still connected.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await OnServerAsync($"DROP DATABASE IF EXISTS {_name} WITH (FORCE)");
        }
        catch (NpgsqlException fault) when (fault is not PostgresException)
        {
            // a server of the test's own that is stopped: the database goes with its folder
        }
    }

    private static string Unpooled(string connectionString) => new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString;

    private async Task OnServerAsync(string statement)
    {
        await using var connection = new NpgsqlConnection(Unpooled(_server));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(statement, connection);
        await command.ExecuteNonQueryAsync();
    }
}
