using System.Security.Cryptography.X509Certificates;
using Akka.Remote.Transport.DotNetty;

namespace ClusterNet.Client.Messages;

/// <summary>TLS as nodes have it: both sides show a certificate of the cluster's authorities, whatever the machine trusts otherwise; host names are not compared.</summary>
/// <param name="certificate">this program's own</param>
/// <param name="authorities">of the cluster</param>
internal sealed class ClientTls(X509Certificate2 certificate, X509Certificate2Collection authorities)
{
    public DotNettySslSetup Setup() => new(
        certificate,
        suppressValidation: false,
        requireMutualAuthentication: true,
        validateCertificateHostname: false,
        (shown, chain, _, _, _) => shown is not null && IsOfTheCluster(shown, chain));

    private bool IsOfTheCluster(X509Certificate2 shown, X509Chain? sent)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(authorities);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        if (sent is not null)
            chain.ChainPolicy.ExtraStore.AddRange(sent.ChainPolicy.ExtraStore);
        return chain.Build(shown);
    }
}
