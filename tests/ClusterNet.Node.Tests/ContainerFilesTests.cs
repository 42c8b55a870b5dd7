using System.Globalization;
using ClusterNet.Node.Hosting;
using YamlDotNet.RepresentationModel;

namespace ClusterNet.Node.Tests;

/// <summary>What docker/ says of nodes is what the program understands: its settings, ports, roles and the time it needs to leave. No container engine is needed for that.</summary>
public sealed class ContainerFilesTests
{
    private static readonly string[] _roles = ["coordinator", "parameters", "worker", "inference", "gateway"];

    // what the program gives itself to leave in order
    private const int LeavingSeconds = 30;

    [Fact]
    public void Compose_has_the_nodes_that_a_cluster_needs_and_starts_them_in_order()
    {
        var services = Compose();
        var nodes = services.Where(service => service.Key is not ("postgres" or "client")).ToDictionary();
        Assert.Equal(["coordinator,parameters", "coordinator,parameters", "coordinator,parameters", "gateway", "inference", "inference", "worker", "worker"],
            nodes.Values.Select(node => Environment(node)["CLUSTERNET__ROLES"]).Order(StringComparer.Ordinal));
        Assert.NotNull(At(services["postgres"], "healthcheck", "test"));
        foreach (var (name, node) in nodes)
        {
            Assert.Equal("node", Assert.Single((YamlSequenceNode)At(node, "command")!).ToString());
            Assert.True(Seconds(At(node, "stop_grace_period")!) > LeavingSeconds, $"{name} is killed before it has left");
            Assert.Equal("service_healthy", At(node, "depends_on", "postgres", "condition")?.ToString());
            var environment = Environment(node);
            Assert.Equal(name, environment["CLUSTERNET__NAME"]);
            Assert.Equal(name, environment["CLUSTERNET__PUBLIC_HOST"]);
            var isStateful = environment["CLUSTERNET__ROLES"].Contains("coordinator", StringComparison.Ordinal);
            Assert.True(isStateful || At(node, "depends_on", "core-1", "condition")?.ToString() == "service_healthy", $"{name} starts before there is a cluster to join");
            Assert.Equal(isStateful || environment["CLUSTERNET__ROLES"] is "inference" or "gateway", environment.ContainsKey("CLUSTERNET__STORE__POSTGRES"));
            AssertSettings(environment);
            foreach (var seed in environment["CLUSTERNET__SEEDS"].Split(','))
            {
                var parts = seed.Split(':');
                Assert.Equal(Environment(nodes[parts[0]])["CLUSTERNET__PORT"], parts[1]);
                Assert.Contains("coordinator", Environment(nodes[parts[0]])["CLUSTERNET__ROLES"], StringComparison.Ordinal);
            }
            foreach (var published in (YamlSequenceNode?)At(node, "ports") ?? [])
                Assert.Matches($"^127\\.0\\.0\\.1:[0-9]+:({environment["CLUSTERNET__HTTP__PORT"]}|{environment.GetValueOrDefault("CLUSTERNET__GRPC__PORT", "none")})$", published.ToString());
        }
    }

    [Fact]
    public void Kubernetes_has_the_nodes_that_a_cluster_needs_and_knows_when_they_are_well()
    {
        var documents = Kubernetes();
        var service = documents.Single(document => Kind(document) == "Service");
        Assert.Equal("None", At(service, "spec", "clusterIP")?.ToString());
        Assert.Equal("true", At(service, "spec", "publishNotReadyAddresses")?.ToString());
        var shared = Entries(At(documents.Single(document => Kind(document) == "ConfigMap"), "data")!).ToDictionary(pair => pair.Key, pair => pair.Value.ToString());
        AssertSettings(shared);
        var sets = documents.Where(document => Kind(document) == "StatefulSet").ToArray();
        Assert.Equal(_roles.Order(), sets.SelectMany(set => Variables(Container(set))["CLUSTERNET__ROLES"].Split(',')).Distinct().Order());
        foreach (var set in sets)
        {
            var name = At(set, "metadata", "name")!.ToString();
            var pod = At(set, "spec", "template", "spec")!;
            var node = Container(set);
            var variables = Variables(node);
            AssertSettings(variables.Where(variable => variable.Key.StartsWith("CLUSTERNET", StringComparison.Ordinal)).ToDictionary());
            Assert.Equal(At(service, "metadata", "name")!.ToString(), At(set, "spec", "serviceName")?.ToString());
            Assert.True(int.Parse(At(pod, "terminationGracePeriodSeconds")!.ToString(), CultureInfo.InvariantCulture) > LeavingSeconds, $"{name} is killed before it has left");
            Assert.Equal("true", At(pod, "securityContext", "runAsNonRoot")?.ToString());
            Assert.Equal("false", At(node, "securityContext", "allowPrivilegeEscalation")?.ToString());
            Assert.Equal("node", Assert.Single((YamlSequenceNode)At(node, "args")!).ToString());
            // a node's HTTP answers once its store does: until then no other probe counts
            foreach (var probe in new[] { "startupProbe", "livenessProbe", "readinessProbe" })
            {
                var command = ((YamlSequenceNode)At(node, probe, "exec", "command")!).Select(part => part.ToString()).ToArray();
                Assert.Equal(["dotnet", "clusternet.dll", "health"], command[..3]);
                Assert.True(int.Parse(At(node, probe, "timeoutSeconds")!.ToString(), CultureInfo.InvariantCulture) > 10, $"{name}'s {probe} gives up before the program does");
            }
            foreach (var resource in new[] { "cpu", "memory" })
                Assert.NotNull(At(node, "resources", "limits", resource));
            var stateful = variables["CLUSTERNET__ROLES"].Split(',').Intersect(["coordinator", "parameters", "inference", "gateway"]).Any();
            Assert.Equal(stateful, variables.ContainsKey("CLUSTERNET__STORE__POSTGRES"));
            var ports = ((YamlSequenceNode)At(node, "ports")!).ToDictionary(port => At(port, "name")!.ToString(), port => At(port, "containerPort")!.ToString());
            Assert.Equal((shared["CLUSTERNET__PORT"], shared["CLUSTERNET__LANE__PORT"], shared["CLUSTERNET__HTTP__PORT"]), (ports["akka"], ports["lane"], ports["http"]));
            Assert.All((YamlSequenceNode)At(service, "spec", "ports")!, port => Assert.Equal(At(port, "port")!.ToString(), ports[At(port, "name")!.ToString()]));
        }
        var core = sets.Single(set => At(set, "metadata", "name")!.ToString() == "core");
        Assert.Equal(
            Enumerable.Range(0, int.Parse(At(core, "spec", "replicas")!.ToString(), CultureInfo.InvariantCulture)).Select(i => $"core-{i}.clusternet:{shared["CLUSTERNET__PORT"]}"),
            shared["CLUSTERNET__SEEDS"].Split(','));
    }

    [Fact]
    public void The_image_runs_as_nobody_special_and_says_how_it_is()
    {
        var lines = File.ReadAllLines(Docker("Dockerfile")).Select(line => line.Trim()).Where(line => line.Length > 0 && line[0] != '#').ToArray();
        var stages = lines.Where(line => line.StartsWith("FROM ", StringComparison.Ordinal)).ToArray();
        Assert.Equal(2, stages.Length);
        Assert.All(stages, stage => Assert.Matches("^FROM mcr\\.microsoft\\.com/dotnet/(sdk|aspnet):10\\.0-noble", stage));
        Assert.Contains("USER $APP_UID", lines);
        Assert.Contains(lines, line => line.StartsWith("HEALTHCHECK ", StringComparison.Ordinal) && line.Contains("\"health\"", StringComparison.Ordinal));
        Assert.Contains("ENTRYPOINT [\"dotnet\", \"clusternet.dll\"]", lines);
    }

    /// <summary>Asks the program's own reader. What Kubernetes or Compose fill in is not there yet, nor are the certificates.</summary>
    private static void AssertSettings(IReadOnlyDictionary<string, string> environment)
    {
        var filled = environment
            .Where(variable => !variable.Key.StartsWith("CLUSTERNET__TLS__", StringComparison.Ordinal))
            .ToDictionary(variable => variable.Key, variable => variable.Value.Replace("$(POD)", "pod-0", StringComparison.Ordinal));
        if (filled.TryGetValue("CLUSTERNET__HOST", out var host) && host == "0.0.0.0")
            filled.TryAdd("CLUSTERNET__PUBLIC_HOST", "pod-0");
        var options = NodeSettings.Read(null, filled, [], "data");
        Assert.True(options.HttpPort is null or > 0);
        Assert.All(
            environment.Keys.Where(name => name.StartsWith("CLUSTERNET__TLS__", StringComparison.Ordinal)),
            name => Assert.Contains(name, new[] { "CLUSTERNET__TLS__CERTIFICATE", "CLUSTERNET__TLS__KEY", "CLUSTERNET__TLS__AUTHORITIES" }));
    }

    private static Dictionary<string, YamlNode> Compose() => Entries(At(Read("compose.yaml").Single(), "services")!);

    private static YamlNode[] Kubernetes() => Read("kubernetes.yaml");

    private static YamlNode[] Read(string file)
    {
        using var text = new StreamReader(Docker(file));
        var stream = new YamlStream();
        stream.Load(text);
        return [.. stream.Documents.Select(document => document.RootNode)];
    }

    /// <summary>A mapping with what is merged into it (<c>&lt;&lt;</c>); its own entries go first, then the earlier of those merged.</summary>
    private static Dictionary<string, YamlNode> Entries(YamlNode mapping)
    {
        var entries = new Dictionary<string, YamlNode>();
        foreach (var (key, value) in ((YamlMappingNode)mapping).Where(pair => pair.Key.ToString() != "<<"))
            entries[key.ToString()] = value;
        foreach (var (_, merged) in ((YamlMappingNode)mapping).Where(pair => pair.Key.ToString() == "<<"))
        {
            foreach (var (key, value) in (merged is YamlSequenceNode several ? several : Enumerable.Repeat(merged, 1)).SelectMany(Entries))
                entries.TryAdd(key, value);
        }
        return entries;
    }

    private static YamlNode? At(YamlNode node, params string[] path) =>
        path.Aggregate((YamlNode?)node, (at, key) => at is not null && Entries(at).TryGetValue(key, out var found) ? found : null);

    private static string Docker(string name) => Path.Combine(Repository.Root, "docker", name);

    private static string Kind(YamlNode document) => At(document, "kind")!.ToString();

    private static YamlNode Container(YamlNode set) => Assert.Single((YamlSequenceNode)At(set, "spec", "template", "spec", "containers")!);

    private static Dictionary<string, string> Variables(YamlNode node) =>
        ((YamlSequenceNode)At(node, "env")!).ToDictionary(variable => At(variable, "name")!.ToString(), variable => At(variable, "value")?.ToString() ?? "");

    private static Dictionary<string, string> Environment(YamlNode service) =>
        Entries(At(service, "environment")!).ToDictionary(pair => pair.Key, pair => pair.Value.ToString());

    private static int Seconds(YamlNode time) => int.Parse(time.ToString().TrimEnd('s'), CultureInfo.InvariantCulture);
}
