using System.CommandLine;
using ClusterNet.Gateway.Audit;
using ClusterNet.Gateway.Store;
using ClusterNet.Node.Hosting;
using Microsoft.Extensions.Logging.Abstractions;

namespace ClusterNet.Node.Commands;

/// <summary>Which gateway store a command means: that of the data directory, or the PostgreSQL database that a node file or the environment names.</summary>
internal sealed class GatewayStoreOptions
{
    /// <summary>The chain of what commands do.</summary>
    private const string Chain = "commands";

    private readonly Option<string?> _config = new("--config") { Description = "The gateway's node file; its variables (CLUSTERNET__STORE__POSTGRES) count too", HelpName = "FILE" };

    /// <summary>Gives a command these options.</summary>
    public Command AddTo(Command command)
    {
        command.Add(_config);
        return command;
    }

    /// <summary>Opens it.</summary>
    public GatewayStore Open(ParseResult parse, CommandRun run)
    {
        (string, string, string)[] flags = run.GivenDataDirectory is { } given ? [("data-dir", given, "--data-dir")] : [];
        var options = NodeSettings.Read(parse.GetValue(_config), System.Environment.GetEnvironmentVariables(), flags, run.DataDirectory);
        return GatewayStore.Open(options.DataDirectory, options.Postgres);
    }

    /// <summary>Writes down what a command does: before it, and how it ended.</summary>
    public static async Task<T> ActAsync<T>(GatewayStore store, TimeProvider clock, string action, string subject, Func<T> act, Func<T, string> about)
    {
        using var log = new AuditLog(store, Chain, NullLogger.Instance);
        var entry = new AuditEntry(clock.GetUtcNow(), AuditRecord.Clean($"command line:{System.Environment.UserName}"), action, AuditRecord.Clean(subject), "begun");
        await log.AppendAsync(entry);
        var outcome = "refused";
        try
        {
            var result = act();
            (outcome, subject) = ("done", about(result));
            return result;
        }
        finally
        {
            await log.AppendAsync(entry with { At = clock.GetUtcNow(), Outcome = outcome, Subject = AuditRecord.Clean(subject) });
        }
    }
}
