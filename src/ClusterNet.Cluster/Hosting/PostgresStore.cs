using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Akka.Configuration;
using Npgsql;

namespace ClusterNet.Cluster.Hosting;

/// <summary>The store of a cluster of many nodes: one PostgreSQL database.</summary>
internal sealed class PostgresStore : INodeStore
{
    // any number that nobody else takes: nodes that start at the same moment make the tables one after the other
    private const long StartLock = 0x436C75737465724E;
    private const int ConnectSeconds = 15;

    // a server has 100 by default for all its clients; what a node asks at once beyond these waits its turn
    private const int MostConnections = 10;

    // a node whose cable was pulled in the middle of a transaction keeps its locks until the server gives it up, by itself after hours: whoever goes on with its job would wait for them
    private const string GivesUp = "-c idle_in_transaction_session_timeout=20s";

    private static readonly TimeSpan _retryAfter = TimeSpan.FromMilliseconds(500);

    private readonly string _connectionString;

    private PostgresStore(NpgsqlConnectionStringBuilder builder, string id)
    {
        _connectionString = builder.ConnectionString;
        Id = id;
        Description = string.Create(CultureInfo.InvariantCulture, $"PostgreSQL, {builder.Host}:{builder.Port}/{builder.Database}");
    }

    public string Id { get; }

    public string Description { get; }

    public Config Configuration => NodeConfiguration.Store("PostgreSQL.15", _connectionString, makesTables: false);

    /// <summary>What is wrong with a connection string; null where nothing is. Never repeats it: it holds a password.</summary>
    public static string? Fault(string connectionString)
    {
        const string Right = "give Host=...;Database=...;Username=...;Password=...";
        try
        {
            var builder = new NpgsqlConnectionStringBuilder(connectionString);
            return builder switch
            {
                { Host: null or "" } => $"names no Host; {Right}",
                { Database: null or "" } => $"names no Database; {Right}",
                { Username: null or "" } => $"names no Username; {Right}",
                _ => null,
            };
        }
        catch (Exception error) when (error is ArgumentException or FormatException or InvalidCastException or OverflowException or NotSupportedException)
        {
            return $"not a connection string of PostgreSQL; {Right}";
        }
    }

    /// <summary>The same, for sessions whose open transactions the server gives up when their client falls silent. What the user's own options say comes last, and counts.</summary>
    public static NpgsqlConnectionStringBuilder GivingUp(NpgsqlConnectionStringBuilder given) =>
        new(given.ConnectionString) { Options = string.IsNullOrEmpty(given.Options) ? GivesUp : $"{GivesUp} {given.Options}" };

    /// <summary>The same, with few connections at a time, unless the user says how many.</summary>
    public static NpgsqlConnectionStringBuilder Sparing(NpgsqlConnectionStringBuilder given)
    {
        var sparing = new NpgsqlConnectionStringBuilder(given.ConnectionString);
        if (!sparing.ShouldSerialize("Maximum Pool Size"))
            sparing.MaxPoolSize = Math.Max(MostConnections, sparing.MinPoolSize);
        return sparing;
    }

    /// <summary>Whether it was a protocol violation to ask for that: poolers in front of a server say so. Then there is nothing but to do without.</summary>
    public static bool RefusesOptions(PostgresException refused) => refused.SqlState == PostgresErrorCodes.ProtocolViolation;

    /// <summary>Connects and makes the tables where they are missing.</summary>
    /// <exception cref="ClusterException">the database does not answer or refuses</exception>
    public static async Task<PostgresStore> OpenAsync(string connectionString, CancellationToken cancel)
    {
        var builder = Sparing(new NpgsqlConnectionStringBuilder(connectionString) { PersistSecurityInfo = false, ApplicationName = "clusternet" });
        var place = string.Create(CultureInfo.InvariantCulture, $"{builder.Host}:{builder.Port}/{builder.Database}");
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        patience.CancelAfter(TimeSpan.FromSeconds(ConnectSeconds));
        NpgsqlException? passing = null;
        try
        {
            var asked = GivingUp(builder);
            while (true)
            {
                try
                {
                    return await OpenAsync(asked, patience.Token).ConfigureAwait(false);
                }
                catch (PostgresException refused) when (asked != builder && RefusesOptions(refused))
                {
                    asked = builder;
                }
                catch (NpgsqlException exception) when (IsPassing(exception))
                {
                    passing = exception;
                    await Task.Delay(_retryAfter, patience.Token).ConfigureAwait(false);
                }
            }
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException || (exception is OperationCanceledException && !cancel.IsCancellationRequested))
        {
            // Npgsql keeps passwords out of its messages
            var reason = (exception is OperationCanceledException && passing is not null ? passing : exception) switch
            {
                OperationCanceledException => $"no answer within {ConnectSeconds} s",
                var other => StoreFault.ReasonOf(other),
            };
            throw new ClusterException($"the store PostgreSQL {place} can't be used: {reason}; see that it runs, that the database is there and that its user may create tables in it");
        }
    }

    public void Dispose()
    {
    }

    /// <summary>Whether it may be otherwise in a moment: a machine that has just come up, or got its network back, finds no way to others yet, and a server takes nobody while it starts, or while it has the connections of the nodes before.</summary>
    private static bool IsPassing(NpgsqlException exception) => exception switch
    {
        PostgresException { SqlState: PostgresErrorCodes.CannotConnectNow or PostgresErrorCodes.TooManyConnections } => true,
        { InnerException: SocketException { SocketErrorCode: SocketError.HostUnreachable or SocketError.NetworkUnreachable or SocketError.HostDown or SocketError.NetworkDown or SocketError.TryAgain } } => true,
        _ => false,
    };

    private static async Task<PostgresStore> OpenAsync(NpgsqlConnectionStringBuilder builder, CancellationToken cancel)
    {
        await using var connection = new NpgsqlConnection(builder.ConnectionString);
        await connection.OpenAsync(cancel).ConfigureAwait(false);
        return new PostgresStore(builder, await PrepareAsync(connection, cancel).ConfigureAwait(false));
    }

    private static async Task<string> PrepareAsync(NpgsqlConnection connection, CancellationToken cancel)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancel).ConfigureAwait(false);
        await using var command = new NpgsqlCommand(string.Create(CultureInfo.InvariantCulture, $"SELECT pg_advisory_xact_lock({StartLock})"), connection, transaction);
        await command.ExecuteNonQueryAsync(cancel).ConfigureAwait(false);
        command.CommandText = Tables();
        await command.ExecuteNonQueryAsync(cancel).ConfigureAwait(false);
        command.CommandText = "INSERT INTO clusternet_store (id) SELECT @id WHERE NOT EXISTS (SELECT FROM clusternet_store)";
        command.Parameters.AddWithValue("id", Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8)));
        await command.ExecuteNonQueryAsync(cancel).ConfigureAwait(false);
        command.Parameters.Clear();
        command.CommandText = "SELECT id FROM clusternet_store";
        var id = (string)(await command.ExecuteScalarAsync(cancel).ConfigureAwait(false))!;
        await transaction.CommitAsync(cancel).ConfigureAwait(false);
        return id;
    }

    private static string Tables()
    {
        using var stream = typeof(PostgresStore).Assembly.GetManifestResourceStream("postgres.sql")!;
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
