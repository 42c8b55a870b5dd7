using System.Buffers;
using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace ClusterNet.Gateway.Audit;

/// <summary>What happened: what an audit record says, without its place in a chain.</summary>
/// <param name="At">when the request came</param>
/// <param name="Actor">who, as authentication knows it</param>
/// <param name="Action"><see cref="Predict"/>, or an administrative act such as <c>models.delete</c></param>
/// <param name="Subject">what it was about: a model, a job, a key</param>
/// <param name="Outcome"><c>answered</c> or the kind of failure; <c>begun</c>, <c>done</c> or <c>refused</c> of an act</param>
public sealed record AuditEntry(DateTimeOffset At, string Actor, string Action, string Subject, string Outcome)
{
    /// <summary>The action of a request for a prediction.</summary>
    public const string Predict = "predict";

    /// <summary>The address that it came from; null where there is none.</summary>
    public string? Client { get; init; }

    /// <summary>The version that answered; null where none did.</summary>
    public long? Version { get; init; }

    /// <summary>SHA-256 of that version's weights, hexadecimal; null where none did.</summary>
    public string? Weights { get; init; }

    /// <summary>SHA-256 of the input as <see cref="InputBytes"/> writes it; null where there was none.</summary>
    public ReadOnlyMemory<byte>? Input { get; init; }

    /// <summary>SHA-256 of the outputs: little-endian float32, row by row; null where there were none.</summary>
    public ReadOnlyMemory<byte>? Output { get; init; }

    /// <summary>The caller's own id of the request.</summary>
    public string? Request { get; init; }

    /// <summary>W3C trace id.</summary>
    public string? Trace { get; init; }

    /// <summary>The input itself, where inputs are stored.</summary>
    public ReadOnlyMemory<byte>? InputData { get; init; }

    /// <summary>The outputs themselves, where they are not too long; else their hash alone.</summary>
    public ReadOnlyMemory<byte>? OutputData { get; init; }
}

/// <summary>An entry at its place in a chain.</summary>
/// <param name="Chain">the gateway that wrote it</param>
/// <param name="Sequence">1 and up, without gaps</param>
/// <param name="Entry">what it says</param>
/// <param name="Previous">the hash of the record before it; zeros for the first</param>
/// <param name="Hash">SHA-256 over everything else here, so over all that was written before it, too</param>
public sealed record AuditRecord(string Chain, long Sequence, AuditEntry Entry, ReadOnlyMemory<byte> Previous, ReadOnlyMemory<byte> Hash)
{
    private const int MaxText = 300;
    private const byte Absent = 0;
    private const byte Present = 1;

    /// <summary>What stands before the first record of a chain.</summary>
    public static ReadOnlyMemory<byte> Start { get; } = new byte[SHA256.HashSizeInBytes];

    private static ReadOnlySpan<byte> Form => "clusternet audit record 1"u8;

    /// <summary>The record that follows another one.</summary>
    public static AuditRecord Following(string chain, long sequence, AuditEntry entry, ReadOnlyMemory<byte> previous) =>
        new(chain, sequence, entry, previous, HashOf(chain, sequence, entry, previous.Span));

    /// <summary>
    /// SHA-256 over the canonical bytes: the form's name, then each field in the order of the table's columns, as a byte that tells whether it is there, its length (int32) and its bytes; numbers as int64, moments as
    /// microseconds since 1970, texts as UTF-8; everything little-endian.
    /// </summary>
    public static byte[] HashOf(string chain, long sequence, AuditEntry entry, ReadOnlySpan<byte> previous)
    {
        ArgumentNullException.ThrowIfNull(entry);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var head = new ArrayBufferWriter<byte>(1024);
        head.Write(Form);
        Text(head, chain);
        Number(head, sequence);
        Number(head, Microseconds(entry.At));
        Text(head, entry.Actor);
        Text(head, entry.Client);
        Text(head, entry.Action);
        Text(head, entry.Subject);
        Number(head, entry.Version);
        Text(head, entry.Weights);
        Bytes(head, entry.Input);
        Bytes(head, entry.Output);
        Text(head, entry.Outcome);
        Text(head, entry.Request);
        Text(head, entry.Trace);
        hash.AppendData(head.WrittenSpan);
        // what may be long is not copied
        Long(hash, entry.InputData);
        Long(hash, entry.OutputData);
        hash.AppendData(previous);
        return hash.GetHashAndReset();
    }

    /// <summary>A moment as it is kept.</summary>
    public static long Microseconds(DateTimeOffset moment) => (moment.UtcTicks - DateTimeOffset.UnixEpoch.Ticks) / TimeSpan.TicksPerMicrosecond;

    /// <summary>A moment out of what is kept.</summary>
    public static DateTimeOffset Moment(long microseconds) =>
        microseconds is >= 0 and < 250_000_000_000_000_000 ? DateTimeOffset.UnixEpoch.AddTicks(microseconds * TimeSpan.TicksPerMicrosecond) : DateTimeOffset.MaxValue;

    /// <summary>
    /// A text from outside as it may be kept: bounded, without control characters, and without the replacement character, which stands for any bytes that are no text, so that one such byte for another would not be seen.
    /// </summary>
    public static string Clean(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var cut = text.Length <= MaxText ? text : text[..MaxText];
        return cut.All(c => !char.IsControl(c) && !char.IsSurrogate(c) && c != '\uFFFD')
            ? cut
            : string.Create(cut.Length, cut, (clean, from) =>
            {
                for (var i = 0; i < clean.Length; i++)
                    clean[i] = char.IsControl(from[i]) || char.IsSurrogate(from[i]) || from[i] == '\uFFFD' ? '?' : from[i];
            });
    }

    private static void Text(ArrayBufferWriter<byte> to, string? text)
    {
        if (text is null)
        {
            to.Write([Absent]);
            return;
        }
        Head(to, Encoding.UTF8.GetByteCount(text));
        Encoding.UTF8.GetBytes(text, to);
    }

    private static void Number(ArrayBufferWriter<byte> to, long? number)
    {
        if (number is not { } value)
        {
            to.Write([Absent]);
            return;
        }
        Head(to, sizeof(long));
        BinaryPrimitives.WriteInt64LittleEndian(to.GetSpan(sizeof(long)), value);
        to.Advance(sizeof(long));
    }

    private static void Bytes(ArrayBufferWriter<byte> to, ReadOnlyMemory<byte>? bytes)
    {
        if (bytes is not { } value)
        {
            to.Write([Absent]);
            return;
        }
        Head(to, value.Length);
        to.Write(value.Span);
    }

    private static void Long(IncrementalHash hash, ReadOnlyMemory<byte>? bytes)
    {
        Span<byte> head = stackalloc byte[1 + sizeof(int)];
        if (bytes is not { } value)
        {
            hash.AppendData(head[..1]);
            return;
        }
        head[0] = Present;
        BinaryPrimitives.WriteInt32LittleEndian(head[1..], value.Length);
        hash.AppendData(head);
        hash.AppendData(value.Span);
    }

    private static void Head(ArrayBufferWriter<byte> to, int length)
    {
        var span = to.GetSpan(1 + sizeof(int));
        span[0] = Present;
        BinaryPrimitives.WriteInt32LittleEndian(span[1..], length);
        to.Advance(1 + sizeof(int));
    }
}

/// <summary>The last record of a chain.</summary>
/// <param name="Chain">the gateway that wrote it</param>
/// <param name="Sequence">how many records the chain has</param>
/// <param name="Hash">of the last one</param>
public sealed record AuditHead(string Chain, long Sequence, ReadOnlyMemory<byte> Hash)
{
    /// <summary><c>CHAIN@SEQUENCE:HASH</c>, as <c>audit verify --expect</c> takes it.</summary>
    public override string ToString() => FormattableString.Invariant($"{Chain}@{Sequence}:{Convert.ToHexStringLower(Hash.Span)}");

    /// <summary>Reads what <see cref="ToString"/> writes.</summary>
    public static bool TryParse(string text, out AuditHead head)
    {
        ArgumentNullException.ThrowIfNull(text);
        head = new AuditHead("", 0, AuditRecord.Start);
        var (at, colon) = (text.LastIndexOf('@'), text.LastIndexOf(':'));
        if (at <= 0 || colon < at || !long.TryParse(text.AsSpan(at + 1, colon - at - 1), System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var sequence))
            return false;
        var hex = text[(colon + 1)..];
        if (hex.Length != 2 * SHA256.HashSizeInBytes || !hex.All(char.IsAsciiHexDigit))
            return false;
        head = new AuditHead(text[..at], sequence, Convert.FromHexString(hex));
        return true;
    }
}
