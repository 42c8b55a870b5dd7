using System.Globalization;
using Npgsql;

namespace ClusterNet.Tests;

/// <summary>A database of a test's own on the PostgreSQL server that <c>CLUSTERNET_TEST_POSTGRES</c> names; gone with it.</summary>
internal sealed class PostgresDatabase : IAsyncDisposable
{
    public const string Variable = "CLUSTERNET_TEST_POSTGRES";
    private readonly string _server;

    private PostgresDatabase(string server, string name)
    {
        _server = server;
        ConnectionString = new NpgsqlConnectionStringBuilder(server) { Database = name, Pooling = false }.ConnectionString;
        Name = name;
    }

    public string Name { get; }

    public string ConnectionString { get; }

    /// <summary>Makes it; skips the test where there is no server.</summary>
    public static async Task<PostgresDatabase> CreateAsync()
    {
        var server = Environment.GetEnvironmentVariable(Variable);
        Skip.If(string.IsNullOrEmpty(server), $"{Variable} names no PostgreSQL server");
        var name = string.Create(CultureInfo.InvariantCulture, $"clusternet_{Guid.NewGuid():n}");
        await RunAsync(server!, $"CREATE DATABASE {name}");
        return new PostgresDatabase(server!, name);
    }

    /// <summary>Runs a command in it and gives the first value of what it answers.</summary>
    public Task<object?> AskAsync(string command) => RunAsync(ConnectionString, command);

    public async ValueTask DisposeAsync()
    {
        NpgsqlConnection.ClearAllPools();
        await RunAsync(_server, $"DROP DATABASE IF EXISTS {Name} WITH (FORCE)");
    }

    private static async Task<object?> RunAsync(string connectionString, string text)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync();
#pragma warning disable CA2100 // a test's own text
        await using var command = new NpgsqlCommand(text, connection);
#pragma warning restore CA2100
        return await command.ExecuteScalarAsync();
    }
}
