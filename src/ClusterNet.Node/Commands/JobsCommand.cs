using System.CommandLine;
using System.Text.Json.Nodes;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Faults;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Output;
using Spectre.Console;

namespace ClusterNet.Node.Commands;

/// <summary><c>jobs list|show|watch|cancel</c>.</summary>
internal static class JobsCommand
{
    private const int EpochsShown = 15;
    private const int GenerationsShown = 15;

    /// <summary>The command.</summary>
    public static Command Create(CommandLine line)
    {
        var list = new Command("list", "List all jobs, the newest last");
        line.OnCluster(list, (_, run) => ListAsync(run));

        var shown = new Argument<string>("JOB") { Description = "The job, as 'jobs list' names it" };
        var show = new Command("show", "Show what a job was asked, where it stands and what it ended with") { shown };
        line.OnCluster(show, (parse, run) => ShowAsync(run, parse.GetRequiredValue(shown)));

        var watched = new Argument<string>("JOB") { Description = "The job, as 'jobs list' names it" };
        var watch = new Command("watch", "Show how a job of a running cluster goes on, until it ends or Ctrl-C; the job itself is left alone") { watched };
        line.OnCluster(watch, (parse, run) => WatchAsync(run, parse.GetRequiredValue(watched)));

        var cancelled = new Argument<string>("JOB") { Description = "The job, as 'jobs list' names it" };
        var cancel = new Command("cancel", "End a job for good, without a model") { cancelled };
        line.OnCluster(cancel, (parse, run) => CancelAsync(run, parse.GetRequiredValue(cancelled)));

        return new Command("jobs", "List, show, watch and cancel training jobs") { list, show, watch, cancel };
    }

    private static async Task<int> ListAsync(CommandRun run)
    {
        await using var cluster = await run.StartClusterAsync();
        var jobs = await cluster.JobsAsync(run.Interrupt);
        if (run.Json)
        {
            run.Print(new JsonObject { ["jobs"] = new JsonArray([.. jobs.Select(job => (JsonNode)JsonDocuments.Job(job))]) });
            return ExitCode.Done;
        }
        if (jobs.Count == 0)
        {
            run.Screen.Line("No jobs yet. Start one with: clusternet train FILE");
            return ExitCode.Done;
        }
        var table = Tables.With("job", "status", ">steps", "submitted", "model");
        foreach (var job in jobs)
        {
            table.AddRow(
                new Text(job.Job.Value),
                Status(job.Status),
                new Text($"{Figures.Count(job.Step)} of {Figures.Count(job.TotalSteps)}"),
                new Text(Figures.Moment(job.Submitted)),
                new Text(job.Version?.ToString() ?? "-"));
        }
        run.Screen.Out.Write(table);
        return ExitCode.Done;
    }

    private static async Task<int> ShowAsync(CommandRun run, string name)
    {
        var id = Names.Job(name);
        await using var cluster = await run.StartClusterAsync();
        var job = await cluster.JobAsync(id, run.Interrupt);
        if (run.Json)
        {
            run.Print(JsonDocuments.JobInFull(job));
            return ExitCode.Done;
        }
        var output = run.Screen.Out;
        var progress = job.Progress;
        output.Write(Tables.Pairs(
        [
            ("job", job.Summary.Job.Value),
            ("status", JsonDocuments.Word(progress.Status)),
            .. progress.Failure is { } failure ? new[] { ("failure", failure) } : [],
            ("submitted", Figures.Moment(job.Summary.Submitted)),
            ("steps", $"{Figures.Count(progress.Step)} of {Figures.Count(progress.TotalSteps)}"),
            ("epochs", $"{Figures.Count(progress.Epoch)} of {Figures.Count(progress.TotalEpochs)}"),
            ("checkpoints", job.CommittedCheckpoints.Count == 0 ? "none" : "steps " + string.Join(", ", job.CommittedCheckpoints.Select(step => Figures.Count(step)))),
            .. job.Result is { } result
                ? new[]
                {
                    ("model", result.Version.ToString()),
                    ("weights of step", Figures.Count(result.SelectedStep)),
                    ("weights sha256", result.WeightsSha256),
                    ("samples/s", Figures.Count(result.SamplesPerSecond)),
                }
                : [],
            .. job.Result?.MaxStaleness is { } staleness ? new[] { ("most steps behind", Figures.Count(staleness)) } : [],
        ]));
        if (job.Result is { } ended)
            output.Write(Tables.Metrics(ended.Metrics));
        if (job.Epochs.Count > 0)
            output.Write(Epochs(job));
        if (job.Generations.Count > 1)
            output.Write(Generations(job));
        if (job.LeftOut.Count > 0)
            output.Write(LeftOut(job));
        output.MarkupLine("[bold blue]Job[/]");
        run.Screen.Line(SettingsText.Yaml(job.Spec).TrimEnd());
        if (progress.Status == JobStatus.Interrupted)
            run.Screen.Line($"{Environment.NewLine}Go on with: clusternet resume {job.Summary.Job}");
        return ExitCode.Done;
    }

    private static async Task<int> WatchAsync(CommandRun run, string name)
    {
        var id = Names.Job(name);
        if (run.Remote is null)
            throw new InputException("--cluster", "which cluster? Without one nothing runs that could be watched; 'jobs show' tells how far a job came");
        await using var cluster = await run.StartClusterAsync();
        var job = await cluster.JobAsync(id, run.Interrupt);
        return await new JobFollower(run, cluster, id, job.Spec) { OnlyWatches = true }.RunAsync(null);
    }

    private static async Task<int> CancelAsync(CommandRun run, string name)
    {
        var id = Names.Job(name);
        await using var cluster = await run.StartClusterAsync();
        await cluster.CancelAsync(id, run.Interrupt);
        if (run.Json)
            run.Print(new JsonObject { ["job"] = id.Value, ["status"] = JsonDocuments.Word(JobStatus.Cancelled) });
        else
            run.Screen.Line($"{id} is cancelled.");
        return ExitCode.Done;
    }

    private static Table Epochs(JobDetails job)
    {
        var metric = job.Spec.Training.Metric;
        var hasValidation = job.Epochs.Any(epoch => epoch.Validation.ContainsKey(metric));
        var table = Tables.With([">epoch", ">step", ">training loss", .. hasValidation ? new[] { $">validation {metric}", "" } : []]);
        // the last epochs, and the best before them
        var recent = job.Epochs.TakeLast(EpochsShown).ToArray();
        var best = job.Epochs.LastOrDefault(epoch => epoch.IsBest);
        if (best is not null && best.Epoch < recent[0].Epoch)
            recent = [best, .. recent];
        foreach (var epoch in recent)
        {
            table.Row([
                Figures.Count(epoch.Epoch),
                Figures.Count(epoch.Step),
                Figures.Metric(epoch.TrainingLoss),
                .. hasValidation
                    ? new[] { Figures.Metric(epoch.Validation.TryGetValue(metric, out var value) ? value : null), epoch == best ? "best" : "" }
                    : [],
            ]);
        }
        return table;
    }

    private static Table Generations(JobDetails job)
    {
        var table = Tables.With(">generation", "opened", ">at step", ">back to step", "why");
        foreach (var generation in job.Generations.TakeLast(GenerationsShown))
        {
            table.Row([
                Figures.Count(generation.Generation.Number),
                Figures.Moment(generation.At),
                generation.Step is { } done ? Figures.Count(done) : "-",
                generation.RestoreStep is { } step ? Figures.Count(step) : "-",
                generation.Reason,
            ]);
        }
        return table;
    }

    private static Table LeftOut(JobDetails job)
    {
        var table = Tables.With("node left out", "why");
        foreach (var node in job.LeftOut)
            table.Row([node.Node, node.Reason]);
        return table;
    }

    private static Markup Status(JobStatus status) => new($"[{status switch
    {
        JobStatus.Completed => "green",
        JobStatus.Failed => "red",
        JobStatus.Interrupted => "yellow",
        JobStatus.Cancelled => "grey",
        _ => "blue",
    }}]{JsonDocuments.Word(status)}[/]");
}
