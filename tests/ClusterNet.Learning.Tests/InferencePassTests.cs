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
        ["rectified first"] = _ => nn.Sequential(("rectified", nn.ReLU()), ("one", nn.Linear(6, 3)), ("rectified-last", nn.ReLU())),
        ["one layer twice"] = _ =>
        {
            var shared = nn.Linear(6, 6);
            return nn.Sequential(("one", shared), ("bent", nn.Sigmoid()), ("again", shared), ("last", nn.Linear(6, 3)));
        },
        ["no dense layer at the top"] = _ => nn.Sequential(("inner", nn.Sequential(("one", nn.Linear(6, 8)), ("rectified", nn.ReLU()))), ("last", nn.Linear(8, 3))),
        ["a layer alone"] = _ => nn.Linear(6, 3),
    };

    public static TheoryData<string> Names { get; } = [.. _modules.Keys];

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

    [Fact]
    public void A_layer_takes_what_it_is_made_for()
    {
        using var model = Fixtures.Catalog.Build(Fixtures.Model("mlp"), Fixtures.CrossEntropy, Fixtures.Classification(3, 6), 1, 1);
        using var pass = new InferencePass(model);
        using var scope = NewDisposeScope();
        using var inference = inference_mode();
        Assert.Contains("[2, 5] for a layer of 6 inputs", Assert.Throws<ArgumentException>(() => pass.Call(ones(2, 5))).Message, StringComparison.Ordinal);
    }
}
