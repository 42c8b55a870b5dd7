using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Tests;
using Npgsql;

namespace ClusterNet.Cluster.Tests.Hosting;

/// <summary>How a node connects to PostgreSQL: what it holds when it is lost is given up before long, also where a pooler takes no options.</summary>
public sealed class PostgresStoreTests
{
    [SkippableFact]
    public async Task A_transaction_of_a_node_that_is_lost_is_given_up_by_the_server()
    {
        await using var database = await PostgresDatabase.CreateAsync();
        using var store = await PostgresStore.OpenAsync(database.ConnectionString + ";Options=-c work_mem=5MB", default);
        await using var lost = await ConnectAsync(store);
        await using var successor = await ConnectAsync(store);
        Assert.Equal("5MB", await AskAsync(lost, "SHOW work_mem"));
        const string Event = "INSERT INTO journal (created, deleted, persistence_id, sequence_number, message) VALUES (0, false, 'job', 1, '') RETURNING persistence_id";
        await AskAsync(lost, "BEGIN");
        Assert.Equal("job", await AskAsync(lost, Event));
        // its COMMIT never comes, and the connection stays as after a cable that was pulled: the same key waits until the server has enough
        Assert.Equal("job", await AskAsync(successor, Event));
    }

    [Theory]
    [InlineData("", 10)]
    [InlineData(";Maximum Pool Size=3", 3)]
    [InlineData(";MaxPoolSize=200", 200)]
    [InlineData(";Minimum Pool Size=20", 20)]
    public void A_node_holds_few_connections_unless_it_is_told_how_many(string more, int most) =>
        Assert.Equal(most, PostgresStore.Sparing(new NpgsqlConnectionStringBuilder("Host=h;Database=d;Username=u" + more)).MaxPoolSize);

    [SkippableFact]
    public async Task What_many_ask_at_once_waits_its_turn()
    {
        await using var database = await PostgresDatabase.CreateAsync();
        using var store = await PostgresStore.OpenAsync(new NpgsqlConnectionStringBuilder(database.ConnectionString) { Pooling = true }.ConnectionString, default);
        var asked = await Task.WhenAll(Enumerable.Range(0, 40).Select(async _ =>
        {
            await using var connection = await ConnectAsync(store);
            return await AskAsync(connection, "SELECT count(*)::text FROM pg_stat_activity, pg_sleep(0.02) WHERE datname = current_database()");
        }));
        await using (var one = await ConnectAsync(store))
            NpgsqlConnection.ClearPool(one);
        Assert.All(asked, count => Assert.InRange(int.Parse(count!, CultureInfo.InvariantCulture), 1, 10));
    }

    [Fact]
    public async Task A_pooler_that_takes_no_options_is_asked_without_them()
    {
        using var pooler = new TcpListener(IPAddress.Loopback, 0);
        pooler.Start();
        var asked = new List<string>();
        var serving = Task.Run(async () =>
        {
            // Npgsql may try each way more than once
            do
            {
                using var client = await pooler.AcceptTcpClientAsync();
                var stream = client.GetStream();
                asked.Add(await ReadStartupAsync(stream));
                await stream.WriteAsync(Error(asked[^1].Contains("options", StringComparison.Ordinal) ? "08P01" : "3D000"));
            }
            while (asked[^1].Contains("options", StringComparison.Ordinal));
            pooler.Stop();
        });
        var port = ((IPEndPoint)pooler.LocalEndpoint).Port;
        var refused = await Assert.ThrowsAsync<ClusterException>(
            () => PostgresStore.OpenAsync($"Host=127.0.0.1;Port={port};Database=d;Username=u;Password=p;SSL Mode=Disable;Pooling=false", default));
        // it ends when somebody has asked without
        await serving.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Contains("can't be used", refused.Message, StringComparison.Ordinal);
        Assert.Contains("idle_in_transaction_session_timeout", asked[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_is_starting_is_asked_again()
    {
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        var serving = Task.Run(async () =>
        {
            foreach (var code in new[] { "57P03", "3D000" })
            {
                using var client = await server.AcceptTcpClientAsync();
                var stream = client.GetStream();
                await ReadStartupAsync(stream);
                await stream.WriteAsync(Error(code));
            }
            server.Stop();
        });
        var port = ((IPEndPoint)server.LocalEndpoint).Port;
        var refused = await Assert.ThrowsAsync<ClusterException>(
            () => PostgresStore.OpenAsync($"Host=127.0.0.1;Port={port};Database=d;Username=u;Password=p;SSL Mode=Disable;Pooling=false", default));
        await serving.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Contains("refused with 3D000", refused.Message, StringComparison.Ordinal);
    }

    private static async Task<NpgsqlConnection> ConnectAsync(PostgresStore store)
    {
        var connection = new NpgsqlConnection(store.Configuration.GetString("akka.persistence.journal.sql.connection-string"));
        await connection.OpenAsync();
        return connection;
    }

    private static async Task<string?> AskAsync(NpgsqlConnection connection, string text)
    {
#pragma warning disable CA2100 // a test's own text
        await using var command = new NpgsqlCommand(text, connection) { CommandTimeout = 120 };
#pragma warning restore CA2100
        return (string?)await command.ExecuteScalarAsync();
    }

    /// <summary>The first message that is not a request for encryption (those are of eight bytes, and are denied).</summary>
    private static async Task<string> ReadStartupAsync(NetworkStream stream)
    {
        var start = new byte[8];
        while (true)
        {
            await stream.ReadExactlyAsync(start);
            var length = BinaryPrimitives.ReadInt32BigEndian(start);
            if (length > 8)
            {
                var rest = new byte[length - 8];
                await stream.ReadExactlyAsync(rest);
                return Encoding.UTF8.GetString(rest);
            }
            await stream.WriteAsync("N"u8.ToArray());
        }
    }

    private static byte[] Error(string code)
    {
        var fields = Encoding.UTF8.GetBytes($"SFATAL\0VFATAL\0C{code}\0Mrefused with {code}\0\0");
        var message = new byte[fields.Length + 5];
        message[0] = (byte)'E';
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), fields.Length + 4);
        fields.CopyTo(message, 5);
        return message;
    }
}
