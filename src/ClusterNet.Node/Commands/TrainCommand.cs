using System.CommandLine;
using System.Text.Json.Nodes;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Jobs;
using ClusterNet.Node.Output;

namespace ClusterNet.Node.Commands;

/// <summary><c>train FILE</c>: from a job file to a registered model.</summary>
internal static class TrainCommand
{
    /// <summary>The command.</summary>
    public static Command Create(CommandLine line)
    {
        var file = new Argument<string>("FILE") { Description = "The job file (YAML)" };
        var overrides = new Option<string[]>("--set") { Description = "Change a setting, e.g. training.epochs=5 or model.hidden=[32,16]; an empty value takes it back. Repeatable", HelpName = "PATH=VALUE" };
        var name = new Option<string?>("--name") { Description = "Name of the job and of its model, instead of the file's", HelpName = "NAME" };
        var dryRun = new Option<bool>("--dry-run") { Description = "Show the resolved job, the data's parts, the model and the shards; train nothing" };
        var plot = PlotOption();
        var detach = new Option<bool>("--detach") { Description = "With --cluster: leave once the job is accepted; 'jobs watch' shows how it goes on" };
        var command = new Command("train", "Train a model as a job file says, and register it") { file, overrides, name, dryRun, plot, detach };
        line.OnCluster(command, (parse, run) => RunAsync(
            run,
            parse.GetRequiredValue(file),
            parse.GetValue(overrides) ?? [],
            parse.GetValue(name),
            parse.GetValue(dryRun),
            parse.GetValue(plot),
            parse.GetValue(detach)));
        return command;
    }

    /// <summary>The option that <c>train</c> and <c>resume</c> share.</summary>
    public static Option<string?> PlotOption() => new("--plot") { Description = "Draw the loss curve into this .png or .svg file at the end", HelpName = "FILE" };

    private static async Task<int> RunAsync(CommandRun run, string file, IReadOnlyList<string> overrides, string? name, bool dryRun, string? plot, bool detach)
    {
        var faults = LossPlot.Check(plot);
        if (detach && run.Remote is null)
            faults = [.. faults, new Fault("--detach", "a job needs a cluster that goes on without this command: name one with --cluster")];
        JobFile? job = null;
        try
        {
            job = JobFile.Load(file, overrides, name, run.Remote is not null, run.Remote is null ? spec => Inspect(run, spec) : null);
        }
        catch (InputException error)
        {
            faults = [.. error.Faults, .. faults];
        }
        if (faults.Count > 0)
            throw new InputException(faults);

        try
        {
            var spec = job!.Spec;
            if (dryRun)
                return DryRun.Show(run, spec);
            await using var cluster = await run.StartClusterAsync();
            var started = run.Host.Clock.GetTimestamp();
            var id = await run.WaitAsync("Reading and checking the data", () => cluster.SubmitAsync(spec, run.Interrupt));
            return detach ? Leave(run, id) : await new JobFollower(run, cluster, id, spec) { Started = started }.RunAsync(plot);
        }
        catch (InputException error)
        {
            throw job!.Locate(error);
        }
    }

    private static int Leave(CommandRun run, JobId job)
    {
        if (run.Json)
            run.Print(new JsonObject { ["job"] = job.Value, ["status"] = JsonDocuments.Word(JobStatus.Preparing) });
        else
            run.Screen.Line($"{job} is accepted. Watch it with: clusternet jobs watch {job} --cluster {run.Remote!.Address}");
        return ExitCode.Done;
    }

    // what only data and model can tell, for a job that is refused anyway
    private static IReadOnlyList<Fault> Inspect(CommandRun run, JobSpec spec)
    {
        try
        {
            run.Host.Preview(spec);
            return [];
        }
        catch (InputException error)
        {
            return error.Faults;
        }
    }
}

/// <summary><c>resume JOB</c>: goes on with an interrupted job.</summary>
internal static class ResumeCommand
{
    /// <summary>The command.</summary>
    public static Command Create(CommandLine line)
    {
        var job = new Argument<string>("JOB") { Description = "The job, as 'jobs list' names it" };
        var plot = TrainCommand.PlotOption();
        var command = new Command("resume", "Go on with an interrupted or killed job from its last checkpoint") { job, plot };
        line.OnCluster(command, (parse, run) => RunAsync(run, parse.GetRequiredValue(job), parse.GetValue(plot)));
        return command;
    }

    private static async Task<int> RunAsync(CommandRun run, string job, string? plot)
    {
        var faults = LossPlot.Check(plot);
        if (faults.Count > 0)
            throw new InputException(faults);
        var id = Names.Job(job);
        await using var cluster = await run.StartClusterAsync();
        var details = await cluster.JobAsync(id, run.Interrupt);
        await cluster.ResumeAsync(id, run.Interrupt);
        return await new JobFollower(run, cluster, id, details.Spec).RunAsync(plot);
    }
}

/// <summary>Names on the command line.</summary>
internal static class Names
{
    /// <summary>A job's id.</summary>
    /// <exception cref="InputException">no job can have this name</exception>
    public static JobId Job(string text) =>
        JobId.IsValid(text) ? new JobId(text) : throw new InputException("JOB", $"'{text}' can't be the name of a job; 'clusternet jobs list' shows those there are");

    /// <summary>A model, and its version or label where one is given: <c>MODEL[:VERSION]</c>, <c>MODEL:LABEL</c>.</summary>
    /// <exception cref="InputException">no model can have this name, or no version this number or label</exception>
    public static ModelChoice Model(string text)
    {
        var colon = text.LastIndexOf(':');
        var name = colon < 0 ? text : text[..colon];
        if (!JobId.IsValid(name))
            throw new InputException("MODEL", $"'{text}' can't be the name of a model; 'clusternet models list' shows those there are");
        if (colon < 0)
            return new ModelChoice(name, null, null);
        var which = text[(colon + 1)..];
        if (int.TryParse(which, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var version) && version > 0)
            return new ModelChoice(name, version, null);
        return ModelLabels.IsValid(which)
            ? new ModelChoice(name, null, which)
            : throw new InputException("MODEL", $"'{which}' is neither a version (1, 2, ...) nor a label");
    }
}

/// <summary>Which version a command means.</summary>
/// <param name="Model">the model's name</param>
/// <param name="Version">its number; null for the newest, or what has the label</param>
/// <param name="Label">a label; null for none</param>
internal sealed record ModelChoice(string Model, int? Version, string? Label)
{
    /// <summary>The version itself.</summary>
    /// <exception cref="InputException">there is none</exception>
    public Task<ModelVersion> FindAsync(ICluster cluster, CancellationToken cancel) =>
        Label is null ? cluster.ModelAsync(Model, Version, cancel) : cluster.LabelledModelAsync(Model, Label, cancel);
}
