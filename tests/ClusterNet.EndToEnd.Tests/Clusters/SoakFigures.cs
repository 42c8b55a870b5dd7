using System.Globalization;
using System.Text;
using ClusterNet.Cluster.Training;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>What a soak measured.</summary>
internal sealed class SoakFigures
{
    private readonly List<(string What, JobWatch.Moment Moment)> _disturbances = [];
    private readonly List<(string File, JobDetails Job)> _jobs = [];

    public void Disturbed(string what, JobWatch.Moment moment) => _disturbances.Add((what, moment));

    /// <summary>A job ended with the right weights.</summary>
    public void Ended(string file, JobDetails job) => _jobs.Add((file, job));

    /// <summary>Tables in Markdown.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.AppendLine("| job | ended, all with the hash of one process | steps | generations | samples visited | samples expected |");
        text.AppendLine("| --- | --- | --- | --- | --- | --- |");
        foreach (var jobs in _jobs.GroupBy(job => job.File))
        {
            text.AppendLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {jobs.Key} | {jobs.Count()} | {jobs.Sum(job => job.Job.Progress.Step)} | {jobs.Sum(job => job.Job.Generations.Count)} | {jobs.Sum(job => job.Job.Ledger.Sum(visits => visits.Samples))} | {jobs.Sum(job => job.Job.Ledger.Sum(visits => visits.Expected))} |"));
        }
        text.AppendLine();
        text.AppendLine("| disturbance | times | steps redone | s to the next generation: median, worst | s to the next step: median, worst |");
        text.AppendLine("| --- | --- | --- | --- | --- |");
        foreach (var same in _disturbances.GroupBy(disturbance => disturbance.What).OrderBy(same => same.Key, StringComparer.Ordinal))
        {
            text.AppendLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {same.Key} | {same.Count()} | {same.Sum(one => one.Moment.Redone)} | {Spread(same.Select(one => one.Moment.ToGeneration))} | {Spread(same.Select(one => one.Moment.ToStep))} |"));
        }
        return text.ToString();
    }

    private static string Spread(IEnumerable<TimeSpan?> times)
    {
        var sorted = times.OfType<TimeSpan>().Select(time => time.TotalSeconds).Order().ToArray();
        return sorted.Length == 0 ? "-" : string.Create(CultureInfo.InvariantCulture, $"{sorted[sorted.Length / 2]:0.00}, {sorted[^1]:0.00}");
    }
}
