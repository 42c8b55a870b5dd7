using System.CommandLine;
using System.Text.Json.Nodes;
using ClusterNet.Cluster.Models;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Output;
using Spectre.Console;

namespace ClusterNet.Node.Commands;

/// <summary><c>models list|show|delete</c>.</summary>
internal static class ModelsCommand
{
    private const int NamesShown = 40;

    /// <summary>The command.</summary>
    public static Command Create(CommandLine line)
    {
        var list = new Command("list", "List all versions of all models");
        line.OnCluster(list, (_, run) => ListAsync(run));

        var shown = Argument();
        var show = new Command("show", "Show a version (the newest where none is given): inputs, classes, metrics, where it comes from") { shown };
        line.OnCluster(show, (parse, run) => ShowAsync(run, parse.GetRequiredValue(shown)));

        var deleted = Argument();
        var all = new Option<bool>("--all") { Description = "Delete all versions of the model" };
        var delete = new Command("delete", "Delete a version and its weights") { deleted, all };
        line.OnCluster(delete, (parse, run) => DeleteAsync(run, parse.GetRequiredValue(deleted), parse.GetValue(all)));

        return new Command("models", "List, show and delete trained models") { list, show, delete };
    }

    /// <summary>The argument that names a model.</summary>
    public static Argument<string> Argument() => new("MODEL") { Description = "The model, or one of its versions: MODEL:VERSION", HelpName = "MODEL[:VERSION]" };

    private static async Task<int> ListAsync(CommandRun run)
    {
        await using var cluster = await run.StartClusterAsync();
        var models = await cluster.ModelsAsync(run.Interrupt);
        if (run.Json)
        {
            run.Print(new JsonObject { ["models"] = new JsonArray([.. models.Select(version => (JsonNode)JsonDocuments.Model(version))]) });
            return ExitCode.Done;
        }
        if (models.Count == 0)
        {
            run.Screen.Line("No models yet. Train one with: clusternet train FILE");
            return ExitCode.Done;
        }
        var table = Tables.With("model", "kind", "job", "result", "registered");
        foreach (var version in models)
        {
            table.Row(
                version.Id.ToString(),
                version.Model.Kind,
                version.Job.Value,
                Headline(version, "test") ?? Headline(version, "validation") ?? Headline(version, "training") ?? "-",
                Figures.Moment(version.Registered));
        }
        run.Screen.Out.Write(table);
        return ExitCode.Done;
    }

    private static async Task<int> ShowAsync(CommandRun run, string text)
    {
        var (model, number) = Names.Model(text);
        await using var cluster = await run.StartClusterAsync();
        var version = await cluster.ModelAsync(model, number, run.Interrupt);
        if (run.Json)
        {
            run.Print(JsonDocuments.Model(version));
            return ExitCode.Done;
        }
        var signature = version.Signature;
        run.Screen.Out.Write(Tables.Pairs(
        [
            ("model", version.Id.ToString()),
            ("kind", version.Model.Kind),
            ("parameters", Figures.Count(version.Parameters)),
            ("task", signature.Task.ToString().ToLowerInvariant()),
            ("predicts", signature.TargetName),
            .. signature.Classes.Count > 0 ? new[] { ("classes", Some(signature.Classes)) } : [],
            ("inputs", Some(signature.InputNames)),
            ("shape of a sample", Figures.Shape(signature.Shape)),
            ("trained by", $"{version.Job}, step {Figures.Count(version.Step)}, seed {version.Seed}"),
            ("weights sha256", version.WeightsSha256),
            ("data fingerprint", version.DataFingerprint),
            ("registered", Figures.Moment(version.Registered)),
        ]));
        run.Screen.Out.Write(Tables.Metrics(version.Metrics));
        return ExitCode.Done;
    }

    private static async Task<int> DeleteAsync(CommandRun run, string text, bool all)
    {
        var (model, number) = Names.Model(text);
        if (all && number is not null)
            throw new InputException("--all", $"'{text}' names one version; give {model} without it to delete all");
        await using var cluster = await run.StartClusterAsync();
        if (!all && number is null)
        {
            var versions = (await cluster.ModelsAsync(run.Interrupt)).Where(version => version.Id.Model == model).Select(version => version.Id).ToArray();
            if (versions.Length > 1)
                throw new InputException("MODEL", $"'{model}' has {versions.Length} versions ({string.Join(", ", versions.TakeLast(5))}): name one, or add --all");
        }
        var deleted = await cluster.DeleteModelAsync(model, number, run.Interrupt);
        if (run.Json)
            run.Print(new JsonObject { ["deleted"] = new JsonArray([.. deleted.Select(id => (JsonNode)new JsonObject { ["model"] = id.Model, ["version"] = id.Version })]) });
        else
            run.Screen.Line($"Deleted {string.Join(", ", deleted)}.");
        return ExitCode.Done;
    }

    private static string Some(IReadOnlyList<string> names) =>
        string.Join(", ", names.Take(NamesShown)) + (names.Count > NamesShown ? $", ... ({Figures.Count(names.Count)} in all)" : "");

    // the one figure that people ask for first
    private static string? Headline(ModelVersion version, string part)
    {
        if (!version.Metrics.TryGetValue(part, out var metrics))
            return null;
        var name = (version.Signature.Task == LearningTask.Classification ? new[] { MetricNames.Accuracy, MetricNames.Loss } : [MetricNames.Rmse, MetricNames.Mse, MetricNames.Loss])
            .FirstOrDefault(metrics.ContainsKey);
        return name is null ? null : $"{part} {name} {Figures.Metric(metrics[name])}";
    }
}
