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

        var promoted = Argument();
        var to = new Option<string>("--to") { Description = "The label [default: production]", HelpName = "LABEL", DefaultValueFactory = _ => ModelLabels.Production };
        var promote = new Command("promote", "Have a version (the newest where none is given) answer for its model: put the label production on it, or another one") { promoted, to };
        line.OnCluster(promote, (parse, run) => LabelAsync(run, parse.GetRequiredValue(promoted), parse.GetRequiredValue(to), remove: false));

        var labelled = Argument();
        var word = new Argument<string>("LABEL") { Description = "staging, production, or a word of your own" };
        var remove = new Option<bool>("--remove") { Description = "Take the label off" };
        var label = new Command("label", "Put a label on a version, off the one that had it") { labelled, word, remove };
        line.OnCluster(label, (parse, run) => LabelAsync(run, parse.GetRequiredValue(labelled), parse.GetRequiredValue(word), parse.GetValue(remove)));

        return new Command("models", "List, show, promote, label and delete trained models, and say which of them answer") { list, show, promote, label, TrafficCommand.Create(line), delete };
    }

    /// <summary>The argument that names a model.</summary>
    public static Argument<string> Argument() => new("MODEL") { Description = "The model, or one of its versions: MODEL:VERSION or MODEL:LABEL", HelpName = "MODEL[:VERSION]" };

    private static async Task<int> ListAsync(CommandRun run)
    {
        await using var cluster = await run.StartClusterAsync();
        var models = await cluster.ModelsAsync(run.Interrupt);
        var entries = await cluster.ModelEntriesAsync(run.Interrupt);
        if (run.Json)
        {
            run.Print(new JsonObject { ["models"] = new JsonArray([.. models.Select(version => (JsonNode)JsonDocuments.Model(version, Labels(entries, version)))]) });
            return ExitCode.Done;
        }
        if (models.Count == 0)
        {
            run.Screen.Line("No models yet. Train one with: clusternet train FILE");
            return ExitCode.Done;
        }
        var table = Tables.With("model", "labels", "kind", "job", "result", "registered");
        foreach (var version in models)
        {
            table.Row(
                version.Id.ToString(),
                string.Join(", ", Labels(entries, version)),
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
        var choice = Names.Model(text);
        await using var cluster = await run.StartClusterAsync();
        var version = await choice.FindAsync(cluster, run.Interrupt);
        var labels = Labels(await cluster.ModelEntriesAsync(run.Interrupt), version);
        if (run.Json)
        {
            run.Print(JsonDocuments.Model(version, labels));
            return ExitCode.Done;
        }
        var signature = version.Signature;
        run.Screen.Out.Write(Tables.Pairs(
        [
            ("model", version.Id.ToString()),
            .. labels.Count > 0 ? new[] { ("labels", string.Join(", ", labels)) } : [],
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
            .. version.Libraries.Count > 0 ? new[] { ("libraries", string.Join(", ", version.Libraries.Select(library => $"{library.Key} {library.Value}"))) } : [],
        ]));
        run.Screen.Out.Write(Tables.Metrics(version.Metrics));
        return ExitCode.Done;
    }

    private static async Task<int> DeleteAsync(CommandRun run, string text, bool all)
    {
        var (model, number, label) = Names.Model(text);
        if (label is not null)
            throw new InputException("MODEL", $"'{text}' names a label; what is deleted is named by its number: {model}:VERSION");
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

    private static async Task<int> LabelAsync(CommandRun run, string text, string label, bool remove)
    {
        var choice = Names.Model(text);
        if (!ModelLabels.IsValid(label))
            throw new InputException("LABEL", $"'{label}' can't be a label: up to {ModelLabels.MaxLength} letters, digits, '.', '_', '-', the first a letter");
        await using var cluster = await run.StartClusterAsync();
        var version = await choice.FindAsync(cluster, run.Interrupt);
        if (remove && !Labels(await cluster.ModelEntriesAsync(run.Interrupt), version).Contains(label))
            throw new InputException("LABEL", $"{version.Id} does not have the label '{label}'");
        await cluster.LabelModelAsync(version.Id.Model, label, remove ? null : version.Id.Version, run.Interrupt);
        if (run.Json)
            run.Print(new JsonObject { ["model"] = version.Id.Model, ["version"] = version.Id.Version, ["label"] = label, ["removed"] = remove });
        else
            run.Screen.Line(remove ? $"{version.Id} has no longer the label {label}." : $"{version.Id} has the label {label}.");
        return ExitCode.Done;
    }

    private static IReadOnlyList<string> Labels(IReadOnlyList<ModelEntry> entries, ModelVersion version) =>
    [
        .. entries.Where(entry => entry.Model == version.Id.Model).SelectMany(entry => entry.Labels)
            .Where(label => label.Value == version.Id.Version).Select(label => label.Key).Order(StringComparer.Ordinal),
    ];

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
