using System.CommandLine;
using System.Text.Json.Nodes;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Core.Faults;
using ClusterNet.Gateway;
using ClusterNet.Learning.Models;
using ClusterNet.Node.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Serilog;

namespace ClusterNet.Node.Commands;

/// <summary><c>serve</c>: a whole cluster and a gateway in this process, until it is told to end.</summary>
internal static class ServeCommand
{
    private const string HttpPort = "8000";
    private const string GrpcPort = "8001";

    /// <summary>The command.</summary>
    public static Command Create(CommandLine line)
    {
        var config = new Option<string?>("--config") { Description = "A node file (YAML): http, grpc, auth, rate-limit, audit and data-folders are what counts here", HelpName = "FILE" };
        (string Path, Option<string?> Option)[] settings =
        [
            ("http.host", Setting("--host", "HOST", "The address to listen on [default: 127.0.0.1]; others need authentication")),
            ("http.port", Setting("--port", "PORT", $"The port of HTTP, 0 for any free one [default: {HttpPort}]")),
            ("grpc.port", Setting("--grpc-port", "PORT", $"The port of gRPC, 0 for any free one [default: {GrpcPort}]")),
            ("port", Setting("--cluster-port", "PORT", "The port of messages, for programs on this machine that ask by ClusterNet.Client, 0 for any free one [default: 0]")),
            ("auth.required", Setting("--auth", "true|false", "Whether callers must say who they are [default: true, but on loopback only once there is a key]")),
            ("audit.store-input", Setting("--store-input", "true|false", "Keep inputs in the audit log, so that predictions can be computed again [default: false]")),
        ];
        var examples = new Option<bool>("--examples") { Description = "Add the models that NVIDIA's 'simple' client examples ask for, to try clients with" };
        var command = new Command("serve", "Serve all models of the data directory by HTTP and gRPC, until SIGTERM or Ctrl-C ends it") { config, examples };
        foreach (var (_, option) in settings)
            command.Add(option);
        line.On(command, (parse, run) =>
        {
            var given = settings.Where(setting => parse.GetResult(setting.Option) is { Implicit: false }).Select(setting => (setting.Path, parse.GetValue(setting.Option) ?? "", setting.Option.Name));
            (string, string, string)[] usual = parse.GetValue(config) is null ? [("http.port", HttpPort, "--port"), ("grpc.port", GrpcPort, "--grpc-port")] : [];
            (string, string, string)[] added = parse.GetValue(examples) ? [("http.examples", "true", "--examples")] : [];
            var (node, gateway) = NodeSettings.ReadAll(parse.GetValue(config), System.Environment.GetEnvironmentVariables(), [("port", "0", "serve"), .. usual, .. added, .. given], run.DataDirectory);
            if (node.Seeds.Count > 0)
                throw new InputException("seeds", "serve is a cluster of its own; 'clusternet node' runs a gateway in a cluster of several nodes");
            return RunAsync(
                run,
                node with
                {
                    Name = "local",
                    Host = "127.0.0.1",
                    PublicHost = null,
                    Roles = Roles.All,
                    Tls = null,
                    Workers = NodeOptions.MaxWorkers,
                    ThreadsPerWorker = NodeOptions.MaxWorkers,
                    DataDirectory = run.GivenDataDirectory ?? node.DataDirectory,
                },
                gateway with { Roles = Roles.All });
        });
        return command;
    }

    private static Option<string?> Setting(string name, string helpName, string description) => new(name) { Description = description, HelpName = helpName };

    private static async Task<int> RunAsync(CommandRun run, NodeOptions options, GatewaySettings settings)
    {
        await using var log = NodeLog.Create(options.DataDirectory, "serve", isConsole: false, options.LogFormat);
        await using var node = await ClusterNode.StartAsync(options, run.Host.Services.GetRequiredService<ModelCatalog>(), logging => logging.AddSerilog(log), run.Interrupt);
        await using var gateway = await GatewayHost.StartAsync(node, settings, logging => logging.AddSerilog(log), run.Interrupt);
        var models = (await node.Cluster.ModelsAsync(run.Interrupt)).Select(version => version.Id.Model).Distinct().Order(StringComparer.Ordinal).ToArray();
        Announce(run, gateway, settings, node, models);
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var request = run.Interrupt.Register(() => asked.TrySetResult());
        if (await Task.WhenAny(asked.Task, node.Ended) == asked.Task)
        {
            run.Screen.ErrorLine("clusternet: ends; a second signal ends it at once.");
            return ExitCode.Done;
        }
        run.Screen.ErrorLine($"clusternet: the cluster has ended by itself: {await node.Ended}.");
        return ExitCode.Failed;
    }

    private static void Announce(CommandRun run, GatewayHost gateway, GatewaySettings settings, ClusterNode node, string[] models)
    {
        var server = gateway.Server;
        if (gateway.Warning(settings) is { } warning)
            run.Screen.ErrorLine($"clusternet: {warning}");
        if (run.Json)
        {
            run.Screen.Line(new JsonObject
            {
                ["http"] = server.Address.ToString(),
                ["grpc"] = server.GrpcAddress?.ToString(),
                ["cluster"] = node.Address.ToString(),
                ["authentication"] = server.IsAuthenticated,
                ["models"] = new JsonArray([.. models.Select(model => (JsonNode)model)]),
                ["store"] = node.Store,
                ["process"] = System.Environment.ProcessId,
            }.ToJsonString());
            return;
        }
        run.Screen.Line($"clusternet serves {(models.Length == 0 ? "no model yet" : string.Join(", ", models))} at {server.Address} (gRPC: {server.GrpcAddress?.Authority ?? "none"}, messages: {node.Address}); the API is described at {new Uri(server.Address, "api/docs/")}");
        run.Screen.Line($"store: {node.Store}; keys and audit log: {gateway.Store}");
    }
}
