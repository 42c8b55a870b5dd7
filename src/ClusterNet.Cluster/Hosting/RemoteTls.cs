using System.Security.Cryptography.X509Certificates;
using Akka.Event;
using Akka.Remote.Transport.DotNetty;

namespace ClusterNet.Cluster.Hosting;

/// <summary>TLS of Akka.Remote by the same settings as the lane's: both sides show a certificate, and only the cluster's own authorities count.</summary>
internal static class RemoteTls
{
    /// <summary>For the actor system, beside <c>enable-ssl</c>.</summary>
    public static DotNettySslSetup Setup(TlsSettings tls) => new(
        tls.Certificate,
        suppressValidation: false,
        requireMutualAuthentication: true,
        validateCertificateHostname: false,
        (certificate, chain, peer, _, log) =>
        {
            // what the machine trusts is no matter: the chain is built anew, to the authorities given
            if (tls.Accepts(certificate, Sent(chain)))
                return true;
            log.Warning("TLS: {Peer} was refused: it showed {Certificate}, which does not come from the cluster's authorities or is out of date", peer, certificate?.Subject ?? "no certificate");
            return false;
        });

    private static X509Certificate2Collection? Sent(X509Chain? chain) => chain?.ChainPolicy.ExtraStore;
}
