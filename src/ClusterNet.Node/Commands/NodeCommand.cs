using System.CommandLine;
using System.Text.Json.Nodes;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Gateway;
using ClusterNet.Learning.Models;
using ClusterNet.Node.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serilog;

namespace ClusterNet.Node.Commands;

/// <summary><c>node</c>: one node of a cluster, until it is told to leave.</summary>
internal static class NodeCommand
{
    /// <summary>The most that leaving in order may take.</summary>
    private static readonly TimeSpan LeavingPatience = TimeSpan.FromSeconds(30);

    /// <summary>The command.</summary>
    public static Command Create(CommandLine line)
    {
        var config = new Option<string?>("--config") { Description = "The node file (YAML); config/node.yaml is one to start from", HelpName = "FILE" };
        (string Path, Option<string?> Option)[] settings =
        [
            ("name", Setting("--name", "NAME", "The node's name in logs [default: the machine's]")),
            ("host", Setting("--host", "HOST", "The address to listen on [default: 127.0.0.1]")),
            ("port", Setting("--port", "PORT", "The port of Akka.Remote, 0 for any free one [default: 4053]")),
            ("public-host", Setting("--public-host", "HOST", "The name or address that others reach this node by [default: the host]")),
            ("seeds", Setting("--seeds", "HOST:PORT,...", "Nodes to join; none founds a cluster")),
            ("roles", Setting("--roles", "ROLE,...", "coordinator, parameters, worker, inference, gateway [default: all]")),
            ("workers", Setting("--workers", "N", "The most workers of a job here [default: the processors]")),
            ("threads-per-worker", Setting("--threads-per-worker", "N", "The most torch threads of a worker [default: the processors]")),
            ("store.postgres", Setting("--postgres", "CONNECTION", "The cluster's store; better as CLUSTERNET__STORE__POSTGRES, which other users of the machine can't see [default: SQLite in the data directory]")),
            ("http.host", Setting("--http-host", "HOST", "The address of HTTP [default: 127.0.0.1]")),
            ("http.port", Setting("--http-port", "PORT", "The port of HTTP: metrics, health, and with the role gateway predictions and the API [default: none]")),
            ("grpc.port", Setting("--grpc-port", "PORT", "With the role gateway: the port of gRPC [default: none; with TLS that of HTTP speaks it too]")),
            ("lane.port", Setting("--lane-port", "PORT", "The port of the lane for tensors, 0 for any free one [default: 0]")),
            ("tls.certificate", Setting("--tls-certificate", "FILE", "The node's certificate, PEM or PFX")),
            ("tls.key", Setting("--tls-key", "FILE", "Its private key, PEM")),
            ("tls.authorities", Setting("--tls-authorities", "FILE", "Certificates of the cluster's authorities, PEM")),
            ("telemetry.otlp", Setting("--otlp", "URL", "Where metrics and traces are sent by OTLP [default: OTEL_EXPORTER_OTLP_ENDPOINT, or nowhere]")),
            ("log.format", Setting("--log-format", "FORMAT", "text, or json: one document a line with job, generation and step as properties [default: text]")),
            ("serving", Setting("--serving", "FILE", "How models are served: config/serving.yaml [default: as that file says]")),
            ("hocon", Setting("--hocon", "FILE", "Akka's own settings, over all that is generated")),
        ];
        var command = new Command("node", "Run one node of a cluster, until SIGTERM or Ctrl-C has it leave") { config };
        foreach (var (_, option) in settings)
            command.Add(option);
        line.On(command, (parse, run) =>
        {
            var flags = settings
                .Where(setting => parse.GetResult(setting.Option) is { Implicit: false })
                .Select(setting => (setting.Path, Value: parse.GetValue(setting.Option) ?? "", setting.Option.Name))
                .Concat(run.GivenDataDirectory is { } given ? [("data-dir", given, "--data-dir")] : []);
            var (node, gateway) = NodeSettings.ReadAll(parse.GetValue(config), System.Environment.GetEnvironmentVariables(), flags, run.DataDirectory);
            return RunAsync(run, node, gateway);
        });
        return command;
    }

    private static Option<string?> Setting(string name, string helpName, string description) => new(name) { Description = description, HelpName = helpName };

    private static async Task<int> RunAsync(CommandRun run, NodeOptions options, GatewaySettings settings)
    {
        if (options.IsExposed)
        {
            run.Screen.ErrorLine(
                $"WARNING: this node listens on {options.Host} without TLS: whoever reaches its ports can read the data and change the models. Give it tls.certificate, tls.key and tls.authorities, or keep it on loopback.");
        }
        await using var log = NodeLog.Create(options.DataDirectory, options.Name, isConsole: true, options.LogFormat);
        await using var node = await ClusterNode.BeginAsync(options, run.Host.Services.GetRequiredService<ModelCatalog>(), logging => logging.AddSerilog(log), run.Interrupt);
        // before it joins and until it has left: who asks meanwhile is told so
        await using var endpoints = await ListenAsync(node, logging => logging.AddSerilog(log), run.Interrupt);
        await using var gateway = IsGateway(options) ? await GatewayHost.StartAsync(node, settings, logging => logging.AddSerilog(log), run.Interrupt) : null;
        if (gateway?.Warning(settings) is { } warning)
            run.Screen.ErrorLine($"clusternet: {warning}");
        try
        {
            await node.JoinAsync(run.Interrupt);
        }
        catch (OperationCanceledException) when (run.Interrupt.IsCancellationRequested)
        {
            return await LeaveAsync(run, node);
        }
        Announce(run, node, endpoints?.Address ?? gateway?.Server.Address, gateway?.Server.GrpcAddress);

        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var request = run.Interrupt.Register(() => asked.TrySetResult());
        if (await Task.WhenAny(asked.Task, node.Ended) == asked.Task)
        {
            // what it holds is answered while the node can still ask the others
            if (gateway is not null)
                await gateway.DisposeAsync();
            return await LeaveAsync(run, node);
        }
        run.Screen.ErrorLine($"clusternet: the node {options.Name} has ended by itself: {await node.Ended}.");
        return ExitCode.Failed;
    }

    private static async Task<int> LeaveAsync(CommandRun run, ClusterNode node)
    {
        run.Screen.ErrorLine($"clusternet: {node.Options.Name} leaves the cluster, within {LeavingPatience.TotalSeconds:0} s; a second signal ends it at once.");
        try
        {
            await node.DisposeAsync().AsTask().WaitAsync(LeavingPatience);
            return ExitCode.Done;
        }
        catch (TimeoutException)
        {
            run.Screen.ErrorLine("clusternet: it did not come to an end in time; the others take it for dead.");
            // what hangs must not hold the process
            System.Environment.Exit(ExitCode.Failed);
            return ExitCode.Failed;
        }
    }

    private static async Task<NodeEndpoints?> ListenAsync(ClusterNode node, Action<ILoggingBuilder> logging, CancellationToken cancel) => node.Options is not { HttpPort: { } port } options || IsGateway(options)
        ? null
        : await NodeEndpoints.StartAsync(
            new EndpointSettings
            {
                Host = options.HttpHost,
                Port = port,
                Node = options.Name,
                Roles = options.Roles,
                Tls = options.Tls is null ? null : TlsSettings.Load(options.Tls),
                Otlp = options.Otlp is null ? null : new Uri(options.Otlp),
            },
            node.System,
            logging,
            cancel);

    private static bool IsGateway(NodeOptions options) => options.HttpPort is not null && options.Roles.Contains(Roles.Gateway);

    private static void Announce(CommandRun run, ClusterNode node, Uri? http, Uri? grpc)
    {
        var roles = node.Options.Roles;
        if (run.Json)
        {
            run.Screen.Line(new JsonObject
            {
                ["node"] = node.Options.Name,
                ["address"] = node.Address.ToString(),
                ["roles"] = new JsonArray([.. roles.Select(role => (JsonNode)role)]),
                ["store"] = node.Store,
                ["http"] = http?.ToString(),
                ["grpc"] = grpc?.ToString(),
                ["process"] = System.Environment.ProcessId,
            }.ToJsonString());
        }
        else
        {
            run.Screen.Line($"clusternet node {node.Options.Name} is ready at {node.Address}: {string.Join(", ", roles)}; store: {node.Store}{(http is null ? "" : $"; health and metrics at {http}")}{(grpc is null ? "" : $"; gRPC at {grpc.Authority}")}");
        }
    }
}
