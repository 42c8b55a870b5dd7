using ClusterNet.Learning.Inference;
using ClusterNet.Learning.Models;
using ClusterNet.Learning.Training;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Tests;

public sealed class InferencePassTests
{
    private static readonly Dictionary<string, Func<ModelContext, nn.Module<Tensor, Tensor>>> _modules = new()
    {
        ["layers of all kinds"] = context => nn.Sequential(
            ("one", nn.Linear(6, 40, hasBias: false)),
            ("rectified", nn.ReLU(inplace: true)),
            ("two", nn.Linear(40, 9)),
            ("bent", nn.Tanh()),
            ("dropout", context.Dropout(0.5)),
            ("rectified-too", nn.ReLU()),
            ("three", nn.Linear(9, 17)),
            ("last", nn.Linear(17, 3))),
        ["normalised layers"] = _ => nn.Sequential(
            ("one", nn.Linear(6, 37)),
            ("norm", nn.LayerNorm(37)),
            ("rectified", nn.ReLU()),
            ("again", nn.LayerNorm(37, elementwise_affine: false)),
            ("two", nn.Linear(37, 8)),
            ("rectified-too", nn.ReLU()),
            ("norm-too", nn.LayerNorm(8, eps: 0.1)),
            ("last", nn.Linear(8, 3))),
        ["rectified first"] = _ => nn.Sequential(("rectified", nn.ReLU()), ("one", nn.Linear(6, 3)), ("rectified-last", nn.ReLU())),
        ["one layer twice"] = _ =>
        {
            var shared = nn.Linear(6, 6);
            return nn.Sequential(("one", shared), ("bent", nn.Sigmoid()), ("again", shared), ("last", nn.Linear(6, 3)));
        },
        ["no dense layer at the top"] = _ => nn.Sequential(("inner", nn.Sequential(("one", nn.Linear(6, 8)), ("rectified", nn.ReLU()))), ("last", nn.Linear(8, 3))),
        ["a layer alone"] = _ => nn.Linear(6, 3),
    };

    private static readonly Dictionary<string, (bool IsOwn, Func<nn.Module<Tensor, Tensor>> Create)> _pictures = new()
    {
        ["steps and wide borders"] = (true, () => nn.Sequential(("one", nn.Conv2d(3, 20, 3, stride: 2, padding: 3, bias: false)), ("rectified", nn.ReLU()), ("two", nn.Conv2d(20, 5, (1, 3), padding: (2, 0))), ("flat", nn.Flatten()), ("last", nn.Linear(5 * 13 * 5, 3)))),
        ["pools of other sizes"] = (true, () => nn.Sequential(("one", nn.Conv2d(3, 8, 3)), ("pool", nn.MaxPool2d(3, stride: 2)), ("mean", nn.AvgPool2d(2, stride: 1)), ("rectified", nn.ReLU()), ("again", nn.Conv2d(8, 4, 1)), ("whole", nn.AdaptiveAvgPool2d(1)), ("flat", nn.Flatten()), ("last", nn.Linear(4, 3)))),
        ["one layer twice"] = (true, () =>
        {
            var shared = nn.Conv2d(3, 3, 3, padding: 1);
            return nn.Sequential(("one", shared), ("rectified", nn.ReLU()), ("again", shared), ("whole", nn.AdaptiveAvgPool2d(1)), ("flat", nn.Flatten()));
        }
        ),
        ["a sequence within"] = (true, () => nn.Sequential(("inner", nn.Sequential(("one", nn.Conv2d(3, 6, 3)), ("rectified", nn.ReLU()))), ("whole", nn.AdaptiveAvgPool2d(1)), ("flat", nn.Flatten()), ("last", nn.Linear(6, 3)))),
        ["left to torch"] = (false, () => nn.Sequential(
            ("groups", nn.Conv2d(3, 6, 3, groups: 3)),
            ("holes", nn.Conv2d(6, 6, 3, dilation: 2)),
            ("mirrored", nn.Conv2d(6, 6, 3, padding: 2, padding_mode: TorchSharp.PaddingModes.Reflect)),
            ("own", nn.Conv2d(6, 6, 3, padding: 1)),
            ("padded", nn.MaxPool2d(2, padding: 1)),
            ("rounded up", nn.AvgPool2d(2, ceil_mode: true)),
            ("whole", nn.AdaptiveAvgPool2d(1)),
            ("flat", nn.Flatten()),
            ("last", nn.Linear(6, 3)))),
    };

    public static TheoryData<string> Names { get; } = [.. _modules.Keys];

    public static TheoryData<string> PictureNames { get; } = [.. _pictures.Keys];

    /// <summary>The first call has few rows, the next ones more and fewer: what lies in between is kept from call to call.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void It_comes_to_what_the_module_does(string name)
    {
        var catalog = new ModelCatalog([.. ModelCatalog.BuiltIn, new ModelRegistration("own", context => _modules[name](context))]);
        var signature = Fixtures.Classification(3, 6);
        using var model = catalog.Build(Fixtures.Model("own"), Fixtures.CrossEntropy, signature, 1, 1);
        using var pass = new InferencePass(model);
        model.Enter(training: false);
        using var inference = inference_mode();
        foreach (var rows in new[] { 2, 1, 33, 5 })
        {
            using var scope = NewDisposeScope();
            var features = Fixtures.Samples(signature, rows, (ulong)rows).Features.ToArray();
            var expected = Predictor.Values(model.Module.call(tensor(features).view(rows, 6)));
            Assert.Equal(expected, Predictor.Values(pass.Call(tensor(features).view(rows, 6))), (one, other) => Math.Abs(one - other) < 1e-5);
        }
        // it computes with what the weights are
        model.Weights.Clear();
        using var last = NewDisposeScope();
        Assert.Equal(Predictor.Values(model.Module.call(ones(4, 6))), Predictor.Values(pass.Call(ones(4, 6))));
    }

    [Theory]
    [MemberData(nameof(PictureNames))]
    public void Pictures_come_to_what_the_module_makes_of_them(string name)
    {
        var catalog = new ModelCatalog([.. ModelCatalog.BuiltIn, new ModelRegistration("own", _ => _pictures[name].Create())]);
        Compare(catalog, "own", "", _pictures[name].IsOwn, [3, 13, 10]);
    }

    /// <summary>torch takes three axes for one picture without a batch, whose channels it then pools.</summary>
    [Fact]
    public void A_pool_of_pictures_behind_a_convolution_of_signals_does_what_torch_makes_of_it()
    {
        var catalog = new ModelCatalog([.. ModelCatalog.BuiltIn, new ModelRegistration("own", _ => nn.Sequential(("one", nn.Conv1d(2, 6, 3)), ("pool", nn.MaxPool2d(2)), ("flat", nn.Flatten()), ("last", nn.Linear(3 * 4, 3))))]);
        Compare(catalog, "own", "", true, [2, 10]);
    }

    [Theory]
    [InlineData("channels: 5 16", true)]
    [InlineData("channels: 5 16; residual: true; head: 7", true)]
    [InlineData("channels: 4 4; residual: true; pool: average; kernel: 5", true)]
    [InlineData("channels: 4 6; group-norm: 2; pool: none; global-pool: true; dropout: 0.3", true)]
    [InlineData("channels: 4 6; group-norm: 2; residual: true; head: 5 4", true)]
    [InlineData("channels: 4 6; activation: gelu", true)]
    [InlineData("channels: 4 6; activation: tanh; residual: true", false)]
    public void A_cnn_comes_to_what_the_module_makes_of_a_sample(string settings, bool isOwn)
    {
        Compare(Fixtures.Catalog, "cnn", settings, isOwn, [3, 12, 10]);
        Compare(Fixtures.Catalog, "cnn", settings, isOwn, [2, 23]);
    }

    [Fact]
    public void A_layer_takes_what_it_is_made_for()
    {
        using var model = Fixtures.Catalog.Build(Fixtures.Model("mlp"), Fixtures.CrossEntropy, Fixtures.Classification(3, 6), 1, 1);
        using var pass = new InferencePass(model);
        using var scope = NewDisposeScope();
        using var inference = inference_mode();
        Assert.Contains("[2, 5] for a layer of 6 inputs", Assert.Throws<ArgumentException>(() => pass.Call(ones(2, 5))).Message, StringComparison.Ordinal);
    }

    /// <summary>The first call has few samples, the next ones more and fewer, then come other weights, and then the last ones: what lies in between is kept from call to call.</summary>
    private static void Compare(ModelCatalog catalog, string kind, string settings, bool isOwn, int[] shape)
    {
        var signature = Fixtures.Classification(3, shape);
        using var model = catalog.Build(Fixtures.Model(kind, settings), Fixtures.CrossEntropy, signature, 1, 1);
        using var pass = new InferencePass(model);
        Assert.Equal(isOwn, pass.HasOwnSums);
        model.Enter(training: false);
        using var inference = inference_mode();
        foreach (var (samples, change, areFinal) in new[] { (2, 0f, false), (1, 0f, false), (7, 0f, false), (3, 0.01f, false), (3, 0.01f, true), (3, 0f, true), (2, 0f, true) })
        {
            for (var i = 0; change != 0 && i < model.Layout.Length; i++)
                model.Weights[i] += change;
            if (areFinal)
                model.FinishWeights();
            using var scope = NewDisposeScope();
            var features = tensor(Fixtures.Samples(signature, samples, (ulong)samples).Features.ToArray()).view([samples, .. shape.Select(axis => (long)axis)]);
            var (expected, actual) = (model.Module.call(features), pass.Call(features));
            Assert.Equal(expected.shape, actual.shape);
            Assert.Equal(Predictor.Values(expected), Predictor.Values(actual), (one, other) => Math.Abs(one - other) < 1e-5 * (1 + Math.Abs(one)));
        }
        Assert.Contains("final", Assert.Throws<InvalidOperationException>(() => model.Weights.Length).Message, StringComparison.Ordinal);
    }
}
