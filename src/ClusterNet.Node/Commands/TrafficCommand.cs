using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using ClusterNet.Cluster.Models;
using ClusterNet.Core.Faults;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Output;

namespace ClusterNet.Node.Commands;

/// <summary><c>models traffic</c>: shows which versions answer for a model, or sets it.</summary>
internal static class TrafficCommand
{
    /// <summary>The command.</summary>
    public static Command Create(CommandLine line)
    {
        var model = new Argument<string>("MODEL") { Description = "The model" };
        var arms = new Option<string[]>("--arm") { Description = "A version or label that answers, and its share: 3=9 --arm canary=1 is nine tenths and one (repeatable)", HelpName = "VERSION=WEIGHT", AllowMultipleArgumentsPerToken = true };
        var shadows = new Option<string[]>("--shadow") { Description = "A version or label that computes every request, too, without answering (repeatable)", HelpName = "VERSION", AllowMultipleArgumentsPerToken = true };
        var reset = new Option<bool>("--reset") { Description = "Back to what is usual: the label production answers, or the newest version where none has it" };
        var command = new Command("traffic", "Show which versions answer for a model, or set all of it by --arm and --shadow") { model, arms, shadows, reset };
        line.OnCluster(command, (parse, run) => RunAsync(run, parse.GetRequiredValue(model), parse.GetValue(arms) ?? [], parse.GetValue(shadows) ?? [], parse.GetValue(reset)));
        return command;
    }

    private static async Task<int> RunAsync(CommandRun run, string model, string[] arms, string[] shadows, bool reset)
    {
        if (reset && arms.Length + shadows.Length > 0)
            throw new InputException("--reset", "does not go together with --arm and --shadow: these say all of the traffic already");
        TrafficArm[] wanted = [.. arms.Select(Arm)];
        await using var cluster = await run.StartClusterAsync();
        var entry = await FindAsync();
        if (reset || arms.Length + shadows.Length > 0)
        {
            // whether it is loaded is no matter of this; a rollback that watches an arm which is gone would be refused
            var rollback = entry.Traffic.Rollback is { } rule && wanted.Any(arm => arm.Target == rule.Canary) ? rule : null;
            await cluster.SetTrafficAsync(model, entry.Traffic with { Arms = wanted, Shadows = shadows, Rollback = rollback }, run.Interrupt);
            entry = await FindAsync();
        }
        Show(run, entry);
        return ExitCode.Done;

        async Task<ModelEntry> FindAsync()
        {
            var entries = await cluster.ModelEntriesAsync(run.Interrupt);
            return entries.FirstOrDefault(known => known.Model == model) ?? throw new InputException([Fault.Unknown("MODEL", model, [.. entries.Select(known => known.Model)])]);
        }
    }

    private static TrafficArm Arm(string text)
    {
        var equals = text.LastIndexOf('=');
        return equals > 0 && double.TryParse(text.AsSpan(equals + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out var weight)
            ? new TrafficArm(text[..equals], weight)
            : throw new InputException("--arm", $"'{text}' is not VERSION=WEIGHT, such as 3=9 or staging=1");
    }

    private static void Show(CommandRun run, ModelEntry entry)
    {
        var shares = TrafficRules.Shares(entry);
        if (run.Json)
        {
            run.Print(new JsonObject
            {
                ["model"] = entry.Model,
                ["arms"] = new JsonArray([.. entry.Traffic.Arms.Select(arm => (JsonNode)new JsonObject { ["target"] = arm.Target, ["weight"] = arm.Weight })]),
                ["shadows"] = new JsonArray([.. entry.Traffic.Shadows.Select(shadow => (JsonNode)shadow)]),
                ["unloaded"] = entry.Traffic.IsUnloaded,
                ["shares"] = new JsonObject([.. shares.Select(share => KeyValuePair.Create(share.Version.ToString(CultureInfo.InvariantCulture), (JsonNode?)share.Share))]),
            });
            return;
        }
        var table = Tables.With("version", "labels", ">share");
        foreach (var (version, share) in shares)
        {
            table.Row(
                $"{entry.Model}:{version.ToString(CultureInfo.InvariantCulture)}",
                string.Join(", ", entry.Labels.Where(label => label.Value == version).Select(label => label.Key).Order(StringComparer.Ordinal)),
                string.Create(CultureInfo.InvariantCulture, $"{100 * share:0.##} %"));
        }
        run.Screen.Out.Write(table);
        if (entry.Traffic.Shadows.Count > 0)
            run.Screen.Line($"Shadows: {string.Join(", ", entry.Traffic.Shadows)}");
        if (entry.Traffic.Rollback is { } rule)
            run.Screen.Line($"'{rule.Canary}' is taken out by itself when it fails or is slow.");
        if (entry.Traffic.IsUnloaded)
            run.Screen.Line("The model is unloaded: requests are refused until it is loaded again.");
    }
}
