using System.Globalization;
using Npgsql;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>
/// A network for each node, all on one bridge of this machine, so that they can be cut off from each other as by a failing switch. What a run leaves behind that was killed is cleaned up by the next one.
/// </summary>
internal sealed class NetworkNamespaces : ClusterPlace, IAsyncDisposable
{
    // then the process that made them: names of interfaces have at most 15 characters
    private const string Prefix = "cnt";

    // for tests of networks (RFC 2544): nobody's
    private const string Networks = "198.18.";

    private static int _count;

    private readonly string _name = string.Create(CultureInfo.InvariantCulture, $"{Prefix}{Environment.ProcessId}{(char)('a' + (Interlocked.Increment(ref _count) % 26))}");
    private readonly int _nodes;
    private string _network = string.Empty;
    private TcpForwarder? _store;

    private NetworkNamespaces(int nodes) => _nodes = nodes;

    /// <summary>The address of this machine that all of them reach.</summary>
    public string Outside => $"{_network}.1";

    private string Bridge => $"{_name}b";

    /// <summary>Makes them, or skips the test where the machine does not allow it.</summary>
    public static async Task<NetworkNamespaces> CreateAsync(int nodes)
    {
        Skip.IfNot(OperatingSystem.IsLinux() && Environment.UserName == "root", "network namespaces take root on Linux");
        var (hasTables, fault) = await Tool.TryAsync("iptables", "-w", "-S", "FORWARD");
        Skip.IfNot(hasTables, $"iptables can't be used: {fault}");
        await RemoveLeftAsync();
        var namespaces = new NetworkNamespaces(nodes);
        try
        {
            var (isMade, reason) = await Tool.TryAsync("ip", "netns", "add", namespaces.Name(0));
            Skip.IfNot(isMade, $"this machine allows no network namespaces: {reason}");
            await namespaces.ConnectAsync();
            return namespaces;
        }
        catch
        {
            await namespaces.DisposeAsync();
            throw;
        }
    }

    public override string HostOf(int node) => string.Create(CultureInfo.InvariantCulture, $"{_network}.{node + 2}");

    public override IReadOnlyList<string> LauncherOf(int node) => ["ip", "netns", "exec", Name(node)];

    public override string StoreOf(string connectionString)
    {
        var server = new NpgsqlConnectionStringBuilder(connectionString);
        _store ??= new TcpForwarder($"{_network}.1", server.Host!, server.Port);
        (server.Host, server.Port) = ($"{_network}.1", _store.Port);
        return server.ConnectionString;
    }

    /// <summary>Has the nodes know each other, and others, by names.</summary>
    /// <param name="addresses">by name</param>
    public async Task GiveNamesAsync(IReadOnlyDictionary<string, string> addresses)
    {
        for (var node = 0; node < _nodes; node++)
        {
            Directory.CreateDirectory(NamesOf(Name(node)));
            await File.WriteAllLinesAsync(Path.Combine(NamesOf(Name(node)), "hosts"), ["127.0.0.1 localhost", .. addresses.Select(pair => $"{pair.Value} {pair.Key}")]);
        }
    }

    /// <summary>From now on nothing passes between the two sides. Each still reaches the store.</summary>
    public async Task CutAsync(IReadOnlyList<int> side, IReadOnlyList<int> other)
    {
        foreach (var node in side)
        {
            foreach (var address in other.Select(HostOf))
            {
                await Tool.RunAsync("ip", "netns", "exec", Name(node), "iptables", "-w", "-A", "INPUT", "-s", address, "-j", "DROP");
                await Tool.RunAsync("ip", "netns", "exec", Name(node), "iptables", "-w", "-A", "OUTPUT", "-d", address, "-j", "DROP");
            }
        }
    }

    /// <summary>Pulls the cables of nodes: they reach nobody any more, the store neither.</summary>
    public async Task UnplugAsync(IReadOnlyList<int> nodes)
    {
        foreach (var node in nodes)
            await Tool.RunAsync("ip", "link", "set", Cable(node), "down");
    }

    /// <summary>Nobody hangs in connecting to a side that is cut off: Akka keeps waiting whoever comes from there meanwhile, and a node that starts again would be taken for dead.</summary>
    public async Task RequireNoLongConnectingAsync(IReadOnlyList<int> nodes)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(500));
        for (var look = 0; look < 8; look++)
        {
            foreach (var node in nodes)
            {
                // timer:(on,7.764ms,5): the fifth repetition of a SYN goes out six seconds after the first try or later, as the kernel spaces them
                var connecting = await Tool.RunAsync("ip", "netns", "exec", Name(node), "ss", "-Htno", "state", "syn-sent");
                Assert.DoesNotMatch(@"timer:\(on,[^,]*,([5-9]|\d\d)\)", connecting);
            }
            await pace.WaitForNextTickAsync();
        }
    }

    /// <summary>All reach each other again.</summary>
    public async Task HealAsync()
    {
        for (var node = 0; node < _nodes; node++)
        {
            await Tool.RunAsync("ip", "link", "set", Cable(node), "up");
            await Tool.RunAsync("ip", "netns", "exec", Name(node), "iptables", "-w", "-F");
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_store is not null)
            await _store.DisposeAsync();
        await RemoveAsync(_name);
    }

    // what lies there stands in the place of /etc/hosts for a process that "ip netns exec" starts
    private static string NamesOf(string name) => Path.Combine("/etc/netns", name);

    private string Name(int node) => string.Create(CultureInfo.InvariantCulture, $"{_name}{node}");

    // the end in the root namespace has its namespace's name
    private string Cable(int node) => Name(node);

    private async Task ConnectAsync()
    {
        var (isMade, reason) = await Tool.TryAsync("ip", "link", "add", Bridge, "type", "bridge");
        Skip.IfNot(isMade, $"this machine allows no bridge: {reason}");
        var taken = await Tool.RunAsync("ip", "-4", "-o", "address");
        _network = Enumerable.Range(0, 256).Select(i => string.Create(CultureInfo.InvariantCulture, $"{Networks}{i}")).First(network => !taken.Contains($" {network}.", StringComparison.Ordinal));
        await Tool.RunAsync("ip", "address", "add", $"{_network}.1/24", "dev", Bridge);
        await Tool.RunAsync("ip", "link", "set", Bridge, "up");
        for (var node = 0; node < _nodes; node++)
        {
            if (node > 0)
                await Tool.RunAsync("ip", "netns", "add", Name(node));
            await Tool.RunAsync("ip", "link", "add", Cable(node), "type", "veth", "peer", "name", "eth0", "netns", Name(node));
            await Tool.RunAsync("ip", "link", "set", Cable(node), "master", Bridge, "up");
            await Tool.RunAsync("ip", "-n", Name(node), "address", "add", $"{HostOf(node)}/24", "dev", "eth0");
            await Tool.RunAsync("ip", "-n", Name(node), "link", "set", "eth0", "up");
            await Tool.RunAsync("ip", "-n", Name(node), "link", "set", "lo", "up");
        }
        // a firewall of this machine may look at what passes a bridge
        var rules = await Tool.RunAsync("iptables", "-w", "-S", "FORWARD");
        Skip.If(
            rules.Contains("-P FORWARD DROP", StringComparison.Ordinal) && await Tool.TryAsync("sysctl", "-n", "net.bridge.bridge-nf-call-iptables") is (true, ['1', ..]),
            "this machine's firewall lets nothing pass a bridge");
    }

    /// <summary>Removes what test runs made that are no more.</summary>
    private static async Task RemoveLeftAsync()
    {
        var names = (await Tool.TryAsync("ip", "netns", "list")).Text + "\n" + (await Tool.TryAsync("ip", "-o", "-br", "link", "show", "type", "bridge")).Text;
        foreach (var owner in names.Split('\n').Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)).Select(name => new string([.. name[Prefix.Length..].TakeWhile(char.IsAsciiDigit)])).Distinct())
        {
            if (owner.Length > 0 && !Directory.Exists($"/proc/{owner}"))
                await RemoveAsync($"{Prefix}{owner}");
        }
    }

    private static async Task RemoveAsync(string prefix)
    {
        foreach (var line in (await Tool.TryAsync("ip", "netns", "list")).Text.Split('\n').Where(line => IsOf(line, prefix)))
        {
            var name = line.Split(' ')[0];
            foreach (var process in (await Tool.TryAsync("ip", "netns", "pids", name)).Text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
                await Tool.TryAsync("kill", "-KILL", process);
            // the cable goes with it
            await Tool.TryAsync("ip", "netns", "delete", name);
            if (Directory.Exists(NamesOf(name)))
                Directory.Delete(NamesOf(name), true);
        }
        foreach (var line in (await Tool.TryAsync("ip", "-o", "-br", "link", "show", "type", "bridge")).Text.Split('\n').Where(line => IsOf(line, prefix)))
            await Tool.TryAsync("ip", "link", "delete", line.Split(' ')[0]);
    }

    /// <summary>Of this prefix, and not of a longer number that begins with it.</summary>
    private static bool IsOf(string line, string prefix) =>
        line.StartsWith(prefix, StringComparison.Ordinal) && line.Length > prefix.Length && (char.IsLetter(prefix[^1]) || char.IsLetter(line[prefix.Length]));
}
