using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using ClusterNet.Core.Faults;
using Microsoft.IdentityModel.Tokens;

namespace ClusterNet.Gateway.Access;

/// <summary>Public keys that tokens are signed with, out of a PEM file.</summary>
internal static class SigningKeys
{
    private const string Place = "auth.jwt.keys-file";
    private const long MaxBytes = 1 << 20;

    /// <summary>All keys of a file, at least one.</summary>
    /// <exception cref="InputException">it can't be read, or holds none</exception>
    public static IReadOnlyList<SecurityKey> Read(string path)
    {
        var text = ReadText(path).AsSpan();
        var keys = new List<SecurityKey>();
        try
        {
            while (PemEncoding.TryFind(text, out var fields))
            {
                keys.Add(KeyOf(text[fields.Location], text[fields.Label]));
                text = text[fields.Location.End..];
            }
        }
        catch (Exception exception) when (exception is CryptographicException or ArgumentException)
        {
            throw new InputException(Place, $"'{path}' holds a key that can't be read: write it again as PEM (BEGIN PUBLIC KEY or BEGIN CERTIFICATE)");
        }
        return keys.Count > 0 ? keys : throw new InputException(Place, $"there is no key in '{path}': give PEM that begins with -----BEGIN PUBLIC KEY----- or -----BEGIN CERTIFICATE-----");
    }

    private static SecurityKey KeyOf(ReadOnlySpan<char> pem, ReadOnlySpan<char> label)
    {
        if (label.Contains("PRIVATE", StringComparison.Ordinal))
            throw new InputException(Place, "a private key stands there; a gateway needs the public one alone, and the private one should not be on this machine");
        if (label is "CERTIFICATE")
            return new X509SecurityKey(X509Certificate2.CreateFromPem(pem));
        try
        {
            var rsa = RSA.Create();
            rsa.ImportFromPem(pem);
            return new RsaSecurityKey(rsa);
        }
        catch (Exception exception) when (exception is CryptographicException or ArgumentException)
        {
            var curve = ECDsa.Create();
            curve.ImportFromPem(pem);
            return new ECDsaSecurityKey(curve);
        }
    }

    private static string ReadText(string path)
    {
        try
        {
            return new FileInfo(path).Length <= MaxBytes ? File.ReadAllText(path) : throw new InputException(Place, $"'{path}' is larger than 1 MB: it can't be a file of keys");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new InputException(Place, $"'{path}' can't be read: {exception.Message}");
        }
    }
}
