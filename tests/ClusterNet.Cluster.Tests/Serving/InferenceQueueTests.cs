using ClusterNet.Cluster.Serving;
using CsCheck;

namespace ClusterNet.Cluster.Tests.Serving;

/// <summary>Requests leave the queue in their order, each once, in batches within the bounds; what is refused never enters.</summary>
public sealed class InferenceQueueTests
{
    [Fact]
    public void What_waits_is_taken_together_up_to_the_batch_bound()
    {
        var queue = new InferenceQueue<string>(maxBatchSamples: 10, maxRequests: 100, maxSamples: 1000);
        foreach (var (name, samples) in new[] { ("a", 4), ("b", 6), ("c", 1), ("d", 9), ("e", 1) })
            Assert.True(queue.Offer(name, samples));
        Assert.Equal(["a", "b"], queue.Take());
        Assert.Equal(["c", "d"], queue.Take());
        Assert.Equal(["e"], queue.Take());
        Assert.Empty(queue.Take());
    }

    [Fact]
    public void A_request_beyond_the_batch_bound_goes_alone()
    {
        var queue = new InferenceQueue<string>(10, 100, 1000);
        queue.Offer("small", 1);
        queue.Offer("big", 50);
        queue.Offer("small too", 1);
        Assert.Equal(["small"], queue.Take());
        Assert.Equal(["big"], queue.Take());
        Assert.Equal(["small too"], queue.Take());
    }

    [Fact]
    public void A_request_that_can_not_be_merged_neither_joins_nor_is_joined()
    {
        var queue = new InferenceQueue<string>(10, 100, 1000);
        queue.Offer("a", 1);
        queue.Offer("alone", 1, alone: true);
        queue.Offer("b", 1);
        Assert.Equal(["a"], queue.Take());
        Assert.Equal(["alone"], queue.Take());
        Assert.Equal(["b"], queue.Take());
    }

    [Fact]
    public void Requests_beyond_the_bounds_are_refused_and_leave_no_trace()
    {
        var queue = new InferenceQueue<string>(10, maxRequests: 2, maxSamples: 20);
        Assert.True(queue.Offer("a", 15));
        Assert.False(queue.Offer("too many samples", 6));
        Assert.True(queue.Offer("b", 5));
        Assert.False(queue.Offer("too many requests", 0));
        Assert.Equal((2, 20L), (queue.Count, queue.Samples));
        queue.Take();
        Assert.True(queue.Offer("c", 15));
    }

    [Fact]
    public void A_request_with_more_samples_than_may_wait_is_taken_when_nothing_waits()
    {
        var queue = new InferenceQueue<string>(10, 10, maxSamples: 20);
        Assert.True(queue.Offer("huge", 1000));
        Assert.False(queue.Offer("a", 1));
        Assert.Equal(["huge"], queue.Take());
        Assert.True(queue.Offer("a", 1));
        Assert.Equal(["a"], queue.Clear());
        Assert.Equal((0, 0L), (queue.Count, queue.Samples));
    }

    [Fact]
    public void A_batch_ends_in_front_of_the_first_that_may_not_join_and_never_before_one_was_taken()
    {
        var queue = new InferenceQueue<string>(100, 100, 1000);
        foreach (var name in new[] { "a", "b", "c", "d" })
            queue.Offer(name, 2);
        Assert.Equal(["a", "b"], queue.Take((_, samples) => samples <= 4));
        Assert.Equal(["c"], queue.Take((_, _) => false));
        Assert.Equal(["d"], queue.Take((_, _) => true));
    }

    [Fact]
    public void Those_ahead_of_a_request_are_those_that_are_no_less_urgent()
    {
        var request = Gen.Select(Gen.Int[1, 9], Gen.Int[PriorityLevels.Highest, PriorityLevels.Lowest], Gen.Int[0, 3]);
        request.List[0, 60].Sample(requests =>
        {
            var queue = new InferenceQueue<(int Samples, int Priority)>(16, 100, 10_000);
            foreach (var (samples, priority, what) in requests)
            {
                queue.Offer((samples, priority), samples, priority: priority);
                if (what == 0)
                    queue.Take();
                else if (what == 1)
                    queue.Remove(one => one.Samples % 2 == 0);
            }
            return Enumerable.Range(PriorityLevels.Highest, PriorityLevels.Lowest + 1)
                .All(priority => queue.SamplesAhead(priority) == queue.Waiting.Where(one => one.Priority <= priority).Sum(one => one.Samples));
        });
    }

    [Fact]
    public void The_pace_follows_what_is_measured_and_is_careful()
    {
        var pace = new ComputePace();
        Assert.Equal(TimeSpan.Zero, pace.Of(1000));
        pace.Measured(TimeSpan.FromMilliseconds(10), 0);
        Assert.Equal(TimeSpan.Zero, pace.Of(1000));
        pace.Measured(TimeSpan.FromMilliseconds(100), 10);
        Assert.InRange(pace.Of(10), TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(150));
        for (var i = 0; i < 50; i++)
            pace.Measured(TimeSpan.FromMilliseconds(100), 100);
        Assert.InRange(pace.Of(100), TimeSpan.FromMilliseconds(100), TimeSpan.FromMilliseconds(150));
        Assert.True(pace.Of(long.MaxValue) > TimeSpan.FromDays(1));
    }

    [Fact]
    public void The_most_urgent_leave_first_equals_in_their_order_and_what_is_over_leaves_at_once()
    {
        var request = Gen.Select(Gen.Int[1, 9], Gen.Int[PriorityLevels.Highest, PriorityLevels.Lowest], Gen.Bool);
        request.List[0, 60].Sample(requests =>
        {
            var queue = new InferenceQueue<(int Number, int Priority, bool IsOver)>(16, 100, 10_000);
            for (var i = 0; i < requests.Count; i++)
                queue.Offer((i, requests[i].Item2, requests[i].Item3), requests[i].Item1, priority: requests[i].Item2);
            var removed = queue.Remove(one => one.IsOver);
            var left = requests.Index().Where(pair => !pair.Item.Item3).OrderBy(pair => pair.Item.Item2).ThenBy(pair => pair.Index).ToArray();
            var waits = queue.Samples == left.Sum(pair => pair.Item.Item1) && queue.Count == left.Length && queue.Waiting.Select(one => one.Number).SequenceEqual(left.Select(pair => pair.Index));
            var taken = new List<int>();
            while (queue.Count > 0)
                taken.AddRange(queue.Take().Select(one => one.Number));
            return waits && removed.Count == requests.Count(one => one.Item3) && taken.SequenceEqual(left.Select(pair => pair.Index)) && queue.Samples == 0;
        });
    }

    [Fact]
    public void Whatever_comes_order_is_kept_nothing_is_lost_and_bounds_hold()
    {
        var request = Gen.Select(Gen.Int[0, 30], Gen.Bool, Gen.Bool);
        request.List[0, 60].Sample(requests =>
        {
            var queue = new InferenceQueue<(int Number, int Samples)>(16, 8, 64);
            var (taken, accepted) = (new List<int>(), new List<int>());
            bool TakeOne()
            {
                var batch = queue.Take();
                taken.AddRange(batch.Select(one => one.Number));
                return batch.Count <= 1 || batch.Sum(one => one.Samples) <= 16;
            }
            for (var i = 0; i < requests.Count; i++)
            {
                var (samples, alone, take) = requests[i];
                if (queue.Offer((i, samples), samples, alone))
                    accepted.Add(i);
                if (queue.Count > 8 || (queue.Count > 1 && queue.Samples > 64) || (take && !TakeOne()))
                    return false;
            }
            while (queue.Count > 0)
            {
                if (!TakeOne())
                    return false;
            }
            return taken.SequenceEqual(accepted) && queue.Samples == 0;
        });
    }
}
