using System.Net;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Core.Faults;
using ClusterNet.Gateway.Access;

namespace ClusterNet.Gateway;

/// <summary>What a gateway is told. The defaults are those of one process on loopback.</summary>
public sealed record GatewaySettings
{
    private const long MostBodyBytes = 1L << 31;

    /// <summary>The address to listen on, or a name that stands for one.</summary>
    public string Host { get; init; } = "127.0.0.1";

    /// <summary>The port of HTTP; 0 for any free one. With TLS it speaks HTTP/2 as well, gRPC included.</summary>
    public int Port { get; init; } = 8000;

    /// <summary>A port of gRPC's own; 0 for any free one, null for none. Without TLS gRPC needs one: HTTP/1.1 and HTTP/2 can't be told apart there, so this port speaks HTTP/2 alone.</summary>
    public int? GrpcPort { get; init; }

    /// <summary>The node's name, for metrics, traces and the audit log.</summary>
    public string Node { get; init; } = Environment.MachineName;

    /// <summary>What the node does: decides what has to be there before it is ready.</summary>
    public IReadOnlyList<string> Roles { get; init; } = [];

    /// <summary>Certificates; null for no encryption.</summary>
    public GatewayTls? Tls { get; init; }

    /// <summary>Where metrics and traces are sent by OTLP; null for what the environment says.</summary>
    public Uri? Otlp { get; init; }

    /// <summary>The most bytes of a request's body.</summary>
    public long MaxBodyBytes { get; init; } = 64 << 20;

    /// <summary>The most connections at a time.</summary>
    public int MaxConnections { get; init; } = 4096;

    /// <summary>The most requests at a time on one HTTP/2 connection.</summary>
    public int MaxStreams { get; init; } = 256;

    /// <summary>How long a connection may be idle.</summary>
    public TimeSpan KeepAlive { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>How long what is being answered may take when the gateway stops.</summary>
    public TimeSpan StopPatience { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>For so long, when it stops, it tells who is connected to go elsewhere; less where it has less patience.</summary>
    internal TimeSpan Farewell { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>How long a check of readiness may take before it counts as failed.</summary>
    public TimeSpan CheckTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Who may use it. Null for what fits: off on loopback as long as nobody has made a key or named a token or certificate, on elsewhere.</summary>
    public bool? IsAuthenticationRequired { get; init; }

    /// <summary>Who may use it, beside API keys.</summary>
    public AccessSettings Access { get; init; } = new();

    /// <summary>Whether predictions and administrative acts are written to the audit log before they are answered.</summary>
    public bool IsAudited { get; init; } = true;

    /// <summary>Whether the audit log keeps the inputs of predictions themselves, so that these can be computed again. They are patients' data.</summary>
    public bool StoresInput { get; init; }

    /// <summary>Whether the models that NVIDIA's <c>simple</c> examples ask for are there, to try clients with.</summary>
    public bool HasExamples { get; init; }

    /// <summary>Whether callers on the same machine may have values read from, and written into, shared memory that they register; so with the examples, some of which try it.</summary>
    public bool HasSharedMemory { get; init; }

    /// <summary>Whether a model, by its name, is to be loaded before the gateway counts as ready.</summary>
    public Func<string, bool> IsRequired { get; init; } = _ => false;

    /// <summary>All that is wrong. Places are paths in a node file.</summary>
    public IReadOnlyList<Fault> Validate()
    {
        var faults = new List<Fault>();
        CheckPort(faults, "http.port", Port);
        if (GrpcPort is { } grpc)
        {
            CheckPort(faults, "grpc.port", grpc);
            if (grpc != 0 && grpc == Port)
                faults.Add(new Fault("grpc.port", $"{grpc} is the port of HTTP; with TLS that one speaks gRPC too, so leave this out, and without TLS give another one"));
        }
        if (MaxBodyBytes is < 1024 or > MostBodyBytes)
            faults.Add(new Fault("http.max-body-bytes", $"{MaxBodyBytes} is not within 1024 to {MostBodyBytes}"));
        if (MaxConnections < 1)
            faults.Add(new Fault("http.max-connections", $"{MaxConnections} is not at least 1"));
        if (MaxStreams is < 1 or > 100_000)
            faults.Add(new Fault("grpc.max-streams", $"{MaxStreams} is not within 1 to 100000"));
        faults.AddRange(Access.Validate());
        return faults;
    }

    /// <summary>Whether callers must say who they are.</summary>
    /// <param name="hasKeys">whether there is an API key that is good</param>
    /// <exception cref="InputException">strangers could reach it and nothing would stop them, or nobody at all could use it</exception>
    internal bool DecideAuthentication(bool hasKeys)
    {
        const string Remedy = "make a key ('clusternet keys create --name NAME --scopes predict'), name who signs tokens (auth.jwt), or have clients show certificates (tls)";
        var isLoopback = NodeOptions.IsLoopback(Host);
        var hasOther = Access.Jwt is not null || (Tls is { TakesCertificates: true } && Access.CertificateScopes.Count > 0);
        if (IsAuthenticationRequired == false && !isLoopback)
            throw new InputException("auth.required", $"false is for loopback alone, and '{Host}' can be reached from elsewhere: whoever reaches it could read predictions and delete models. Leave it out and {Remedy}");
        if (!hasKeys && !hasOther && (IsAuthenticationRequired == true || !isLoopback))
            throw new InputException("auth.required", $"nobody could use a gateway at '{Host}': callers must say who they are there, and there is no way to. First {Remedy}");
        return IsAuthenticationRequired ?? (!isLoopback || hasKeys || hasOther);
    }

    private static void CheckPort(List<Fault> faults, string place, int port)
    {
        if (port is < IPEndPoint.MinPort or > IPEndPoint.MaxPort)
            faults.Add(new Fault(place, $"{port} is not a port: 1 to 65535, or 0 for any free one"));
    }
}
