using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using ClusterNet.Core.Faults;

namespace ClusterNet.Gateway.Access;

/// <summary>An API key as it is kept: all but the key itself.</summary>
/// <param name="Id">the public half of the key; 16 hexadecimal digits</param>
/// <param name="Name">whose it is, for people</param>
/// <param name="Scopes">what it allows</param>
/// <param name="Created">when</param>
/// <param name="Expires">from when it is refused; null for never</param>
/// <param name="Revoked">since when it is refused; null where it is not</param>
public sealed record ApiKey(string Id, string Name, IReadOnlyList<string> Scopes, DateTimeOffset Created, DateTimeOffset? Expires, DateTimeOffset? Revoked)
{
    private const string Prefix = "cnk_";
    private const int IdBytes = 8;
    private const int SecretBytes = 32;
    private const int MaxName = 100;

    /// <summary>
    /// SHA-256 of the secret half. A slow hash protects what people think up; 256 bits from the system's generator can't be guessed however fast one tries, and a slow hash would cost each prediction.
    /// </summary>
    internal byte[] Hash { get; init; } = [];

    /// <summary>Whether it is good at a moment.</summary>
    public bool IsGoodAt(DateTimeOffset moment) => Revoked is null && (Expires is null || moment < Expires);

    /// <summary>A new key and its text, which is nowhere else.</summary>
    /// <exception cref="InputException">a name, a scope or an expiry that can't be</exception>
    public static (ApiKey Key, string Text) Create(string name, IReadOnlyList<string> scopes, DateTimeOffset now, DateTimeOffset? expires)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(scopes);
        var faults = new List<Fault>();
        if (name.Length is 0 or > MaxName || !name.All(c => char.IsLetterOrDigit(c) || c is '.' or '_' or '-' or ' ' or '@'))
            faults.Add(new Fault("name", $"'{name}' is not a name for a key: 1 to {MaxName} letters, digits, spaces, '.', '_', '-', '@'"));
        if (scopes.Count == 0)
            faults.Add(new Fault("scopes", $"none is given; a key has at least one of {string.Join(", ", Access.Scopes.All)}"));
        faults.AddRange(scopes.Where(scope => !Access.Scopes.All.Contains(scope)).Select(scope => Fault.Unknown("scopes", scope, Access.Scopes.All)));
        if (expires <= now)
            faults.Add(new Fault("expires", $"{expires:O} is over already"));
        if (faults.Count > 0)
            throw new InputException(faults);
        var id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(IdBytes));
        var secret = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(SecretBytes));
        return (new ApiKey(id, name, [.. scopes.Distinct().Order(StringComparer.Ordinal)], now, expires, null) { Hash = HashOf(secret) }, $"{Prefix}{id}_{secret}");
    }

    /// <summary>Whether a text looks like a key, right or wrong.</summary>
    public static bool IsKey(string text) => text.StartsWith(Prefix, StringComparison.Ordinal);

    /// <summary>The id in a key's text; null where it can't be a key.</summary>
    internal static string? IdOf(string text) =>
        IsKey(text) && text.Length == Prefix.Length + (2 * IdBytes) + 1 + Base64Url.GetEncodedLength(SecretBytes) && text[Prefix.Length + (2 * IdBytes)] == '_' ? text.Substring(Prefix.Length, 2 * IdBytes) : null;

    /// <summary>Whether a text with this key's id is this key. Takes as long for a wrong one as for the right one.</summary>
    internal bool Matches(string text) => CryptographicOperations.FixedTimeEquals(Hash, HashOf(text[(Prefix.Length + (2 * IdBytes) + 1)..]));

    private static byte[] HashOf(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));
}
