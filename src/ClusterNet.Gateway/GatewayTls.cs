using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Core.Faults;

namespace ClusterNet.Gateway;

/// <summary>The certificate that a gateway shows, and whose it wants to see.</summary>
public sealed class GatewayTls
{
    private readonly SslStreamCertificateContext? _own;
    private readonly TlsSettings? _clients;

    private GatewayTls(SslStreamCertificateContext? own, TlsSettings? clients, bool isRequired)
    {
        _own = own;
        _clients = clients;
        IsCertificateRequired = isRequired;
    }

    /// <summary>Whether a client without an accepted certificate is refused before it has said anything.</summary>
    public bool IsCertificateRequired { get; }

    /// <summary>Whether client certificates are looked at.</summary>
    public bool TakesCertificates => _clients is not null;

    /// <summary>As between nodes: clients show a certificate of the cluster.</summary>
    public static GatewayTls OfNode(TlsSettings node) => new(null, node, true);

    /// <summary>A certificate of the gateway's own, which clients check as they check any server's.</summary>
    /// <param name="files">certificate and key; the authorities are those of clients, empty for no client certificates</param>
    /// <param name="isRequired">whether clients must show one; else they may</param>
    /// <param name="place">the setting that errors name</param>
    /// <exception cref="InputException">a file that can't be used</exception>
    public static GatewayTls Load(TlsFiles files, bool isRequired, string place = "http.tls")
    {
        ArgumentNullException.ThrowIfNull(files);
        var chain = TlsFileReader.Certificate(files, place);
        if (DateTime.Now > chain[0].NotAfter)
            throw new InputException($"{place}.certificate", FormattableString.Invariant($"the certificate in '{files.Certificate}' expired at {chain[0].NotAfter.ToUniversalTime():u}: issue a new one"));
        X509Certificate2Collection between = [.. chain.Skip(1)];
        var clients = files.Authorities.Length == 0 ? null : new TlsSettings(chain[0], TlsFileReader.Authorities(files, $"{place}.client-authorities"), between);
        if (clients is null && isRequired)
            throw new InputException($"{place}.client-authorities", "none is given, so no client's certificate could be accepted; name them, or do not require one");
        return new GatewayTls(SslStreamCertificateContext.Create(chain[0], between, offline: true), clients, isRequired);
    }

    /// <summary>For one connection.</summary>
    internal SslServerAuthenticationOptions ServerOptions()
    {
        if (_clients is null)
        {
            return new SslServerAuthenticationOptions
            {
                ServerCertificateContext = _own,
                EnabledSslProtocols = System.Security.Authentication.SslProtocols.Tls12 | System.Security.Authentication.SslProtocols.Tls13,
                EncryptionPolicy = EncryptionPolicy.RequireEncryption,
                AllowRenegotiation = false,
            };
        }
        var options = _clients.ServerOptions();
        if (IsCertificateRequired)
            return options;
        var isAccepted = options.RemoteCertificateValidationCallback!;
        // asked for all the same: it may be left out, and one that is shown must be right
        options.RemoteCertificateValidationCallback = (sender, certificate, chain, errors) => certificate is null || isAccepted(sender, certificate, chain, errors);
        return options;
    }
}
