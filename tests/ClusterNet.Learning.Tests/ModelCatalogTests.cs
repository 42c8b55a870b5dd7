using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Learning.Models;
using Microsoft.Extensions.DependencyInjection;
using TorchSharp;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Tests;

/// <summary>A model is built the same for the same seed wherever it is built, says everything that is wrong with it at once, and a user's own model is no less than a built-in one.</summary>
public sealed class ModelCatalogTests
{
    public static TheoryData<InitialisationKind> Rules { get; } = new(Enum.GetValues<InitialisationKind>());

    [Theory]
    [MemberData(nameof(Rules))]
    public async Task The_same_seed_gives_the_same_weights_on_any_thread(InitialisationKind rule)
    {
        var (spec, signature) = Fixtures.Kind("cnn");
        spec = spec with { Initialisation = new InitialisationSpec(rule, 0.5) };
        float[] Build(long seed)
        {
            using var model = Fixtures.Catalog.Build(spec, Fixtures.CrossEntropy, signature, seed, 1);
            return [.. model.Weights];
        }
        var builds = await Task.WhenAll(Enumerable.Range(0, 6).Select(i => Task.Run(() => Build(1 + i % 2))));
        for (var i = 2; i < builds.Length; i++)
            GradientComputerTests.AssertSameBits(builds[i % 2], builds[i]);
        Assert.NotEqual(builds[0], builds[1]);
        Assert.All(builds[0], weight => Assert.True(float.IsFinite(weight) && Math.Abs(weight) < 10));
    }

    [Fact]
    public void Initialisation_follows_its_rule()
    {
        var signature = Fixtures.Classification(2, 300);
        (float[] Weights, float[] Biases, float[] Scales) Build(InitialisationKind kind, double gain)
        {
            var spec = Fixtures.Model("mlp", "hidden: 200; layer-norm: true", new InitialisationSpec(kind, gain));
            using var model = Fixtures.Catalog.Build(spec, Fixtures.CrossEntropy, signature, 1, 1);
            float[] Of(string name) => model.Weights.Slice(model.Layout.Entries.Single(entry => entry.Name == name) is var e ? e.Offset : 0, e.Length).ToArray();
            return (Of("dense1.weight"), Of("dense1.bias"), Of("dense1-norm.weight"));
        }
        static double Deviation(float[] values) => Math.Sqrt(values.Average(value => (double)value * value));

        var normal = Build(InitialisationKind.Normal, 0.5);
        Assert.Equal(0.5, Deviation(normal.Weights), 0.01);
        Assert.Equal(0.5, Deviation(normal.Biases), 0.1);
        Assert.All(normal.Scales, scale => Assert.Equal(1, scale));
        var xavier = Build(InitialisationKind.XavierUniform, 1);
        Assert.Equal(Math.Sqrt(6.0 / 500), xavier.Weights.Max(), 1e-3);
        Assert.All(xavier.Biases, bias => Assert.Equal(0, bias));
        Assert.Equal(Math.Sqrt(2.0 / 300), Deviation(Build(InitialisationKind.KaimingNormal, 1).Weights), 1e-3);
    }

    /// <summary>The generator of our own draws by the rules that libtorch's follows, which a model has that is left to torch in part.</summary>
    [Theory]
    [MemberData(nameof(Rules))]
    public void Both_generators_draw_from_the_same_distributions(InitialisationKind rule)
    {
        TrainableModel Build(string activation) => Fixtures.Catalog.Build(
            Fixtures.Model("mlp", $"hidden: 200 100; layer-norm: true; activation: {activation}", new InitialisationSpec(rule, 0.7)), Fixtures.CrossEntropy, Fixtures.Classification(2, 300), seed: 1, threads: 1);
        using var own = Build("relu");
        using var torchs = Build("gelu");
        Assert.True(own.Random.IsOwn && !torchs.Random.IsOwn);
        foreach (var entry in own.Layout.Entries)
        {
            var (ours, theirs) = (own.Weights.Slice(entry.Offset, entry.Length).ToArray(), torchs.Weights.Slice(entry.Offset, entry.Length).ToArray());
            var deviation = Math.Sqrt(theirs.Average(value => (double)value * value));
            var tolerance = 4 * deviation / Math.Sqrt(entry.Length);
            if (theirs.Distinct().Count() == 1)
            {
                Assert.Equal(theirs, ours);
                continue;
            }
            Assert.Equal(0, ours.Average(value => (double)value), tolerance);
            Assert.Equal(deviation, Math.Sqrt(ours.Average(value => (double)value * value)), tolerance);
            // a uniform distribution ends at the root of three deviations
            if (entry.Length > 1000)
                Assert.Equal(theirs.Max() > 2 * deviation, ours.Max() > 2 * deviation);
        }
    }

    [Fact]
    public void The_summary_tells_layers_shapes_and_parameters()
    {
        var (spec, signature) = (Fixtures.Model("cnn", "channels: 4 8; head: 16"), Fixtures.Classification(3, 1, 8, 8));
        using var model = Fixtures.Catalog.Build(spec, Fixtures.CrossEntropy, signature, 1, 1);
        Assert.Equal(model.Layout.Length, model.Summary.Parameters);
        Assert.Equal(model.Layout.Length, model.Summary.Layers.Sum(layer => layer.Parameters));
        var first = model.Summary.Layers[0];
        Assert.Equal(("block1.body.conv", "Conv2d"), (first.Name, first.Kind));
        Assert.Equal([4, 8, 8], first.OutputShape);
        Assert.Equal(40, first.Parameters);
        Assert.Equal([3], model.Summary.Layers[^1].OutputShape);

        var (recurrent, sequence) = Fixtures.Kind("gru");
        using var rnn = Fixtures.Catalog.Build(recurrent, Fixtures.CrossEntropy, sequence, 1, 1);
        Assert.Equal(["layer1", "dropout1", "layer2", "pooling", "dropout2", "output"], rnn.Summary.Layers.Select(layer => layer.Name));
        Assert.Equal([8, 12], rnn.Summary.Layers[0].OutputShape);
        Assert.Equal(rnn.Layout.Length, rnn.Summary.Layers.Sum(layer => layer.Parameters));
    }

    [Theory]
    [InlineData("mlp", "", new[] { 30 })]
    [InlineData("mlp", "hidden: 8; activation: gelu", new[] { 3, 4, 5 })]
    [InlineData("cnn", "", new[] { 2, 108 })]
    [InlineData("cnn", "pool: average; residual: true; group-norm: 4; global-pool: true", new[] { 2, 31 })]
    [InlineData("cnn", "pool: none; kernel: 5; activation: tanh; channels: 3 3", new[] { 3, 9, 7 })]
    [InlineData("cnn", "global-pool: true; head: 8 8; dropout: 0.1", new[] { 1, 28, 28 })]
    [InlineData("rnn", "cell: rnn; layers: 3; bidirectional: true; pooling: mean", new[] { 8, 8 })]
    [InlineData("rnn", "cell: lstm; bidirectional: true", new[] { 5, 2 })]
    public void The_built_in_models_take_all_their_settings(string kind, string settings, int[] shape)
    {
        using var model = Fixtures.Catalog.Build(Fixtures.Model(kind, settings), Fixtures.CrossEntropy, Fixtures.Classification(4, shape), 1, 1);
        Assert.Equal(4, model.Outputs);
    }

    [Fact]
    public void All_faults_come_at_once()
    {
        var spec = Fixtures.Model("cnn", "channels: 16 32 64 64 64; kernel: 4; pool: mux; group-norm: 3; dropout: 1.5; widht: 3");
        var loss = new LossSpec { Kind = LossKind.BinaryCrossEntropy, ClassWeights = new Dictionary<string, double> { ["seven"] = 1 } };
        var faults = Fixtures.Catalog.Validate(spec, loss, Fixtures.Classification(10, 1, 8, 8));
        Assert.Equal(
            ["model.channels", "model.dropout", "model.group-norm", "model.kernel", "model.pool", "model.widht", "training.loss.class-weights", "training.loss.kind"],
            faults.Select(fault => fault.Place).Order(StringComparer.Ordinal));
        Assert.Contains("8 x 8 is pooled to 1 x 1 before block 4 of 5", faults.Single(fault => fault.Place == "model.channels").Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("mlp", "hidden: 2000000000", new[] { 1000 }, "model.hidden")]
    [InlineData("mlp", "hidden: 0", new[] { 4 }, "model.hidden")]
    [InlineData("cnn", "", new[] { 30 }, "model.kind")]
    [InlineData("cnn", "head: 1000000000", new[] { 1, 28, 28 }, "model.head")]
    [InlineData("rnn", "", new[] { 1, 8, 8 }, "model.kind")]
    [InlineData("rnn", "hidden: 900000", new[] { 8, 8 }, "model.hidden")]
    [InlineData("mpl", "", new[] { 30 }, "model.kind")]
    public void What_can_not_be_is_a_fault_and_no_exception_of_libtorch(string kind, string settings, int[] shape, string place) =>
        Assert.Equal([place], Fixtures.Catalog.Validate(Fixtures.Model(kind, settings), Fixtures.CrossEntropy, Fixtures.Classification(2, shape)).Select(fault => fault.Place));

    [Fact]
    public void A_users_model_registers_by_the_same_call_and_trains()
    {
        using var provider = new ServiceCollection()
            .AddBuiltInModels()
            .AddModel("mine", context =>
            {
                var width = context.Settings.Integer("width", 4, least: 1);
                context.Check();
                return nn.Sequential(("in", nn.Linear(context.InputShape[0], width)), ("drop", context.Dropout(0.5)), ("out", nn.Linear(width, context.Outputs)));
            })
            .BuildServiceProvider();
        var catalog = provider.GetRequiredService<ModelCatalog>();
        Assert.Equal(["cnn", "mine", "mlp", "rnn"], catalog.Names);
        var signature = Fixtures.Regression(5);
        using var model = catalog.Build(Fixtures.Model("mine", "width: 7"), new LossSpec(), signature, 1, 1);
        using var computer = Fixtures.Computer(model, new LossSpec(), Fixtures.Samples(signature, 4));
        Assert.Equal(4, computer.Compute(0, 0, [0, 1, 2, 3], new float[model.Layout.Length]).Weight);
        Assert.Equal("model.widt", Assert.Single(catalog.Validate(Fixtures.Model("mine", "widt: 7"), new LossSpec(), signature)).Place);
    }

    [Fact]
    public void A_name_is_registered_once() =>
        Assert.Throws<ArgumentException>(() => new ModelCatalog([.. ModelCatalog.BuiltIn, ModelCatalog.BuiltIn[0]]));

    public static TheoryData<string, string> Refused { get; } = new()
    {
        { "dropout", "module '1' of model 'mine' is torch's own Dropout" },
        { "functional dropout", "draws from the process's random generator" },
        { "gru dropout", "draws from the process's random generator" },
        { "batch norm", "buffer '1.running_mean' of model 'mine' changes in training" },
        { "outputs", "Float32 [2, 2] (context.Outputs)" },
        { "shape", "can't compute a sample of shape [6]" },
        { "double", "parameters must be float32" },
        { "frozen", "is frozen" },
        { "none", "has no parameters" },
        { "throws", "a reason of its own" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void A_model_that_can_not_be_trained_reproducibly_is_refused(string what, string message)
    {
        nn.Module<Tensor, Tensor> Create(ModelContext context) => what switch
        {
            "dropout" => nn.Sequential(nn.Linear(6, 4), nn.Dropout(0.5), nn.Linear(4, context.Outputs)),
            "functional dropout" => new Lambda(nn.Linear(6, context.Outputs), x => nn.functional.dropout(x, 0.5, training: true)),
            "gru dropout" => new RecurrentWithDropout(context.Outputs),
            "batch norm" => nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, context.Outputs)),
            "outputs" => nn.Linear(6, 5),
            "shape" => nn.Linear(7, context.Outputs),
            "double" => nn.Linear(6, context.Outputs).to(float64),
            "frozen" => Frozen(nn.Linear(6, context.Outputs)),
            "none" => nn.ReLU(),
            _ => throw new InvalidOperationException("a reason of its own"),
        };
        var catalog = new ModelCatalog([new ModelRegistration("mine", Create)]);
        var thrown = Assert.Throws<InputException>(() => catalog.Build(Fixtures.Model("mine"), Fixtures.CrossEntropy, Fixtures.Classification(2, 6), 1, 1));
        Assert.Contains(message, thrown.Message, StringComparison.Ordinal);
    }

    private static TorchSharp.Modules.Linear Frozen(TorchSharp.Modules.Linear linear)
    {
        linear.weight!.requires_grad = false;
        return linear;
    }

    private sealed class Lambda : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> _inner;
        private readonly Func<Tensor, Tensor> _then;

        public Lambda(nn.Module<Tensor, Tensor> inner, Func<Tensor, Tensor> then)
            : base(nameof(Lambda))
        {
            (_inner, _then) = (inner, then);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => _then(_inner.call(input));
    }

    private sealed class RecurrentWithDropout : nn.Module<Tensor, Tensor>
    {
        private readonly TorchSharp.Modules.GRU _gru = nn.GRU(1, 3, numLayers: 2, batchFirst: true, dropout: 0.5);
        private readonly TorchSharp.Modules.Linear _out;

        public RecurrentWithDropout(int outputs)
            : base(nameof(RecurrentWithDropout))
        {
            _out = nn.Linear(3, outputs);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => _out.call(_gru.call(input.unsqueeze(2)).Item1.mean([1]));
    }
}
