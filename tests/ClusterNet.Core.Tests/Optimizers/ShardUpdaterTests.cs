using System.Runtime.InteropServices;
using System.Security.Cryptography;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Optimizers;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;

namespace ClusterNet.Core.Tests.Optimizers;

/// <summary>The promise that an update is what the papers say, and the same bits with any number of shards, at any place in the vector, on any machine.</summary>
public sealed class ShardUpdaterTests
{
    private const double Weight = 12;

    // six blocks; tensors that end within a block, at a bound, and a scalar
    private static readonly ParameterLayout Layout = new([("a", [37, 53]), ("bias", [87]), ("c", [2000]), ("scalar", []), ("e", [1502])]);

    private static readonly Dictionary<string, TrainingSpec> Trainings = new()
    {
        ["sgd"] = Of(new() { Kind = OptimizerKind.Sgd, LearningRate = 0.05 }),
        ["sgd, momentum"] = Of(new() { Kind = OptimizerKind.Sgd, LearningRate = 0.01, Momentum = 0.9 }),
        ["sgd, momentum, dampening, L2"] = Of(new() { Kind = OptimizerKind.Sgd, LearningRate = 0.01, Momentum = 0.9, Dampening = 0.3, WeightDecay = 0.01 }),
        ["sgd, nesterov, decoupled"] =
            Of(new() { Kind = OptimizerKind.Sgd, LearningRate = 0.01, Momentum = 0.9, Nesterov = true, WeightDecay = 0.1, DecoupledWeightDecay = true }),
        ["adam"] = Of(new() { Kind = OptimizerKind.Adam, LearningRate = 0.003 }),
        ["adam, L2, clipped by value"] = Of(new() { Kind = OptimizerKind.Adam, LearningRate = 0.003, WeightDecay = 0.01 }, new(Value: 0.5)),
        ["adamw"] = Of(new() { Kind = OptimizerKind.AdamW, LearningRate = 0.003 }),
        ["adamw, clipped by both"] = Of(new() { Kind = OptimizerKind.AdamW, LearningRate = 0.003, WeightDecay = 0.1 }, new(Value: 1.5, Norm: 20)),
        ["adagrad"] = Of(new() { Kind = OptimizerKind.Adagrad, LearningRate = 0.02, LearningRateDecay = 0.01, InitialAccumulator = 0.1 }),
        ["rmsprop"] = Of(new() { Kind = OptimizerKind.RmsProp, LearningRate = 0.001 }),
        ["rmsprop, momentum"] = Of(new() { Kind = OptimizerKind.RmsProp, LearningRate = 0.001, Momentum = 0.5 }),
        ["rmsprop, centered, L2"] = Of(new() { Kind = OptimizerKind.RmsProp, LearningRate = 0.001, Centered = true, WeightDecay = 0.01 }),
        ["rmsprop, centered, momentum"] = Of(new() { Kind = OptimizerKind.RmsProp, LearningRate = 0.001, Centered = true, Momentum = 0.5 }),
        ["lamb"] = Of(new() { Kind = OptimizerKind.Lamb, LearningRate = 0.005, WeightDecay = 0.01 }),
        ["lamb, L2, clipped by norm"] =
            Of(new() { Kind = OptimizerKind.Lamb, LearningRate = 0.005, WeightDecay = 0.01, DecoupledWeightDecay = false }, new(Norm: 10)),
    };

    public static TheoryData<string> Names => [.. Trainings.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Two_hundred_steps_agree_with_the_papers_in_double(string name)
    {
        const int Steps = 200;
        var training = Trainings[name] with { Schedule = new ScheduleSpec { Kind = ScheduleKind.Cosine, WarmupSteps = 10, FinalFactor = 0.1 } };
        var start = Draw(0);
        var reference = new ReferenceOptimizer(training.Optimizer, training.Clip, Layout, start);
        var schedule = new LearningRateSchedule(training.Schedule, Steps);
        var actual = Train(training, 1, Steps, start);

        for (var step = 0; step < Steps; step++)
            reference.Step(step + 1, training.Optimizer.LearningRate * schedule.Factor(step), [.. Draw(step + 1).Select(x => x / Weight)]);

        Assert.True(Distance(actual, start) > 1e-2, "the weights hardly moved: nothing was compared");
        Assert.InRange(Distance(actual, [.. reference.Weights.Select(x => (float)x)]), 0, 1e-6);
        for (var i = 0; i < actual.Length; i++)
            Assert.True(Math.Abs(actual[i] - reference.Weights[i]) <= 1e-5 * Math.Max(0.1, Math.Abs(reference.Weights[i])), $"element {i}: {actual[i]} for {reference.Weights[i]}");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_number_of_shards_changes_no_bit(string name)
    {
        var start = Draw(0);
        var expected = Train(Trainings[name], 1, 12, start);
        foreach (var shards in (int[])[2, 3, 5, 100])
            Assert.Equal(Bits(expected), Bits(Train(Trainings[name], shards, 12, start)));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void An_element_s_result_does_not_depend_on_its_place(string name)
    {
        // every vector lane and the elements after the last whole vector see each of seven values; LAMB's trust ratio is one for the one tensor
        var layout = new ParameterLayout([("w", [1024 + 13])]);
        float[] Repeat(float[] values) => [.. Enumerable.Range(0, layout.Length).Select(i => values[i % 7])];
        var (weights, updated) = (Repeat(Draw(0)), new float[layout.Length]);
        var updater = new ShardUpdater(Trainings[name], 10, layout, new ShardRange(0, layout.Length));
        for (var step = 0; step < 5; step++)
        {
            Update([updater], [new ShardRange(0, layout.Length)], step, Repeat(Draw(step + 1)), weights, updated);
            (weights, updated) = (updated, weights);
        }
        for (var i = 7; i < weights.Length; i++)
            Assert.Equal(BitConverter.SingleToInt32Bits(weights[i % 7]), BitConverter.SingleToInt32Bits(weights[i]));
    }

    [Fact]
    public void Every_machine_gets_the_bits_that_were_recorded()
    {
        // seen the same with vectors of 128, 256 and 512 bits and with no vector instructions at all (DOTNET_EnableHWIntrinsic=0)
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var training in Trainings.Values)
            hash.AppendData(MemoryMarshal.AsBytes<float>(Train(training with { Schedule = new ScheduleSpec { Kind = ScheduleKind.Cosine } }, 2, 20, Draw(0))));
        Assert.Equal("C3A7B7430AA4A585E6AA58C67E2F1C2F", Convert.ToHexString(hash.GetHashAndReset())[..32]);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Restored_slots_continue_as_if_nothing_had_happened(string name)
    {
        var training = Trainings[name];
        var start = Draw(0);
        var expected = Train(training, 1, 10, start);
        var range = new ShardRange(0, Layout.Length);
        var first = new ShardUpdater(training, 10, Layout, range);
        var half = TrainFrom([first], [range], 0, 5, start);
        var second = new ShardUpdater(training, 10, Layout, range);
        Assert.Equal(ShardUpdater.SlotCount(training.Optimizer), second.Slots.Count);
        for (var i = 0; i < second.Slots.Count; i++)
            first.Slots[i].CopyTo(second.Slots[i], 0);
        Assert.Equal(Bits(expected), Bits(TrainFrom([second], [range], 5, 10, half)));
    }

    [Fact]
    public void An_empty_batch_has_gradient_zero_whatever_the_buffer_holds()
    {
        var range = new ShardRange(0, Layout.Length);
        var updater = new ShardUpdater(Trainings["sgd"], 10, Layout, range);
        var (weights, updated) = (Draw(0), new float[Layout.Length]);
        updater.Begin(0, Enumerable.Repeat(float.NaN, Layout.Length).ToArray(), 0, weights, updated);
        Assert.False(updater.NeedsNorms);
        Assert.Equal(weights, updated);
    }

    [Fact]
    public void Lamb_trusts_fully_where_a_norm_is_zero()
    {
        var layout = new ParameterLayout([("w", [3]), ("v", [3])]);
        var range = new ShardRange(0, 6);
        var training = Of(new() { Kind = OptimizerKind.Lamb, LearningRate = 0.1, Epsilon = 0 });
        var updater = new ShardUpdater(training, 10, layout, range);
        var updated = new float[6];
        // the first step's update is the gradient's sign, of norm sqrt(3); w has norm 0, v has norm 5
        Update([updater], [range], 0, [2, -2, 2, 1, -1, 1], [0, 0, 0, 3, 4, 0], updated);
        Assert.Equal([-0.1f, 0.1f, -0.1f], updated[..3].Select(x => MathF.Round(x, 6)));
        var trust = 5 / Math.Sqrt(3);
        Assert.Equal([3 - 0.1 * trust, 4 + 0.1 * trust, -0.1 * trust], updated[3..].Select(x => (double)x), (x, y) => Math.Abs(x - y) < 1e-6);
    }

    [Fact]
    public void A_gradient_within_the_norm_is_not_touched_and_a_nan_is_not_hidden()
    {
        var training = Of(new() { Kind = OptimizerKind.Sgd, LearningRate = 1 }, new(Value: 10, Norm: 5.1));
        var layout = new ParameterLayout([("w", [2])]);
        var updated = new float[2];
        Update([new ShardUpdater(training, 1, layout, new(0, 2))], [new(0, 2)], 0, [3 * 12, 4 * 12], [0, 0], updated);
        Assert.Equal([-3, -4], updated);
        Update([new ShardUpdater(training, 1, layout, new(0, 2))], [new(0, 2)], 0, [float.NaN, 4 * 12], [0, 0], updated);
        Assert.True(float.IsNaN(updated[0]));
    }

    [Fact]
    public void Misuse_is_refused()
    {
        var training = Of(new() { Kind = OptimizerKind.Adam }, new(Norm: 1));
        Assert.Throws<ArgumentException>(() => new ShardUpdater(training, 1, Layout, new ShardRange(100, 1024)));
        Assert.Throws<ArgumentException>(() => new ShardUpdater(training, 1, Layout, new ShardRange(0, 1000)));
        Assert.Throws<ArgumentException>(() => new ShardUpdater(training, 1, Layout, new ShardRange(0, Layout.Length + 1)));
        var updater = new ShardUpdater(training, 1, Layout, new ShardRange(0, 1024));
        var (values, result) = (new float[1024], new float[1024]);
        Assert.Throws<InvalidOperationException>(updater.Partials);
        Assert.Throws<InvalidOperationException>(() => updater.Combine([]));
        Assert.Throws<ArgumentException>(() => updater.Begin(0, values, 1, values, new float[1023]));
        Assert.Throws<ArgumentOutOfRangeException>(() => updater.Begin(0, values, -1, values, result));
        Assert.Throws<ArgumentOutOfRangeException>(() => updater.Begin(0, values, double.NaN, values, result));
        updater.Begin(0, values, 1, values, result);
        Assert.Throws<InvalidOperationException>(() => updater.Begin(1, values, 1, values, result));
        Assert.Throws<ArgumentException>(() => updater.Combine([updater.Partials()]));
    }

    private static TrainingSpec Of(OptimizerSpec optimizer, ClipSpec? clip = null) => new() { Optimizer = optimizer, Clip = clip ?? new ClipSpec() };

    // gradient sums and weights: uniform, so that reference and test need no library function
    private static float[] Draw(long seed)
    {
        var random = new SplitMix64(SplitMix64.Combine(7, seed));
        var scale = seed == 0 ? 1.0 : 2 * Weight;
        return [.. Enumerable.Range(0, Layout.Length).Select(_ => (float)(scale * (random.NextDouble() - 0.4)))];
    }

    private static float[] Train(TrainingSpec training, int shards, int steps, float[] start)
    {
        var ranges = new ShardPlan(Layout.Length, shards).Ranges;
        return TrainFrom([.. ranges.Select(range => new ShardUpdater(training, steps, Layout, range))], ranges, 0, steps, start);
    }

    private static float[] TrainFrom(ShardUpdater[] updaters, IReadOnlyList<ShardRange> ranges, int from, int to, float[] start)
    {
        var (weights, updated) = (start.ToArray(), new float[start.Length]);
        for (var step = from; step < to; step++)
        {
            Update(updaters, ranges, step, Draw(step + 1), weights, updated);
            (weights, updated) = (updated, weights);
        }
        return weights;
    }

    private static void Update(ShardUpdater[] updaters, IReadOnlyList<ShardRange> ranges, int step, float[] gradient, float[] weights, float[] updated)
    {
        for (var i = 0; i < updaters.Length; i++)
        {
            var (offset, length) = (ranges[i].Offset, ranges[i].Length);
            updaters[i].Begin(step, gradient.AsMemory(offset, length), Weight, weights.AsMemory(offset, length), updated.AsMemory(offset, length));
        }
        while (updaters[0].NeedsNorms)
        {
            var partials = updaters.Select(updater => updater.Partials()).ToArray();
            foreach (var updater in updaters)
                updater.Combine(partials);
        }
        Assert.DoesNotContain(updaters, updater => updater.NeedsNorms);
    }

    private static double Distance(float[] left, float[] right) =>
        Math.Sqrt(left.Zip(right, (a, b) => ((double)a - b) * ((double)a - b)).Sum() / right.Sum(b => (double)b * b));

    private static int[] Bits(float[] values) => [.. values.Select(BitConverter.SingleToInt32Bits)];
}
