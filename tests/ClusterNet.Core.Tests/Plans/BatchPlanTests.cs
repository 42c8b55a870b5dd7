using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;
using CsCheck;

namespace ClusterNet.Core.Tests.Plans;

/// <summary>The promise of the batch plan: each epoch visits every sample once, and what a slice visits follows from (seed, epoch, step) alone.</summary>
public sealed class BatchPlanTests
{
    private static readonly Gen<(int Samples, int BatchSize, int Slices, long Seed)> Plans =
        Gen.Select(Gen.Int[1, 300], Gen.Int[1, 64], Gen.Int[0, 4].Select(level => 1 << level), Gen.Long);

    [Fact]
    public void Every_epoch_visits_every_sample_once() => Plans.Sample((samples, batchSize, slices, seed) =>
    {
        var plan = new BatchPlan(samples, batchSize, slices, seed);
        for (var epoch = 0; epoch < 3; epoch++)
        {
            var visited = Enumerable.Range(epoch * plan.StepsPerEpoch, plan.StepsPerEpoch).SelectMany(step => Batch(plan, step));
            Assert.Equal(Enumerable.Range(0, samples), visited.Order());
        }
    }, iter: 50);

    [Fact]
    public void The_visits_of_an_epoch_agree_in_any_order_and_with_no_other_samples() => Plans.Sample((samples, batchSize, slices, seed) =>
    {
        var plan = new BatchPlan(samples, batchSize, slices, seed);
        var visits = default(SampleVisits);
        for (var step = 0; step < 2 * plan.StepsPerEpoch; step++)
        {
            visits = step % plan.StepsPerEpoch == 0 ? default : visits;
            visits += SampleVisits.Of([.. Batch(plan, step).Reverse()]);
            Assert.Equal(plan.VisitsUpTo(step + 1), visits);
        }
        // one twice instead of another
        Assert.NotEqual(visits, SampleVisits.Of([.. Enumerable.Range(0, samples).Select(i => i == 0 ? samples : i)]));
        Assert.NotEqual(visits.Fingerprint, (visits + SampleVisits.Of([0])).Fingerprint);
    }, iter: 50);

    [Fact]
    public void Slices_are_near_equal_parts_of_a_batch_whose_samples_do_not_depend_on_their_number() => Plans.Sample((samples, batchSize, slices, seed) =>
    {
        var (plan, whole) = (new BatchPlan(samples, batchSize, slices, seed), new BatchPlan(samples, batchSize, 1, seed));
        for (var step = 0; step < 2 * plan.StepsPerEpoch; step++)
        {
            var batch = whole.Slice(step, 0).ToArray();
            Assert.Equal(step % plan.StepsPerEpoch == plan.StepsPerEpoch - 1 ? samples - (plan.StepsPerEpoch - 1) * batchSize : batchSize, batch.Length);
            Assert.Equal(batch, Batch(plan, step));
            var sizes = Enumerable.Range(0, slices).Select(slice => plan.Slice(step, slice).Length).ToArray();
            Assert.True(sizes.Max() - sizes.Min() <= 1);
        }
    }, iter: 50);

    [Fact]
    public void Steps_may_be_asked_for_in_any_order() => Plans.Sample((samples, batchSize, slices, seed) =>
    {
        var (forth, back) = (new BatchPlan(samples, batchSize, slices, seed), new BatchPlan(samples, batchSize, slices, seed));
        var steps = 2 * forth.StepsPerEpoch;
        var expected = Enumerable.Range(0, steps).Select(step => Batch(forth, step)).ToArray();
        for (var step = steps - 1; step >= 0; step--)
            Assert.Equal(expected[step], Batch(back, step));
    }, iter: 30);

    [Fact]
    public void Epochs_and_seeds_have_orders_of_their_own()
    {
        var plan = new BatchPlan(100, 100, 1, 1);
        Assert.NotEqual(Batch(plan, 0), Batch(plan, 1));
        Assert.NotEqual(Batch(plan, 0), Batch(new BatchPlan(100, 100, 1, 2), 0));
    }

    [Fact]
    public void Total_steps_are_those_asked_for_or_follow_from_the_epochs()
    {
        var plan = new BatchPlan(101, 10, 1, 1);
        Assert.Equal(11, plan.StepsPerEpoch);
        Assert.Equal(33, plan.TotalSteps(new TrainingSpec { Epochs = 3 }));
        Assert.Equal(7, plan.TotalSteps(new TrainingSpec { Steps = 7 }));
        Assert.Equal(1, plan.EpochOf(11));
        Assert.Throws<ArgumentException>(() => new BatchPlan(10, 2, 3, 1));
    }

    private static int[] Batch(BatchPlan plan, long step) => [.. Enumerable.Range(0, plan.Slices).SelectMany(slice => plan.Slice(step, slice).ToArray())];
}
