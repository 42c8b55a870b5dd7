using System.CommandLine;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Core.Faults;
using ClusterNet.Node.Hosting;

namespace ClusterNet.Node.Commands;

/// <summary><c>--cluster HOST:PORT</c> and what TLS needs: for commands that ask a cluster which may run elsewhere.</summary>
internal sealed class RemoteOptions
{
    private readonly Option<string?> _cluster = new("--cluster") { Description = "Ask a running cluster, by the address of any of its nodes, instead of the store in the data directory", HelpName = "HOST:PORT" };
    private readonly Option<string?> _certificate = new("--tls-certificate") { Description = "With --cluster: this client's certificate, PEM or PFX [default: CLUSTERNET__TLS__CERTIFICATE]", HelpName = "FILE" };
    private readonly Option<string?> _key = new("--tls-key") { Description = "With --cluster: its private key, PEM [default: CLUSTERNET__TLS__KEY]", HelpName = "FILE" };
    private readonly Option<string?> _authorities = new("--tls-authorities") { Description = "With --cluster: certificates of the cluster's authorities, PEM [default: CLUSTERNET__TLS__AUTHORITIES]", HelpName = "FILE" };

    /// <summary>Gives a command these options.</summary>
    public Command AddTo(Command command)
    {
        command.Add(_cluster);
        command.Add(_certificate);
        command.Add(_key);
        command.Add(_authorities);
        return command;
    }

    /// <summary>Which cluster is meant; null for the one in this process.</summary>
    /// <exception cref="InputException">an address that is none, or files that can't be used</exception>
    public RemoteTarget? Read(ParseResult parse, Func<string, string?> environment)
    {
        if (parse.GetResult(_cluster) is not { Implicit: false })
            return null;
        var text = parse.GetValue(_cluster) ?? "";
        if (!NodeAddress.TryParse(text, out var address))
            throw new InputException("--cluster", $"'{text}' is not HOST:PORT, such as 127.0.0.1:4053");
        var certificate = parse.GetValue(_certificate) ?? environment(NodeSettings.Prefix + "TLS__CERTIFICATE");
        var authorities = parse.GetValue(_authorities) ?? environment(NodeSettings.Prefix + "TLS__AUTHORITIES");
        if (string.IsNullOrEmpty(certificate) && string.IsNullOrEmpty(authorities))
            return new RemoteTarget(address, null);
        if (string.IsNullOrEmpty(certificate) || string.IsNullOrEmpty(authorities))
            throw new InputException("--tls-certificate", "TLS needs both: this client's certificate and the authorities of the cluster");
        return new RemoteTarget(address, TlsSettings.Load(new TlsFiles(certificate, parse.GetValue(_key) ?? environment(NodeSettings.Prefix + "TLS__KEY"), environment(NodeSettings.Prefix + "TLS__PASSWORD"), authorities)));
    }
}

/// <summary>A cluster that runs elsewhere.</summary>
/// <param name="Address">of one of its nodes</param>
/// <param name="Tls">null where it has none</param>
internal sealed record RemoteTarget(NodeAddress Address, TlsSettings? Tls);
