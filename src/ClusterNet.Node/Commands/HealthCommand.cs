using System.CommandLine;
using System.Net;
using System.Net.Security;
using System.Text.Json;
using System.Text.Json.Nodes;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Core.Faults;
using ClusterNet.Node.Hosting;

namespace ClusterNet.Node.Commands;

/// <summary><c>health</c>: asks a node how it is, for the health checks of containers. It finds the node by the settings that the node itself was given.</summary>
internal static class HealthCommand
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>The command.</summary>
    public static Command Create(CommandLine line)
    {
        var config = new Option<string?>("--config") { Description = "The node's own node file; its variables (CLUSTERNET__...) count too", HelpName = "FILE" };
        var url = new Option<Uri?>("--url") { Description = "The node's HTTP address, such as http://127.0.0.1:8080, instead of what its settings say", HelpName = "URL", CustomParser = result => Uri.TryCreate(result.Tokens[0].Value, UriKind.Absolute, out var uri) ? uri : Unusable(result) };
        var port = new Option<string?>("--port") { Description = "The node's HTTP port on this machine", HelpName = "PORT" };
        var live = new Option<bool>("--live") { Description = "Ask only whether it lives, not whether it is ready for work" };
        var command = new Command("health", "Ask a node how it is: exit code 0 where it is well, 1 where it is not") { config, url, port, live };
        line.On(command, (parse, run) =>
        {
            (string, string, string)[] flags = parse.GetValue(port) is { } given ? [("http.port", given, "--port")] : [];
            var options = NodeSettings.Read(parse.GetValue(config), System.Environment.GetEnvironmentVariables(), flags, run.DataDirectory);
            return AskAsync(run, new Uri(parse.GetValue(url) ?? AddressOf(options), parse.GetValue(live) ? "/health/live" : "/health/ready"), options.Tls);
        });
        return command;
    }

    private static Uri? Unusable(System.CommandLine.Parsing.ArgumentResult result)
    {
        result.AddError($"--url: '{result.Tokens[0].Value}' is not an address such as http://127.0.0.1:8080");
        return null;
    }

    private static Uri AddressOf(NodeOptions options)
    {
        if (options.HttpPort is not { } port)
            throw new InputException("http.port", "the node has no HTTP port to ask at; give --port or --url, or --config with its node file");
        var host = IPAddress.TryParse(options.HttpHost, out var address)
            ? address.Equals(IPAddress.Any) ? "127.0.0.1" : address.Equals(IPAddress.IPv6Any) ? "[::1]" : address.ToString()
            : options.HttpHost;
        return new UriBuilder(options.Tls is null ? Uri.UriSchemeHttp : Uri.UriSchemeHttps, host, port).Uri;
    }

    private static async Task<int> AskAsync(CommandRun run, Uri url, TlsFiles? tls)
    {
        // the node's certificate names a machine; who it must come from is what counts
        using var handler = new SocketsHttpHandler { UseProxy = false, SslOptions = tls is null ? new SslClientAuthenticationOptions() : TlsSettings.Load(tls).ClientOptions(url.Host) };
        using var http = new HttpClient(handler) { Timeout = Patience };
        try
        {
            using var response = await http.GetAsync(url, run.Interrupt);
            var body = await response.Content.ReadAsStringAsync(run.Interrupt);
            Tell(run, url, response.IsSuccessStatusCode, body);
            return response.IsSuccessStatusCode ? ExitCode.Done : ExitCode.Failed;
        }
        catch (Exception error) when (error is HttpRequestException or TaskCanceledException && !run.Interrupt.IsCancellationRequested)
        {
            return run.Report(ExitCode.Failed, "failed", $"no answer from {url}: {(error is TaskCanceledException ? $"none within {Patience.TotalSeconds:0} s" : error.Message)}", []);
        }
    }

    private static void Tell(CommandRun run, Uri url, bool isWell, string body)
    {
        JsonNode? document = null;
        try
        {
            document = JsonNode.Parse(body);
        }
        catch (JsonException)
        {
            // whoever answers there is no node
        }
        if (run.Json)
        {
            run.Screen.Line(new JsonObject { ["url"] = url.ToString(), ["healthy"] = isWell, ["answer"] = document }.ToJsonString());
            return;
        }
        if (document?["checks"] is JsonObject checks)
        {
            foreach (var (name, check) in checks)
                run.Screen.Line($"{name}: {check?["status"]}, {check?["reason"]}");
        }
        else
        {
            run.Screen.Line(isWell ? "healthy" : $"unhealthy: {url} does not answer as a node does");
        }
    }
}
