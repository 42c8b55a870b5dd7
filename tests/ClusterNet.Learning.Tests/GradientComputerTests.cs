using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using ClusterNet.Core.Plans;
using ClusterNet.Learning.Native;
using CsCheck;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Tests;

/// <summary>A slice's gradient is what torch says it is, and the same bits wherever, whenever and into whatever array it is computed.</summary>
public sealed class GradientComputerTests
{
    public static TheoryData<string> Kinds { get; } = new("mlp", "cnn", "gru", "lstm");

    [Theory]
    [MemberData(nameof(Kinds))]
    public void The_gradient_is_that_of_torch_on_the_whole_batch(string kind)
    {
        var (spec, signature) = Fixtures.Kind(kind);
        var samples = Fixtures.Samples(signature, 24);
        spec = spec with { Settings = spec.Settings.Where(setting => setting.Key != "dropout").ToDictionary() };
        using var model = Fixtures.Catalog.Build(spec, Fixtures.CrossEntropy, signature, seed: 3, threads: 1);
        using var computer = Fixtures.Computer(model, Fixtures.CrossEntropy, samples);
        var gradient = new float[model.Layout.Length];
        var statistics = computer.Compute(0, 0, Enumerable.Range(0, 24).ToArray(), gradient);

        var parameters = model.Module.parameters().ToArray();
        foreach (var parameter in parameters)
            parameter.grad = null;
        using var x = tensor(samples.Features.ToArray()).reshape([24, .. signature.Shape.Select(axis => (long)axis)]);
        using var y = tensor(samples.Labels.ToArray().Select(label => (long)label).ToArray());
        using var loss = nn.functional.cross_entropy(model.Module.call(x), y);
        loss.backward();
        var expected = parameters.SelectMany(parameter => parameter.grad!.contiguous().data<float>().ToArray()).ToArray();

        Assert.Equal(24, statistics.Weight);
        Assert.Equal(loss.item<float>(), statistics.MeanLoss, 1e-5);
        for (var i = 0; i < expected.Length; i++)
            Assert.Equal(expected[i], gradient[i] / 24, 1e-6f);
    }

    /// <summary>Models large enough for stages, with dropout: what is computed piece by piece is what one backward pass computes, and it is told from the end to the start.</summary>
    [Theory]
    [InlineData("mlp", "hidden: 300 300; dropout: 0.3; layer-norm: true; activation: gelu", 2)]
    [InlineData("cnn", "channels: 4 8; dropout: 0.2; group-norm: 2; residual: true; head: 2400 128", 3)]
    [InlineData("rnn", "cell: gru; hidden: 160; layers: 2; dropout: 0.2", 2)]
    [InlineData("rnn", "cell: lstm; hidden: 96; layers: 2; bidirectional: true; pooling: mean; dropout: 0.1", 2)]
    public void Stages_have_the_bits_of_one_backward_pass(string kind, string settings, int stages)
    {
        var signature = kind == "mlp" ? Fixtures.Classification(3, 20) : kind == "cnn" ? Fixtures.Classification(3, 1, 8, 8) : Fixtures.Classification(3, 8, 8);
        var samples = Fixtures.Samples(signature, 24);
        using var model = Fixtures.Catalog.Build(Fixtures.Model(kind, settings), Fixtures.CrossEntropy, signature, seed: 3, threads: 1);
        using var computer = Fixtures.Computer(model, Fixtures.CrossEntropy, samples);
        Assert.Equal(stages, model.Stages.Count);
        var plan = new BatchPlan(24, 24, 1, seed: 5);
        // a range for each parameter, and two for the first
        ShardRange[] ranges = [new(0, 1), new(1, model.Layout.Entries[0].Length - 1), .. model.Layout.Entries.Skip(1).Select(entry => new ShardRange(entry.Offset, entry.Length))];
        var told = new List<int>();
        var early = new float[model.Layout.Length];
        var laterStages = Enumerable.Range(0, ranges.Length).Where(i => ranges[i].Offset >= model.Layout.Entries[model.Stages[1].FirstParameter].Offset).ToArray();
        var parts = computer.ComputeNode(7, new TreeNode(0, 0), plan, ranges, new TensorBufferPool(model.Layout.Length), (i, part) =>
        {
            part.Span.CopyTo(early.AsSpan(ranges[i].Offset));
            // those of later stages are told before there is anything of the first
            if (told.Count < laterStages.Length)
                Assert.Null(model.Parameters[0].Value.grad);
            told.Add(i);
        });
        Assert.Equal(Enumerable.Range(0, ranges.Length).Reverse(), told);
        AssertSameBits(Whole(parts), early);

        foreach (var parameter in model.Parameters)
            parameter.ForgetGradient();
        var positions = plan.Slice(7, 0).ToArray();
        model.Enter(training: true);
        model.Random.Begin(7, 0);
        using var x = tensor(positions.SelectMany(position => samples[position].ToArray()).ToArray()).reshape([24, .. signature.Shape.Select(axis => (long)axis)]);
        using var y = tensor(positions.Select(position => (long)samples.Labels.Span[position]).ToArray());
        using var loss = nn.functional.cross_entropy(model.Module.call(x), y, reduction: nn.Reduction.Sum);
        loss.backward();
        var whole = new float[model.Layout.Length];
        foreach (var parameter in model.Parameters)
            parameter.TakeGradient(whole);
        AssertSameBits(whole, early);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_node_has_the_bits_of_the_tree_over_its_slices(string kind)
    {
        var (spec, signature) = Fixtures.Kind(kind);
        // 13 samples in batches of 11 over 8 slices: the second batch has empty slices
        var samples = Fixtures.Samples(signature, 13);
        var plan = new BatchPlan(13, 11, 8, seed: 5);
        using var model = Fixtures.Catalog.Build(spec, Fixtures.CrossEntropy, signature, seed: 5, threads: 1);
        using var computer = Fixtures.Computer(model, Fixtures.CrossEntropy, samples);
        var pool = new TensorBufferPool(model.Layout.Length);
        for (var step = 0; step < 2; step++)
        {
            var tree = new ReductionTree(8, pool);
            for (var slice = 7; slice >= 0; slice--)
            {
                var buffer = pool.Rent();
                var statistics = computer.Compute(step, slice, plan.Slice(step, slice), buffer.Memory);
                tree.Offer(new TreeNode(0, slice), new ReductionTree.Part(buffer, 0, pool.Length, statistics));
            }
            ShardRange[] all = [new(0, pool.Length)];
            var root = computer.ComputeNode(step, TreeNode.Root(8), plan, all, pool)[0];
            Assert.Equal(tree.Root.Statistics, root.Statistics);
            AssertSameBits(tree.Root.Span, root.Span);

            var halves = new ReductionTree(8, pool);
            foreach (var node in new[] { new TreeNode(1, 3), new TreeNode(2, 0), new TreeNode(1, 2) })
                halves.Offer(node, computer.ComputeNode(step, node, plan, all, pool)[0]);
            AssertSameBits(root.Span, halves.Root.Span);
            root.Release();
            tree.Clear();
            halves.Clear();
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Parts_are_the_gradient_wherever_it_is_cut(string kind)
    {
        var (spec, signature) = Fixtures.Kind(kind);
        var samples = Fixtures.Samples(signature, 13);
        var plan = new BatchPlan(13, 11, 8, seed: 5);
        using var model = Fixtures.Catalog.Build(spec, Fixtures.CrossEntropy, signature, seed: 5, threads: 1);
        using var computer = Fixtures.Computer(model, Fixtures.CrossEntropy, samples);
        var pool = new TensorBufferPool(model.Layout.Length);
        // nodes of one slice, of several, and of none that has samples; empty ranges where two cuts fall together
        var rents = 0;
        Gen.Select(Gen.Int[0, pool.Length].Array[0, 6], Gen.Int[0, 3].Select(i => new[] { new TreeNode(0, 2), new TreeNode(0, 7), new TreeNode(1, 0), new TreeNode(2, 1) }[i]), Gen.Int[0, 1], Gen.Int[0, 15]).Sample(
            (cuts, node, step, rented) =>
            {
                int[] bounds = [0, .. cuts.Order(), pool.Length];
                ShardRange[] ranges = [.. bounds.Zip(bounds.Skip(1), (from, to) => new ShardRange(from, to - from))];
                var whole = computer.ComputeNode(step, node, plan, [new ShardRange(0, pool.Length)], pool);
                // some that are gathered are gathered where their reader wants them
                TensorBuffer? Rent(int i)
                {
                    rents += rented >> i & 1;
                    return (rented >> i & 1) != 0 ? new TensorBufferPool(ranges[i].Length).Rent() : null;
                }

                var parts = computer.ComputeNode(step, node, plan, ranges, pool, rent: Rent);
                Assert.Equal(ranges.Select(range => range.Length), parts.Select(part => part.Length));
                Assert.All(parts, part => Assert.Equal(whole[0].Statistics, part.Statistics));
                AssertSameBits(whole[0].Span, Whole(parts));
                foreach (var part in whole.Concat(parts))
                    part.Release();
            },
            iter: 30, threads: 1);
        Assert.True(rents > 0, "no part was gathered in a buffer of its own");
    }

    /// <summary>A part that lies in one parameter is not copied, and stays as it is while the next gradients are computed, until it is released.</summary>
    [Fact]
    public void A_part_of_one_parameter_is_where_torch_left_it()
    {
        var signature = Fixtures.Classification(3, 20);
        var samples = Fixtures.Samples(signature, 24);
        using var model = Fixtures.Catalog.Build(Fixtures.Model("mlp", "hidden: 300 300"), Fixtures.CrossEntropy, signature, seed: 3, threads: 1);
        using var computer = Fixtures.Computer(model, Fixtures.CrossEntropy, samples);
        var plan = new BatchPlan(24, 24, 1, seed: 5);
        var (pool, first) = (new TensorBufferPool(model.Layout.Length), model.Layout.Entries[0].Length);
        ShardRange[] ranges = [new(0, 100), new(100, first - 100), new(first, pool.Length - first)];
        var parts = computer.ComputeNode(0, new TreeNode(0, 0), plan, ranges, pool);
        var bits = Whole(parts);
        var own = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(model.Parameters[0].Value.grad!.bytes);
        Assert.True(parts[0].Span.Overlaps(own));
        Assert.True(parts[1].Span.Overlaps(own));
        foreach (var part in computer.ComputeNode(1, new TreeNode(0, 0), plan, ranges, pool))
            part.Release();
        AssertSameBits(bits, Whole(parts));

        parts[0].Release();
        AssertSameBits(bits.AsSpan(100, first - 100), parts[1].Span);
        parts[1].Release();
        Assert.Throws<ObjectDisposedException>(() => parts[1].Span.Length);
        Assert.Throws<InvalidOperationException>(parts[0].Release);
        parts[2].Release();
    }

    [Fact]
    public void Ranges_that_do_not_cover_the_layout_are_refused()
    {
        var signature = Fixtures.Regression(5);
        using var model = Fixtures.Catalog.Build(Fixtures.Model("mlp"), new LossSpec(), signature, seed: 7, threads: 1);
        using var computer = Fixtures.Computer(model, new LossSpec(), Fixtures.Samples(signature, 8));
        var length = model.Layout.Length;
        foreach (var ranges in new ShardRange[][] { [], [new(0, length - 1)], [new(0, 3), new(4, length - 4)], [new(0, 4), new(3, length - 3)] })
            Assert.Throws<ArgumentException>(() => computer.ComputeNode(0, new TreeNode(0, 0), new BatchPlan(8, 8, 1, seed: 5), ranges, new TensorBufferPool(length)));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Bits_depend_on_neither_thread_nor_array_nor_what_came_before(string kind)
    {
        var (spec, signature) = Fixtures.Kind(kind);
        var samples = Fixtures.Samples(signature, 32);
        int[] positions = [3, 1, 4, 15, 9, 2, 6, 5];

        float[] Run(int detours)
        {
            using var model = Fixtures.Catalog.Build(spec, Fixtures.CrossEntropy, signature, seed: 7, threads: 1);
            using var computer = Fixtures.Computer(model, Fixtures.CrossEntropy, samples);
            var arrays = new[] { new float[model.Layout.Length], new float[model.Layout.Length + 0] };
            for (var i = 0; i < detours; i++)
                computer.Compute(i, i % 4, Enumerable.Range(i, 1 + i % 3).ToArray(), arrays[i % 2]);
            computer.Compute(11, 2, positions, arrays[detours % 2]);
            return arrays[detours % 2];
        }

        var expected = Run(0);
        Assert.Contains(expected, value => value != 0);
        var runs = await Task.WhenAll(Enumerable.Range(0, 6).Select(i => Task.Factory.StartNew(
            () => Run(i), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
        foreach (var run in runs)
            AssertSameBits(expected, run);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Bits_of_tiny_slices_do_not_depend_on_where_memory_lies(string kind)
    {
        var (spec, signature) = Fixtures.Kind(kind);
        var samples = Fixtures.Samples(signature, 8);
        var random = new SplitMix64(3);
        var odd = new List<object>();
        float[] Run()
        {
            using var model = Fixtures.Catalog.Build(spec, Fixtures.CrossEntropy, signature, seed: 7, threads: 1);
            odd.Add(GC.AllocateUninitializedArray<float>(1 + random.Next(40), pinned: true));
            odd.Add(zeros(1 + random.Next(40)));
            using var computer = Fixtures.Computer(model, Fixtures.CrossEntropy, samples);
            var gradient = new float[model.Layout.Length];
            var all = new List<float>();
            for (var count = 1; count <= 4; count++)
            {
                computer.Compute(count, 0, Enumerable.Range(0, count).ToArray(), gradient);
                all.AddRange(gradient);
            }
            return [.. all];
        }

        var expected = Run();
        for (var i = 0; i < 16; i++)
            AssertSameBits(expected, Run());
        odd.OfType<IDisposable>().ToList().ForEach(tensor => tensor.Dispose());
    }

    [Theory]
    [InlineData(1, 4, 8)]
    [InlineData(4, 4, 8)]
    [InlineData(4, 8, 4)]
    [InlineData(8, 8, 4)]
    [InlineData(5, 7, 9)]
    public void Bits_of_a_convolution_do_not_depend_on_what_memory_held_before(int from, int to, int side)
    {
        NativeHeap.HandOutClean(); // as for every model that is not known to do without
        var random = new SplitMix64(11);
        using var generator = new Generator(5);
        using var images = randn([4, from, side, side], generator: generator);
        using var kernel = randn([to, from, 3, 3], generator: generator);
        using var upstream = randn([4, to, side, side], generator: generator);
        var expected = Gradients(images, kernel, upstream);
        foreach (var dirt in new[] { float.NaN, float.PositiveInfinity, 1e30f })
        {
            for (var i = 0; i < 30; i++)
            {
                // freed again at once: what the convolution computes in comes from here
                for (var j = 0; j < 6; j++)
                    full(1 + random.Next(6000), dirt).Dispose();
                AssertSameBits(expected, Gradients(images, kernel, upstream));
            }
        }
    }

    [Fact]
    public void Dropout_follows_step_and_slice()
    {
        var signature = Fixtures.Classification(3, 20);
        var samples = Fixtures.Samples(signature, 8);
        using var model = Fixtures.Catalog.Build(Fixtures.Model("mlp", "hidden: 64; dropout: 0.5"), Fixtures.CrossEntropy, signature, seed: 7, threads: 1);
        using var computer = Fixtures.Computer(model, Fixtures.CrossEntropy, samples);
        float[] Gradient(long step, int slice)
        {
            var gradient = new float[model.Layout.Length];
            computer.Compute(step, slice, [0, 1, 2, 3], gradient);
            return gradient;
        }

        AssertSameBits(Gradient(4, 1), Gradient(4, 1));
        Assert.NotEqual(Gradient(4, 1), Gradient(4, 2));
        Assert.NotEqual(Gradient(4, 1), Gradient(5, 1));
    }

    [Fact]
    public void An_empty_slice_gives_zeros()
    {
        var signature = Fixtures.Regression(5);
        var samples = Fixtures.Samples(signature, 8);
        using var model = Fixtures.Catalog.Build(Fixtures.Model("mlp"), new LossSpec(), signature, seed: 7, threads: 1);
        using var computer = Fixtures.Computer(model, new LossSpec(), samples);
        var gradient = Enumerable.Repeat(float.NaN, model.Layout.Length).ToArray();
        Assert.Equal(default, computer.Compute(0, 0, [], gradient));
        Assert.All(gradient, value => Assert.Equal(0f, value));
    }

    [Fact]
    public void A_loss_that_is_not_finite_comes_back_as_it_is()
    {
        var signature = Fixtures.Regression(5);
        var samples = Fixtures.Samples(signature, 8);
        using var model = Fixtures.Catalog.Build(Fixtures.Model("mlp"), new LossSpec(), signature, seed: 7, threads: 1);
        using var computer = Fixtures.Computer(model, new LossSpec(), samples);
        model.Weights.Fill(float.PositiveInfinity);
        Assert.False(double.IsFinite(computer.Compute(0, 0, [1, 2], new float[model.Layout.Length]).Loss));
    }

    [Fact]
    public void New_weights_copied_in_are_what_the_module_computes_with()
    {
        var signature = Fixtures.Classification(2, 4);
        using var model = Fixtures.Catalog.Build(Fixtures.Model("mlp", "hidden: 3"), Fixtures.CrossEntropy, signature, seed: 1, threads: 1);
        using var other = Fixtures.Catalog.Build(Fixtures.Model("mlp", "hidden: 3"), Fixtures.CrossEntropy, signature, seed: 2, threads: 1);
        using var x = ones(1, 4);
        Assert.NotEqual(other.Module.call(x).data<float>().ToArray(), model.Module.call(x).data<float>().ToArray());
        other.Weights.CopyTo(model.Weights);
        Assert.Equal(other.Module.call(x).data<float>().ToArray(), model.Module.call(x).data<float>().ToArray());
    }

    private static float[] Gradients(Tensor images, Tensor kernel, Tensor upstream)
    {
        using var scope = NewDisposeScope();
        var (x, w) = (images.clone().requires_grad_(true), kernel.clone().requires_grad_(true));
        using (var y = nn.functional.conv2d(x, w, padding: [1, 1]))
            y.backward([upstream]);
        return [.. x.grad!.data<float>(), .. w.grad!.data<float>()];
    }

    private static float[] Whole(ReductionTree.Part[] parts) => [.. parts.SelectMany(part => part.Span.ToArray())];

    internal static void AssertSameBits(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual) =>
        Assert.True(System.Runtime.InteropServices.MemoryMarshal.AsBytes(expected).SequenceEqual(System.Runtime.InteropServices.MemoryMarshal.AsBytes(actual)), "the bits differ");
}
