using System.Buffers;
using System.Security.Claims;
using System.Text;
using System.Text.Json;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;
using ClusterNet.Gateway.Audit;
using ClusterNet.Gateway.Inference;
using ClusterNet.Gateway.Store;
using ClusterNet.Tests;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;

namespace ClusterNet.Gateway.Tests.Serving;

/// <summary>What was written to the audit log can't be changed unseen, and what was acknowledged is there.</summary>
public sealed class AuditTests : IDisposable
{
    private const int Records = 12;
    private static readonly string[] _columns =
        ["chain", "sequence", "at", "actor", "client", "action", "subject", "version", "weights", "input", "output", "outcome", "request", "trace", "input_data", "output_data", "previous", "hash"];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("clusternet-audit-");
    private readonly GatewayStore _store;

    public AuditTests() => _store = GatewayStore.Open(_folder.FullName, null);

    public void Dispose()
    {
        _store.Dispose();
        _folder.Delete(true);
    }

    [Fact]
    public async Task An_untouched_log_is_whole()
    {
        var head = await FillAsync();
        var report = AuditVerifier.Verify(_store, [head]);
        Assert.Empty(report.Faults);
        Assert.Equal(Records, report.Records);
        Assert.Equal(head.ToString(), report.Heads.Single().ToString());
        Assert.True(AuditHead.TryParse(head.ToString(), out var read) && read.ToString() == head.ToString());
    }

    /// <summary>Every column of every record, at places that follow from the position; what is null becomes a value.</summary>
    [Fact]
    public async Task Any_byte_that_changes_is_found()
    {
        await FillAsync();
        for (var sequence = 1; sequence <= Records; sequence++)
        {
            foreach (var column in _columns)
            {
                var at = $"chain = 'gateway' AND sequence = {sequence}";
                Tamper("audit_log", column, at, sequence * 7, () => Assert.True(AuditVerifier.Verify(_store, []).Faults.Count > 0, $"{column} of {sequence}"));
            }
        }
        foreach (var column in new[] { "chain", "sequence", "hash" })
            Tamper("audit_heads", column, "chain = 'gateway'", 3, () => Assert.True(AuditVerifier.Verify(_store, []).Faults.Count > 0, $"{column} of the head"));
        Assert.Empty(AuditVerifier.Verify(_store, []).Faults);
    }

    /// <summary>Bytes of the file, not of columns: of headers, indexes and pointers too. What is not found is empty space, where nothing that can be read changes.</summary>
    [Fact]
    public async Task Any_byte_of_the_file_that_changes_what_can_be_read_or_how_is_found()
    {
        await FillAsync();
        _store.Dispose();
        var file = await File.ReadAllBytesAsync(Path.Combine(_folder.FullName, "gateway.db"));
        var (expected, random) = (Rows(_folder.FullName), new Random(1));
        var (found, elsewhere) = (0, 0);
        for (var i = 0; i < 2000; i++)
        {
            var (at, bit) = (random.Next(file.Length), 1 << random.Next(8));
            var folder = _folder.CreateSubdirectory($"changed-{i}").FullName;
            var changed = (byte[])file.Clone();
            changed[at] ^= (byte)bit;
            await File.WriteAllBytesAsync(Path.Combine(folder, "gateway.db"), changed);
            if (!IsWhole(folder))
                found++;
            else if (Rows(folder) is var rows && rows == expected)
                elsewhere++;
            else
                Assert.Fail($"byte {at} with bit {bit}: {rows}");
        }
        Assert.True(found > 200 && elsewhere > 0, $"{found} found, {elsewhere} without effect");
    }

    [Theory]
    [InlineData("DELETE FROM audit_log WHERE sequence = 1")]
    [InlineData("DELETE FROM audit_log WHERE sequence = 5")]
    [InlineData("DELETE FROM audit_log WHERE sequence = 12")]
    [InlineData("DELETE FROM audit_log WHERE sequence > 3")]
    [InlineData("DELETE FROM audit_log")]
    [InlineData("DELETE FROM audit_heads")]
    [InlineData("DELETE FROM audit_log WHERE sequence = 5; UPDATE audit_log SET sequence = sequence - 1 WHERE sequence > 5")]
    [InlineData("UPDATE audit_log SET sequence = -sequence WHERE sequence IN (4, 5); UPDATE audit_log SET sequence = 9 + sequence WHERE sequence < 0")]
    [InlineData("INSERT INTO audit_log SELECT 'gateway', 13, at, actor, client, action, subject, version, weights, input, output, outcome, request, trace, input_data, output_data, previous, hash FROM audit_log WHERE sequence = 12")]
    public async Task What_is_taken_out_put_in_or_moved_is_found(string sql)
    {
        await FillAsync();
        Execute(sql);
        Assert.NotEmpty(AuditVerifier.Verify(_store, []).Faults);
    }

    [Fact]
    public async Task A_log_that_was_computed_anew_from_the_start_is_found_by_a_head_that_was_kept_elsewhere()
    {
        var head = await FillAsync();
        Execute("DELETE FROM audit_log; DELETE FROM audit_heads");
        Assert.Empty(AuditVerifier.Verify(_store, []).Faults);
        Assert.NotEmpty(AuditVerifier.Verify(_store, [head]).Faults);
        await FillAsync(actor: "someone else");
        Assert.Empty(AuditVerifier.Verify(_store, []).Faults);
        Assert.Contains("written anew", AuditVerifier.Verify(_store, [head]).Faults.Single().Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_writers_of_one_chain_do_not_fork_it()
    {
        const int Each = 300;
        using (var one = new AuditLog(_store, "gateway", NullLogger.Instance))
        using (var two = new AuditLog(_store, "gateway", NullLogger.Instance))
            await Task.WhenAll(Enumerable.Range(0, 2 * Each).Select(i => (i % 2 == 0 ? one : two).AppendAsync(Entry(i, "someone"))));
        var report = AuditVerifier.Verify(_store, []);
        Assert.Empty(report.Faults);
        Assert.Equal(2 * Each, report.Records);
    }

    /// <summary>From many threads at once, some of which may wait, with pauses in which what gathers is due; what waits at the end is written by the end.</summary>
    [Fact]
    public async Task What_may_wait_for_others_is_written_all_the_same()
    {
        const int Each = 200;
        const int Writers = 8;
        var last = new List<Task>();
        using (var log = new AuditLog(_store, "gateway", NullLogger.Instance))
        {
            await log.AppendAsync(Entry(0, "alone"), mayWait: true).WaitAsync(TimeSpan.FromSeconds(30));
            await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(async () =>
            {
                var random = new Random(writer);
                for (var i = 0; i < Each; i++)
                {
                    var appended = log.AppendAsync(Entry(i, "someone"), random.Next(4) != 0);
                    if (random.Next(3) == 0)
                        await appended;
                }
            })));
            // a record that can't wait takes those along that were there before it
            var before = log.AppendAsync(Entry(1, "someone"), mayWait: true);
            await log.AppendAsync(Entry(2, "someone"));
            Assert.True(before.IsCompletedSuccessfully);
            for (var i = 0; i < 3; i++)
                last.Add(log.AppendAsync(Entry(i, "someone"), mayWait: true));
        }
        Assert.All(last, appended => Assert.True(appended.IsCompletedSuccessfully));
        var report = AuditVerifier.Verify(_store, []);
        Assert.Empty(report.Faults);
        Assert.Equal(1 + (Writers * Each) + 2 + last.Count, report.Records);
    }

    [Fact]
    public async Task A_chain_goes_on_where_it_stood()
    {
        await FillAsync();
        var head = await FillAsync();
        Assert.Equal(2 * Records, head.Sequence);
        Assert.Empty(AuditVerifier.Verify(_store, []).Faults);
    }

    [Fact]
    public async Task What_can_not_be_written_is_not_acknowledged()
    {
        await FillAsync();
        Execute("DROP TABLE audit_log");
        using var log = new AuditLog(_store, "gateway", NullLogger.Instance);
        await Assert.ThrowsAsync<Cluster.ClusterException>(() => log.AppendAsync(Entry(1, "someone")));
    }

    [Fact]
    public async Task An_export_holds_all_that_the_hashes_are_over()
    {
        await FillAsync();
        using var json = new MemoryStream();
        Assert.Equal(Records, AuditExport.WriteJson(_store, json));
        var lines = Encoding.UTF8.GetString(json.ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var previous = AuditRecord.Start;
        foreach (var line in lines)
        {
            using var document = JsonDocument.Parse(line);
            var record = document.RootElement;
            var entry = new AuditEntry(record.GetProperty("at").GetDateTimeOffset(), Text("actor")!, Text("action")!, Text("subject")!, Text("outcome")!)
            {
                Client = Text("client"),
                Version = record.GetProperty("version").ValueKind == JsonValueKind.Null ? null : record.GetProperty("version").GetInt64(),
                Weights = Text("weights_sha256"),
                Input = Bytes("input_sha256", Convert.FromHexString),
                Output = Bytes("output_sha256", Convert.FromHexString),
                Request = Text("request"),
                Trace = Text("trace"),
                InputData = Bytes("input", Convert.FromBase64String),
                OutputData = Bytes("output", Convert.FromBase64String),
            };
            var again = AuditRecord.Following(Text("chain")!, record.GetProperty("sequence").GetInt64(), entry, previous);
            Assert.Equal(Text("hash"), Convert.ToHexStringLower(again.Hash.Span));
            previous = again.Hash;

            string? Text(string name) => record.GetProperty(name).GetString();

            ReadOnlyMemory<byte>? Bytes(string name, Func<string, byte[]> read)
            {
                if (Text(name) is not { } text)
                    return null;
                return read(text);
            }
        }
        using var csv = new StringWriter();
        Assert.Equal(Records, AuditExport.WriteCsv(_store, csv));
        Assert.Equal(Records + 1, csv.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Contains("\"'=cmd()\"", csv.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Inputs_are_read_back_as_they_were()
    {
        ModelInput[] inputs =
        [
            new ModelInput.Raw(new RawSamples.Table(["a", "b"], [["1", null], ["", "ü"]])),
            new ModelInput.Raw(new RawSamples.Array([2], new[] { 1f, float.NaN, -0f, float.MaxValue }, ["x", "y"])),
            new ModelInput.Prepared([1, 2], new[] { 1f, 2f }),
        ];
        foreach (var input in inputs)
        {
            var bytes = BytesOf(input);
            Assert.Equal(bytes, BytesOf(InputBytes.Read(bytes)));
            for (var length = 0; length < bytes.Length; length++)
                Assert.Throws<FormatException>(() => InputBytes.Read(bytes.AsSpan(0, length)));
        }
        Assert.Equal(inputs.Length, inputs.Select(input => Convert.ToHexString(BytesOf(input))).Distinct().Count());
    }

    [Fact]
    public async Task Predictions_are_computed_again_and_compared_bit_by_bit()
    {
        var input = new ModelInput.Prepared([1], new[] { 3f });
        await FillAsync();
        using (var log = new AuditLog(_store, "gateway", NullLogger.Instance))
        {
            foreach (var stored in new[] { 6f, BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(6f) + 1) })
            {
                await log.AppendAsync(Entry(1, "someone") with
                {
                    Input = System.Security.Cryptography.SHA256.HashData(BytesOf(input)),
                    InputData = BytesOf(input),
                    Output = System.Security.Cryptography.SHA256.HashData(BitConverter.GetBytes(stored)),
                    OutputData = BitConverter.GetBytes(stored),
                });
            }
        }
        var report = await AuditReplay.RunAsync(_store, (model, version, weights, asked, _) =>
        {
            Assert.Equal(("=cmd()", 3, "abc"), (model, version, weights));
            return Task.FromResult<ReadOnlyMemory<float>?>(new[] { ((ModelInput.Prepared)asked).Values.Span[0] * 2 });
        });
        Assert.Equal((1, 1), (report.Same, report.Different));
        Assert.EndsWith("=cmd():3 now answers other bits, by at most 4.8e-7", Assert.Single(report.Faults).ToString(), StringComparison.Ordinal);
        Assert.True(report.WithoutInput > 0);
    }

    /// <summary>The store is locked until the requests have their answers: one that waited for it would wait for ever.</summary>
    [Fact]
    public async Task A_request_is_answered_in_its_time_though_the_store_stands_still()
    {
        await using var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = Path.Combine(_folder.FullName, "gateway.db"), Pooling = false }.ToString());
        await connection.OpenAsync();
        using (var log = new AuditLog(_store, "gateway", NullLogger.Instance))
        {
            var audit = new PredictionAudit(log, false, TimeProvider.System);
            Execute(connection, "BEGIN EXCLUSIVE");
            // the thread of the first is the one that writes
            var first = Task.Run(() => audit.ObserveAsync(Observed(TimeSpan.FromMinutes(5)), default).AsTask());
            while (!log.IsWriting)
                await Task.Yield();
            await RequireLateAsync(audit);
            Execute(connection, "ROLLBACK");
            await first;
            // a store that was slow has no request's own thread any more
            Execute(connection, "BEGIN EXCLUSIVE");
            await RequireLateAsync(audit);
            Execute(connection, "ROLLBACK");
        }
        var report = AuditVerifier.Verify(_store, []);
        Assert.True(report.IsWhole);
        Assert.Equal(3, report.Records);
    }

    [SkippableFact]
    public async Task A_request_is_answered_in_its_time_though_PostgreSQL_stands_still()
    {
        await using var database = await PostgresDatabase.CreateAsync();
        using var store = GatewayStore.Open(_folder.FullName, database.ConnectionString);
        using (var log = new AuditLog(store, "gateway", NullLogger.Instance))
        {
            var audit = new PredictionAudit(log, false, TimeProvider.System);
            await using (var other = new Npgsql.NpgsqlConnection(database.ConnectionString))
            {
                await other.OpenAsync();
                await using var transaction = await other.BeginTransactionAsync();
                await using (var command = new Npgsql.NpgsqlCommand("LOCK TABLE audit_log IN ACCESS EXCLUSIVE MODE", other, transaction))
                    await command.ExecuteNonQueryAsync();
                await RequireLateAsync(audit);
                await RequireLateAsync(audit);
            }
            await audit.ObserveAsync(Observed(TimeSpan.FromMinutes(5)), default);
        }
        var report = AuditVerifier.Verify(store, []);
        Assert.True(report.IsWhole);
        Assert.Equal(3, report.Records);
    }

    private static async Task RequireLateAsync(PredictionAudit audit)
    {
        var late = await Assert.ThrowsAsync<PredictionException>(() => audit.ObserveAsync(Observed(TimeSpan.FromMilliseconds(50)), default).AsTask());
        Assert.Equal(ServingProtocol.FailureKind.DeadlineExceeded, late.Kind);
        Assert.Contains("the store is slow or stands still", late.Message, StringComparison.Ordinal);
    }

    private static ObservedPrediction Observed(TimeSpan timeout) => new(
        new ClaimsPrincipal(),
        null,
        ObservedPrediction.Http,
        null,
        null,
        DateTimeOffset.UtcNow,
        new PredictRequest("m", new ModelInput.Prepared([2], new float[] { 1, 2 })) { Timeout = timeout },
        new ServedPrediction(new Prediction(new ModelVersionId("m", 1), ["a", "b"], new float[] { 0.25f, 0.75f }), "abc", default, default),
        null);

    private static void Execute(SqliteConnection connection, string text)
    {
#pragma warning disable CA2100 // a test's own text
        using var command = new SqliteCommand(text, connection);
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }

    [SkippableFact]
    public async Task In_PostgreSQL_it_is_the_same()
    {
        await using var database = await PostgresDatabase.CreateAsync();
        using var store = GatewayStore.Open(_folder.FullName, database.ConnectionString);
        using (var connection = store.Connect())
        using (var command = GatewayStore.Command(connection, "SHOW idle_in_transaction_session_timeout"))
            Assert.Equal("20s", command.ExecuteScalar());
        using (GatewayStore.Open(_folder.FullName, database.ConnectionString))
        using (var one = new AuditLog(store, "gateway", NullLogger.Instance))
        using (var two = new AuditLog(store, "gateway", NullLogger.Instance))
            await Task.WhenAll(Enumerable.Range(0, 600).Select(i => (i % 2 == 0 ? one : two).AppendAsync(Entry(i, "someone"))));
        var report = AuditVerifier.Verify(store, []);
        Assert.Empty(report.Faults);
        Assert.Equal(600, report.Records);
        foreach (var change in new[] { "subject = subject || ' '", "at = at + 1", "output_data = set_byte(output_data, 0, 9)", "trace = NULL", "version = NULL" })
        {
            await database.AskAsync($"CREATE TABLE kept AS SELECT * FROM audit_log WHERE sequence = 51; UPDATE audit_log SET {change} WHERE sequence = 51");
            Assert.Contains(AuditVerifier.Verify(store, []).Faults, fault => fault.Sequence == 51);
            await database.AskAsync("DELETE FROM audit_log WHERE sequence = 51; INSERT INTO audit_log SELECT * FROM kept; DROP TABLE kept");
        }
        var keys = new Access.ApiKeyStore(store, TimeProvider.System);
        var (key, text) = keys.Create("someone", ["predict"], TimeSpan.FromDays(1));
        Assert.Equal(key.Id, (await keys.FindAsync(text, default))?.Id);
        Assert.NotNull(keys.Revoke(key.Id).Revoked);
        Assert.NotNull(keys.List().Single().Revoked);
    }

    private static byte[] BytesOf(ModelInput input)
    {
        var writer = new ArrayBufferWriter<byte>();
        InputBytes.Write(input, writer);
        return writer.WrittenSpan.ToArray();
    }

    private static AuditEntry Entry(int i, string actor) => new(DateTimeOffset.UnixEpoch.AddYears(55).AddSeconds(i), actor, AuditEntry.Predict, "=cmd()", "answered")
    {
        Client = i % 2 == 0 ? "127.0.0.1" : null,
        Version = 3,
        Weights = "abc",
        Input = new byte[] { 1, 2, (byte)i },
        Output = new byte[] { 3, 4 },
        Request = i % 3 == 0 ? "ü-1" : null,
        Trace = "0af7651916cd43dd8448eb211c80319c",
        OutputData = new byte[] { 5, 6, 7 },
    };

    private async Task<AuditHead> FillAsync(string actor = "someone")
    {
        using (var log = new AuditLog(_store, "gateway", NullLogger.Instance))
            await Task.WhenAll(Enumerable.Range(0, Records).Select(i => log.AppendAsync(Entry(i, actor))));
        return AuditTable.Heads(_store).Single();
    }

    /// <summary>Changes one bit of one value, looks, and takes it back.</summary>
    private static bool IsWhole(string folder)
    {
        try
        {
            using var store = GatewayStore.Open(folder, null);
            return AuditVerifier.Verify(store, []).IsWhole;
        }
        catch (ClusterException)
        {
            return false;
        }
    }

    /// <summary>All that stands in the log, read row by row and by its index, and the damage that SQLite sees.</summary>
    private static string Rows(string folder)
    {
        var text = new StringBuilder();
        using var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = Path.Combine(folder, "gateway.db"), Pooling = false }.ToString());
        connection.Open();
        foreach (var query in new[] { "SELECT * FROM audit_log NOT INDEXED ORDER BY rowid", "SELECT * FROM audit_log ORDER BY chain, sequence", "SELECT * FROM audit_heads", "PRAGMA integrity_check" })
        {
#pragma warning disable CA2100 // a test's own text
            using var command = new SqliteCommand(query, connection);
#pragma warning restore CA2100
            using var reader = command.ExecuteReader();
            while (reader.Read())
            {
                for (var i = 0; i < reader.FieldCount; i++)
                    text.Append(reader.GetValue(i) is byte[] bytes ? Convert.ToHexString(bytes) : reader.GetValue(i)).Append('|');
                text.AppendLine();
            }
        }
        return text.ToString();
    }

    private void Tamper(string table, string column, string where, int position, Action look)
    {
        using var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = Path.Combine(_folder.FullName, "gateway.db"), Pooling = false }.ToString());
        connection.Open();
#pragma warning disable CA2100 // a test's own text
        using var row = new SqliteCommand($"SELECT rowid, typeof({column}), CAST({column} AS BLOB), {column} FROM {table} WHERE {where}", connection);
        using var reader = row.ExecuteReader();
        Assert.True(reader.Read());
        var (id, type, old) = (reader.GetInt64(0), reader.GetString(1), reader.GetValue(3));
        object changed;
        switch (type)
        {
            case "integer":
                // a sequence number that another record has is refused by the store itself
                changed = (long)old ^ (1L << (column == "sequence" ? 8 + (position % 54) : position % 63));
                break;
            case "null":
                changed = column is "version" ? 0L : column is "input_data" or "output_data" or "input" or "output" ? Array.Empty<byte>() : "";
                break;
            default:
                var bytes = reader.GetFieldValue<byte[]>(2);
                bytes[position % bytes.Length] ^= (byte)(1 << (position % 8));
                changed = bytes;
                break;
        }
        reader.Close();
        using var update = new SqliteCommand($"UPDATE {table} SET {column} = {(type == "text" ? "CAST(@value AS TEXT)" : "@value")} WHERE rowid = {id}", connection);
        update.Parameters.AddWithValue("value", changed);
        Assert.Equal(1, update.ExecuteNonQuery());
        look();
        using var back = new SqliteCommand($"UPDATE {table} SET {column} = @value WHERE rowid = {id}", connection);
#pragma warning restore CA2100
        back.Parameters.AddWithValue("value", old);
        Assert.Equal(1, back.ExecuteNonQuery());
    }

    private void Execute(string sql)
    {
        using var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = Path.Combine(_folder.FullName, "gateway.db"), Pooling = false }.ToString());
        connection.Open();
#pragma warning disable CA2100 // a test's own text
        using var command = new SqliteCommand(sql, connection);
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }
}
