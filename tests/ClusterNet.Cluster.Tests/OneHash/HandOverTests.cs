using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Tests.OneHash;

/// <summary>A job that hands its best weights over while it trains registers each of them once, whatever happens to it, and its own weights stay what they are.</summary>
[Collection(ClusterTests.Name)]
public sealed class HandOverTests(ClusterFixture cluster)
{
    private const string Label = "candidate";

    [Fact]
    public async Task Each_epoch_that_is_the_best_so_far_becomes_a_version_once_whatever_dies()
    {
        var spec = Spec("handed-over", 60);
        var plain = ClusterFixture.Plain(spec);
        var calm = await cluster.TrainAsync(spec);
        Assert.Equal(plain.SelectedSha256, calm.WeightsSha256);
        var random = new Random();
        var disturbed = await cluster.TrainAsync(spec, random, 14, job => random.Next(5) switch
        {
            0 => cluster.Cluster.InterruptAsync(job),
            1 => Do(() => cluster.StopCoordinator(job)),
            2 => Do(() => cluster.StopShard(random)),
            _ => Do(() => cluster.StopWorker(random)),
        });
        Assert.Equal((plain.Steps, plain.SelectedSha256), (disturbed.Steps, disturbed.WeightsSha256));

        var versions = (await cluster.Cluster.ModelsAsync()).Where(version => version.Id.Model == spec.Name).ToLookup(version => version.Job);
        Assert.Equal(2, versions.Count);
        var first = versions.First(job => job.Any(version => version.Id == calm.Version)).ToArray();
        var second = versions.First(job => job.Any(version => version.Id == disturbed.Version)).ToArray();
        var details = await cluster.Cluster.JobAsync(first[0].Job);
        long[] best = [.. details.Epochs.Where(epoch => epoch.IsBest).Select(epoch => epoch.Step)];
        Assert.True(best.Length > 1, "nothing improved");
        Assert.Equal(best, first.Select(version => version.Step));
        Assert.Equal(best, second.Select(version => version.Step));
        Assert.Equal(first.Select(version => version.WeightsSha256), second.Select(version => version.WeightsSha256));
        Assert.Equal(best.Length, first.Select(version => version.WeightsSha256).Distinct().Count());
        Assert.All(first.Zip(second), pair => Assert.Equal(pair.Item1.Metrics, pair.Item2.Metrics));
        // what the job ends with is the last of them, and has the label
        Assert.Equal(second[^1].Id, disturbed.Version);
        Assert.Equal(disturbed.Version.Version, (await EntryAsync(spec.Name)).Labels[Label]);
    }

    [Fact]
    public async Task Who_goes_by_the_label_is_answered_by_better_and_better_versions_while_the_job_trains()
    {
        var spec = Spec("followed", 150);
        var job = await cluster.Cluster.SubmitAsync(spec);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (!(await cluster.Cluster.ModelEntriesAsync()).Any(entry => entry.Model == spec.Name && entry.Labels.ContainsKey(Label)))
            await pace.WaitForNextTickAsync();
        await cluster.Cluster.SetTrafficAsync(spec.Name, TrafficSpec.Default with { Arms = [new TrafficArm(Label, 1)] });
        var ended = cluster.EndAsync(job);
        var seen = new List<int>();
        while (!ended.IsCompleted || seen[^1] != (await ended).Version.Version)
        {
            // not one is refused
            var answer = await cluster.Cluster.Serving.PredictAsync(new PredictRequest(spec.Name, new ModelInput.Prepared([30], new float[30])));
            if (seen.LastOrDefault() != answer.Prediction.Version.Version)
                seen.Add(answer.Prediction.Version.Version);
        }
        Assert.Equal(seen.Order(), seen);
        Assert.True(seen.Count > 1, "the label never moved");
    }

    private static JobSpec Spec(string name, int epochs) => OneHashJobs.Long with
    {
        Name = name,
        Training = OneHashJobs.Long.Training with { Epochs = epochs, Publish = new PublishSpec(Label) },
    };

    private static Task Do(Action action)
    {
        action();
        return Task.CompletedTask;
    }

    private async Task<ModelEntry> EntryAsync(string model) => (await cluster.Cluster.ModelEntriesAsync()).Single(entry => entry.Model == model);
}
