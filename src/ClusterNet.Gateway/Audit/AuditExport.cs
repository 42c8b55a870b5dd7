using System.Globalization;
using System.Text.Json;
using ClusterNet.Gateway.Store;

namespace ClusterNet.Gateway.Audit;

/// <summary>Writes the audit log into a file: JSON, a record a line, or CSV. Bytes are hexadecimal in hashes and base64 in data, so that both hold all that the hashes are over.</summary>
public static class AuditExport
{
    private static readonly string[] _columns =
        ["chain", "sequence", "at", "actor", "client", "action", "subject", "version", "weights_sha256", "input_sha256", "output_sha256", "outcome", "request", "trace", "input", "output", "previous", "hash"];

    /// <summary>JSON lines. Gives how many.</summary>
    public static long WriteJson(GatewayStore store, Stream to, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(to);
        var count = 0L;
        foreach (var record in AuditTable.Read(store))
        {
            cancel.ThrowIfCancellationRequested();
            using (var writer = new Utf8JsonWriter(to))
            {
                writer.WriteStartObject();
                foreach (var (name, value) in _columns.Zip(Values(record)))
                {
                    if (value is long number)
                        writer.WriteNumber(name, number);
                    else if (value is string text)
                        writer.WriteString(name, text);
                    else
                        writer.WriteNull(name);
                }
                writer.WriteEndObject();
            }
            to.WriteByte((byte)'\n');
            count++;
        }
        return count;
    }

    /// <summary>CSV (RFC 4180) with a line of names; a text that a spreadsheet would compute has an apostrophe before it. Gives how many records.</summary>
    public static long WriteCsv(GatewayStore store, TextWriter to, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(to);
        var count = 0L;
        to.Write(string.Join(',', _columns) + "\n");
        foreach (var record in AuditTable.Read(store))
        {
            cancel.ThrowIfCancellationRequested();
            to.Write(string.Join(',', Values(record).Select(Cell)) + "\n");
            count++;
        }
        return count;
    }

    // names come from outside: a spreadsheet must not take one for a formula
    private static string Cell(object? value) => value switch
    {
        null => "",
        string { Length: 0 } => "\"\"",
        string text => $"\"{(text[0] is '=' or '+' or '-' or '@' ? "'" : "")}{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    private static object?[] Values(AuditRecord record)
    {
        var entry = record.Entry;
        return
        [
            record.Chain, record.Sequence, entry.At.UtcDateTime.ToString("O", CultureInfo.InvariantCulture), entry.Actor, entry.Client, entry.Action, entry.Subject, entry.Version, entry.Weights,
            Hex(entry.Input), Hex(entry.Output), entry.Outcome, entry.Request, entry.Trace, Base64(entry.InputData), Base64(entry.OutputData), Hex(record.Previous), Hex(record.Hash),
        ];

        static string? Hex(ReadOnlyMemory<byte>? bytes) => bytes is { } given ? Convert.ToHexStringLower(given.Span) : null;

        static string? Base64(ReadOnlyMemory<byte>? bytes) => bytes is { } given ? Convert.ToBase64String(given.Span) : null;
    }
}
