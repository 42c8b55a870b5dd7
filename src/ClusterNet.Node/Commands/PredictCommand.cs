using System.CommandLine;
using System.Text;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Models;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;
using ClusterNet.Data.Requests;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Output;
using Spectre.Console;

namespace ClusterNet.Node.Commands;

/// <summary><c>predict MODEL --input ...</c>: what a model says of samples.</summary>
internal static class PredictCommand
{
    private const int RowsOnScreen = 50;

    /// <summary>The command.</summary>
    public static Command Create(CommandLine line)
    {
        var model = ModelsCommand.Argument();
        var input = new Option<string>("--input", "-i") { Description = "The samples: a .csv, .json or .npz file, a picture or a folder of them, or - for standard input", HelpName = "FILE", Required = true };
        var format = FormatOption();
        var output = new Option<string?>("--output", "-o") { Description = "Write the predictions into this .csv or .json file", HelpName = "FILE" };
        var command = new Command("predict", "Predict with a trained model") { model, input, format, output };
        line.OnCluster(command, (parse, run) => RunAsync(run, parse.GetRequiredValue(model), parse.GetRequiredValue(input), parse.GetValue(format), parse.GetValue(output)));
        return command;
    }

    /// <summary>The option that <c>predict</c> and <c>evaluate</c> share.</summary>
    public static Option<string?> FormatOption() =>
        new("--format") { Description = "How to read the samples: csv, json, npz or images [default: by the name's extension, or by how the input starts]", HelpName = "FORMAT" };

    /// <summary>Reads samples for a version of a model.</summary>
    public static RawSamples ReadSamples(CommandRun run, ModelVersion version, DataSpec? data, string path, RawSampleFormat? format)
    {
        var options = RawSampleOptions.For(version.Signature, data) with { Format = format };
        if (path != RawSampleReader.StandardInput)
            return RawSampleReader.Read(path, options);
        using var stream = run.Screen.In();
        return RawSampleReader.Read(stream, "standard input", options);
    }

    /// <summary>The data section that a model was trained with, where the store still has its job: it knows delimiters and marks of missing values.</summary>
    public static async Task<DataSpec?> DataOfAsync(ICluster cluster, ModelVersion version, CancellationToken cancel)
    {
        try
        {
            return (await cluster.JobAsync(version.Job, cancel)).Spec.Data;
        }
        catch (Exception error) when (error is InputException or ClusterException)
        {
            return null;
        }
    }

    /// <summary>Asks something about samples; faults in them are said to be in <paramref name="path"/>, where the user has them.</summary>
    public static async Task<T> OnAsync<T>(string path, Func<Task<T>> ask)
    {
        try
        {
            return await ask();
        }
        catch (InputException error)
        {
            var place = path == RawSampleReader.StandardInput ? "standard input" : path;
            throw new InputException([.. error.Faults.Select(fault =>
                fault.Place.StartsWith("samples", StringComparison.Ordinal) ? fault with { Place = place + fault.Place["samples".Length..] } : fault)]);
        }
    }

    /// <summary>A word for <c>--format</c>.</summary>
    public static RawSampleFormat? Format(string? word)
    {
        var words = new Dictionary<string, RawSampleFormat>(StringComparer.OrdinalIgnoreCase)
        {
            ["csv"] = RawSampleFormat.Csv,
            ["json"] = RawSampleFormat.Json,
            ["npz"] = RawSampleFormat.Npz,
            ["images"] = RawSampleFormat.Images,
        };
        if (word is null)
            return null;
        return words.TryGetValue(word, out var format) ? format : throw new InputException([Fault.Unknown("--format", word, [.. words.Keys])]);
    }

    private static async Task<int> RunAsync(CommandRun run, string text, string input, string? formatWord, string? output)
    {
        var choice = Names.Model(text);
        var format = Format(formatWord);
        if (output is not null)
        {
            var faults = Path.GetExtension(output).ToLowerInvariant() is ".csv" or ".json"
                ? AtomicFile.Check("--output", output)
                : [new Fault("--output", $"'{output}' ends neither in .csv nor in .json")];
            if (faults.Count > 0)
                throw new InputException(faults);
        }

        await using var cluster = await run.StartClusterAsync();
        var version = await choice.FindAsync(cluster, run.Interrupt);
        var samples = ReadSamples(run, version, await DataOfAsync(cluster, version, run.Interrupt), input, format);
        var prediction = await OnAsync(input, () => run.WaitAsync($"Asking {version.Id}", () => cluster.PredictAsync(version.Id, samples, run.Interrupt)));
        var predictions = new Predictions(prediction);
        if (output is not null)
            AtomicFile.Write(output, Encoding.UTF8.GetBytes(Path.GetExtension(output).Equals(".json", StringComparison.OrdinalIgnoreCase) ? predictions.Json() : predictions.Csv()));

        if (run.Json)
            run.Screen.Line(predictions.Json());
        else if (output is not null)
            run.Screen.Line($"{Figures.Count(prediction.Count, "prediction")} of {prediction.Version} are in {output}");
        else if (run.Screen.IsTerminal)
            Show(run.Screen, predictions);
        else
            run.Screen.Out.Profile.Out.Writer.Write(predictions.Csv());
        return ExitCode.Done;
    }

    private static void Show(Screen screen, Predictions predictions)
    {
        screen.Out.Write(predictions.Table(RowsOnScreen));
        var hidden = predictions.Count - RowsOnScreen;
        if (hidden > 0)
            screen.Out.MarkupLine($"[dim]... and {Figures.Count(hidden)} more; --output predictions.csv writes them all[/]");
    }
}
