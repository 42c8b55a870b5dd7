using System.Text.Json.Nodes;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Output;
using Spectre.Console;

namespace ClusterNet.Node.Commands;

/// <summary><c>train --dry-run</c>: what a job would do, without a cluster.</summary>
internal static class DryRun
{
    /// <summary>Shows the resolved job, the data, the model and the shards.</summary>
    public static int Show(CommandRun run, JobSpec spec)
    {
        var preview = run.Host.Preview(spec);
        var shards = new ShardPlan(preview.Parameters, spec.Training.Shards).Ranges;
        var plan = BatchPlan.Of(spec.Training, preview.Parts.First(part => part.Part == "training").Samples);
        if (run.Json)
            run.Print(Document(spec, preview, shards, plan));
        else
            Print(run.Screen, spec, preview, shards, plan);
        return ExitCode.Done;
    }

    private static void Print(Screen screen, JobSpec spec, JobPreview preview, IReadOnlyList<ShardRange> shards, BatchPlan plan)
    {
        Heading(screen, "Job");
        screen.Line(SettingsText.Yaml(spec));

        Heading(screen, "Data");
        screen.Out.Write(Tables.Pairs(
        [
            .. preview.Parts.Select(part => (part.Part, $"{Figures.Count(part.Samples, "sample")}")),
            ("shape of a sample", Figures.Shape(preview.SampleShape)),
            .. preview.Classes.Count == 0 ? [] : new[] { ("classes", string.Join(", ", preview.Classes.Take(20)) + (preview.Classes.Count > 20 ? ", ..." : "")) },
            ("steps in an epoch", Figures.Count(plan.StepsPerEpoch)),
            ("steps in all", Figures.Count(plan.TotalSteps(spec.Training))),
        ]));
        screen.Line("");

        Heading(screen, $"Model ({spec.Model.Kind}, {Figures.Count(preview.Parameters)} parameters)");
        var layers = Tables.With("layer", "kind", "output", ">parameters");
        layers.Row("input", "", Figures.Shape(preview.SampleShape), "");
        foreach (var (name, kind, shape, parameters) in preview.Layers)
            layers.Row(name, kind, Figures.Shape(shape), parameters == 0 ? "" : Figures.Count(parameters));
        screen.Out.Write(layers);

        Heading(screen, shards.Count < spec.Training.Shards ? $"Shards ({shards.Count}; the model is too small for {spec.Training.Shards})" : $"Shards ({shards.Count})");
        var table = Tables.With(">shard", ">from", ">to", ">parameters", ">bytes");
        const int Shown = 16;
        foreach (var (index, range) in shards.Index().Take(Shown))
            table.Row($"{index}", Figures.Count(range.Offset), Figures.Count(range.End - 1), Figures.Count(range.Length), Figures.Count(4.0 * range.Length));
        if (shards.Count > Shown)
            table.Row("...", "", "", $"{shards.Count - Shown} more", "");
        screen.Out.Write(table);
    }

    private static void Heading(Screen screen, string text) => screen.Out.MarkupLine($"[bold blue]{Markup.Escape(text)}[/]");

    private static JsonObject Document(JobSpec spec, JobPreview preview, IReadOnlyList<ShardRange> shards, BatchPlan plan) => new()
    {
        ["job"] = JsonDocuments.Settings(JobWriter.Write(spec)),
        ["data"] = new JsonObject
        {
            ["samples"] = new JsonObject(preview.Parts.Select(part => KeyValuePair.Create(part.Part, (JsonNode?)part.Samples))),
            ["shape"] = Numbers(preview.SampleShape),
            ["classes"] = JsonDocuments.Texts(preview.Classes),
        },
        ["model"] = new JsonObject
        {
            ["kind"] = spec.Model.Kind,
            ["parameters"] = preview.Parameters,
            ["layers"] = new JsonArray([.. preview.Layers.Select(layer => (JsonNode)new JsonObject
            {
                ["name"] = layer.Name,
                ["kind"] = layer.Kind,
                ["output_shape"] = Numbers(layer.Shape),
                ["parameters"] = layer.Parameters,
            })]),
        },
        ["shards"] = new JsonArray([.. shards.Select((range, index) => (JsonNode)new JsonObject { ["shard"] = index, ["offset"] = range.Offset, ["length"] = range.Length })]),
        ["steps_per_epoch"] = plan.StepsPerEpoch,
        ["total_steps"] = plan.TotalSteps(spec.Training),
    };

    private static JsonArray Numbers(IEnumerable<int> numbers) => new([.. numbers.Select(number => (JsonNode)number)]);
}
