using ClusterNet.Cluster.Training;
using ClusterNet.Node.Commands;
using Spectre.Console;

namespace ClusterNet.Node.Output;

/// <summary>How a job ended, for people.</summary>
internal static class JobReport
{
    /// <summary>Tells the end of a job that was followed.</summary>
    /// <param name="run">where to write</param>
    /// <param name="job">the job</param>
    /// <param name="elapsed">since the job was handed in, or this command began to follow it</param>
    /// <param name="picture">the loss curve's file, or null</param>
    public static void Show(CommandRun run, JobDetails job, TimeSpan elapsed, string? picture)
    {
        var screen = run.Screen;
        var name = Markup.Escape(job.Summary.Job.Value);
        switch (job.Progress.Status)
        {
            case JobStatus.Completed when job.Result is { } result:
                screen.Out.MarkupLine($"[green]{Tick(screen)}[/] [bold]{name}[/] completed: {Figures.Count(result.Epochs, "epoch")}, {Figures.Count(result.Steps, "step")}, "
                    + $"{Figures.Count(result.SamplesPerSecond)} samples/s, {Figures.Duration(elapsed)} in all");
                screen.Out.Write(Tables.Metrics(result.Metrics));
                var epoch = job.Epochs.LastOrDefault(record => record.Step == result.SelectedStep);
                screen.Out.MarkupLine($"Model [bold]{Markup.Escape(result.Version.ToString())}[/] holds the weights of "
                    + (epoch is null ? $"step {Figures.Count(result.SelectedStep)}" : $"epoch {epoch.Epoch}{(epoch.IsBest ? ", the best" : "")}")
                    + $" [dim](sha256 {Markup.Escape(result.WeightsSha256[..Math.Min(12, result.WeightsSha256.Length)])}...)[/]");
                ShowPicture(screen, picture);
                screen.Out.MarkupLine($"[dim]Next:[/] clusternet predict {Markup.Escape(result.Version.Model)} --input FILE");
                break;
            case JobStatus.Interrupted:
                screen.Out.MarkupLine($"[yellow]{name}[/] interrupted after {Figures.Count(job.Progress.Step)} of {Figures.Count(job.Progress.TotalSteps, "step")}; its state is saved");
                ShowPicture(screen, picture);
                screen.Line($"Go on with: clusternet resume {job.Summary.Job}{DataDirectoryHint(run)}");
                break;
            case JobStatus.Cancelled:
                screen.ErrorLine($"clusternet: {job.Summary.Job} was cancelled after {Figures.Count(job.Progress.Step, "step")}; no model was registered");
                break;
            case JobStatus.Failed:
                ShowPicture(screen, picture);
                screen.ErrorLine($"clusternet: {job.Summary.Job} failed: {job.Progress.Failure ?? "no reason was given"}");
                break;
            default:
                screen.ErrorLine($"clusternet: {job.Summary.Job} is {JsonDocuments.Word(job.Progress.Status)}; watch it with 'clusternet jobs show {job.Summary.Job}'");
                break;
        }
    }

    private static string Tick(Screen screen) => screen.Out.Profile.Capabilities.Unicode ? "✓" : "*";

    private static void ShowPicture(Screen screen, string? picture)
    {
        if (picture is not null)
            screen.Out.MarkupLine($"Loss curve: {Markup.Escape(picture)}");
    }

    // the command that goes on must find the same store
    private static string DataDirectoryHint(CommandRun run)
    {
        var usual = CommandLine.UsualDataDirectory(run.Host.Environment);
        return run.DataDirectory == usual ? "" : $" --data-dir {(run.DataDirectory.Contains(' ', StringComparison.Ordinal) ? $"'{run.DataDirectory}'" : run.DataDirectory)}";
    }
}
