using ClusterNet.Cluster.Parameters;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using CsCheck;
using static ClusterNet.Cluster.Parameters.ParameterProtocol;

namespace ClusterNet.Cluster.Tests.Parameters;

/// <summary>A shard's weights depend on the gradients of each step alone: not on their order, on repeats, on how many shards there are, or on a restart from a checkpoint.</summary>
public class ParameterShardStateTests
{
    private const int Slices = 8;
    private static readonly Generation First = new(1);

    private static readonly OptimizerSpec[] Optimizers =
    [
        new() { Kind = OptimizerKind.Sgd, LearningRate = 0.1, Momentum = 0.9 },
        new() { Kind = OptimizerKind.Adam, LearningRate = 0.01 },
        new() { Kind = OptimizerKind.Lamb, LearningRate = 0.01, WeightDecay = 0.1 },
    ];

    private static readonly Gen<(OptimizerSpec Optimizer, ClipSpec Clip)> AnyRule =
        Gen.Select(Gen.Int[0, Optimizers.Length - 1], Gen.Bool, (i, clips) => (Optimizers[i], clips ? new ClipSpec(null, 0.5) : new ClipSpec()));

    [Fact]
    public void Any_order_of_any_nodes_with_any_repeats_gives_the_same_bits() => Gen.Select(AnyRule, Gen.Int[0, int.MaxValue]).Sample(
        drawn =>
        {
            var (rule, seed) = drawn;
            var random = new Random(seed);
            var layout = TestJobs.Layout(700, 500);
            var expected = One(rule, layout, 1)[0];
            var actual = One(rule, layout, 1)[0];
            for (var step = 0; step < 3; step++)
            {
                foreach (var node in TreeNode.Cover(0, Slices))
                    Push(expected, layout, step, node);
                foreach (var node in Shuffled(random))
                {
                    Push(actual, layout, step, node);
                    if (random.Next(3) == 0)
                        Push(actual, layout, step, node);
                }
            }
            Assert.Equal(Bits(expected), Bits(actual));
        },
        iter: 60);

    [Fact]
    public void Any_number_of_shards_and_any_order_of_their_norms_each_told_once_gives_the_same_bits() => Gen.Select(AnyRule, Gen.Int[2, 4], Gen.Int[0, int.MaxValue]).Sample(
        drawn =>
        {
            var (rule, count, seed) = drawn;
            var random = new Random(seed);
            var layout = TestJobs.Layout(1500, 2600, 37);
            var one = One(rule, layout, 1);
            var many = One(rule, layout, count);
            for (var step = 0; step < 3; step++)
            {
                Push(one[0], layout, step, TreeNode.Root(Slices));
                Step(many, layout, step, random);
                Assert.All(many, shard => Assert.Equal(step + 1, shard.Version));
            }
            Assert.Equal(Bits(one[0]), many.SelectMany(Bits).ToArray());
        },
        iter: 60);

    [Fact]
    public void A_restart_from_a_checkpoint_ends_with_the_same_bits() => AnyRule.Sample(
        rule =>
        {
            var layout = TestJobs.Layout(64, 3);
            var undisturbed = One(rule, layout, 1)[0];
            var first = One(rule, layout, 1)[0];
            for (var step = 0; step < 3; step++)
            {
                Push(undisturbed, layout, step, TreeNode.Root(Slices));
                Push(first, layout, step, TreeNode.Root(Slices));
                if (step == 1)
                    Assert.True(first.MarkBest(2));
            }
            var checkpoint = first.Checkpoint();
            var best = first.Selected(WeightsSelection.Best).Weights.Span.ToArray();
            Push(first, layout, 3, TreeNode.Root(Slices));
            var second = new ParameterShardState(first.Shard, first.Setup);
            second.Restore(checkpoint);
            second.Enter(First);
            Assert.Equal(3, second.Version);
            Assert.Equal(best, second.Selected(WeightsSelection.Best).Weights.Span.ToArray());
            for (var step = 3; step < 6; step++)
            {
                Push(undisturbed, layout, step, TreeNode.Root(Slices));
                Push(second, layout, step, TreeNode.Root(Slices));
            }
            Assert.Equal(Bits(undisturbed), Bits(second));
        },
        iter: 20);

    [Fact]
    public void What_is_out_of_place_is_told_apart_and_changes_nothing()
    {
        var layout = TestJobs.Layout(10);
        var state = One((Optimizers[1], new ClipSpec()), layout, 1)[0];
        Push(state, layout, 0, TreeNode.Root(Slices));
        Push(state, layout, 1, TreeNode.Root(Slices));
        state.Enter(new Generation(2));
        var before = Bits(state);

        Assert.Equal(PushOutcome.StaleGeneration, Offer(state, new Generation(1), 2, TreeNode.Root(Slices), 10));
        Assert.Equal(PushOutcome.NotYet, Offer(state, new Generation(3), 2, TreeNode.Root(Slices), 10));
        Assert.Equal(PushOutcome.NotYet, Offer(state, new Generation(2), 3, TreeNode.Root(Slices), 10));
        Assert.Equal(PushOutcome.AlreadyDone, Offer(state, new Generation(2), 1, TreeNode.Root(Slices), 10));
        Assert.Equal(PushOutcome.StaleStep, Offer(state, new Generation(2), 0, TreeNode.Root(Slices), 10));
        Assert.Equal(PushOutcome.Malformed, Offer(state, new Generation(2), 2, TreeNode.Root(Slices), 9));
        Assert.Equal(PushOutcome.Malformed, Offer(state, new Generation(2), 2, new TreeNode(0, Slices), 10));
        Assert.Equal(PushOutcome.Malformed, Offer(state, new Generation(2), 2, new TreeNode(-1, 0), 10));
        Assert.Equal(before, Bits(state));
        Assert.Equal(2, state.Version);
    }

    [Fact]
    public void A_step_that_was_begun_in_one_generation_is_finished_in_the_next()
    {
        var layout = TestJobs.Layout(10);
        var expected = One((Optimizers[1], new ClipSpec()), layout, 1)[0];
        Push(expected, layout, 0, TreeNode.Root(Slices));
        var state = One((Optimizers[1], new ClipSpec()), layout, 1)[0];
        Push(state, layout, 0, new TreeNode(2, 0));
        state.Enter(new Generation(2));
        Assert.Equal([4, 5, 6, 7], state.MissingSlices);
        Push(state, layout, 0, new TreeNode(2, 1));
        Assert.Equal(Bits(expected), Bits(state));
    }

    [Fact]
    public void The_version_before_the_latest_can_still_be_pulled()
    {
        var layout = TestJobs.Layout(10);
        var state = One((Optimizers[1], new ClipSpec()), layout, 1)[0];
        var initial = Bits(state);
        Push(state, layout, 0, TreeNode.Root(Slices));
        Assert.Equal(initial, BitsOf(state.Weights(0)!.Value.Span));
        Push(state, layout, 1, TreeNode.Root(Slices));
        Assert.Null(state.Weights(0));
        Assert.Null(state.Weights(3));
    }

    [Fact]
    public void Weights_that_were_handed_out_are_never_written_again()
    {
        var layout = TestJobs.Layout(10);
        var state = One((Optimizers[0], new ClipSpec()), layout, 1)[0];
        var held = state.Weights(0)!.Value;
        var before = held.Span.ToArray();
        for (var step = 0; step < 5; step++)
            Push(state, layout, step, TreeNode.Root(Slices));
        Assert.Equal(before, held.Span.ToArray());
    }

    [Theory]
    [InlineData(WeightCodec.Fp32)]
    [InlineData(WeightCodec.Bf16)]
    public void New_weights_are_where_their_reader_wants_them_and_the_same_as_elsewhere(WeightCodec codec)
    {
        var layout = TestJobs.Layout(11);
        var setup = TestJobs.Setup(layout, new TrainingSpec { Optimizer = Optimizers[1], Slices = Slices, PullCodec = codec });
        var rented = new List<(TensorBuffer Buffer, Loan Loan)>();
        var elsewhere = new ParameterShardState(new ShardId(TestJobs.Id, 0), setup);
        // every third time there is none
        var state = new ParameterShardState(new ShardId(TestJobs.Id, 0), setup, length => rented.Count % 3 == 2 ? Count(null, length) : Count(new Loan(), length));
        foreach (var one in new[] { state, elsewhere })
        {
            one.Initialize(TestJobs.Values(11, 1));
            one.Enter(First);
        }
        for (var step = 0; step < 7; step++)
        {
            Push(state, layout, step, TreeNode.Root(Slices));
            Push(elsewhere, layout, step, TreeNode.Root(Slices));
            var (weights, expected) = (state.WeightsToSend(step + 1)!.Value, elsewhere.WeightsToSend(step + 1)!.Value);
            Assert.Equal(BitsOf(expected.Span), BitsOf(weights.Span));
            Assert.Equal(step + 1, rented.Count);
            Assert.Equal(rented[^1].Loan is not null, weights.Buffer == rented[^1].Buffer);
            weights.Release();
        }
        state.Forget();
        Assert.All(rented.Where(one => one.Loan is not null), one => Assert.True(one.Loan.IsBack));

        TensorBuffer? Count(Loan? loan, int length)
        {
            var buffer = loan is null ? null : new TensorBuffer(new float[length], loan);
            rented.Add((buffer!, loan!));
            return buffer;
        }
    }

    private sealed class Loan : IDisposable
    {
        public bool IsBack { get; private set; }

        public void Dispose() => IsBack = true;
    }

    [Fact]
    public void A_checkpoint_of_another_shard_is_refused()
    {
        var layout = TestJobs.Layout(1024, 1024);
        var shards = One((Optimizers[1], new ClipSpec()), layout, 2);
        Assert.Throws<InvalidDataException>(() => shards[0].Restore(shards[1].Checkpoint()));
    }

    [Fact]
    public void A_gradient_that_the_codec_does_not_write_is_refused_and_its_step_goes_on()
    {
        var setup = TestJobs.Setup(TestJobs.Layout(10), new TrainingSpec { Slices = 1, Codec = GradientCodec.TopK, TopK = 0.2, Optimizer = Optimizers[0] });
        var state = new ParameterShardState(new ShardId(TestJobs.Id, 0), setup);
        state.Initialize(new float[10]);
        state.Enter(First);
        var codec = Core.Codecs.GradientCodecs.Of(setup.Training)!;
        var words = new float[codec.Words(10)];
        codec.Encode(TestJobs.Values(10, 1), new float[10], new float[10], words);
        Assert.Equal(PushOutcome.Malformed, Offer(state, words, GradientCodec.Fp32));
        Assert.Equal(PushOutcome.Malformed, Offer(state, words[1..], GradientCodec.TopK));
        Assert.Equal(PushOutcome.Malformed, Offer(state, [.. words.Select(_ => float.NaN)], GradientCodec.TopK));
        Assert.Equal(PushOutcome.Advanced, Offer(state, words, GradientCodec.TopK));
        Assert.Equal(2, BitsOf(state.Weights(1)!.Value.Span).Count(bits => bits != 0));

        static PushOutcome Offer(ParameterShardState state, float[] words, GradientCodec codec) =>
            state.Offer(new Commands.Push(state.Shard, First, 0, new TreeNode(0, 0), TestJobs.Payload(words), new StepStatistics(1, 1)) { Codec = codec });
    }

    [Fact]
    public void A_checkpoint_with_residuals_is_whole_only_when_all_are_there_and_gives_them_back()
    {
        var setup = TestJobs.Setup(TestJobs.Layout(10), new TrainingSpec { Slices = 2, Codec = GradientCodec.Bf16 });
        var state = new ParameterShardState(new ShardId(TestJobs.Id, 0), setup);
        state.Initialize(new float[10]);
        state.Enter(First);
        Assert.Equal(0, state.Residual(1)!.Value.Length);
        state.Offer(new Commands.KeepResidual(state.Shard, First, 0, 0, TestJobs.Payload(TestJobs.Values(10, 1))));
        Assert.False(state.CanCheckpoint);
        state.Offer(new Commands.KeepResidual(state.Shard, First, 0, 1, TestJobs.Payload(TestJobs.Values(9, 1))));
        Assert.False(state.CanCheckpoint);
        state.Offer(new Commands.KeepResidual(state.Shard, First, 0, 1, TestJobs.Payload(TestJobs.Values(10, 2))));
        Assert.True(state.CanCheckpoint);
        var second = new ParameterShardState(state.Shard, setup);
        second.Restore(state.Checkpoint());
        Assert.Equal(TestJobs.Values(10, 2), second.Residual(1)!.Value.Span.ToArray());
        Assert.Throws<InvalidDataException>(() => second.Restore(state.Checkpoint() with { Residuals = [] }));
    }

    [Fact]
    public void Without_waiting_each_push_is_an_update_of_its_share_and_its_staleness_is_measured()
    {
        var training = new TrainingSpec { Slices = 2, Consistency = ConsistencyMode.Ssp, Staleness = 1, Optimizer = new OptimizerSpec { Kind = OptimizerKind.Sgd, LearningRate = 1 } };
        var state = new ParameterShardState(new ShardId(TestJobs.Id, 0), TestJobs.Setup(TestJobs.Layout(1), training));
        state.Initialize([10]);
        state.Enter(First);
        // mean gradient 8 / 4, half of the step's slices
        Assert.Equal(PushOutcome.Applied, Push(0, 0, 8, 0));
        Assert.Equal(9, state.Weights(0)!.Value.Span[0]);
        Assert.Equal(PushOutcome.AlreadyDone, Push(0, 0, 8, 0));
        Assert.Equal(PushOutcome.Applied, Push(1, 0, 0, 0));
        Assert.True(state.Suffices(1));
        Assert.False(state.Suffices(2));
        Assert.Equal(PushOutcome.Advanced, Push(0, 1, 16, 0));
        Assert.Equal((1, 7f, 1L), (state.Version, state.Weights(1)!.Value.Span[0], state.MaxStaleness!.Value));
        Assert.Equal(24, Assert.Single(state.StepsDone).Loss);
        Assert.Equal(PushOutcome.Malformed, Push(1, 1, 1, 5));

        PushOutcome Push(long step, int slice, float sum, long basis) =>
            state.Offer(new Commands.Push(state.Shard, First, step, new TreeNode(0, slice), TestJobs.Payload(sum), new StepStatistics(4, sum)) { Basis = basis });
    }

    private static ParameterShardState[] One((OptimizerSpec Optimizer, ClipSpec Clip) rule, ParameterLayout layout, int shards)
    {
        var training = new TrainingSpec { Optimizer = rule.Optimizer, Clip = rule.Clip, Slices = Slices };
        var setup = TestJobs.Setup(layout, training, shards);
        var initial = TestJobs.Values(layout.Length, 1);
        return
        [
            .. setup.Plan.Ranges.Select((range, i) =>
            {
                var state = new ParameterShardState(new ShardId(TestJobs.Id, i), setup);
                state.Initialize(initial.AsSpan(range.Offset, range.Length));
                state.Enter(First);
                return state;
            }),
        ];
    }

    /// <summary>The tree sum over a node of slice gradients that follow from step and slice.</summary>
    private static float[] Gradient(ParameterLayout layout, long step, TreeNode node)
    {
        if (node.Level == 0)
            return TestJobs.Values(layout.Length, (int)(step * 1000) + node.Index);
        var left = Gradient(layout, step, new TreeNode(node.Level - 1, node.Index * 2));
        var right = Gradient(layout, step, new TreeNode(node.Level - 1, node.Index * 2 + 1));
        return [.. left.Zip(right, (a, b) => a + b)];
    }

    private static void Push(ParameterShardState state, ParameterLayout layout, long step, TreeNode node)
    {
        var gradient = Gradient(layout, step, node).AsSpan(state.Range.Offset, state.Range.Length).ToArray();
        state.Offer(new Commands.Push(state.Shard, state.Generation, step, node, TestJobs.Payload(gradient), new StepStatistics(node.SliceCount * 8, 1)));
    }

    private static PushOutcome Offer(ParameterShardState state, Generation generation, long step, TreeNode node, int length) =>
        state.Offer(new Commands.Push(state.Shard, generation, step, node, TestJobs.Payload(new float[length]), new StepStatistics(1, 1)));

    /// <summary>Each shard's push, and each of its norms to each other shard, once, in any order in which a message comes after what it follows from.</summary>
    private static void Step(ParameterShardState[] shards, ParameterLayout layout, long step, Random random)
    {
        var waiting = new List<Action>();
        foreach (var shard in shards)
            waiting.Add(() => Do(shard, () => Push(shard, layout, step, TreeNode.Root(Slices))));
        while (waiting.Count > 0)
        {
            var next = random.Next(waiting.Count);
            var act = waiting[next];
            waiting.RemoveAt(next);
            act();
        }

        void Do(ParameterShardState shard, Action offer)
        {
            offer();
            foreach (var (of, round, partials) in shard.NewNorms)
            {
                foreach (var other in shards.Where(other => other != shard))
                    waiting.Add(() => Do(other, () => other.Offer(new Commands.ShareNorms(other.Shard, shard.Shard.Index, of, round, partials, IsAnswer: false))));
            }
        }
    }

    private static List<TreeNode> Shuffled(Random random)
    {
        var nodes = new List<TreeNode>();
        Deal(TreeNode.Root(Slices));
        return [.. nodes.OrderBy(_ => random.Next())];

        void Deal(TreeNode node)
        {
            if (node.Level == 0 || random.Next(3) == 0)
            {
                nodes.Add(node);
                return;
            }
            Deal(new TreeNode(node.Level - 1, node.Index * 2));
            Deal(new TreeNode(node.Level - 1, node.Index * 2 + 1));
        }
    }

    private static int[] Bits(ParameterShardState state) => BitsOf(state.Weights(state.Version)!.Value.Span);

    private static int[] BitsOf(ReadOnlySpan<float> values) => [.. values.ToArray().Select(BitConverter.SingleToInt32Bits)];
}
