using System.Diagnostics;
using System.Globalization;
using System.Text;
using Akka.Actor;
using Akka.Hosting;
using ClusterNet.Cluster.Tests;
using ClusterNet.Cluster.Training;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;

namespace ClusterNet.Gateway.Tests;

/// <summary>Data is never told: whatever goes wrong, no value of a feature, a category, a label or a request is in a log, a trace or a metric.</summary>
[Collection(OneByOne.Name)]
public sealed class CanaryTests : IDisposable
{
    private const string Category = "kanarienvogel";
    private const string Number = "73194.625";
    private const string Label = "serinus";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("clusternet-canary-");

    private string DataFile => Path.Combine(_folder.FullName, "data.csv");

    public void Dispose() => _folder.Delete(true);

    [Fact]
    public async Task No_value_of_the_data_is_in_a_log_a_trace_or_a_metric()
    {
        using var listening = new Listening();
        await using var observed = await ObservedCluster.StartAsync();
        await using var endpoints = await NodeEndpoints.StartAsync(new EndpointSettings(), observed.Cluster.System);
        await File.WriteAllTextAsync(DataFile, Rows());

        // a training, then predictions, good and bad
        var version = (await observed.TrainAsync(Job(epochs: 2))).Result!.Version;
        await observed.Cluster.PredictAsync(version, new RawSamples.Table(["size", "kind"], [[Number, Category]]));
        await Assert.ThrowsAsync<InputException>(() => observed.Cluster.PredictAsync(version, new RawSamples.Table(["size", "kind"], [[Category, Number]])));
        await Assert.ThrowsAsync<InputException>(() => observed.Cluster.EvaluateAsync(version, new RawSamples.Table(["size", "kind", "target"], [[Number, Category, Label + "?"]])));
        await HurtAsync(observed);

        // a training that diverges, one whose data is no longer what it was, and one whose data can't be read at all
        await observed.TrainAsync(Job(epochs: 30, learningRate: 1e30));
        await ChangedUnderItAsync(observed, Rows().Replace(Number, Category, StringComparison.Ordinal));
        await ChangedUnderItAsync(observed, Rows().Replace(",a,", $",{Category},", StringComparison.Ordinal));
        await File.WriteAllTextAsync(DataFile, Rows().Replace(Number, Category, StringComparison.Ordinal));
        await Assert.ThrowsAsync<InputException>(() => observed.TrainAsync(Job(epochs: 1)));

        listening.ReadGauges();
        using var http = new HttpClient { BaseAddress = endpoints.Address };
        Absent("a metric", await http.GetStringAsync(new Uri("/metrics", UriKind.Relative)));
        Assert.NotEmpty(observed.Log.Lines);
        foreach (var (text, properties) in observed.Log.Lines)
            Absent("the log", text + string.Join(' ', properties.Select(property => $"{property.Key}={property.Value}")));
        Assert.NotEmpty(listening.Activities);
        foreach (var activity in listening.Activities)
            Absent("a trace", Text(activity));
        foreach (var reading in listening.Readings)
            Absent("a metric", string.Join(' ', reading.Tags.Select(tag => $"{tag.Key}={tag.Value}")));
    }

    private static string Text(Activity activity) => string.Join(
        ' ',
        activity.TagObjects.Concat(activity.Events.SelectMany(one => one.Tags)).Select(tag => $"{tag.Key}={tag.Value}")
            .Concat(activity.Baggage.Select(item => $"{item.Key}={item.Value}"))
            .Append(activity.DisplayName).Append(activity.StatusDescription));

    private static void Absent(string where, string text)
    {
        foreach (var value in new[] { Category, Number, Label })
            Assert.False(text.Contains(value, StringComparison.OrdinalIgnoreCase), $"'{value}' is in {where}: {text}");
    }

    /// <summary>A worker dies, and the store fails.</summary>
    private async Task HurtAsync(ObservedCluster observed)
    {
        using var patience = new CancellationTokenSource(ObservedCluster.Patience);
        var job = await observed.Cluster.SubmitAsync(Job(epochs: 100_000), patience.Token);
        var isHurt = false;
        await foreach (var progress in observed.Cluster.WatchAsync(job, patience.Token))
        {
            if (!isHurt && progress.Status == JobStatus.Training && progress.Step > 0)
            {
                isHurt = true;
                observed.Store.FailSnapshots = "shard-";
                StopAWorker(observed.Cluster.System);
            }
            else if (isHurt && progress.Status == JobStatus.Training && (await observed.Cluster.JobAsync(job, patience.Token)).Generations.Count > 1 && observed.Log.Lines.Any(line => line.Text.Contains("was not saved", StringComparison.Ordinal)))
            {
                await observed.Cluster.CancelAsync(job, patience.Token);
            }
        }
        observed.Store.FailSnapshots = null;
        Assert.True(isHurt);
    }

    /// <summary>A job is submitted and interrupted, its data changes, and it is resumed by another process.</summary>
    private async Task ChangedUnderItAsync(ObservedCluster observed, string rows)
    {
        using var patience = new CancellationTokenSource(ObservedCluster.Patience);
        await File.WriteAllTextAsync(DataFile, Rows(), patience.Token);
        var job = await observed.Cluster.SubmitAsync(Job(epochs: 100_000), patience.Token);
        await observed.Cluster.InterruptAsync(job, patience.Token);
        await File.WriteAllTextAsync(DataFile, rows, patience.Token);
        await observed.RestartAsync();
        await observed.Cluster.ResumeAsync(job, patience.Token);
        await foreach (var progress in observed.Cluster.WatchAsync(job, patience.Token))
            Assert.NotEqual(JobStatus.Completed, progress.Status);
        Assert.Equal(JobStatus.Failed, (await observed.Cluster.JobAsync(job, patience.Token)).Summary.Status);
        await File.WriteAllTextAsync(DataFile, Rows(), patience.Token);
    }

    private static void StopAWorker(ActorSystem system)
    {
        // the host has other children, too, such as the one that keeps the data that a job was prepared with
        var host = (ActorRefWithCell)ActorRegistry.For(system).Get<WorkerHost>();
        host.Children.OfType<ActorRefWithCell>().First(child => child.Underlying.Props.Type.Name == "WorkerActor").Tell(PoisonPill.Instance);
    }

    private JobSpec Job(int epochs, double learningRate = 0.01) => new(
        "canary",
        new DataSpec(DataFile, DataFormat.Csv, LearningTask.Classification)
        {
            Categorical = ["kind"],
            Preparation = [new PreparationSpec(PreparationKind.Standardize, []), new PreparationSpec(PreparationKind.OneHot, [])],
        },
        TestJobs.Xor().Model,
        new TrainingSpec { Epochs = epochs, BatchSize = 16, Slices = 2, Workers = 2, Checkpoint = new CheckpointSpec(5, 2), Optimizer = new OptimizerSpec { LearningRate = learningRate } });

    private static string Rows()
    {
        var rows = new StringBuilder("size,kind,target\n");
        for (var i = 0; i < 120; i++)
            rows.Append(CultureInfo.InvariantCulture, $"{(i % 10 == 0 ? Number : (i * 0.5).ToString(CultureInfo.InvariantCulture))},{(i % 3 == 0 ? Category : i % 3 == 1 ? "a" : "b")},{(i % 2 == 0 ? Label : "other")}\n");
        return rows.ToString();
    }
}
