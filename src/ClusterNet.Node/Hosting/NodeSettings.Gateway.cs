using ClusterNet.Cluster.Hosting;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Gateway;
using ClusterNet.Gateway.Access;
using ClusterNet.Node.Jobs;

namespace ClusterNet.Node.Hosting;

/// <summary>The settings of a node's gateway: <c>http</c>, <c>grpc</c>, <c>auth</c>, <c>rate-limit</c>, <c>audit</c>.</summary>
internal static partial class NodeSettings
{
    private static readonly Dictionary<string, bool> _certificateModes = new() { ["accept"] = false, ["require"] = true };

    private static GatewaySettings ReadHttp(SettingsDocument document, SettingReader http, string folder, List<Fault> faults)
    {
        var defaults = new GatewaySettings();
        var tls = http.Section("tls");
        var settings = defaults with
        {
            MaxBodyBytes = http.Integer("max-body-bytes", 0, long.MaxValue) ?? defaults.MaxBodyBytes,
            MaxConnections = http.Integer("max-connections", defaults.MaxConnections, 1),
            KeepAlive = TimeSpan.FromSeconds(http.Integer("keep-alive-seconds", (int)defaults.KeepAlive.TotalSeconds, 1, 86_400)),
            StopPatience = TimeSpan.FromSeconds(http.Integer("stop-seconds", (int)defaults.StopPatience.TotalSeconds, 0, 600)),
            HasExamples = http.Truth("examples", defaults.HasExamples),
            HasSharedMemory = http.Truth("shared-memory", defaults.HasSharedMemory),
            Tls = ReadHttpTls(document, tls, folder, faults),
        };
        tls.Finish();
        return settings;
    }

    private static GatewayTls? ReadHttpTls(SettingsDocument document, SettingReader tls, string folder, List<Fault> faults)
    {
        var (certificate, key, password, authorities) = (PathOf("certificate"), PathOf("key"), tls.Text("password"), PathOf("client-authorities"));
        var isRequired = tls.Choice("client-certificates", false, _certificateModes);
        if (certificate is null)
        {
            if (key is not null || password is not null || authorities is not null)
                tls.Fault("certificate", "missing: TLS needs the certificate that the gateway shows");
            return null;
        }
        try
        {
            return GatewayTls.Load(new TlsFiles(certificate, key, password, authorities ?? ""), isRequired);
        }
        catch (InputException error)
        {
            faults.AddRange(error.Faults);
            return null;
        }

        string? PathOf(string name) => tls.Text(name) is { Length: > 0 } path ? Resolve(document, $"http.tls.{name}", path, folder) : null;
    }

    private static GatewaySettings ReadGateway(SettingsDocument document, SettingReader reader, GatewaySettings settings, NodeOptions node, string folder)
    {
        var grpc = reader.Section("grpc");
        var auth = reader.Section("auth");
        var limit = reader.Section("rate-limit");
        var audit = reader.Section("audit");
        var ofNode = settings.Tls is null && node.Tls is not null ? OfNode(node.Tls) : null;
        settings = settings with
        {
            Host = node.HttpHost,
            Port = node.HttpPort ?? settings.Port,
            Node = node.Name,
            Roles = node.Roles,
            Otlp = Uri.TryCreate(node.Otlp, UriKind.Absolute, out var otlp) ? otlp : null,
            GrpcPort = (int?)grpc.Integer("port", 0L, ushort.MaxValue),
            MaxStreams = grpc.Integer("max-streams", settings.MaxStreams, 1),
            IsAuthenticationRequired = auth.Truth("required"),
            Tls = settings.Tls ?? ofNode,
            IsAudited = audit.Truth("enabled", settings.IsAudited),
            StoresInput = audit.Truth("store-input", settings.StoresInput),
            Access = new AccessSettings
            {
                // a certificate of the cluster makes a node, which may do everything anyway
                CertificateScopes = auth.Has("certificate-scopes") ? auth.Texts("certificate-scopes") : ofNode is not null ? Scopes.All : settings.Tls is { TakesCertificates: true } ? [Scopes.Predict] : [],
                Jwt = auth.Has("jwt") ? ReadJwt(document, auth.Section("jwt"), folder) : null,
                RequestsPerSecond = (int?)limit.Integer("requests-per-second", 1L, 1_000_000_000),
                Burst = (int?)limit.Integer("burst", 1L, 1_000_000_000),
            },
        };
        auth.Allow("certificate-scopes");
        foreach (var section in new[] { grpc, auth, limit, audit })
            section.Finish();
        return settings;
    }

    private static GatewayTls? OfNode(TlsFiles files)
    {
        try
        {
            return GatewayTls.OfNode(TlsSettings.Load(files));
        }
        catch (InputException)
        {
            // the node's own settings tell of it
            return null;
        }
    }

    private static JwtSettings ReadJwt(SettingsDocument document, SettingReader jwt, string folder)
    {
        var names = jwt.Section("scopes");
        var settings = new JwtSettings
        {
            Authority = jwt.Text("authority"),
            KeysFile = jwt.Text("keys-file") is { Length: > 0 } file ? Resolve(document, "auth.jwt.keys-file", file, folder) : null,
            Issuer = jwt.Text("issuer"),
            Audience = jwt.Text("audience", "")!,
            ScopeClaim = jwt.Text("scope-claim", "scope")!,
            ScopeNames = Scopes.All.Select(scope => (scope, Name: names.Text(scope))).Where(pair => pair.Name is not null).ToDictionary(pair => pair.scope, pair => pair.Name!),
        };
        names.Finish();
        jwt.Finish();
        return settings;
    }
}
