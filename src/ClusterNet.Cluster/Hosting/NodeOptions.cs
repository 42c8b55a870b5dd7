using System.Net;
using ClusterNet.Core.Faults;

namespace ClusterNet.Cluster.Hosting;

/// <summary>What a node of a cluster is told. The defaults make a cluster of one node on loopback with every role, its store a SQLite file.</summary>
public sealed record NodeOptions
{
    /// <summary>A log for people.</summary>
    public const string TextLog = "text";

    /// <summary>A log for programs: one JSON document a line.</summary>
    public const string JsonLog = "json";

    /// <summary>The most workers of one job on a node, and the most torch threads of one.</summary>
    public const int MaxWorkers = 1024;

    private const int MaxName = 80;
    private const int MaxSeeds = 256;

    /// <summary>The node's name in logs and lists; the host's name where it is not given.</summary>
    public string Name { get; init; } = Environment.MachineName;

    /// <summary>The address it listens on. 0.0.0.0 takes <see cref="PublicHost"/>.</summary>
    public string Host { get; init; } = "127.0.0.1";

    /// <summary>The port of Akka.Remote; 0 for any free one.</summary>
    public int Port { get; init; }

    /// <summary>The name or address that other nodes reach this one by; <see cref="Host"/> where it is not given.</summary>
    public string? PublicHost { get; init; }

    /// <summary>Nodes to join, each <c>HOST:PORT</c> exactly as that node's public host and port. Nodes whose own address is first in their list found a cluster; with none at all a node founds its own.</summary>
    public IReadOnlyList<string> Seeds { get; init; } = [];

    /// <summary>What it does: see <see cref="Hosting.Roles"/>.</summary>
    public IReadOnlyList<string> Roles { get; init; } = Hosting.Roles.All;

    /// <summary>The most workers of one job on this node.</summary>
    public int Workers { get; init; } = Environment.ProcessorCount;

    /// <summary>The most torch threads of a worker here. Jobs say how many they use, since results depend on it; one that wants more is not computed here.</summary>
    public int ThreadsPerWorker { get; init; } = Environment.ProcessorCount;

    /// <summary>Folders, by their whole paths, whose files jobs may read on this node; empty for any that its user can read.</summary>
    public IReadOnlyList<string> DataFolders { get; init; } = [];

    /// <summary>Whether jobs that were under way when all nodes died go on when nodes start again, without being asked to. The same on all nodes with the coordinator's role.</summary>
    public bool ResumesJobs { get; init; } = true;

    /// <summary>The folder of logs, and of the SQLite store where there is no <see cref="Postgres"/>.</summary>
    public string DataDirectory { get; init; } = "";

    /// <summary>Connection string of the PostgreSQL database that is the cluster's store. A secret: it is never shown.</summary>
    public string? Postgres { get; init; }

    /// <summary>The address that HTTP listens on.</summary>
    public string HttpHost { get; init; } = "127.0.0.1";

    /// <summary>The port of HTTP (metrics, health); 0 for any free one, null for none.</summary>
    public int? HttpPort { get; init; }

    /// <summary>The port of the large-message lane; 0 for any free one: others ask for it.</summary>
    public int LanePort { get; init; }

    /// <summary>Certificate, key and authorities for every port; null for no encryption.</summary>
    public TlsFiles? Tls { get; init; }

    /// <summary>Where metrics and traces are sent by OTLP, an http(s) URL; null for what OpenTelemetry's own variables say.</summary>
    public string? Otlp { get; init; }

    /// <summary><see cref="TextLog"/> or <see cref="JsonLog"/>.</summary>
    public string LogFormat { get; init; } = TextLog;

    /// <summary>How models are served; the same on all nodes of a cluster.</summary>
    public Serving.ServingOptions Serving { get; init; } = new();

    /// <summary>HOCON that goes before all that is generated: the last word on Akka's settings.</summary>
    public string Hocon { get; init; } = "";

    /// <summary>Whether this node reads and writes the store.</summary>
    public bool NeedsStore => Hosting.Roles.NeedStore(Roles);

    /// <summary>What others call it.</summary>
    internal string ReachableHost => PublicHost is { Length: > 0 } given ? given : Host;

    /// <summary>Whether an address is this machine's own alone.</summary>
    public static bool IsLoopback(string host) => host is "localhost" || (IPAddress.TryParse(host, out var address) && IPAddress.IsLoopback(address));

    /// <summary>Whether strangers can reach its ports and nothing stops them there.</summary>
    public bool IsExposed => Tls is null && !(IsLoopback(Host) && (HttpPort is null || IsLoopback(HttpHost)));

    /// <summary>All that is wrong with the settings. Each fault's place is the setting's path in a node file.</summary>
    public IReadOnlyList<Fault> Validate()
    {
        var faults = new List<Fault>();
        if (Name.Length is 0 or > MaxName || !Name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-'))
            faults.Add(new Fault("name", $"'{Name}' is not a name: up to {MaxName} letters, digits, '.', '_', '-'"));
        CheckHosts(faults);
        CheckPort(faults, "port", Port);
        CheckPort(faults, "lane.port", LanePort);
        if (HttpPort is { } http)
            CheckPort(faults, "http.port", http);
        foreach (var (one, other, place) in new[] { (Port, LanePort, "lane.port"), (Port, HttpPort ?? 0, "http.port"), (LanePort, HttpPort ?? 0, "http.port") })
        {
            if (one != 0 && one == other)
                faults.Add(new Fault(place, $"{other} is taken by another setting of this node; give each port once"));
        }
        if (Seeds.Count > MaxSeeds)
            faults.Add(new Fault("seeds", $"{Seeds.Count} are too many; a few that are always there do, at most {MaxSeeds}"));
        for (var i = 0; i < Math.Min(Seeds.Count, MaxSeeds); i++)
        {
            if (!NodeAddress.TryParse(Seeds[i], out _))
                faults.Add(new Fault($"seeds[{i}]", $"'{Seeds[i]}' is not HOST:PORT, such as node-1:4053"));
        }
        if (Roles.Count == 0)
            faults.Add(new Fault("roles", $"none is given; a node has at least one of {string.Join(", ", Hosting.Roles.All)}"));
        for (var i = 0; i < Roles.Count; i++)
        {
            if (!Hosting.Roles.All.Contains(Roles[i]))
                faults.Add(Fault.Unknown($"roles[{i}]", Roles[i], Hosting.Roles.All));
        }
        CheckRange(faults, "workers", Workers, MaxWorkers);
        CheckRange(faults, "threads-per-worker", ThreadsPerWorker, MaxWorkers);
        for (var i = 0; i < DataFolders.Count; i++)
        {
            if (!Path.IsPathRooted(DataFolders[i]))
                faults.Add(new Fault($"data-folders[{i}]", $"'{DataFolders[i]}' is not a whole path"));
        }
        if (DataDirectory.Length == 0)
            faults.Add(new Fault("data-dir", "none is given; name a folder for logs and store"));
        else if (File.Exists(DataDirectory))
            faults.Add(new Fault("data-dir", $"'{DataDirectory}' is a file; give a folder"));
        if (Postgres is not null && PostgresStore.Fault(Postgres) is { } wrong)
            faults.Add(new Fault("store.postgres", wrong));
        if (Tls is not null)
            faults.AddRange(FaultsOf(Tls));
        if (Otlp is not null && !(Uri.TryCreate(Otlp, UriKind.Absolute, out var otlp) && otlp.Scheme is "http" or "https"))
            faults.Add(new Fault("telemetry.otlp", $"'{Otlp}' is not an address such as http://localhost:4317"));
        if (LogFormat is not (TextLog or JsonLog))
            faults.Add(Fault.Unknown("log.format", LogFormat, [TextLog, JsonLog]));
        if (HoconText.Fault(Hocon) is { } hocon)
            faults.Add(new Fault("hocon", hocon));
        return faults;
    }

    private static IReadOnlyList<Fault> FaultsOf(TlsFiles files)
    {
        try
        {
            TlsSettings.Load(files);
            return [];
        }
        catch (InputException error)
        {
            return error.Faults;
        }
    }

    private void CheckHosts(List<Fault> faults)
    {
        if (!IsHost(Host))
            faults.Add(new Fault("host", $"'{Host}' is neither an address nor the name of a host"));
        if (PublicHost is not null && !IsHost(PublicHost))
            faults.Add(new Fault("public-host", $"'{PublicHost}' is neither an address nor the name of a host"));
        if (!IsHost(HttpHost))
            faults.Add(new Fault("http.host", $"'{HttpHost}' is neither an address nor the name of a host"));
        if (IPAddress.TryParse(ReachableHost, out var reachable) && (reachable.Equals(IPAddress.Any) || reachable.Equals(IPAddress.IPv6Any)))
            faults.Add(new Fault("public-host", $"others can't reach a node at '{ReachableHost}'; give the name or address that they know it by"));
    }

    private static bool IsHost(string host) => Uri.CheckHostName(host) != UriHostNameType.Unknown;

    private static void CheckPort(List<Fault> faults, string place, int port)
    {
        if (port is < IPEndPoint.MinPort or > IPEndPoint.MaxPort)
            faults.Add(new Fault(place, $"{port} is not a port: 1 to 65535, or 0 for any free one"));
    }

    private static void CheckRange(List<Fault> faults, string place, int value, int most)
    {
        if (value < 1 || value > most)
            faults.Add(new Fault(place, $"{value} is not within 1 to {most}"));
    }
}
