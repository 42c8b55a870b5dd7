using ClusterNet.Cluster.Training;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;
using ClusterNet.Core.Plans;
using CsCheck;

namespace ClusterNet.Cluster.Tests.Training;

/// <summary>What a job judges follows from its history alone.</summary>
public class JobStateTests
{
    [Fact]
    public void A_coordinator_that_dies_at_the_end_still_knows_what_staleness_was_observed()
    {
        var spec = TestJobs.Xor(training => training with { Consistency = ConsistencyMode.Ssp, Staleness = 3 });
        var state = new JobState();
        state.Apply(new TrainingProtocol.Events.JobSubmitted(TestJobs.Id, spec, TestJobs.PlanOf(spec, TestJobs.Layout(9)), DateTimeOffset.UnixEpoch));
        Assert.Null(new TrainingRun(state).MaxStaleness);
        state.Apply(new TrainingProtocol.Events.CheckpointCommitted(10, [], [], default, TimeSpan.Zero, [10]) { MaxStaleness = 2 });
        Assert.Equal(2, new TrainingRun(state).MaxStaleness);
    }

    [Fact]
    public void The_best_epoch_is_the_first_with_the_best_value()
    {
        var records = Judged(new TrainingSpec { Metric = "roc-auc" }, 0.5, 0.7, 0.7, 0.6, 0.8);
        Assert.Equal([true, true, false, false, true], records.Select(record => record.IsBest));
        records = Judged(new TrainingSpec { Metric = "loss" }, 0.5, 0.7, 0.4, 0.4);
        Assert.Equal([true, false, true, false], records.Select(record => record.IsBest));
    }

    [Fact]
    public void It_stops_after_as_many_epochs_without_an_improvement_as_it_has_patience()
    {
        var training = new TrainingSpec { Metric = "loss", EarlyStopping = new EarlyStoppingSpec(2, 0.1) };
        var judge = new EpochJudge(training, MetricNames.HigherIsBetter);
        Assert.False(judge.ShouldStop(Judged(training, 1)));
        Assert.False(judge.ShouldStop(Judged(training, 1, 0.95)));
        Assert.True(judge.ShouldStop(Judged(training, 1, 0.95, 0.92)));
        Assert.False(judge.ShouldStop(Judged(training, 1, 0.95, 0.85)));
        Assert.True(judge.ShouldStop(Judged(training, 1, double.NaN, double.NaN)));
    }

    [Fact]
    public void A_loss_history_of_any_length_stays_small_and_keeps_even_distances() => Gen.Int[1, 40_000].Sample(
        steps =>
        {
            var history = new LossHistory();
            for (var step = 1; step <= steps; step++)
                history.Add(new LossPoint(step, step));
            Assert.InRange(history.Points.Count, 1, LossHistory.Capacity);
            Assert.Equal(1, history.Points[0].Step);
            var distances = history.Points.Zip(history.Points.Skip(1), (a, b) => b.Step - a.Step).Distinct().ToArray();
            Assert.True(distances.Length <= 1);
            Assert.True(steps - history.Points[^1].Step < (distances.Length == 0 ? 2 : distances[0]) || steps < LossHistory.Capacity);
        },
        iter: 50);

    [Fact]
    public void Epochs_of_a_job_of_any_length_fit_a_message_with_the_best_and_both_ends() => Gen.Select(Gen.Int[1, 60_000], Gen.Int[0, 300], Gen.Double[0, 1]).Sample(
        (count, metrics, place) =>
        {
            var values = Enumerable.Range(0, metrics).ToDictionary(metric => $"precision/{metric}", metric => 0.5);
            var best = (int)(place * (count - 1));
            var epochs = Enumerable.Range(0, count).Select(epoch => new EpochRecord(epoch + 1, epoch + 1, 0.5, values, epoch == best || epoch == best / 2)).ToArray();
            var shown = EpochHistory.Shown(epochs);
            Assert.Equal(shown.OrderBy(epoch => epoch.Epoch).Distinct(), shown);
            Assert.Equal((epochs[0], epochs[^1]), (shown[0], shown[^1]));
            Assert.Contains(epochs[best], shown);
            // no more than fit, and not many fewer
            Assert.InRange(shown.Count * (32L + values.Sum(value => value.Key.Length + 16)), shown.Count == count ? 0 : 7 << 20, 9 << 20);
        },
        iter: 40);

    [Fact]
    public void No_epochs_are_none() => Assert.Empty(EpochHistory.Shown([]));

    [Fact]
    public void Paces_of_a_job_of_any_length_stay_few_and_cover_all_of_it() => Gen.Int[1, 40_000].Sample(
        points =>
        {
            var history = new PaceHistory();
            for (var step = 1; step <= points; step++)
                history.Add(new PacePoint(step, step, null));
            Assert.InRange(history.Points.Count, Math.Min(points, PaceHistory.Capacity / 2), PaceHistory.Capacity - 1);
            var distances = history.Points.Zip(history.Points.Skip(1), (a, b) => b.Step - a.Step).Distinct().ToArray();
            Assert.True(history.Points[0].Step == 1 && distances.Length <= 1);
            Assert.InRange(points - history.Points[^1].Step, 0, distances.Append(1).First() - 1);
            history.ForgetAfter(points / 2);
            history.ForgetUpTo(points / 4);
            Assert.All(history.Points, point => Assert.InRange(point.Step, (points / 4) + 1, points / 2));
        },
        iter: 50);

    [Fact]
    public void Going_back_in_steps_goes_back_in_paces_too()
    {
        var spec = TestJobs.Xor();
        var state = new JobState();
        state.Apply(new TrainingProtocol.Events.JobSubmitted(TestJobs.Id, spec, TestJobs.PlanOf(spec, TestJobs.Layout(9)), DateTimeOffset.UnixEpoch));
        state.Apply(new TrainingProtocol.Events.CheckpointCommitted(10, [], [], default, TimeSpan.Zero, [10]) { Paces = [new(4, 100, null), new(9, 110, null)] });
        state.Apply(new TrainingProtocol.Events.CheckpointCommitted(20, [], [], default, TimeSpan.Zero, [10, 20]) { Paces = [new(15, 120, null)] });
        Assert.Equal([4, 9, 15], state.Paces.Points.Select(point => point.Step));
        state.Apply(new TrainingProtocol.Events.GenerationOpened(new Generation(2), 10, "a shard is lost", DateTimeOffset.UnixEpoch));
        Assert.Equal([4, 9], state.Paces.Points.Select(point => point.Step));
    }

    [Theory]
    [InlineData(1, 10)]
    [InlineData(10, 10)]
    [InlineData(11, 20)]
    [InlineData(21, 25)]
    public void Boundaries_are_the_ends_of_epochs_and_the_end(long step, long expected) =>
        Assert.Equal(expected, Boundaries.Next(step, new BatchPlan(100, 10, 4, 1), 25, evaluates: true));

    private static List<EpochRecord> Judged(TrainingSpec training, params double[] values)
    {
        var judge = new EpochJudge(training, MetricNames.HigherIsBetter);
        var records = new List<EpochRecord>();
        foreach (var value in values)
            records.Add(judge.Judge(records, records.Count + 1, records.Count + 1, 0, new Dictionary<string, double> { [training.Metric] = value }));
        return records;
    }
}
