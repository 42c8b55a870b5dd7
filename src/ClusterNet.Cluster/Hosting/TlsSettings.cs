using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using ClusterNet.Core.Faults;

namespace ClusterNet.Cluster.Hosting;

/// <summary>Where a node's TLS files are. Relative paths are relative to the working directory.</summary>
/// <param name="Certificate">the node's certificate, PEM (intermediates may follow it) or PFX</param>
/// <param name="Key">its private key, PEM; null where <paramref name="Certificate"/> holds it too</param>
/// <param name="Password">of the key or the PFX; null for none</param>
/// <param name="Authorities">the certificates of the authorities that peers' certificates must come from, PEM, one or several</param>
public sealed record TlsFiles(string Certificate, string? Key, string? Password, string Authorities)
{
    /// <summary>Says where the files are, never the password.</summary>
    public override string ToString() => $"certificate {Certificate}, key {Key ?? Certificate}, authorities {Authorities}";
}

/// <summary>
/// Who a node is and whom it believes, for every port: both sides show a certificate, and a peer's must come from one of the authorities given here, whatever the machine trusts otherwise.
/// Host names are not compared: holding a certificate of these authorities is what makes a node, so they should sign for the cluster alone. Nothing is looked up in the network.
/// </summary>
public sealed class TlsSettings
{
    private readonly X509Certificate2Collection _authorities;
    private readonly SslStreamCertificateContext _context;

    /// <param name="certificate">the node's own, with its private key</param>
    /// <param name="authorities">self-signed certificates that peers' must lead to; others are only links on the way</param>
    /// <param name="intermediates">sent along with the node's own</param>
    /// <exception cref="ArgumentException">no private key, or no authority</exception>
    public TlsSettings(X509Certificate2 certificate, X509Certificate2Collection authorities, X509Certificate2Collection? intermediates = null)
    {
        ArgumentNullException.ThrowIfNull(certificate);
        ArgumentNullException.ThrowIfNull(authorities);
        if (!certificate.HasPrivateKey)
            throw new ArgumentException("the certificate has no private key", nameof(certificate));
        if (authorities.Count == 0)
            throw new ArgumentException("no authority", nameof(authorities));
        Certificate = certificate;
        _authorities = [.. authorities];
        _context = SslStreamCertificateContext.Create(certificate, intermediates, offline: true);
    }


    /// <summary>The node's own, with its private key.</summary>
    public X509Certificate2 Certificate { get; }

    /// <summary>Reads a node's certificate, key and authorities, and checks that they fit together, now.</summary>
    /// <param name="files">where they are</param>
    /// <param name="place">the setting that errors name, e.g. <c>tls</c></param>
    /// <exception cref="InputException">a file can't be read, the key is not the certificate's, the certificate is out of date or not of these authorities</exception>
    public static TlsSettings Load(TlsFiles files, string place = "tls")
    {
        ArgumentNullException.ThrowIfNull(files);
        var authorities = TlsFileReader.Authorities(files, $"{place}.authorities");
        var chain = TlsFileReader.Certificate(files, place);
        var own = chain[0];
        var settings = new TlsSettings(own, authorities, [.. chain.Skip(1)]);
        var certificatePlace = $"{place}.certificate";
        var now = DateTime.Now;
        if (now > own.NotAfter)
            throw new InputException(certificatePlace, FormattableString.Invariant($"the certificate in '{files.Certificate}' expired at {own.NotAfter.ToUniversalTime():u}: issue a new one"));
        if (now < own.NotBefore)
            throw new InputException(certificatePlace, FormattableString.Invariant($"the certificate in '{files.Certificate}' is valid from {own.NotBefore.ToUniversalTime():u} only: check the clock of this machine, or issue a new one"));
        if (!settings.Accepts(own, [.. chain.Skip(1)]))
            throw new InputException(certificatePlace, $"the certificate in '{files.Certificate}' does not lead to an authority in '{files.Authorities}', so peers would refuse it: have it signed by one of them, or name its authority");
        return settings;
    }

    /// <summary>Whether a peer with this certificate is one of the cluster: it leads to one of the authorities and is in date.</summary>
    /// <param name="peer">what it showed; null for nothing</param>
    /// <param name="intermediates">what it showed along with it</param>
    public bool Accepts(X509Certificate2? peer, X509Certificate2Collection? intermediates = null)
    {
        if (peer is null)
            return false;
        using var chain = new X509Chain { ChainPolicy = Policy() };
        if (intermediates is not null)
            chain.ChainPolicy.ExtraStore.AddRange(intermediates);
        try
        {
            return chain.Build(peer);
        }
        catch (CryptographicException)
        {
            return false;
        }
        finally
        {
            foreach (var element in chain.ChainElements)
                element.Certificate.Dispose();
        }
    }

    /// <summary>For the side that listens: TLS 1.2 or 1.3, a client must show a certificate that is accepted.</summary>
    public SslServerAuthenticationOptions ServerOptions() => new()
    {
        ServerCertificateContext = _context,
        ClientCertificateRequired = true,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        CertificateChainPolicy = Policy(),
        RemoteCertificateValidationCallback = IsAccepted,
        EncryptionPolicy = EncryptionPolicy.RequireEncryption,
        // who resumes a session is not looked at again, not even whether it is still in date
        AllowTlsResume = false,
        AllowRenegotiation = false,
    };

    /// <summary>For the side that connects: TLS 1.2 or 1.3, shows its certificate, and accepts a server by its certificate.</summary>
    /// <param name="host">told to the server, not compared with its certificate</param>
    public SslClientAuthenticationOptions ClientOptions(string host) => new()
    {
        TargetHost = host,
        ClientCertificateContext = _context,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        CertificateChainPolicy = Policy(),
        RemoteCertificateValidationCallback = IsAccepted,
        EncryptionPolicy = EncryptionPolicy.RequireEncryption,
        AllowTlsResume = false,
        AllowRenegotiation = false,
    };

    /// <summary>Says whose certificate it is and until when.</summary>
    public override string ToString() => FormattableString.Invariant($"{Certificate.Subject}, until {Certificate.NotAfter.ToUniversalTime():u}");

    // the chain was built by the policy below, with what the peer sent along
    private static bool IsAccepted(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors) =>
        certificate is not null && (errors & ~SslPolicyErrors.RemoteCertificateNameMismatch) == SslPolicyErrors.None;

    private X509ChainPolicy Policy()
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
            VerificationTimeIgnored = true,
        };
        policy.CustomTrustStore.AddRange(_authorities);
        return policy;
    }
}
