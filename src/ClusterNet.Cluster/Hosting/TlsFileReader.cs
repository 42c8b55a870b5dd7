using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using ClusterNet.Core.Faults;

namespace ClusterNet.Cluster.Hosting;

/// <summary>Certificates and keys out of PEM and PFX files; errors say which file and what to do, never what is in it.</summary>
internal static class TlsFileReader
{
    private const long MaxBytes = 1 << 20;

    private static ReadOnlySpan<byte> PemStart => "-----BEGIN"u8;

    /// <summary>The authorities' certificates, at least one.</summary>
    public static X509Certificate2Collection Authorities(TlsFiles files, string place)
    {
        var text = Encoding.UTF8.GetString(Read(files.Authorities, place));
        var authorities = new X509Certificate2Collection();
        try
        {
            authorities.ImportFromPem(text);
        }
        catch (CryptographicException)
        {
            throw new InputException(place, $"'{files.Authorities}' holds a certificate that can't be read: it must be PEM, as openssl and cert-manager write it");
        }
        return authorities.Count > 0
            ? authorities
            : throw new InputException(place, $"there is no certificate in '{files.Authorities}': give the authority's certificate as PEM (it begins with '-----BEGIN CERTIFICATE-----')");
    }

    /// <summary>The node's certificate with its private key, then its intermediates.</summary>
    public static IReadOnlyList<X509Certificate2> Certificate(TlsFiles files, string place)
    {
        var content = Read(files.Certificate, $"{place}.certificate");
        try
        {
            return content.AsSpan().IndexOf(PemStart) >= 0 ? Pem(files, Encoding.UTF8.GetString(content), place) : Pfx(files, content, place);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(content);
        }
    }

    private static List<X509Certificate2> Pem(TlsFiles files, string certificates, string place)
    {
        var all = new X509Certificate2Collection();
        try
        {
            all.ImportFromPem(certificates);
        }
        catch (CryptographicException)
        {
            throw new InputException($"{place}.certificate", $"'{files.Certificate}' holds a certificate that can't be read: write it again as PEM");
        }
        if (all.Count == 0)
            throw new InputException($"{place}.certificate", $"there is no certificate in '{files.Certificate}': give the node's certificate first, intermediates behind it");
        var keyPlace = files.Key is null ? $"{place}.certificate" : $"{place}.key";
        var key = files.Key is null ? certificates : Encoding.UTF8.GetString(Read(files.Key, keyPlace));
        try
        {
            using var own = files.Password is null
                ? X509Certificate2.CreateFromPem(all[0].ExportCertificatePem(), key)
                : X509Certificate2.CreateFromEncryptedPem(all[0].ExportCertificatePem(), key, files.Password);
            return [Usable(own), .. all.Skip(1)];
        }
        catch (Exception exception) when (exception is CryptographicException or ArgumentException)
        {
            throw new InputException(keyPlace, $"no private key in '{files.Key ?? files.Certificate}' fits the certificate in '{files.Certificate}': {RemedyOf(key, files.Password)}");
        }
    }

    private static string RemedyOf(string key, string? password) => (key.Contains("ENCRYPTED", StringComparison.Ordinal), password is not null) switch
    {
        (true, false) => "it is encrypted, give its password",
        (true, true) => "the password is wrong, or it is another certificate's key",
        (false, true) => "a password is given and the key is not encrypted; leave the password out, or check which key this is",
        _ => "give the key (PEM) that the certificate was made for",
    };

    private static List<X509Certificate2> Pfx(TlsFiles files, byte[] content, string place)
    {
        X509Certificate2Collection all;
        try
        {
            all = X509CertificateLoader.LoadPkcs12Collection(content, files.Password, X509KeyStorageFlags.Exportable);
        }
        catch (CryptographicException)
        {
            throw new InputException($"{place}.certificate", $"'{files.Certificate}' can't be read: it is neither PEM nor a PFX that {(files.Password is null ? "needs no password; give the password, if it has one" : "the given password opens")}");
        }
        var own = all.FirstOrDefault(certificate => certificate.HasPrivateKey)
            ?? throw new InputException($"{place}.certificate", $"'{files.Certificate}' holds no private key: export the certificate with its key");
        return [own, .. all.Where(certificate => certificate != own)];
    }

    // Windows' TLS needs a key that its own stores know
    private static X509Certificate2 Usable(X509Certificate2 certificate)
    {
        var bytes = certificate.Export(X509ContentType.Pkcs12);
        try
        {
            return X509CertificateLoader.LoadPkcs12(bytes, null, X509KeyStorageFlags.Exportable);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }

    private static byte[] Read(string path, string place)
    {
        if (string.IsNullOrWhiteSpace(path))
            throw new InputException(place, "no file is named");
        try
        {
            if (new FileInfo(path).Length > MaxBytes)
                throw new InputException(place, $"'{path}' is larger than 1 MB: it can't be a certificate or a key");
            return File.ReadAllBytes(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new InputException(place, $"'{path}' can't be read: {exception.Message}");
        }
    }
}
