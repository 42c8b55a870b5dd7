using ClusterNet.Cluster;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Output;

namespace ClusterNet.Node.Commands;

/// <summary>Stays with a job until it ends: shows its progress, stops it in order when the user asks, and tells the end.</summary>
internal sealed class JobFollower(CommandRun run, ICluster cluster, JobId job, JobSpec spec)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Whether Ctrl-C ends the watching alone, not the job.</summary>
    public bool OnlyWatches { get; init; }

    /// <summary>Since when it is under way for whoever looks.</summary>
    public long Started { get; init; } = run.Host.Clock.GetTimestamp();

    /// <summary>Follows the job and gives the exit code.</summary>
    /// <param name="plot">where the loss curve is drawn at the end, or null</param>
    public async Task<int> RunAsync(string? plot)
    {
        using var view = ProgressView.For(run, job, spec);
        var last = await view.ShowAsync(WatchAsync(view));
        var details = await cluster.JobAsync(job, CancellationToken.None);
        if (last is not null && details.Progress.Status is JobStatus.Training or JobStatus.Preparing)
            details = details with { Progress = last };
        var picture = Draw(details, plot);
        if (run.Json)
            run.Print(JsonDocuments.Job(details));
        else
            JobReport.Show(run, details, run.Host.Clock.GetElapsedTime(Started), picture);
        return details.Progress.Status switch
        {
            JobStatus.Completed => plot is null || picture is not null ? ExitCode.Done : ExitCode.Failed,
            JobStatus.Interrupted => ExitCode.Interrupted,
            JobStatus.Training or JobStatus.Preparing when OnlyWatches && run.Interrupt.IsCancellationRequested => ExitCode.Interrupted,
            _ => ExitCode.Failed,
        };
    }

    private async IAsyncEnumerable<JobProgress> WatchAsync(ProgressView view)
    {
        using var enough = new CancellationTokenSource();
        using var over = new CancellationTokenSource();
        var stopping = StopOnRequestAsync(view, enough, over.Token);
        await using (var items = cluster.WatchAsync(job, enough.Token).GetAsyncEnumerator(enough.Token))
        {
            while (await NextAsync(items, enough.Token))
                yield return items.Current;
        }
        await over.CancelAsync();
        await stopping;
    }

    private static async Task<bool> NextAsync(IAsyncEnumerator<JobProgress> items, CancellationToken enough)
    {
        try
        {
            return await items.MoveNextAsync();
        }
        catch (OperationCanceledException) when (enough.IsCancellationRequested)
        {
            return false;
        }
    }

    private async Task StopOnRequestAsync(ProgressView view, CancellationTokenSource enough, CancellationToken over)
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var request = run.Interrupt.Register(() => asked.TrySetResult());
        await using var end = over.Register(() => asked.TrySetCanceled(over));
        try
        {
            await asked.Task;
            if (OnlyWatches)
            {
                await enough.CancelAsync();
                return;
            }
            view.Say("Stopping at the next step, with a checkpoint. Press Ctrl-C again to stop at once.");
            await cluster.InterruptAsync(job, CancellationToken.None);
            // the watch tells the end by itself; it is not waited for without end
            enough.CancelAfter(Patience);
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            // ended by itself
        }
        catch (InputException)
        {
            // ended by itself at the very moment: there is nothing to interrupt any more
        }
        catch (ClusterException error)
        {
            view.Say($"Could not stop: {error.Message} Training goes on; press Ctrl-C again to leave, the last checkpoint stays.");
        }
    }

    private string? Draw(JobDetails details, string? plot)
    {
        if (plot is null || (details.Losses.Count == 0 && details.Epochs.Count == 0))
            return null;
        try
        {
            LossPlot.Save(details, plot);
            if (!LossPlot.HasFonts && !plot.EndsWith(".svg", StringComparison.OrdinalIgnoreCase))
                run.Screen.ErrorLine("clusternet: no fonts are installed here, so the picture has no text; a .svg has");
            return plot;
        }
        catch (InputException error)
        {
            foreach (var fault in error.Faults)
                run.Screen.ErrorLine($"--plot: {fault}");
            return null;
        }
    }
}
