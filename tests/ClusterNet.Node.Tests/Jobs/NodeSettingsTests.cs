using ClusterNet.Cluster.Hosting;
using ClusterNet.Core.Faults;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Jobs;

namespace ClusterNet.Node.Tests.Jobs;

/// <summary>A node's settings: the file, over it the environment, over that the command line; every mistake is named with the place where it stands.</summary>
public sealed class NodeSettingsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("clusternet-settings-");

    [Fact]
    public void The_command_line_goes_over_the_environment_and_that_over_the_file()
    {
        var file = Write("name: from-file\nport: 1\nhost: 127.0.0.2\nroles: [worker]\nstore: { postgres: Host=file;Database=d;Username=u }\nhocon: extra.conf\n");
        File.WriteAllText(Path.Combine(_folder.FullName, "extra.conf"), "akka.loglevel = DEBUG");
        var options = Read(
            file,
            [("CLUSTERNET__PORT", "2"), ("clusternet__store__postgres", "Host=env;Database=d;Username=u"), ("CLUSTERNET__ROLES", "parameters, coordinator"), ("CLUSTERNET__PUBLIC_HOST", "node-1"), ("CLUSTERNET_DATA_DIR", "x")],
            [("port", "3", "--port"), ("seeds", "a:1,b:2", "--seeds"), ("lane.port", "7", "--lane-port"), ("http.port", "8", "--http-port")]);
        Assert.Equal(("from-file", "127.0.0.2", 3, "node-1", 7, 8), (options.Name, options.Host, options.Port, options.PublicHost, options.LanePort, options.HttpPort));
        Assert.Equal(["parameters", "coordinator"], options.Roles);
        Assert.Equal(["a:1", "b:2"], options.Seeds);
        Assert.Equal("Host=env;Database=d;Username=u", options.Postgres);
        Assert.Equal("akka.loglevel = DEBUG", options.Hocon);
        Assert.Equal(_folder.FullName, options.DataDirectory);
    }

    [Fact]
    public void The_files_that_come_with_the_project_can_be_used()
    {
        foreach (var file in Directory.GetFiles(Path.Combine(Repository.Root, "config"), "node*.yaml"))
            Assert.NotEmpty(Read(file, [], []).Roles);
        Assert.Equal(Roles.All, Read(Path.Combine(Repository.Root, "config", "node.yaml"), [], []).Roles);
    }

    [Fact]
    public void Every_mistake_is_named_with_its_place_and_the_likely_meaning()
    {
        var file = Write("name: n\npublic-hosts: a\nroles: [worker, parameter]\nhttp: { prot: 1 }\n");
        var refused = Assert.Throws<InputException>(() => Read(file, [("CLUSTERNET__WORKERS", "many"), ("CLUSTERNET__STORE", "x")], [("seeds", "nowhere", "--seeds"), ("port", "70000", "--port")]));
        var lines = refused.Faults.Select(FaultText.Format).ToArray();
        Assert.Contains(lines, line => line.StartsWith($"{file}:2 public-hosts: ", StringComparison.Ordinal) && line.EndsWith("Did you mean 'public-host'?", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith($"{file}:3 roles[1]: 'parameter' is not one of", StringComparison.Ordinal) && line.EndsWith("Did you mean 'parameters'?", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith($"{file}:4 http.prot: ", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("CLUSTERNET__WORKERS workers: 'many'", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("CLUSTERNET__STORE store: ", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("--seeds seeds[0]: 'nowhere'", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("--port port: 70000", StringComparison.Ordinal));
        Assert.Equal(7, lines.Length);
    }

    [Fact]
    public void What_others_may_look_at_is_told_like_all_else()
    {
        var options = Read(Write("http: { host: 127.0.0.2, port: 8080 }\nlog: { format: json }\ntelemetry: { otlp: 'http://collector:4317' }\n"), [], []);
        Assert.Equal(("127.0.0.2", 8080, NodeOptions.JsonLog, "http://collector:4317"), (options.HttpHost, options.HttpPort, options.LogFormat, options.Otlp));
        var plain = Read(null, [], []);
        Assert.Equal(((int?)null, NodeOptions.TextLog, null), (plain.HttpPort, plain.LogFormat, plain.Otlp));
        var refused = Assert.Throws<InputException>(() => Read(null, [("CLUSTERNET__LOG__FORMAT", "jsn"), ("CLUSTERNET__TELEMETRY__OTLP", "collector")], []));
        Assert.Equal(["CLUSTERNET__LOG__FORMAT log.format", "CLUSTERNET__TELEMETRY__OTLP telemetry.otlp"], refused.Faults.Select(fault => fault.Place).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void What_jobs_may_read_is_relative_to_the_file_that_says_it()
    {
        Assert.Equal([Path.Combine(_folder.FullName, "wards"), "/srv/data"], Read(Write("data-folders: [wards, /srv/data]\n"), [], []).DataFolders);
        Assert.Equal(["/a", "/b"], Read(Write("data-folders: [wards]\n"), [("CLUSTERNET__DATA_FOLDERS", "/a, /b")], []).DataFolders);
        Assert.Empty(Read(null, [], []).DataFolders);
        Assert.Equal("data-folders[1]", Assert.Single(new NodeOptions { DataDirectory = _folder.FullName, DataFolders = ["/a", "b"] }.Validate()).Place);
    }

    [Fact]
    public void Half_of_TLS_is_refused()
    {
        var refused = Assert.Throws<InputException>(() => Read(null, [("CLUSTERNET__TLS__CERTIFICATE", Path.Combine(_folder.FullName, "no.pem"))], []));
        Assert.Contains(refused.Faults, fault => fault.Place.EndsWith("tls.authorities", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("127.0.0.1", false)]
    [InlineData("localhost", false)]
    [InlineData("192.0.2.1", true)]
    public void A_node_that_strangers_can_reach_is_known(string host, bool isExposed) => Assert.Equal(isExposed, Read(null, [], [("host", host, "--host")]).IsExposed);

    public void Dispose() => _folder.Delete(true);

    private string Write(string text)
    {
        var path = Path.Combine(_folder.FullName, "node.yaml");
        File.WriteAllText(path, text);
        return path;
    }

    private NodeOptions Read(string? file, (string Name, string Value)[] environment, (string Path, string Value, string Option)[] flags) =>
        NodeSettings.Read(file, environment.ToDictionary(pair => pair.Name, pair => pair.Value), flags, _folder.FullName);
}
