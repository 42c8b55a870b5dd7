using System.CommandLine;
using System.Text.Json.Nodes;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Output;

namespace ClusterNet.Node.Commands;

/// <summary><c>evaluate MODEL --data ...</c>: how right a model is on samples whose targets are known.</summary>
internal static class EvaluateCommand
{
    /// <summary>The command.</summary>
    public static Command Create(CommandLine line)
    {
        var model = ModelsCommand.Argument();
        var data = new Option<string>("--data", "-d") { Description = "The samples with their targets: a .csv, .json or .npz file, a folder of pictures, or - for standard input", HelpName = "FILE", Required = true };
        var format = PredictCommand.FormatOption();
        var command = new Command("evaluate", "Measure a trained model on samples whose targets are known") { model, data, format };
        line.OnCluster(command, (parse, run) => RunAsync(run, parse.GetRequiredValue(model), parse.GetRequiredValue(data), parse.GetValue(format)));
        return command;
    }

    private static async Task<int> RunAsync(CommandRun run, string text, string path, string? formatWord)
    {
        var choice = Names.Model(text);
        var format = PredictCommand.Format(formatWord);
        await using var cluster = await run.StartClusterAsync();
        var version = await choice.FindAsync(cluster, run.Interrupt);
        var samples = PredictCommand.ReadSamples(run, version, await PredictCommand.DataOfAsync(cluster, version, run.Interrupt), path, format);
        var metrics = await PredictCommand.OnAsync(path, () => run.WaitAsync($"Evaluating {version.Id}", () => cluster.EvaluateAsync(version.Id, samples, run.Interrupt)));
        if (run.Json)
        {
            run.Print(new JsonObject
            {
                ["model"] = version.Id.Model,
                ["version"] = version.Id.Version,
                ["samples"] = samples.Count,
                ["metrics"] = JsonDocuments.Metrics(metrics),
            });
            return ExitCode.Done;
        }
        run.Screen.Line($"{version.Id} on {Figures.Count(samples.Count, "sample")} of {(path == "-" ? "standard input" : path)}");
        var table = Tables.With("metric", ">value");
        foreach (var name in Figures.TableMetrics(metrics.Keys))
            table.Row(name, Figures.Metric(metrics[name]));
        run.Screen.Out.Write(table);
        return ExitCode.Done;
    }
}
